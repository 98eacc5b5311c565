/* config.json, any bytes: refused, or a model whose dimensions are all positive and whose keys can be written. */
#include <stdlib.h>

#include "gguf-convert/src/v4_names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
#ifdef GGL_HAVE_JANSSON
    struct ggl_config c;
    struct ggl_error err = {0};
    enum ggl_status s = ggl_config_parse("input", data, size, &c, &err);
    require(s == err.status && (s == GGL_OK || s == GGL_ERR_FORMAT || s == GGL_ERR_UNSUPPORTED));
    if (s) return 0;
    for (size_t i = 0; i < ggl_n_v4_names; i++) {
        for (int d = 0; d < 2 && ggl_v4_names[i].dims[d]; d++) {
            bool dspark = ggl_v4_names[i].scope >= GGL_SCOPE_DSPARK_FIRST;
            uint64_t n = ggl_v4_dim(&c, ggl_v4_names[i].dims[d], 4);
            require((n > 0 || dspark) && n <= UINT64_C(1) << 36);
        }
    }
    struct ggl_gguf *g = ggl_gguf_new();
    require(g && ggl_config_to_gguf(&c, 8, true, g) == GGL_OK);
    ggl_gguf_free(g);
#else
    (void)data, (void)size, (void)require;
#endif
    return 0;
}
