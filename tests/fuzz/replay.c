/*
 * Runs a fuzz target on files and on all files of folders, without libFuzzer.
 * Each input is in a block of exactly its size, so that ASan sees any overrun.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int n_inputs;

static int run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    long n = -1;
    if (f && !fseek(f, 0, SEEK_END)) n = ftell(f);
    uint8_t *data = n >= 0 ? malloc(n ? (size_t)n : 1) : NULL;
    bool ok = data && !fseek(f, 0, SEEK_SET) && fread(data, 1, (size_t)n, f) == (size_t)n;
    if (f) fclose(f);
    if (ok) {
        LLVMFuzzerTestOneInput(data, (size_t)n);
        n_inputs++;
    } else {
        fprintf(stderr, "replay: cannot read %s\n", path);
    }
    free(data);
    return ok ? 0 : 1;
}

static int run(const char *path)
{
    DIR *d = opendir(path);
    if (!d) return run_file(path);
    int failed = 0;
    for (struct dirent *e; (e = readdir(d));) {
        char file[4096];
        if (e->d_name[0] == '.') continue;
        snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
        failed |= run_file(file);
    }
    closedir(d);
    return failed;
}

int main(int argc, char **argv)
{
    int failed = 0;
    for (int i = 1; i < argc; i++) failed |= run(argv[i]);
    printf("%d inputs\n", n_inputs);
    return failed || !n_inputs;
}
