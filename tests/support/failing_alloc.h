/*
 * Allocations that fail when a test says so.  Include it in one file of a test
 * whose <name>.cmake includes support/failing_alloc.cmake:
 *
 *     for (long n = 1;; n++) {
 *         failing_alloc_begin(n, forever);    // the n-th fails; with forever, all later ones too
 *         status = operation();
 *         bool failed = failing_alloc_end();  // one did; fails the test when memory was not given back
 *         if (!failed) break;
 *     }
 *
 * Only calls from our own objects count, not those inside other libraries.
 */
#ifndef FAILING_ALLOC_H
#define FAILING_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#if defined(__GLIBC__) || defined(__linux__)
#include <malloc.h>
#define FAILING_ALLOC_COUNTS_BYTES 1
#else
#define FAILING_ALLOC_COUNTS_BYTES 0
#endif

static struct {
    long countdown; /* 0: none fails */
    long live;      /* blocks handed out and not given back since _begin */
    long bytes, peak; /* the same in bytes, as the allocator rounds them; the most at a time */
    bool active, forever, failed;
} failing_alloc;

#ifdef GGL_TEST_WRAPS_ALLOC
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t alignment, size_t n);
char *__real_strdup(const char *s);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_aligned_alloc(size_t alignment, size_t n);
char *__wrap_strdup(const char *s);
void __wrap_free(void *p);

static bool this_one_fails(void)
{
    if (!failing_alloc.countdown) return false;
    if (failing_alloc.countdown > 1) {
        failing_alloc.countdown--;
        return false;
    }
    failing_alloc.failed = true;
    if (!failing_alloc.forever) failing_alloc.countdown = 0;
    return true;
}

static long block_bytes(void *p)
{
#if FAILING_ALLOC_COUNTS_BYTES
    return (long)malloc_usable_size(p);
#else
    return p ? 1 : 0;
#endif
}

static void *came(void *p)
{
    if (!failing_alloc.active || !p) return p;
    failing_alloc.live++;
    failing_alloc.bytes += block_bytes(p);
    if (failing_alloc.bytes > failing_alloc.peak) failing_alloc.peak = failing_alloc.bytes;
    return p;
}

static void goes(void *p)
{
    if (!failing_alloc.active || !p) return;
    failing_alloc.live--;
    failing_alloc.bytes -= block_bytes(p);
}

void *__wrap_malloc(size_t n)
{
    return this_one_fails() ? NULL : came(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t size)
{
    return this_one_fails() ? NULL : came(__real_calloc(n, size));
}

void *__wrap_aligned_alloc(size_t alignment, size_t n)
{
    return this_one_fails() ? NULL : came(__real_aligned_alloc(alignment, n));
}

void *__wrap_realloc(void *old, size_t n)
{
    if (this_one_fails()) return NULL;
    long old_bytes = block_bytes(old);
    void *p = __real_realloc(old, n);
    if (p && old && failing_alloc.active) {
        failing_alloc.live--;
        failing_alloc.bytes -= old_bytes;
    }
    return came(p);
}

char *__wrap_strdup(const char *s)
{
    return this_one_fails() ? NULL : came(__real_strdup(s));
}

void __wrap_free(void *p)
{
    goes(p);
    __real_free(p);
}
#endif

static void failing_alloc_begin(long n, bool forever)
{
    failing_alloc.countdown = n;
    failing_alloc.live = failing_alloc.bytes = failing_alloc.peak = 0;
    failing_alloc.forever = forever;
    failing_alloc.failed = false;
    failing_alloc.active = true;
}

static bool failing_alloc_end(void)
{
    failing_alloc.active = false;
    failing_alloc.countdown = 0;
    if (failing_alloc.live) fail_msg("%ld blocks were not given back", failing_alloc.live);
    return failing_alloc.failed;
}

#endif
