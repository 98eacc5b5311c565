/* Name -> index. */
#include "gguf-convert/src/lookup.h"

#include <stdlib.h>
#include <string.h>

struct ggl_lookup_slot {
    const char *name; /* NULL: free */
    uint32_t index;
    uint32_t hash; /* spares most of the string comparisons */
};

static uint64_t hash_name(const char *name)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */
    for (const unsigned char *p = (const unsigned char *)name; *p; p++) h = (h ^ *p) * 0x100000001b3u;
    return h ^ (h >> 29); /* the low bits choose the slot: let the high ones take part */
}

bool ggl_lookup_init(struct ggl_lookup *l, size_t n)
{
    size_t slots = 16;
    while (slots < 2 * n) slots *= 2;
    l->slots = calloc(slots, sizeof(*l->slots));
    l->mask = slots - 1;
    return l->slots != NULL;
}

void ggl_lookup_free(struct ggl_lookup *l)
{
    free(l->slots);
    l->slots = NULL;
}

static struct ggl_lookup_slot *find_slot(const struct ggl_lookup *l, const char *name, uint64_t hash)
{
    size_t i = (size_t)hash & l->mask;
    while (l->slots[i].name && (l->slots[i].hash != (uint32_t)(hash >> 32) || strcmp(l->slots[i].name, name) != 0)) {
        i = (i + 1) & l->mask;
    }
    return &l->slots[i];
}

uint32_t ggl_lookup_add(struct ggl_lookup *l, const char *name, uint32_t index)
{
    uint64_t hash = hash_name(name);
    struct ggl_lookup_slot *slot = find_slot(l, name, hash);
    if (slot->name) return slot->index;
    *slot = (struct ggl_lookup_slot){name, index, (uint32_t)(hash >> 32)};
    return GGL_LOOKUP_NONE;
}

uint32_t ggl_lookup_find(const struct ggl_lookup *l, const char *name)
{
    if (!l->slots) return GGL_LOOKUP_NONE;
    const struct ggl_lookup_slot *slot = find_slot(l, name, hash_name(name));
    return slot->name ? slot->index : GGL_LOOKUP_NONE;
}
