/*
 * What is in a GGUF file, and the numbers of one tensor.
 *
 *     example-02_read_gguf MODEL.gguf [TENSOR]
 *
 * Without TENSOR: metadata and the table of tensors.  With it: the first values of its first row.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "ggml-lite/gguf.h"

static int report(const struct ggl_error *err)
{
    char line[GGL_ERROR_LINE];
    fprintf(stderr, "read_gguf: %s\n", ggl_error_line(err, line, sizeof(line)));
    return ggl_status_exit_code(err->status);
}

static void print_kv(const struct ggl_kv *kv)
{
    printf("%-40s ", kv->key);
    switch (kv->type) {
    case GGL_KV_STR: printf("\"%.60s\"\n", kv->str->data); break;
    case GGL_KV_ARR: printf("array of %" PRIu64 "\n", kv->n); break;
    case GGL_KV_U32: printf("%" PRIu32 "\n", *(const uint32_t *)kv->data); break;
    case GGL_KV_F32: printf("%g\n", (double)*(const float *)kv->data); break;
    case GGL_KV_BOOL: puts(*(const uint8_t *)kv->data ? "true" : "false"); break;
    default: printf("a value of type %d\n", kv->type); break;
    }
}

static void print_tensor(const struct ggl_tensor *t)
{
    printf("%-40s %-8s [", t->name, ggl_type_info(t->type)->name);
    for (uint32_t d = 0; d < t->n_dims; d++) printf(d ? ", %" PRId64 : "%" PRId64, t->ne[d]);
    printf("] %" PRIu64 " bytes\n", ggl_gguf_tensor_bytes(t));
}

/* Every type, however packed, decodes to float a row at a time. */
static int print_row(const struct ggl_gguf *g, const char *name)
{
    const struct ggl_tensor *t = ggl_gguf_find_tensor(g, name);
    if (!t) return fprintf(stderr, "read_gguf: no tensor %s\n", name), 65;
    float *row = calloc((size_t)t->ne[0] + 1, sizeof(*row));
    if (!row) return 70;
    print_tensor(t);
    bool ok = t->ne[0] > 0 && ggl_tensor_decode_row(t, 0, 0, row);
    for (int64_t i = 0; ok && i < t->ne[0] && i < 8; i++) printf("%12g\n", (double)row[i]);
    free(row);
    return ok ? 0 : 65; /* integer types have no float values */
}

int main(int argc, char **argv)
{
    struct ggl_error err = {0};
    struct ggl_gguf *g;
    if (argc != 2 && argc != 3) return fprintf(stderr, "usage: %s MODEL.gguf [TENSOR]\n", argv[0]), 2;
    if (ggl_gguf_open(argv[1], NULL, &g, &err)) return report(&err);

    int code = 0;
    if (argc == 3) {
        code = print_row(g, argv[2]);
    } else {
        /* The getters check the type and the range; a key that is absent leaves the default alone. */
        uint32_t layers = 0;
        char key[128];
        const char *arch = ggl_gguf_get_str(g, "general.architecture");
        snprintf(key, sizeof(key), "%s.block_count", arch ? arch : "");
        if (ggl_gguf_get_u32(g, key, 1, 1000, &layers, &err) == GGL_ERR_FORMAT) return report(&err);
        printf("%" PRIu32 " layers, %" PRIu64 " tensors\n\n", layers, ggl_gguf_n_tensors(g));
        for (uint64_t i = 0; i < ggl_gguf_n_kv(g); i++) print_kv(ggl_gguf_kv(g, i));
        for (uint64_t i = 0; i < ggl_gguf_n_tensors(g); i++) print_tensor(ggl_gguf_tensor(g, i));
    }
    ggl_gguf_free(g);
    return code;
}
