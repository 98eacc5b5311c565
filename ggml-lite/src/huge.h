/* Large arrays in pages of 2 MiB, where the system has to be asked for them: fewer address translations. */
#ifndef GGL_HUGE_H
#define GGL_HUGE_H

#include <stdint.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

#define GGL_HUGE_PAGE (UINT64_C(2) << 20)

/* A request that may fail without harm; p lies at a multiple of GGL_HUGE_PAGE, or is a mapped file. */
static inline void ggl_ask_for_huge_pages(void *p, uint64_t bytes)
{
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    madvise(p, (size_t)bytes, MADV_HUGEPAGE);
#else
    (void)p, (void)bytes;
#endif
}

#endif
