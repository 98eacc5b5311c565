/* Growing text with control spans, and an arena, for the chat code. */
#include "model/src/chat_text.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Room for one more of `need` items of `unit` bytes; doubles, so appending is linear. */
static bool grow(void **data, size_t *cap, size_t need, size_t unit)
{
    if (need <= *cap) return true;
    size_t n = *cap ? *cap : 256 / unit;
    while (n < need) {
        if (n > SIZE_MAX / 2 / unit) return false;
        n *= 2;
    }
    void *p = realloc(*data, n * unit);
    if (!p) return false;
    *data = p;
    *cap = n;
    return true;
}

void ggl_chat_text_free(struct ggl_chat_text *t)
{
    free(t->data);
    free(t->controls);
    memset(t, 0, sizeof(*t));
}

void ggl_chat_text_add(struct ggl_chat_text *t, const char *data, size_t size)
{
    if (t->failed || !size) return;
    void *p = t->data;
    if (size > SIZE_MAX - t->size || !grow(&p, &t->cap, t->size + size, 1)) {
        t->failed = true;
        return;
    }
    t->data = p;
    memcpy(t->data + t->size, data, size);
    t->size += size;
}

void ggl_chat_text_str(struct ggl_chat_text *t, const char *s)
{
    ggl_chat_text_add(t, s, strlen(s));
}

void ggl_chat_text_span(struct ggl_chat_text *t, struct ggl_chat_span s)
{
    ggl_chat_text_add(t, s.data, s.size);
}

static void add_control(struct ggl_chat_text *t, size_t offset, size_t size)
{
    if (t->failed) return;
    void *p = t->controls;
    if (!grow(&p, &t->cap_controls, t->n_controls + 1, sizeof(*t->controls))) {
        t->failed = true;
        return;
    }
    t->controls = p;
    t->controls[t->n_controls].offset = offset;
    t->controls[t->n_controls].size = size;
    t->n_controls++;
}

void ggl_chat_text_control(struct ggl_chat_text *t, const char *s)
{
    size_t offset = t->size, size = strlen(s);
    ggl_chat_text_add(t, s, size);
    add_control(t, offset, size);
}

void ggl_chat_text_template(struct ggl_chat_text *t, const char *s)
{
    static const char *const controls[] = {GGL_CHAT_DSML, GGL_CHAT_THINK, GGL_CHAT_THINK_END};
    const char *plain = s;
    while (*s) {
        size_t i = 0, n = sizeof(controls) / sizeof(controls[0]);
        while (i < n && strncmp(s, controls[i], strlen(controls[i]))) i++;
        if (i == n) {
            s++;
            continue;
        }
        ggl_chat_text_add(t, plain, (size_t)(s - plain));
        ggl_chat_text_control(t, controls[i]);
        s += strlen(controls[i]);
        plain = s;
    }
    ggl_chat_text_add(t, plain, (size_t)(s - plain));
}

void ggl_chat_text_append(struct ggl_chat_text *t, const struct ggl_chat_text *other)
{
    size_t base = t->size;
    if (other->failed) t->failed = true;
    ggl_chat_text_add(t, other->data, other->size);
    for (size_t i = 0; i < other->n_controls; i++)
        add_control(t, base + other->controls[i].offset, other->controls[i].size);
}

char *ggl_chat_text_take(struct ggl_chat_text *t, size_t *size)
{
    ggl_chat_text_add(t, "", 1);
    char *data = t->failed ? NULL : t->data;
    if (data) {
        if (size) *size = t->size - 1;
        t->data = NULL;
    }
    ggl_chat_text_free(t);
    return data;
}

struct ggl_chat_arena_chunk {
    struct ggl_chat_arena_chunk *next;
    size_t used, size;
    alignas(max_align_t) unsigned char bytes[];
};

void *ggl_chat_arena_alloc(struct ggl_chat_arena *a, size_t size)
{
    const size_t align = alignof(max_align_t), least = 16 * 1024;
    if (size > SIZE_MAX / 2) return NULL;
    size = (size + align - 1) / align * align;
    struct ggl_chat_arena_chunk *c = a->chunks;
    if (!c || size > c->size - c->used) {
        size_t room = size > least ? size : least;
        c = calloc(1, sizeof(*c) + room);
        if (!c) return NULL;
        c->size = room;
        c->next = a->chunks;
        a->chunks = c;
    }
    void *p = c->bytes + c->used;
    c->used += size;
    return p;
}

void ggl_chat_arena_free(struct ggl_chat_arena *a)
{
    while (a->chunks) {
        struct ggl_chat_arena_chunk *next = a->chunks->next;
        free(a->chunks);
        a->chunks = next;
    }
}

int ggl_chat_utf8_length(const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s;
    if (!n) return 0;
    if (p[0] < 0x80) return 1;
    int len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || n < (size_t)len) return 0;
    for (int i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    /* over-long forms, surrogates, beyond U+10FFFF */
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f)) return 0;
    if ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)) return 0;
    return len;
}
