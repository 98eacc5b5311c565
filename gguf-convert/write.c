/* Where the output goes, and writing it: keys and shapes first, then every tensor's bytes. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "ggml-lite/src/gguf_internal.h"
#include "gguf-convert/convert.h"

/* Part `part` of n_parts; n_parts = 0: a file that is not split. */
static char *part_path(const char *output, uint32_t part, uint32_t n_parts)
{
    size_t n = strlen(output), stem = n > 5 && strcmp(output + n - 5, ".gguf") == 0 ? n - 5 : n;
    char *path = malloc(n + 64);
    if (!path) return NULL;
    if (!n_parts) snprintf(path, n + 64, "%s", output);
    else snprintf(path, n + 64, "%.*s-%05" PRIu32 "-of-%05" PRIu32 ".gguf", (int)stem, output, part + 1, n_parts);
    return path;
}

static enum ggl_status count_parts(const struct plan *p, const struct convert_options *o, uint32_t *n_parts,
                                   struct ggl_error *err)
{
    struct ggl_gguf_layout layout;
    const struct ggl_gguf_write_options options = {.split_max_bytes = o->split_max_bytes};
    *n_parts = 0;
    if (!o->split_max_bytes) return GGL_OK;
    enum ggl_status s = ggl_gguf_layout_init(&layout, p->out, &options, err);
    if (s) return s;
    *n_parts = layout.n_parts;
    ggl_gguf_layout_deinit(&layout);
    return GGL_OK;
}

enum ggl_status write_first_path(const struct plan *p, const struct convert_options *o, char **path,
                                 struct ggl_error *err)
{
    uint32_t n_parts;
    enum ggl_status s = count_parts(p, o, &n_parts, err);
    if (s) return s;
    *path = part_path(o->output, 0, n_parts);
    if (*path) return GGL_OK;
    return ggl_fail(err, GGL_ERR_NOMEM, o->output, GGL_NO_OFFSET, NULL, NULL, "output path");
}

static enum ggl_status check_path(const struct plan *p, const struct convert_options *o, const char *path,
                                  struct ggl_error *err)
{
    struct stat st;
    const char *input = inputs_same_file(p, path);
    if (input) {
        return ggl_fail(err, GGL_ERR_ARGUMENT, path, GGL_NO_OFFSET, NULL, NULL, "the output is the input %.160s", input);
    }
    if (lstat(path, &st) != 0) return GGL_OK;
    if (!o->force) {
        return ggl_fail(err, GGL_ERR_CREATE, path, GGL_NO_OFFSET, NULL, NULL, "it exists already (--force replaces it)");
    }
    if (S_ISDIR(st.st_mode)) return ggl_fail(err, GGL_ERR_CREATE, path, GGL_NO_OFFSET, NULL, NULL, "it is a folder");
    return GGL_OK;
}

enum ggl_status write_check_output(const struct plan *p, const struct convert_options *o, struct ggl_error *err)
{
    uint32_t n_parts;
    enum ggl_status s = count_parts(p, o, &n_parts, err);
    for (uint32_t i = 0; i < (n_parts ? n_parts : 1) && !s; i++) {
        char *path = part_path(o->output, i, n_parts);
        if (!path) return ggl_fail(err, GGL_ERR_NOMEM, o->output, GGL_NO_OFFSET, NULL, NULL, "output path");
        s = check_path(p, o, path, err);
        free(path);
    }
    return s;
}

struct sink {
    struct ggl_gguf_writer *writer;
    struct cli_progress progress;
    uint64_t done;
};

static enum ggl_status write_piece(void *user, const void *data, size_t n, struct ggl_error *err)
{
    struct sink *sink = user;
    enum ggl_status s = ggl_gguf_write_data(sink->writer, data, n, err);
    sink->done += n;
    cli_progress_update(&sink->progress, sink->done);
    return s;
}

enum ggl_status write_output(const struct plan *p, const struct convert_options *o, struct ggl_error *err)
{
    struct sink sink = {0};
    const struct ggl_gguf_write_options options = {.split_max_bytes = o->split_max_bytes, .overwrite = o->force};
    enum ggl_status s = ggl_gguf_write_begin(p->out, o->output, &options, &sink.writer, err);
    if (s) return s;
    struct encoders e = {NULL, NULL};
    if (p->n_int4) s = int4_new(o->threads, &e.int4, err);
    if (p->n_encoded && !s) s = rows_new(o->threads, &e.rows, err);
    cli_progress_begin(&sink.progress, "writing", "B", p->tensor_bytes, o->quiet);
    for (uint64_t i = 0; i < p->n_items && !s; i++) s = emit_item(p, i, &e, write_piece, &sink, err);
    cli_progress_end(&sink.progress, sink.done);
    int4_free(e.int4);
    rows_free(e.rows);
    /* Whatever was read from a file that has changed may be half of each version: the output must not appear. */
    if (!s) s = inputs_unchanged(p, err);
    if (s) {
        ggl_gguf_write_abort(sink.writer);
        return s;
    }
    return ggl_gguf_write_finish(sink.writer, err);
}
