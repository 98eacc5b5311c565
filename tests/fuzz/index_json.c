/* model.safetensors.index.json, any bytes: refused, or names of files in the same folder, each once. */
#include <stdlib.h>
#include <string.h>

#include "gguf-convert/src/shards.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
#ifdef GGL_HAVE_JANSSON
    struct ggl_shard_index index = {0};
    struct ggl_error err = {0};
    enum ggl_status s = ggl_shard_index_parse("input", data, size, &index, &err);
    require(s == err.status && (s == GGL_OK || s == GGL_ERR_FORMAT));
    for (uint32_t i = 0; !s && i < index.n_files; i++) {
        const char *name = index.files[i];
        size_t n = strlen(name);
        require(n > 12 && n < 256 && strcmp(name + n - 12, ".safetensors") == 0);
        require(name[0] != '.' && !strpbrk(name, "/\\:\n\r\t"));
        require(i == 0 || strcmp(index.files[i - 1], name) < 0);
    }
    if (!s) require(index.n_files > 0);
    ggl_shard_index_free(&index);
#else
    (void)data, (void)size, (void)require;
#endif
    return 0;
}
