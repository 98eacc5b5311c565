/*
 * --imatrix: sums of squares of what every matrix is multiplied with.
 */
#include <stdlib.h>

#include "ggl-eval/eval.h"
#include "ggml-lite/src/file.h"
#include "gguf-convert/imatrix.h"

struct calibration {
    const char *path;
    struct imatrix_sink *sink;
};

static void on_input(void *user, const char *tensor, int64_t slice, int64_t n_slices, const float *x, int64_t n, float scale)
{
    imatrix_sink_add(user, tensor, slice, n_slices, x, n, scale);
}

/* Hours of collecting must not end at a folder that is not there. */
static void check_place(const char *path)
{
    struct ggl_error err;
    struct ggl_output *o;
    if (ggl_output_open(path, true, &o, &err)) cli_die_error(&eval_cli, &err);
    ggl_output_abort(o);
}

struct calibration *calibration_new(const char *path, struct ggl_session *s)
{
    struct ggl_error err;
    struct calibration *c = malloc(sizeof(*c));
    struct imatrix_sink *sink = imatrix_sink_new();
    if (!c || !sink) cli_die(&eval_cli, 70, "out of memory");
    check_place(path);
    if (ggl_session_set_calibrate_fn(s, on_input, sink, &err)) cli_die_error(&eval_cli, &err);
    *c = (struct calibration){path, sink};
    return c;
}

void calibration_finish(struct calibration *c, const char *tokens, int64_t n_tokens)
{
    struct ggl_error err;
    struct imatrix_text text = {tokens, 1, n_tokens < UINT32_MAX ? (uint32_t)n_tokens : UINT32_MAX};
    if (imatrix_sink_write(c->sink, c->path, &text, &err)) cli_die_error(&eval_cli, &err);
    imatrix_sink_free(c->sink);
    free(c);
}
