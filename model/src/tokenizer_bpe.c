/*
 * The merge table and two ways to apply it that give the same tokens: a plain search for words of usual length,
 * and for long ones a queue of positions for each rank, which is linear for repetitive text and n log n at worst.
 */
#include <stdlib.h>
#include <string.h>
#include "model/src/tokenizer_bpe.h"

#define NONE UINT32_MAX /* no rank, no position */
enum { SHORT_WORD = 64 };

struct ggl_merge {
    int32_t left, right;
    uint32_t rank; /* NONE: free slot */
};

bool ggl_bpe_init(struct ggl_bpe *b, uint32_t n)
{
    uint64_t slots = 16;
    while (slots < 2 * (uint64_t)n) slots *= 2;
    if (slots > SIZE_MAX / sizeof(*b->merges)) return false;
    b->merges = malloc((size_t)slots * sizeof(*b->merges));
    b->result = malloc(((size_t)n + 1) * sizeof(*b->result));
    if (!b->merges || !b->result) return false;
    for (uint64_t i = 0; i < slots; i++) b->merges[i].rank = NONE;
    b->mask = slots - 1;
    return true;
}

void ggl_bpe_deinit(struct ggl_bpe *b)
{
    free(b->merges);
    free(b->result);
}

/* The slot of a pair, or the free one where it belongs. */
static struct ggl_merge *find(const struct ggl_bpe *b, int32_t left, int32_t right)
{
    uint64_t h = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9E3779B97F4A7C15u;
    h ^= h >> 32;
    for (uint64_t i = h & b->mask;; i = (i + 1) & b->mask) {
        struct ggl_merge *m = &b->merges[i];
        if (m->rank == NONE || (m->left == left && m->right == right)) return m;
    }
}

bool ggl_bpe_add(struct ggl_bpe *b, int32_t left, int32_t right, int32_t result)
{
    struct ggl_merge *m = find(b, left, right);
    if (m->rank != NONE) return false;
    *m = (struct ggl_merge){left, right, b->n_merges};
    b->result[b->n_merges++] = result;
    return true;
}

/* ---- short words: search all pairs for the lowest rank, again and again */

static void merge_short(const struct ggl_bpe *b, const uint8_t *word, size_t size, struct ggl_id_sink *sink)
{
    int32_t id[SHORT_WORD];
    uint32_t rank[SHORT_WORD]; /* of the pair that starts here */
    size_t n = size;
    for (size_t i = 0; i < n; i++) id[i] = b->byte_id[word[i]];
    for (size_t i = 0; i + 1 < n; i++) rank[i] = find(b, id[i], id[i + 1])->rank;

    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (rank[i] < rank[best]) best = i;
        if (rank[best] == NONE) break;
        id[best] = b->result[rank[best]];
        n--;
        memmove(id + best + 1, id + best + 2, (n - best - 1) * sizeof(*id));
        memmove(rank + best, rank + best + 1, (n - best - 1) * sizeof(*rank));
        if (best > 0) rank[best - 1] = find(b, id[best - 1], id[best])->rank;
        if (best + 1 < n) rank[best] = find(b, id[best], id[best + 1])->rank;
    }
    for (size_t i = 0; i < n; i++) ggl_id_sink_put(sink, id[i]);
}

/* ---- a queue of numbers, lowest first
 *
 * As long as numbers come in ascending order it is an array with a cursor.  Positions are found from left to
 * right most of the time, so most queues never become anything else.  A number out of order makes it a binary
 * heap, which a sorted array already is.
 */
struct ggl_queue {
    uint32_t *items;
    size_t head, n, cap; /* the items are [head, n) */
    bool heap;           /* rooted at head */
};

static bool queue_push(struct ggl_queue *q, uint32_t item)
{
    if (q->head == q->n) {
        q->head = q->n = 0;
        q->heap = false;
    }
    if (q->n == q->cap) {
        size_t cap = q->cap ? q->cap * 2 : 16;
        if (cap > SIZE_MAX / sizeof(*q->items)) return false;
        uint32_t *items = realloc(q->items, cap * sizeof(*items));
        if (!items) return false;
        q->items = items;
        q->cap = cap;
    }
    uint32_t *h = q->items + q->head;
    size_t i = q->n++ - q->head;
    if (!q->heap && (i == 0 || h[i - 1] <= item)) {
        h[i] = item;
        return true;
    }
    q->heap = true;
    for (; i > 0 && h[(i - 1) / 2] > item; i = (i - 1) / 2) h[i] = h[(i - 1) / 2];
    h[i] = item;
    return true;
}

/* The lowest item of a queue that has one. */
static uint32_t queue_pop(struct ggl_queue *q)
{
    uint32_t *h = q->items + q->head, top = h[0];
    if (!q->heap) {
        q->head++;
        return top;
    }
    size_t n = --q->n - q->head;
    uint32_t item = h[n];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && h[child + 1] < h[child]) child++;
        if (h[child] >= item) break;
        h[i] = h[child];
    }
    h[i] = item;
    return top;
}

static bool queue_empty(const struct ggl_queue *q)
{
    return q->head == q->n;
}

/* ---- long words */

/* A token under way, at the position of its first byte. */
struct ggl_symbol {
    int32_t id;
    uint32_t prev, next; /* positions, or NONE */
    uint32_t rank;       /* of the pair with the next one; NONE: no merge, or swallowed by the one before */
};

static bool scratch_reserve(struct ggl_bpe_scratch *s, uint32_t n_merges, size_t size)
{
    if (!s->active && !(s->active = calloc(1, sizeof(*s->active)))) return false;
    if (!s->by_rank && n_merges) {
        if (!(s->by_rank = calloc(n_merges, sizeof(*s->by_rank)))) return false;
        s->n_merges = n_merges;
    }
    if (s->n_symbols < size) {
        free(s->symbols);
        s->n_symbols = 0;
        if (size > SIZE_MAX / sizeof(*s->symbols) || !(s->symbols = malloc(size * sizeof(*s->symbols)))) {
            s->symbols = NULL;
            return false;
        }
        s->n_symbols = size;
    }
    return true;
}

void ggl_bpe_scratch_deinit(struct ggl_bpe_scratch *s)
{
    for (uint32_t i = 0; i < s->n_merges; i++) free(s->by_rank[i].items);
    free(s->by_rank);
    if (s->active) free(s->active->items);
    free(s->active);
    free(s->symbols);
}

/* Look up the pair that starts at p and queue it. */
static bool queue_pair(const struct ggl_bpe *b, struct ggl_bpe_scratch *s, uint32_t p)
{
    struct ggl_symbol *left = &s->symbols[p];
    left->rank = left->next == NONE ? NONE : find(b, left->id, s->symbols[left->next].id)->rank;
    if (left->rank == NONE) return true;
    struct ggl_queue *q = &s->by_rank[left->rank];
    if (queue_empty(q) && !queue_push(s->active, left->rank)) return false;
    return queue_push(q, p);
}

static bool merge_pair(const struct ggl_bpe *b, struct ggl_bpe_scratch *s, uint32_t p)
{
    struct ggl_symbol *left = &s->symbols[p], *right = &s->symbols[left->next];
    left->id = b->result[left->rank];
    left->next = right->next;
    right->rank = NONE;
    if (left->next != NONE) s->symbols[left->next].prev = p;
    if (left->prev != NONE && !queue_pair(b, s, left->prev)) return false;
    return queue_pair(b, s, p);
}

static bool merge_long(const struct ggl_bpe *b, struct ggl_bpe_scratch *s, const uint8_t *word, size_t size,
                       struct ggl_id_sink *sink)
{
    if (!scratch_reserve(s, b->n_merges, size)) return false;
    for (size_t i = 0; i < size; i++)
        s->symbols[i] = (struct ggl_symbol){b->byte_id[word[i]], i ? (uint32_t)i - 1 : NONE,
                                            i + 1 < size ? (uint32_t)i + 1 : NONE, NONE};
    for (size_t i = 0; i < size; i++)
        if (!queue_pair(b, s, (uint32_t)i)) return false;

    /* A merge may queue a pair of lower rank than its own, so the lowest rank is asked for every time.  A queue
     * keeps positions whose pair has changed since; a pair never comes back, so its rank tells. */
    while (!queue_empty(s->active)) {
        uint32_t rank = s->active->items[s->active->head];
        struct ggl_queue *q = &s->by_rank[rank];
        if (queue_empty(q)) {
            queue_pop(s->active);
            continue;
        }
        uint32_t p = queue_pop(q);
        if (s->symbols[p].rank == rank && !merge_pair(b, s, p)) return false;
    }
    for (uint32_t p = 0; p != NONE; p = s->symbols[p].next) ggl_id_sink_put(sink, s->symbols[p].id);
    return true;
}

bool ggl_bpe_word(const struct ggl_bpe *b, struct ggl_bpe_scratch *s, const uint8_t *word, size_t size,
                  struct ggl_id_sink *sink)
{
    if (size > SHORT_WORD) return merge_long(b, s, word, size, sink);
    merge_short(b, word, size, sink);
    return true;
}
