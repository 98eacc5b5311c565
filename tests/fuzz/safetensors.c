/* Safetensors files, any bytes: refused, or tensors that cover the data exactly and lie inside it. */
#include <stdlib.h>
#include <string.h>

#include "gguf-convert/src/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ggl_st_file f = {0};
    struct ggl_error err = {0};
    uint8_t *copy = malloc(size ? size : 1); /* a block of exactly this size */
    f.path = strdup("input");
    if (!copy || !f.path) abort();
    if (size) memcpy(copy, data, size);
    enum ggl_status s = ggl_st_parse(&f, copy, size, &err);
    require(s == err.status && (s == GGL_OK || s == GGL_ERR_FORMAT || s == GGL_ERR_UNSUPPORTED));
    uint64_t covered = 0;
    for (uint32_t i = 0; !s && i < f.n_tensors; i++) {
        const struct ggl_st_tensor *t = &f.tensors[i];
        require(t->data >= copy + 8 + f.header_bytes && t->bytes <= (uint64_t)(copy + size - t->data));
        require(t->data == copy + t->offset && t->rank <= GGL_ST_MAX_RANK && strlen(t->name) > 0);
        require(ggl_st_dtype_name(t->dtype) != NULL);
        covered += t->bytes;
    }
    if (!s) require(8 + f.header_bytes + covered == size);
    ggl_st_close(&f);
    free(copy);
    return 0;
}
