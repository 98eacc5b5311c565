/* The files that a conversion reads: none may be its output, and none may change while it runs. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "gguf-convert/convert.h"

static bool look(const char *path, struct input_file *f)
{
    struct stat st;
    if (stat(path, &st) != 0) return false;
    f->size = (uint64_t)st.st_size;
    f->device = (uint64_t)st.st_dev;
    f->inode = (uint64_t)st.st_ino;
    f->seconds = (int64_t)st.st_mtim.tv_sec;
    f->nanoseconds = (int64_t)st.st_mtim.tv_nsec;
    return true;
}

static enum ggl_status add(struct plan *p, const char *path, bool optional, struct ggl_error *err)
{
    struct input_file f = {0}, *inputs;
    if (!look(path, &f)) {
        if (optional) return GGL_OK;
        return ggl_fail(err, GGL_ERR_IO, path, GGL_NO_OFFSET, "it is gone", NULL, "input");
    }
    f.path = strdup(path);
    inputs = f.path ? realloc(p->inputs, (p->n_inputs + (size_t)1) * sizeof(*inputs)) : NULL;
    if (!inputs) {
        free(f.path);
        return ggl_fail(err, GGL_ERR_NOMEM, path, GGL_NO_OFFSET, NULL, NULL, "list of inputs");
    }
    p->inputs = inputs;
    p->inputs[p->n_inputs++] = f;
    return GGL_OK;
}

static enum ggl_status add_in(struct plan *p, const char *dir, const char *name, struct ggl_error *err)
{
    size_t n = strlen(dir) + strlen(name) + 2;
    char *path = malloc(n);
    if (!path) return ggl_fail(err, GGL_ERR_NOMEM, dir, GGL_NO_OFFSET, NULL, NULL, "list of inputs");
    snprintf(path, n, "%s/%s", dir, name);
    enum ggl_status s = add(p, path, true, err);
    free(path);
    return s;
}

/* Parts of a split file: the first one's name with other numbers. */
static enum ggl_status add_parts(struct plan *p, struct ggl_error *err)
{
    static const char form[] = "-00001-of-00001.gguf";
    uint32_t n_parts = ggl_gguf_n_parts(p->gguf);
    const char *first = ggl_gguf_path(p->gguf);
    size_t n = strlen(first), stem = n > sizeof(form) - 1 ? n - (sizeof(form) - 1) : 0;
    enum ggl_status s = add(p, first, false, err);
    char *path = malloc(n + 64);
    if (!path) return ggl_fail(err, GGL_ERR_NOMEM, first, GGL_NO_OFFSET, NULL, NULL, "list of inputs");
    for (uint32_t i = 1; i < n_parts && !s; i++) {
        snprintf(path, n + 64, "%.*s-%05" PRIu32 "-of-%05" PRIu32 ".gguf", (int)stem, first, i + 1, n_parts);
        s = add(p, path, false, err);
    }
    free(path);
    return s;
}

enum ggl_status inputs_record(struct plan *p, const char *input, const char *imatrix, struct ggl_error *err)
{
    static const char *const names[] = {"config.json", "tokenizer.json", "model.safetensors.index.json"};
    enum ggl_status s = imatrix ? add(p, imatrix, false, err) : GGL_OK;
    if (s) return s;
    if (p->gguf) return add_parts(p, err);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !s; i++) s = add_in(p, input, names[i], err);
    for (uint32_t i = 0; i < ggl_checkpoint_n_files(p->checkpoint) && !s; i++) {
        s = add(p, ggl_checkpoint_file(p->checkpoint, i), false, err);
    }
    return s;
}

void inputs_free(struct plan *p)
{
    for (uint32_t i = 0; i < p->n_inputs; i++) free(p->inputs[i].path);
    free(p->inputs);
}

const char *inputs_same_file(const struct plan *p, const char *path)
{
    struct input_file f;
    if (!look(path, &f)) return NULL;
    for (uint32_t i = 0; i < p->n_inputs; i++) {
        if (p->inputs[i].device == f.device && p->inputs[i].inode == f.inode) return p->inputs[i].path;
    }
    return NULL;
}

enum ggl_status inputs_unchanged(const struct plan *p, struct ggl_error *err)
{
    for (uint32_t i = 0; i < p->n_inputs; i++) {
        const struct input_file *was = &p->inputs[i];
        struct input_file is;
        if (look(was->path, &is) && is.size == was->size && is.device == was->device && is.inode == was->inode &&
            is.seconds == was->seconds && is.nanoseconds == was->nanoseconds) {
            continue;
        }
        return ggl_fail(err, GGL_ERR_IO, was->path, GGL_NO_OFFSET, "it changed", NULL, "input, while it was read");
    }
    return GGL_OK;
}
