/*
 * Whole files and lines of standard input.  Files that a user names may be pipes, so nothing is sized up front.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "common/cli.h"
#include "common/streams.h"

char *cli_read_file(const struct cli *cli, const char *path, size_t *size)
{
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *f = is_stdin ? stdin : fopen(path, "rb");
    if (!f) cli_die(cli, 66, "%s: %s", path, strerror(errno));
    const char *name = is_stdin ? "standard input" : path;
    struct stat st;
    if (fstat(fileno(f), &st) == 0 && S_ISDIR(st.st_mode)) cli_die(cli, 66, "%s: is a directory", name);

    size_t n = 0, cap = 0;
    char *data = NULL;
    do {
        if (cap - n < 2) {
            cap = cap ? 2 * cap : 65536;
            char *grown = cap > n ? realloc(data, cap) : NULL;
            if (!grown) cli_die(cli, 70, "%s: out of memory", name);
            data = grown;
        }
        errno = 0;
        n += fread(data + n, 1, cap - n - 1, f);
        if (ferror(f)) cli_die(cli, 74, "%s: %s", name, errno ? strerror(errno) : "read error");
    } while (!feof(f));
    if (!is_stdin) fclose(f);
    data[n] = '\0';
    if (size) *size = n;
    return data;
}

bool cli_read_line(FILE *f, char **line, size_t *cap, size_t *n)
{
    errno = 0;
    ssize_t got = getline(line, cap, f);
    if (got < 0) {
        if (f == stdin && ferror(f)) cli_stdin_errno = errno;
        return false;
    }
    *n = (size_t)got;
    if (*n && (*line)[*n - 1] == '\n') (*line)[--*n] = '\0';
    return true;
}
