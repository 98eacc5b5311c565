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

bool ggl_bpe_init(struct ggl_bpe *b, uint32_t n_tokens, uint32_t n_merges)
{
    uint64_t slots = 16;
    while (slots < 2 * (uint64_t)n_merges) slots *= 2;
    if (slots > SIZE_MAX / sizeof(*b->merges)) return false;
    b->merges = malloc((size_t)slots * sizeof(*b->merges));
    b->result = malloc(((size_t)n_merges + 1) * sizeof(*b->result));
    b->length = calloc((size_t)n_tokens + 1, sizeof(*b->length));
    if (!b->merges || !b->result || !b->length) return false;
    for (uint64_t i = 0; i < slots; i++) b->merges[i].rank = NONE;
    b->mask = slots - 1;
    return true;
}

void ggl_bpe_deinit(struct ggl_bpe *b)
{
    free(b->merges);
    free(b->result);
    free(b->length);
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

/* ---- long words
 *
 * `at` has an entry for each byte of the word: at the first byte of a token its id, at the last byte of a longer
 * one ~id, between them anything negative.  Lengths follow from ids, so both neighbours of a token are found
 * without links; a byte of text takes 4 bytes of memory and its entries in the queues.
 */

static bool scratch_reserve(struct ggl_bpe_scratch *s, uint32_t n_merges, size_t size)
{
    if (!s->active && !(s->active = calloc(1, sizeof(*s->active)))) return false;
    if (!s->by_rank) {
        if (!(s->by_rank = calloc((size_t)n_merges + 1, sizeof(*s->by_rank)))) return false;
        s->n_merges = n_merges;
    }
    if (s->size >= size) return true;
    free(s->at);
    s->size = 0;
    s->at = size <= SIZE_MAX / sizeof(*s->at) ? malloc(size * sizeof(*s->at)) : NULL;
    if (!s->at) return false;
    s->size = size;
    return true;
}

void ggl_bpe_scratch_deinit(struct ggl_bpe_scratch *s)
{
    for (uint32_t i = 0; i < s->n_merges; i++) free(s->by_rank[i].items);
    free(s->by_rank);
    if (s->active) free(s->active->items);
    free(s->active);
    free(s->at);
}

/* Queue the pair that starts at p if there is a merge for it. */
static bool queue_pair(const struct ggl_bpe *b, struct ggl_bpe_scratch *s, size_t p, int32_t left, int32_t right)
{
    uint32_t rank = find(b, left, right)->rank;
    if (rank == NONE) return true;
    struct ggl_queue *q = &s->by_rank[rank];
    if (queue_empty(q) && !queue_push(s->active, rank)) return false;
    return queue_push(q, (uint32_t)p);
}

/*
 * Join the pair that starts at p, if it still has this rank, and queue the pairs that the new token makes with its
 * neighbours.  Tokens only grow, so a pair that changed never comes back.
 */
static bool merge_pair(const struct ggl_bpe *b, struct ggl_bpe_scratch *s, size_t p, uint32_t rank, size_t size)
{
    int32_t left = s->at[p];
    if (left < 0) return true; /* swallowed by the token before */
    size_t middle = p + b->length[left];
    if (middle >= size || find(b, left, s->at[middle])->rank != rank) return true;

    int32_t id = b->result[rank];
    size_t next = p + b->length[id];
    s->at[p] = id;
    s->at[middle] = s->at[next - 1] = ~id;
    if (p > 0) {
        int32_t before = s->at[p - 1] < 0 ? ~s->at[p - 1] : s->at[p - 1];
        if (!queue_pair(b, s, p - b->length[before], before, id)) return false;
    }
    return next == size || queue_pair(b, s, p, id, s->at[next]);
}

static bool merge_long(const struct ggl_bpe *b, struct ggl_bpe_scratch *s, const uint8_t *word, size_t size,
                       struct ggl_id_sink *sink)
{
    if (!scratch_reserve(s, b->n_merges, size)) return false;
    s->at[0] = b->byte_id[word[0]];
    for (size_t i = 1; i < size; i++) {
        s->at[i] = b->byte_id[word[i]];
        if (!queue_pair(b, s, i - 1, s->at[i - 1], s->at[i])) return false;
    }
    /* A merge may queue a pair of lower rank than its own, so the lowest rank is asked for every time. */
    while (!queue_empty(s->active)) {
        uint32_t rank = s->active->items[s->active->head];
        struct ggl_queue *q = &s->by_rank[rank];
        if (queue_empty(q)) queue_pop(s->active);
        else if (!merge_pair(b, s, queue_pop(q), rank, size)) return false;
    }
    for (size_t p = 0; p < size; p += b->length[s->at[p]]) ggl_id_sink_put(sink, s->at[p]);
    return true;
}

bool ggl_bpe_word(const struct ggl_bpe *b, struct ggl_bpe_scratch *s, const uint8_t *word, size_t size,
                  struct ggl_id_sink *sink)
{
    if (size > SHORT_WORD) return merge_long(b, s, word, size, sink);
    merge_short(b, word, size, sink);
    return true;
}
