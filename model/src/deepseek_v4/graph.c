/*
 * The forward pass, layer by layer.  There is no other residual connection than
 * the hyper-connections: ggl_hc_post is the residual.
 */
#include "graph.h"

#include <stdio.h>

static struct ggl_node *mix(struct v4_builder *b, const struct v4_hc *hc, struct ggl_node *h)
{
    const struct v4_hparams *hp = b->hp;
    return ggl_hc_mix(b->g, h, hc->fn, hc->base, hc->scale, hp->n_hc, hp->hc_iters, hp->hc_eps, hp->norm_eps);
}

/* One block: attention, then experts, each between the mixing of the streams. */
static struct ggl_node *block(struct v4_builder *b, int i, int ratio, const char *tag, struct ggl_node *h)
{
    const struct v4_layer *l = &b->w->layers[i];
    const struct v4_hparams *hp = b->hp;
    struct ggl_graph *g = b->g;

    struct ggl_node *m = mix(b, &l->hc_attn, h);
    struct ggl_node *x = ggl_rms_norm(g, ggl_hc_pre(g, h, m, hp->n_hc), l->attn_norm, 0, hp->norm_eps);
    ggl_name(x, "%s.attn.in", tag);
    h = ggl_hc_post(g, v4_attention(b, i, ratio, tag, x), h, m, hp->n_hc);

    m = mix(b, &l->hc_ffn, h);
    x = ggl_rms_norm(g, ggl_hc_pre(g, h, m, hp->n_hc), l->ffn_norm, 0, hp->norm_eps);
    ggl_name(x, "%s.ffn.in", tag);
    h = ggl_hc_post(g, v4_moe(b, i, tag, x), h, m, hp->n_hc);
    return ggl_name(h, "%s.h", tag);
}

static struct ggl_node *head(const struct v4_hparams *hp, const struct v4_weights *w, const struct v4_head *head,
                             struct ggl_graph *g, struct ggl_node *h)
{
    struct ggl_node *m = ggl_hc_head_mix(g, h, head->hc.fn, head->hc.base, head->hc.scale, hp->n_hc, hp->hc_eps, hp->norm_eps);
    struct ggl_node *x = ggl_rms_norm(g, ggl_hc_pre(g, h, m, hp->n_hc), head->norm, 0, hp->norm_eps);
    return v4_linear(g, &w->output, x, 1);
}

static struct ggl_graph *new_graph(const struct v4_hparams *hp, int64_t n_tokens)
{
    struct ggl_graph *g = ggl_graph_new(n_tokens);
    if (g && hp->fast) ggl_graph_fuse(g);
    return g;
}

static void begin(struct v4_builder *b, int64_t n_tokens)
{
    b->g = new_graph(b->hp, n_tokens);
    if (!b->g) return;
    b->ids = ggl_input(b->g, GGL_ELEM_I32, 1);
    b->angles_plain = ggl_rope_table(b->g, b->w->freqs_plain, b->hp->n_rope / 2);
    b->angles_compressed = ggl_rope_table(b->g, b->w->freqs_compressed, b->hp->n_rope / 2);
}

void v4_build_trunk(const struct v4_hparams *hp, const struct v4_weights *w, struct v4_cache *cache, int64_t n_tokens,
                    struct v4_graph *out)
{
    struct v4_builder b = {.hp = hp, .w = w, .cache = cache};
    begin(&b, n_tokens);
    *out = (struct v4_graph){.g = b.g, .ids = b.ids};
    if (!b.g) return;
    struct ggl_node *h = ggl_embed(b.g, w->token_embd, b.ids, hp->n_hc);
    for (int i = 0; i < hp->n_layer; i++) {
        char tag[16];
        snprintf(tag, sizeof(tag), "L%d", i);
        h = block(&b, i, hp->ratio[i], tag, h);
    }
    ggl_graph_output(b.g, out->out = h);
}

void v4_build_head(const struct v4_hparams *hp, const struct v4_weights *w, int64_t n_tokens, struct v4_graph *out)
{
    struct ggl_graph *g = new_graph(hp, n_tokens);
    *out = (struct v4_graph){.g = g};
    if (!g) return;
    out->h = ggl_input(g, GGL_ELEM_F32, (int64_t)hp->n_embd * hp->n_hc);
    ggl_graph_output(g, out->out = head(hp, w, &w->head, g, out->h));
}

void v4_build_mtp(const struct v4_hparams *hp, const struct v4_weights *w, struct v4_cache *cache, int64_t n_tokens,
                  struct v4_graph *out)
{
    struct v4_builder b = {.hp = hp, .w = w, .cache = cache};
    begin(&b, n_tokens);
    *out = (struct v4_graph){.g = b.g, .ids = b.ids};
    if (!b.g) return;
    out->h = ggl_input(b.g, GGL_ELEM_F32, (int64_t)hp->n_embd * hp->n_hc);
    struct ggl_node *e = ggl_rms_norm(b.g, ggl_embed(b.g, w->token_embd, b.ids, 1), w->mtp_enorm, 0, hp->norm_eps);
    struct ggl_node *x = ggl_rms_norm(b.g, out->h, w->mtp_hnorm, hp->n_embd, hp->norm_eps); /* each stream on its own */
    x = v4_linear(b.g, &w->mtp_h_proj, x, hp->n_hc);
    x = ggl_add(b.g, x, v4_linear(b.g, &w->mtp_e_proj, e, 1));
    x = block(&b, hp->n_layer, 0, "M0", x);
    ggl_graph_output(b.g, out->out = head(hp, w, &w->mtp_head, b.g, x));
}
