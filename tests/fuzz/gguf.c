/*
 * A GGUF file of any bytes: it is opened or refused, and what was opened can
 * be used: every key, name and row that it promises is there.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ggml-lite/gguf.h"
#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

volatile uint64_t ggl_fuzz_sink; /* nobody can tell that it is not read */

static uint64_t use_bytes(const void *data, uint64_t n)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++) sum += ((const uint8_t *)data)[i];
    return sum;
}

static uint64_t use_keys(const struct ggl_gguf *g)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < ggl_gguf_n_kv(g); i++) {
        static const uint8_t bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
        const struct ggl_kv *kv = ggl_gguf_kv(g, i);
        uint32_t v;
        float f;
        bool b;
        check(ggl_gguf_find_kv(g, kv->key) == kv);
        for (uint64_t k = 0; kv->str && k < kv->n; k++) sum += use_bytes(kv->str[k].data, kv->str[k].size + 1);
        if (!kv->str) sum += use_bytes(kv->data, kv->n * bytes[kv->elem]);
        sum += ggl_gguf_get_u32(g, kv->key, 1, 100, &v, NULL) + ggl_gguf_get_f32(g, kv->key, 0, 1, &f, NULL) +
               ggl_gguf_get_bool(g, kv->key, &b, NULL) + (ggl_gguf_get_str(g, kv->key) != NULL);
    }
    return sum;
}

static void use_tensors(const struct ggl_gguf *g)
{
    static float y[4096];
    for (uint64_t i = 0; i < ggl_gguf_n_tensors(g); i++) {
        const struct ggl_tensor *t = ggl_gguf_tensor(g, i);
        uint32_t part;
        uint64_t offset, bytes = ggl_gguf_tensor_bytes(t);
        check(ggl_gguf_find_tensor(g, t->name) == t);
        ggl_gguf_tensor_location(g, i, &part, &offset);
        check(bytes <= ggl_gguf_file_bytes(g) && (!bytes || offset <= ggl_gguf_file_bytes(g) - bytes));
        if (!bytes || t->ne[0] > 4096) continue;
        ggl_tensor_decode_row(t, 0, 0, y);
        ggl_tensor_decode_row(t, t->ne[2] * t->ne[3] - 1, t->ne[1] - 1, y);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *path = write_input(data, n);
    struct ggl_gguf *g = NULL, *header = NULL;
    struct ggl_gguf_options header_only = {.header_only = true};
    struct ggl_error err = {0};
    char line[GGL_ERROR_LINE];
    enum ggl_status s = ggl_gguf_open(path, NULL, &g, &err);
    check(s == ggl_gguf_open(path, &header_only, &header, NULL));
    check(s == GGL_OK ? g && header : !g && !header && err.status == s && ggl_error_line(&err, line, sizeof(line))[0]);
    if (g) {
        uint64_t bytes;
        ggl_fuzz_sink = use_keys(g) + use_keys(header);
        use_tensors(g);
        (void)ggl_gguf_write_size(g, NULL, &bytes, &err);
    }
    ggl_gguf_free(g);
    ggl_gguf_free(header);
    return 0;
}
