/*
 * A session: one timeline of tokens.  Evaluation cuts them into chunks and runs
 * the same graphs for one token or for thousands; the chunk size never changes a bit.
 */
#include <stdlib.h>
#include <string.h>

#include "dump.h"
#include "model_impl.h"

enum {
    LEAST_CHUNK = 256,
    MOST_CHUNK = 4096,
    HEAD_ROWS = 8, /* rows of logits computed at once when all are wanted */
};

/* Of the activations, for the default chunk: they are touched, and so resident, only as far as chunks fill them. */
#define ACTIVATION_BYTES (UINT64_C(5) << 28)

struct ggl_session_params ggl_session_defaults(void)
{
    return (struct ggl_session_params){.struct_size = sizeof(struct ggl_session_params)};
}

static int64_t stream_width(const struct ggl_session *s)
{
    return (int64_t)s->model->hp.n_embd * s->model->hp.n_hc;
}

static enum ggl_status out_of_memory(struct ggl_error *err)
{
    return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "session: out of memory");
}

/* Large chunks read the experts of a layer once for many tokens.  The largest power of two for which the activations,
 * which grow in proportion, stay below the bound. */
static enum ggl_status default_chunk(const struct ggl_model *m, struct ggl_session_params *p, struct ggl_error *err)
{
    struct v4_cache cache = {0};
    struct v4_graph trunk = {0};
    uint64_t bytes = 0;
    enum ggl_status status = v4_cache_init(&cache, &m->hp, 1, !p->cache_rounding_off, p->mtp, err);
    if (status) return status;
    v4_build_trunk(&m->hp, &m->w, &cache, LEAST_CHUNK, &trunk);
    if (trunk.g) status = ggl_graph_arena_bytes(trunk.g, ggl_team_size(m->team), &bytes, err);
    else status = out_of_memory(err);
    ggl_graph_free(trunk.g);
    v4_cache_deinit(&cache);
    p->n_chunk = LEAST_CHUNK;
    for (uint64_t next = 2 * bytes; p->n_chunk < MOST_CHUNK && next <= ACTIVATION_BYTES; next *= 2) p->n_chunk *= 2;
    return status;
}

static enum ggl_status check_params(const struct ggl_model *m, const struct ggl_session_params *given,
                                    struct ggl_session_params *p, struct ggl_error *err)
{
    *p = ggl_session_defaults();
    if (given) memcpy(p, given, given->struct_size < sizeof(*p) ? given->struct_size : sizeof(*p));
    if (!p->n_ctx) p->n_ctx = m->hp.n_ctx_train;
    if (p->n_ctx < 1 || p->n_ctx > m->hp.n_ctx_train)
        return ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, NULL, NULL, "n_ctx: %d is not in 1..%d", p->n_ctx, m->hp.n_ctx_train);
    enum ggl_status status = p->n_chunk ? GGL_OK : default_chunk(m, p, err);
    if (status) return status;
    if (p->n_chunk < 1 || p->n_chunk > 1 << 20)
        return ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, NULL, NULL, "n_chunk: %d is not in 1..%d", p->n_chunk, 1 << 20);
    if (p->n_chunk > p->n_ctx) p->n_chunk = p->n_ctx;
    if (p->mtp && !m->hp.n_mtp)
        return ggl_fail(err, GGL_ERR_ARGUMENT, m->src.path, GGL_NO_OFFSET, NULL, NULL, "the model has no multi-token-prediction block");
    return GGL_OK;
}

static bool build(struct ggl_session *s)
{
    const struct ggl_model *m = s->model;
    v4_build_trunk(&m->hp, &m->w, &s->cache, s->params.n_chunk, &s->trunk);
    v4_build_head(&m->hp, &m->w, HEAD_ROWS, &s->head);
    if (s->params.mtp) v4_build_mtp(&m->hp, &m->w, &s->cache, s->params.n_chunk, &s->mtp);
    return s->trunk.g && s->head.g && (!s->params.mtp || s->mtp.g);
}

static enum ggl_status init(struct ggl_session *s, struct ggl_error *err)
{
    struct ggl_model *m = s->model;
    enum ggl_status status;
    if ((status = v4_cache_init(&s->cache, &m->hp, s->params.n_ctx, !s->params.cache_rounding_off, s->params.mtp, err)))
        return status;
    if (!build(s)) return out_of_memory(err);
    if ((status = ggl_graph_plan(s->trunk.g, m->team, err))) return status;
    if ((status = ggl_graph_plan(s->head.g, m->team, err))) return status;
    if (s->params.mtp && (status = ggl_graph_plan(s->mtp.g, m->team, err))) return status;
    s->logits = malloc((size_t)m->hp.n_vocab * 4);
    s->next_logits = malloc((size_t)m->hp.n_vocab * 4);
    if (s->params.mtp) {
        s->h_last = calloc((size_t)stream_width(s), 4); /* zeros: an empty session can be saved, too */
        s->h_mtp = malloc((size_t)(stream_width(s) * s->params.n_chunk) * 4);
    }
    if (!s->logits || !s->next_logits || (s->params.mtp && (!s->h_last || !s->h_mtp))) return out_of_memory(err);
    return GGL_OK;
}

enum ggl_status ggl_session_new(struct ggl_model *m, const struct ggl_session_params *params, struct ggl_session **out,
                                struct ggl_error *err)
{
    struct ggl_session_params p;
    enum ggl_status status = check_params(m, params, &p, err);
    if (status) return status;
    struct ggl_session *s = calloc(1, sizeof(*s));
    if (!s) return out_of_memory(err);
    s->model = m;
    s->params = p;
    status = init(s, err);
    if (status) ggl_session_free(s);
    else *out = s;
    return status;
}

void ggl_session_free(struct ggl_session *s)
{
    if (!s) return;
    ggl_dump_free(s->dumps);
    ggl_graph_free(s->trunk.g);
    ggl_graph_free(s->head.g);
    ggl_graph_free(s->mtp.g);
    v4_cache_deinit(&s->cache);
    free(s->tokens);
    free(s->h_last);
    free(s->h_mtp);
    free(s->logits);
    free(s->next_logits);
    free(s);
}

enum ggl_status ggl_memory_estimate(const struct ggl_model *m, const struct ggl_session_params *params,
                                    struct ggl_memory *out, struct ggl_error *err)
{
    struct ggl_session s = {.model = (struct ggl_model *)(uintptr_t)m};
    enum ggl_status status = check_params(m, params, &s.params, err);
    if (status) return status;
    /* A context of one token gives the graphs their cache; they are built, not planned. */
    status = v4_cache_init(&s.cache, &m->hp, 1, !s.params.cache_rounding_off, s.params.mtp, err);
    if (status) return status;
    if (!build(&s)) status = out_of_memory(err);
    uint64_t total = 0, bytes = 0;
    struct ggl_graph *graphs[] = {s.trunk.g, s.head.g, s.mtp.g};
    for (int i = 0; i < 3 && !status; i++) {
        if (!graphs[i]) continue;
        status = ggl_graph_arena_bytes(graphs[i], ggl_team_size(m->team), &bytes, err);
        total += bytes;
    }
    for (int i = 0; i < 3; i++) ggl_graph_free(graphs[i]);
    v4_cache_deinit(&s.cache);
    if (status) return status;
    out->weights = m->weight_bytes;
    out->cache = v4_cache_bytes(&m->hp, s.params.n_ctx, !s.params.cache_rounding_off, s.params.mtp) + (uint64_t)s.params.n_ctx * 4;
    out->activations = total + 2 * (uint64_t)m->hp.n_vocab * 4;
    if (s.params.mtp) out->activations += (uint64_t)stream_width(&s) * 4 * ((uint64_t)s.params.n_chunk + 1);
    return GGL_OK;
}

/* ---- evaluation */

static bool reserve_tokens(struct ggl_session *s, int64_t n)
{
    if (n <= s->tokens_cap) return true;
    int64_t cap = s->tokens_cap * 2 > n ? s->tokens_cap * 2 : n + 64;
    if (cap > s->params.n_ctx) cap = s->params.n_ctx;
    int32_t *tokens = realloc(s->tokens, (size_t)cap * sizeof(*tokens));
    if (!tokens) return false;
    s->tokens = tokens;
    s->tokens_cap = cap;
    return true;
}

/* Every token's logits for whoever looks at them; the last one's are kept. */
static enum ggl_status run_heads(struct ggl_session *s, const float *h, int64_t n, struct ggl_error *err)
{
    int64_t n_vocab = s->model->hp.n_vocab, width = stream_width(s);
    ggl_node_place(s->head.g, s->head.out, NULL);
    const float *logits = ggl_node_data(s->head.out);
    for (int64_t t = 0; t < n; t += HEAD_ROWS) {
        int64_t rows = n - t < HEAD_ROWS ? n - t : HEAD_ROWS;
        ggl_node_bind(s->head.h, h + t * width);
        enum ggl_status status = ggl_graph_compute(s->head.g, rows, s->n_past + t, &s->cancel, err);
        if (status) return status;
        for (int64_t i = 0; s->logits_fn && i < rows; i++)
            s->logits_fn(s->logits_user, s->n_past + t + i, logits + i * n_vocab, false);
        if (t + rows == n) memcpy(s->logits, logits + (rows - 1) * n_vocab, (size_t)n_vocab * 4);
    }
    return GGL_OK;
}

/* The last token's logits alone, behind `before`, if that is to run yet.  Those of the tokens before stay until all went well. */
static enum ggl_status run_last_head(struct ggl_session *s, const struct ggl_pass *before, const float *h, int64_t n, struct ggl_error *err)
{
    struct ggl_pass passes[2] = {{s->head.g, 1, s->n_past + n - 1}, {NULL, 0, 0}};
    if (before) passes[1] = passes[0], passes[0] = *before;
    ggl_node_bind(s->head.h, h + (n - 1) * stream_width(s));
    ggl_node_place(s->head.g, s->head.out, s->next_logits);
    enum ggl_status status = ggl_graphs_compute(passes, before ? 2 : 1, &s->cancel, err);
    if (status) return status;
    float *swap = s->logits;
    s->logits = s->next_logits;
    s->next_logits = swap;
    return GGL_OK;
}

/* The MTP block's rows that this chunk's tokens complete: position p needs the streams at p and token p + 1. */
static enum ggl_status run_mtp(struct ggl_session *s, const float *h, const int32_t *ids, int64_t n, struct ggl_error *err)
{
    int64_t width = stream_width(s), n_vocab = s->model->hp.n_vocab, before = s->n_past > 0;
    int64_t rows = n - 1 + before, pos = s->n_past - before;
    if (!rows) return GGL_OK;
    if (before) memcpy(s->h_mtp, s->h_last, (size_t)width * 4);
    memcpy(s->h_mtp + before * width, h, (size_t)((n - 1) * width) * 4);
    ggl_node_bind(s->mtp.h, s->h_mtp);
    ggl_node_bind(s->mtp.ids, ids + 1 - before);
    enum ggl_status status = ggl_graph_compute(s->mtp.g, rows, pos, &s->cancel, err);
    const float *logits = ggl_node_data(s->mtp.out);
    for (int64_t i = 0; !status && s->logits_fn && i < rows; i++)
        s->logits_fn(s->logits_user, pos + i, logits + i * n_vocab, true);
    return status;
}

/* Trunk, drafts, head: in one run of the threads where nothing of ours comes in between. */
static enum ggl_status run_chunk(struct ggl_session *s, const int32_t *ids, int64_t n, struct ggl_error *err)
{
    enum ggl_status status;
    const struct ggl_pass trunk = {s->trunk.g, n, s->n_past};
    const float *h = ggl_node_data(s->trunk.out);
    const bool all_logits = s->logits_fn || s->calibrate, together = !all_logits && !s->params.mtp;
    ggl_node_bind(s->trunk.ids, ids);
    if (!together && (status = ggl_graphs_compute(&trunk, 1, &s->cancel, err))) return status;
    if (s->params.mtp && (status = run_mtp(s, h, ids, n, err))) return status;
    status = all_logits ? run_heads(s, h, n, err) : run_last_head(s, together ? &trunk : NULL, h, n, err);
    if (status) return status;
    if (s->params.mtp) memcpy(s->h_last, h + (n - 1) * stream_width(s), (size_t)stream_width(s) * 4);
    memcpy(s->tokens + s->n_past, ids, (size_t)n * sizeof(*ids));
    s->n_past += n;
    s->has_logits = true;
    return GGL_OK;
}

static enum ggl_status eval_chunk(struct ggl_session *s, const int32_t *ids, int64_t n, struct ggl_error *err)
{
    enum ggl_status status;
    if (!reserve_tokens(s, s->n_past + n)) return out_of_memory(err);
    if ((status = v4_cache_reserve(&s->cache, s->n_past + n, err))) return status;
    if ((status = v4_cache_save_rings(&s->cache, n, err))) return status;
    status = run_chunk(s, ids, n, err);
    if (status) v4_cache_restore_rings(&s->cache);
    return status;
}

static enum ggl_status check_tokens(const struct ggl_session *s, const int32_t *ids, int64_t n, struct ggl_error *err)
{
    if (n < 1) return ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, NULL, NULL, "eval: no tokens");
    if (n > s->params.n_ctx - s->n_past)
        return ggl_fail(err, GGL_ERR_LIMIT, NULL, GGL_NO_OFFSET, NULL, NULL, "context: %lld tokens and %lld more exceed %d",
                        (long long)s->n_past, (long long)n, s->params.n_ctx);
    for (int64_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= s->model->hp.n_vocab)
            return ggl_fail(err, GGL_ERR_FORMAT, NULL, GGL_NO_OFFSET, NULL, NULL, "token %lld: id %d is not in 0..%d",
                            (long long)i, ids[i], s->model->hp.n_vocab - 1);
    return GGL_OK;
}

enum ggl_status ggl_session_eval(struct ggl_session *s, const int32_t *ids, int64_t n, struct ggl_error *err)
{
    enum ggl_status status = check_tokens(s, ids, n, err);
    for (int64_t done = 0; done < n && !status;) {
        int64_t step = n - done < s->params.n_chunk ? n - done : s->params.n_chunk;
        status = eval_chunk(s, ids + done, step, err);
        if (status) break;
        done += step;
        if (s->progress && !s->progress(s->progress_user, done, n) && done < n)
            status = ggl_fail(err, GGL_ERR_CANCELLED, NULL, GGL_NO_OFFSET, NULL, NULL, "cancelled");
    }
    atomic_store(&s->cancel, false);
    return status;
}

int64_t ggl_session_n_past(const struct ggl_session *s)
{
    return s->n_past;
}

int32_t ggl_session_n_chunk(const struct ggl_session *s)
{
    return s->params.n_chunk;
}

const float *ggl_session_logits(const struct ggl_session *s)
{
    return s->has_logits ? s->logits : NULL;
}

const int32_t *ggl_session_tokens(const struct ggl_session *s)
{
    return s->tokens;
}

/* What an empty context would read of the past is nothing: rows before position 0 are never visible. */
void ggl_session_clear(struct ggl_session *s)
{
    s->n_past = 0;
    s->has_logits = false;
}

enum ggl_status ggl_session_set_synthetic_depth(struct ggl_session *s, int64_t n, struct ggl_error *err)
{
    enum ggl_status status;
    if (n < 0) return ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, NULL, NULL, "synthetic depth: %lld", (long long)n);
    if (n > s->params.n_ctx)
        return ggl_fail(err, GGL_ERR_LIMIT, NULL, GGL_NO_OFFSET, NULL, NULL, "context: %lld tokens exceed %d", (long long)n,
                        s->params.n_ctx);
    if (!reserve_tokens(s, n)) return out_of_memory(err);
    if ((status = v4_cache_reserve(&s->cache, n, err))) return status;
    v4_cache_fill(&s->cache, n);
    for (int64_t i = 0; i < n; i++) s->tokens[i] = (int32_t)(i % s->model->hp.n_vocab);
    for (int64_t i = 0; s->params.mtp && i < stream_width(s); i++) s->h_last[i] = i % 2 ? -1.0f : 1.0f;
    s->n_past = n;
    s->has_logits = false;
    return GGL_OK;
}

void ggl_session_set_profile(struct ggl_session *s, struct ggl_profile *profile)
{
    ggl_graph_set_profile(s->trunk.g, profile);
    ggl_graph_set_profile(s->head.g, profile);
    if (s->mtp.g) ggl_graph_set_profile(s->mtp.g, profile);
}

void ggl_session_cancel(struct ggl_session *s)
{
    atomic_store(&s->cancel, true);
}

void ggl_session_set_progress(struct ggl_session *s, ggl_progress_fn *fn, void *user)
{
    s->progress = fn;
    s->progress_user = user;
}

void ggl_session_set_logits_fn(struct ggl_session *s, ggl_logits_fn *fn, void *user)
{
    s->logits_fn = fn;
    s->logits_user = user;
}
