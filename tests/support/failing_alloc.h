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

static struct {
    long countdown; /* 0: none fails */
    long live;      /* blocks handed out and not given back since _begin */
    bool active, forever, failed;
} failing_alloc;

#ifdef GGL_TEST_WRAPS_ALLOC
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
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

void *__wrap_malloc(size_t n)
{
    void *p = this_one_fails() ? NULL : __real_malloc(n);
    failing_alloc.live += failing_alloc.active && p;
    return p;
}

void *__wrap_calloc(size_t n, size_t size)
{
    void *p = this_one_fails() ? NULL : __real_calloc(n, size);
    failing_alloc.live += failing_alloc.active && p;
    return p;
}

void *__wrap_realloc(void *old, size_t n)
{
    void *p = this_one_fails() ? NULL : __real_realloc(old, n);
    failing_alloc.live += failing_alloc.active && p && !old;
    return p;
}

void __wrap_free(void *p)
{
    failing_alloc.live -= failing_alloc.active && p;
    __real_free(p);
}
#endif

static void failing_alloc_begin(long n, bool forever)
{
    failing_alloc.countdown = n;
    failing_alloc.live = 0;
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
