/*
 * Telling the processor what one token's weights are: read once, from end to end, and between two lines so many
 * instructions that a core of GGL_ISA_INTEL has too few reads under way (FP8 rows came at 56 % of the memory's speed, at
 * 95 % when told).  Cores that guess further ahead by themselves lose by it, so each kernel has both forms.
 *
 * Two steps, because either alone was slower: far ahead into the second-level cache, near into the first.  Fetching beyond the
 * end of a mapping does nothing.  How far ahead was tried kernel by kernel (docs/performance-log.md).
 *
 * Functions that only fetch are always_inline: the compiler takes them for functions without effect and leaves calls out.
 */
#ifndef GGL_KERNEL_FETCH_H
#define GGL_KERNEL_FETCH_H

#include <stdint.h>

/* Bytes ahead. */
struct ggl_fetch {
    int far, near; /* 0: not at all */
};

static inline __attribute__((always_inline)) void ggl_fetch_line(const struct ggl_fetch f, const void *p)
{
    if (f.far) __builtin_prefetch((const char *)p + f.far, 0, 2);
    if (f.near) __builtin_prefetch((const char *)p + f.near, 0, 3);
}

/* All lines of a block of so many bytes; blocks follow each other, so none is left out: one of 17 that was cost a fifth. */
static inline __attribute__((always_inline)) void ggl_fetch_block(const struct ggl_fetch f, const uint8_t *p, const int64_t bytes)
{
    if (!f.far && !f.near) return;
    const int64_t lines = (bytes + 63) / 64;
    for (int64_t i = 0; i < lines; i++) ggl_fetch_line(f, p + i * bytes / lines);
}

/* As ggl_fetch_block, but far ahead one line of two: the processor brings its neighbour, and where a kernel has much else to
 * do, fewer words to it are better (MXFP4 rows came at 91 % of reading instead of 88). */
static inline __attribute__((always_inline)) void ggl_fetch_pairs(const struct ggl_fetch f, const uint8_t *p, const int64_t bytes)
{
    const int64_t lines = (bytes + 63) / 64, pairs = (bytes + 127) / 128;
    for (int64_t i = 0; i < pairs; i++) __builtin_prefetch(p + f.far + i * bytes / pairs, 0, 2);
    for (int64_t i = 0; i < lines; i++) __builtin_prefetch(p + f.near + i * bytes / lines, 0, 3);
}

/* Step i of a walk in steps of so many bytes, 64 or a part of it: each line once. */
static inline __attribute__((always_inline)) void ggl_fetch_step(const struct ggl_fetch f, const uint8_t *p, const int64_t bytes, int64_t i)
{
    if (i % (64 / bytes) == 0) ggl_fetch_line(f, p);
}

#endif
