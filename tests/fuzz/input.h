/* What fuzz targets of files share: the input as a file, and a check that ends the run. */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void check(bool ok)
{
    if (!ok) abort();
}

/* One file, written over and over. */
static const char *write_input(const uint8_t *data, size_t n)
{
    static char path[64];
    static int fd = -1;
    if (fd < 0) {
        strcpy(path, "/dev/shm/ggl-fuzz-XXXXXX");
        if ((fd = mkstemp(path)) < 0) {
            strcpy(path, "/tmp/ggl-fuzz-XXXXXX");
            fd = mkstemp(path);
        }
        check(fd >= 0);
#ifdef __linux__
        unlink(path); /* its descriptor is a path too */
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
#endif
    }
    check(!ftruncate(fd, 0) && pwrite(fd, data, n, 0) == (ssize_t)n);
    return path;
}

#endif
