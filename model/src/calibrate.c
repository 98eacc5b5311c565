/*
 * Calibration: the inputs of products, by the names of the matrices.
 */
#include "model_impl.h"

/* The tensor whose values are these mixing weights. */
static const char *name_of_mix(const struct ggl_model *m, const float *fn)
{
    const struct v4_weights *w = &m->w;
    for (int i = 0; i < m->hp.n_layer + m->hp.n_mtp; i++) {
        if (w->layers[i].hc_attn.fn == fn) return w->layers[i].hc_attn.name;
        if (w->layers[i].hc_ffn.fn == fn) return w->layers[i].hc_ffn.name;
    }
    return fn == w->head.hc.fn ? w->head.hc.name : fn == w->mtp_head.hc.fn ? w->mtp_head.hc.name : NULL;
}

static void on_row(void *user, const struct ggl_input_row *row)
{
    const struct ggl_session *s = user;
    const struct v4_weights *w = &s->model->w;
    const char *name = row->w ? row->w->name : name_of_mix(s->model, row->fn);
    if (!name || row->w == &w->mtp_view[0] || row->w == &w->mtp_view[1]) return;
    s->calibrate(s->calibrate_user, name, row->slice, row->w ? row->w->ne[2] : 1, row->x, row->n, row->scale);
}

enum ggl_status ggl_session_set_calibrate_fn(struct ggl_session *s, ggl_calibrate_fn *fn, void *user, struct ggl_error *err)
{
    if (fn && s->model->hp.fast)
        return ggl_fail(err, GGL_ERR_ARGUMENT, s->model->src.path, GGL_NO_OFFSET, NULL, NULL,
                        "calibration: the model is loaded with precision fast, expected f32");
    struct ggl_graph *graphs[] = {s->trunk.g, s->head.g, s->mtp.g};
    s->calibrate = fn;
    s->calibrate_user = user;
    for (int i = 0; i < 3; i++)
        if (graphs[i]) ggl_graph_set_inputs_fn(graphs[i], fn ? on_row : NULL, s);
    return GGL_OK;
}
