/*
 * What this machine can do at best with one level's instructions: loops that do
 * nothing but read memory, or nothing but multiply in registers.  ggl-bench
 * compares a model's speed with them.
 *
 * Every level gives the same results, so that a loop which a compiler threw away
 * is found out.
 */
#ifndef GGL_KERNEL_PEAK_H
#define GGL_KERNEL_PEAK_H

#include <stdint.h>

/* The sum modulo 2^64 of `bytes` bytes taken as 64-bit words; bytes is a multiple of 512, data of 64. */
typedef uint64_t ggl_read_bandwidth_fn(const void *data, int64_t bytes);

/* Adds a * b again and again, on as many sums as hide the instructions' latency; `rounds` is how often each sum is
 * met.  Returns *macs * a * b modulo 2^32, *macs being the number of multiply-adds.  a <= 127: pairs of products fit
 * 16 bits. */
typedef uint32_t ggl_int8_peak_fn(uint8_t a, int8_t b, int64_t rounds, int64_t *macs);
/* The same with tiles, on processors that have them: what products alone could reach, without scales. */
typedef ggl_int8_peak_fn ggl_int8_tile_peak_fn;

/* The same with BF16 values (a and b must be such) and float sums; a level without BF16 instructions multiplies
 * floats. */
typedef float ggl_bf16_peak_fn(float a, float b, int64_t rounds, int64_t *macs);

/* Makes a register's value unknown to the compiler, which would else compute the products of constants once. */
#if defined(__aarch64__)
#define GGL_PEAK_HIDE(v) __asm__ volatile("" : "+w"(v))
#else
#define GGL_PEAK_HIDE(v) __asm__ volatile("" : "+x"(v))
#endif

#endif
