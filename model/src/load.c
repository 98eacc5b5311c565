/*
 * Loading a model: open its source, read the hyper-parameters, bind the weights,
 * make the tokenizer and the team of threads.
 */
#include <stdlib.h>
#include <string.h>

#include "model_impl.h"

#include "gguf-convert/dialect.h"

const char *ggl_version(void)
{
    return GGL_VERSION;
}

struct ggl_model_params ggl_model_defaults(void)
{
    return (struct ggl_model_params){.struct_size = sizeof(struct ggl_model_params)};
}

static void note(const struct ggl_model_params *p, const char *line)
{
    if (p->log) p->log(p->log_user, GGL_LOG_WARN, line);
}

static void mix_in(uint64_t *h, const void *data, uint64_t n)
{
    const uint8_t *p = data;
    for (uint64_t i = 0; i < n; i++) *h = (*h ^ p[i]) * 0x100000001b3u;
}

/* Hyper-parameters; names, types, shapes and a few bytes of every tensor: cheap, and different for every model people mix up. */
static void fingerprint(struct ggl_model *m)
{
    uint64_t h = 0xcbf29ce484222325u;
    m->weight_bytes = m->n_params = 0;
    mix_in(&h, &m->hp, sizeof(m->hp));
    for (uint64_t i = 0; i < ggl_source_n_tensors(&m->src); i++) {
        const struct ggl_tensor *t = ggl_source_tensor(&m->src, i);
        uint64_t probe = t->slice_bytes < 64 ? t->slice_bytes : 64;
        mix_in(&h, t->name, strlen(t->name));
        mix_in(&h, &t->type, sizeof(t->type));
        mix_in(&h, t->ne, sizeof(t->ne));
        if (probe && (t->data || t->slices)) {
            mix_in(&h, ggl_tensor_slice(t, 0), probe);
            mix_in(&h, ggl_tensor_slice(t, t->ne[2] * t->ne[3] - 1) + t->slice_bytes - probe, probe);
        }
        m->weight_bytes += ggl_source_tensor_bytes(&m->src, t);
        m->n_params += (uint64_t)(t->ne[0] * t->ne[1]) * (uint64_t)(t->ne[2] * t->ne[3]);
    }
    m->fingerprint = h;
}

static enum ggl_status load_tokenizer(struct ggl_model *m, const struct ggl_model_params *p, struct ggl_error *err)
{
    const char *format = ggl_gguf_get_str(m->src.meta, "ggl.prompt_format");
    if (format && !ggl_prompt_format_from_name(format, &m->prompt_format))
        note(p, "ggl.prompt_format is unknown; the preview format is used");
    if (!ggl_gguf_find_kv(m->src.meta, "tokenizer.ggml.tokens")) {
        note(p, "the model has no tokenizer: it evaluates tokens but cannot chat");
        return GGL_OK;
    }
    struct ggl_error why = {0};
    enum ggl_status s = ggl_tokenizer_from_gguf(m->src.meta, &m->tokenizer, &why);
    if (s == GGL_ERR_UNSUPPORTED) {
        char line[GGL_ERROR_LINE];
        note(p, ggl_error_line(&why, line, sizeof(line)));
        note(p, "the tokenizer cannot be used: the model evaluates tokens but cannot chat");
        return GGL_OK;
    }
    if (s) {
        if (err) *err = why;
        return s;
    }
    int32_t n = ggl_tokenizer_n_vocab(m->tokenizer);
    if (n > m->hp.n_vocab)
        return ggl_fail(err, GGL_ERR_FORMAT, m->src.path, GGL_NO_OFFSET, NULL, NULL,
                        "tokenizer.ggml.tokens: %d tokens, but token_embd.weight has %d rows", n, m->hp.n_vocab);
    return GGL_OK;
}

static enum ggl_status load(struct ggl_model *m, const char *path, const struct ggl_model_params *p, struct ggl_error *err)
{
    enum ggl_status s;
    if ((s = ggl_source_open(path, &m->src, err))) return s;
    if (m->src.gguf && (s = ggl_check_dialect(m->src.gguf, m->src.path, err))) return s;
    if ((s = v4_hparams_read(&m->src, &m->hp, err))) return s;
    if ((s = v4_weights_bind(&m->src, &m->hp, &m->w, err))) return s;
    if ((s = load_tokenizer(m, p, err))) return s;
    fingerprint(m);
    if ((s = (p->no_pin ? ggl_team_new : ggl_team_new_pinned)(p->n_threads, &m->team, err))) return s;
    m->hp.fast = p->precision == GGL_PRECISION_FAST;
    return m->hp.fast ? v4_weights_pack(&m->hp, &m->w, m->team, err) : GGL_OK;
}

enum ggl_status ggl_model_load(const char *path, const struct ggl_model_params *params, struct ggl_model **out,
                               struct ggl_error *err)
{
    struct ggl_model_params p = ggl_model_defaults();
    if (params) memcpy(&p, params, params->struct_size < sizeof(p) ? params->struct_size : sizeof(p));
    if (p.precision != GGL_PRECISION_F32 && p.precision != GGL_PRECISION_FAST)
        return ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, NULL, NULL, "precision: unknown value %d", (int)p.precision);
    struct ggl_model *m = calloc(1, sizeof(*m));
    if (!m) return ggl_fail(err, GGL_ERR_NOMEM, path, GGL_NO_OFFSET, NULL, NULL, "out of memory");
    enum ggl_status s = load(m, path, &p, err);
    if (s) ggl_model_free(m);
    else *out = m;
    return s;
}

void ggl_model_free(struct ggl_model *m)
{
    if (!m) return;
    ggl_team_free(m->team);
    ggl_tokenizer_free(m->tokenizer);
    v4_weights_free(&m->w);
    ggl_source_close(&m->src);
    free(m);
}

const struct ggl_gguf *ggl_model_meta(const struct ggl_model *m)
{
    return m->src.meta;
}

const struct ggl_tokenizer *ggl_model_tokenizer(const struct ggl_model *m)
{
    return m->tokenizer;
}

enum ggl_prompt_format ggl_model_prompt_format(const struct ggl_model *m)
{
    return m->prompt_format;
}

int32_t ggl_model_n_vocab(const struct ggl_model *m)
{
    return m->hp.n_vocab;
}

int32_t ggl_model_n_embd(const struct ggl_model *m)
{
    return m->hp.n_embd;
}

int32_t ggl_model_n_layer(const struct ggl_model *m)
{
    return m->hp.n_layer;
}

int32_t ggl_model_n_ctx_train(const struct ggl_model *m)
{
    return m->hp.n_ctx_train;
}

int32_t ggl_model_n_threads(const struct ggl_model *m)
{
    return ggl_team_size(m->team);
}

bool ggl_model_has_mtp(const struct ggl_model *m)
{
    return m->hp.n_mtp > 0;
}

uint64_t ggl_model_weight_bytes(const struct ggl_model *m)
{
    return m->weight_bytes;
}

uint64_t ggl_model_n_params(const struct ggl_model *m)
{
    return m->n_params;
}
