/*
 * One GGUF file at a time in a builder, and that it must be refused; for the programs that try broken files.
 */
#ifndef TESTS_GGUF_REJECT_H
#define TESTS_GGUF_REJECT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <cmocka.h>
#include "support/gguf_builder.h"

/* Under ASan, freed memory must not count against the file that is open. */
GGL_API const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "quarantine_size_mb=8";
}

#define MAX_FILES 4096
#define N(a)      (sizeof(a) / sizeof((a)[0]))

static struct gguf_builder b;
static uint64_t seen[MAX_FILES];
static size_t n_seen;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void note_file(void)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < b.n; i++) h = (h ^ b.data[i]) * 1099511628211u;
    for (size_t i = 0; i < n_seen; i++)
        if (seen[i] == h) return;
    if (n_seen < MAX_FILES) seen[n_seen++] = h;
}

static void reject_as(const char *name, const char *text)
{
    char line[GGL_ERROR_LINE];
    for (int header_only = 0; header_only < 2; header_only++) {
        struct ggl_gguf *g = (struct ggl_gguf *)&b; /* must be set to NULL */
        double start = now();
        enum ggl_status s = gb_open(&b, name, header_only, &g, line);
        double seconds = now() - start;
        if (s != GGL_ERR_FORMAT || g || !strstr(line, text) || seconds > 1)
            fail_msg("status %d, %.3f s: \"%s\" should be FORMAT and contain \"%s\"", s, seconds, line, text);
    }
    note_file();
}

/* The builder holds a file that must be refused with a message that contains `text`. */
static void reject(const char *text)
{
    reject_as("x.gguf", text);
}

static int clean(void **state)
{
    (void)state;
    gb_free(&b);
    gb_remove_temp();
    return 0;
}

#endif
