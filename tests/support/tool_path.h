/* Where the tools are that a test runs: build/bin, beside build/tests with the tests. */
#ifndef TESTS_TOOL_PATH_H
#define TESTS_TOOL_PATH_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The path of tool `name` as seen by the program argv[0]; false, with a message: it is not built. */
static inline bool tool_path(int argc, char **argv, const char *name, char *path, size_t size)
{
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    snprintf(path, size, "%.*s../bin/%s", slash ? (int)(slash + 1 - argv[0]) : 0, slash ? argv[0] : "", name);
    if (access(path, X_OK) == 0) return true;
    fprintf(stderr, "%s is not built\n", path);
    return false;
}

#endif
