/*
 * Names and their table.  The hash is SipHash-1-3 (Aumasson and Bernstein 2012)
 * under a seed of its own: a plain hash would let a file of chosen names make
 * every look-up linear.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "ggml-lite/src/names.h"

/* Length of the UTF-8 sequence at s, 0 when it is none.  Refuses overlong forms, surrogates, > U+10FFFF. */
static uint64_t utf8_length(const unsigned char *s, uint64_t n)
{
    unsigned char c = s[0];
    if (c < 0x80) return 1;
    uint64_t len = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0xc2 || c > 0xf4 || n < len) return 0;
    for (uint64_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if (c == 0xe0 && s[1] < 0xa0) return 0;
    if (c == 0xed && s[1] > 0x9f) return 0;
    if (c == 0xf0 && s[1] < 0x90) return 0;
    if (c == 0xf4 && s[1] > 0x8f) return 0;
    return len;
}

const char *ggl_name_fault(const char *name, uint64_t n, uint64_t max)
{
    if (!n) return "empty";
    if (n > max) return "too long";
    for (uint64_t i = 0; i < n;) {
        if (!name[i]) return "a string with a NUL byte";
        uint64_t len = utf8_length((const unsigned char *)name + i, n - i);
        if (!len) return "not valid UTF-8";
        i += len;
    }
    return NULL;
}

struct sip {
    uint64_t a, b, c, d;
};

static uint64_t rotate(uint64_t x, int n)
{
    return x << n | x >> (64 - n);
}

static void sip_round(struct sip *v)
{
    v->a += v->b, v->b = rotate(v->b, 13) ^ v->a, v->a = rotate(v->a, 32);
    v->c += v->d, v->d = rotate(v->d, 16) ^ v->c;
    v->a += v->d, v->d = rotate(v->d, 21) ^ v->a;
    v->c += v->b, v->b = rotate(v->b, 17) ^ v->c, v->c = rotate(v->c, 32);
}

static uint32_t hash_name(const struct ggl_names *t, const char *name)
{
    size_t n = strlen(name);
    struct sip v = {t->seed[0] ^ 0x736f6d6570736575u, t->seed[1] ^ 0x646f72616e646f6du,
                    t->seed[0] ^ 0x6c7967656e657261u, t->seed[1] ^ 0x7465646279746573u};
    for (size_t i = 0;; i += 8) {
        uint64_t word = 0;
        size_t left = n - i;
        if (left >= 8)
            memcpy(&word, name + i, 8);
        else {
            memcpy(&word, name + i, left);
            word |= (uint64_t)n << 56;
        }
        v.d ^= word;
        sip_round(&v);
        v.a ^= word;
        if (left < 8) break;
    }
    v.c ^= 0xff;
    for (int i = 0; i < 3; i++) sip_round(&v);
    uint64_t h = v.a ^ v.b ^ v.c ^ v.d;
    return (uint32_t)(h ^ h >> 32);
}

/* The address of the slots and the clock are unknown to whoever wrote the file. */
static void make_seed(struct ggl_names *t, const void *slots)
{
    struct timespec now = {0};
    timespec_get(&now, TIME_UTC);
    t->seed[0] = (uint64_t)(uintptr_t)slots * 0x9e3779b97f4a7c15u;
    t->seed[1] = ((uint64_t)now.tv_sec << 30) ^ (uint64_t)now.tv_nsec;
}

static void insert(struct ggl_names_slot *slots, uint64_t n_slots, struct ggl_names_slot entry)
{
    uint64_t i = entry.hash & (n_slots - 1);
    while (slots[i].index_1) i = (i + 1) & (n_slots - 1);
    slots[i] = entry;
}

bool ggl_names_reserve(struct ggl_names *t, uint64_t n)
{
    if (n > UINT32_MAX / 2) return false;
    uint64_t n_slots = t->n_slots ? t->n_slots : 64;
    while (n_slots < 2 * n) n_slots *= 2;
    if (n_slots == t->n_slots) return true;
    struct ggl_names_slot *slots = calloc((size_t)n_slots, sizeof(*slots));
    if (!slots) return false;
    if (!t->slots) make_seed(t, slots);
    for (uint64_t i = 0; i < t->n_slots; i++)
        if (t->slots[i].index_1) insert(slots, n_slots, t->slots[i]);
    free(t->slots);
    t->slots = slots;
    t->n_slots = n_slots;
    return true;
}

bool ggl_names_find(const struct ggl_names *t, const char *name, ggl_name_of *name_of, const void *owner,
                    uint32_t *index)
{
    if (!t->n) return false;
    uint32_t hash = hash_name(t, name);
    for (uint64_t i = hash & (t->n_slots - 1); t->slots[i].index_1; i = (i + 1) & (t->n_slots - 1)) {
        uint32_t candidate = t->slots[i].index_1 - 1;
        if (t->slots[i].hash != hash || strcmp(name_of(owner, candidate), name)) continue;
        *index = candidate;
        return true;
    }
    return false;
}

void ggl_names_add(struct ggl_names *t, const char *name, uint32_t index)
{
    insert(t->slots, t->n_slots, (struct ggl_names_slot){hash_name(t, name), index + 1});
    t->n++;
}

void ggl_names_free(struct ggl_names *t)
{
    free(t->slots);
    *t = (struct ggl_names){0};
}
