/*
 * A program of somebody else: public headers only, every layer of the library once.
 */
#include <stdio.h>
#include <string.h>
#include "ggml-lite/gguf.h"
#include "ggml-lite/status.h"
#include "ggml-lite/tensor.h"
#include "model/chat.h"
#include "model/model.h"
#include "model/sampler.h"
#include "model/tokenizer.h"
#include "quant/quant.h"

int main(void)
{
    struct ggl_error err = {0};
    struct ggl_model *model = NULL;
    struct ggl_model_params params = ggl_model_defaults();
    struct ggl_gguf *g = ggl_gguf_new();
    char line[GGL_ERROR_LINE];
    float y[32] = {0}, one[32] = {1};
    unsigned char block[34];

    if (!ggl_encode(GGL_TYPE_Q8_0, one, block, 32) || !ggl_decode(GGL_TYPE_Q8_0, block, y, 32) || y[0] < 0.99f) return 1;
    if (!g || ggl_gguf_set_str(g, "general.name", "x") || strcmp(ggl_gguf_get_str(g, "general.name"), "x")) return 2;
    ggl_gguf_free(g);
    if (ggl_model_load("/nonexistent/model.gguf", &params, &model, &err) != GGL_ERR_NOT_FOUND || model) return 3;
    printf("ggml-lite %s: %s\n", ggl_version(), ggl_error_line(&err, line, sizeof(line)));
    return 0;
}
