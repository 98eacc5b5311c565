/*
 * What this machine can do at best, measured: how fast a team reads memory and
 * how fast it multiplies, with the kernels of the level that is in use.
 *
 *     struct ggl_peak peak;
 *     if (ggl_peak_measure(team, &peak, &err)) ...
 *     printf("%.1f GB/s\n", peak.read_bytes_per_s / 1e9);
 *
 * Takes about a second and, while it runs, a buffer of four times the
 * third-level cache (256 MiB at least, an eighth of the machine's memory at most).
 * On a shared machine the numbers are those of that moment: measure again and
 * take the larger ones.  How fast its memory is at the time of something else, a
 * reader tells that takes samples in between.
 */
#ifndef GGL_PEAK_H
#define GGL_PEAK_H

#include "ggml-lite/threads.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ggl_peak {
    double read_bytes_per_s; /* of all threads together, each on a part of its own */
    double int8_macs_per_s;  /* multiply-adds of 8-bit integers, in vector registers, all threads together */
    double tile_macs_per_s;  /* the same in tiles (GGL_ISA_AMX), 0 without: products alone, which no scales can keep up with */
    double bf16_macs_per_s;  /* of BF16 values, or of floats at a level without BF16 instructions */
    uint64_t isa;            /* the levels (cpu.h) that the kernels in use, of all operations, are made for */
};

/* NOMEM: no room for the buffer. */
GGL_API enum ggl_status ggl_peak_measure(struct ggl_team *team, struct ggl_peak *out, struct ggl_error *err);

/* Reads a buffer of that size, which it keeps, again and again.  Not thread-safe; *out is the caller's to free, before
 * the team. */
struct ggl_reader;
GGL_API enum ggl_status ggl_reader_new(struct ggl_team *team, struct ggl_reader **out, struct ggl_error *err);
/* Once, some milliseconds: that speed, the wake-up of the team not counted. */
GGL_API enum ggl_status ggl_reader_sample(struct ggl_reader *r, double *bytes_per_s, struct ggl_error *err);
GGL_API uint64_t ggl_reader_bytes(const struct ggl_reader *r);
GGL_API void ggl_reader_free(struct ggl_reader *r); /* NULL is allowed */

#ifdef __cplusplus
}
#endif
#endif
