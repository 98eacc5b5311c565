/*
 * Byte-pair merging inside one word: of all neighbouring pairs that have a merge, the one of lowest rank is
 * joined, the leftmost first; until none is left.
 */
#ifndef GGL_TOKENIZER_BPE_H
#define GGL_TOKENIZER_BPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where ids go: at most cap are written, all are counted. */
struct ggl_id_sink {
    int32_t *ids;
    int64_t cap, n;
};

static inline void ggl_id_sink_put(struct ggl_id_sink *s, int32_t id)
{
    if (s->n < s->cap) s->ids[s->n] = id;
    s->n++;
}

struct ggl_bpe {
    int32_t byte_id[256];     /* the token of each single byte */
    struct ggl_merge *merges; /* open addressing */
    uint64_t mask;            /* number of slots - 1 */
    int32_t *result;          /* [n_merges] rank -> token */
    uint32_t n_merges;
    uint32_t *length;         /* [n_tokens] bytes; the caller fills it in */
};

/* Room for so many tokens and merges; false: out of memory.  b is zeroed by the caller and freed by
 * ggl_bpe_deinit in any case. */
bool ggl_bpe_init(struct ggl_bpe *b, uint32_t n_tokens, uint32_t n_merges);
void ggl_bpe_deinit(struct ggl_bpe *b);
/* The next merge by rank; the result is as long as both sides.  False: the pair already has one. */
bool ggl_bpe_add(struct ggl_bpe *b, int32_t left, int32_t right, int32_t result);

/* Working memory that long words need; zero it, use it for many words, then deinit. */
struct ggl_bpe_scratch {
    int32_t *at;
    size_t size;               /* entries of `at` */
    struct ggl_queue *by_rank; /* [n_merges] */
    struct ggl_queue *active;  /* ranks whose queue is not empty */
    uint32_t n_merges;
};
void ggl_bpe_scratch_deinit(struct ggl_bpe_scratch *s);

/* The tokens of one word of 1 .. 2^31 bytes; false: out of memory. */
bool ggl_bpe_word(const struct ggl_bpe *b, struct ggl_bpe_scratch *s, const uint8_t *word, size_t size,
                  struct ggl_id_sink *sink);

#endif
