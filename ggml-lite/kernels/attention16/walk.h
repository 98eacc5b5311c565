/*
 * Heads by four, rows by 16, dimensions by a block: for the levels that widen BF16; included by their files behind
 * score_block, soften, sum_block and enum { HEADS, GROUP, LANES, VECTORS, TILE }.
 */
static void walk(struct ggl_attention_state *s, const uint16_t *q, const uint16_t *keys, const uint16_t *values, int n)
{
    if (s->n_dim % (VECTORS * LANES)) { /* no published model */
        ggl_attention16_tile_ref(s, q, keys, values, n);
        return;
    }
    for (int h = 0; h < s->n_head; h += HEADS) {
        int heads = s->n_head - h < HEADS ? s->n_head - h : HEADS;
        const uint16_t *mine = q + (int64_t)h * s->n_dim;
        float score[HEADS][TILE], shrink[HEADS], *acc = s->acc + (int64_t)h * s->n_dim;
        uint16_t weight[HEADS][TILE];
        for (int g = 0; g < (n + GROUP - 1) / GROUP; g++) {
            if (heads == HEADS) score_block(mine, keys, s->n_dim, s->scale, g, HEADS, score);
            else
                for (int i = 0; i < heads; i++) score_block(mine + (int64_t)i * s->n_dim, keys, s->n_dim, s->scale, g, 1, score + i);
        }
        for (int i = 0; i < heads; i++) shrink[i] = soften(s, h + i, score[i], n, weight[i]);
        for (int d = 0; d < s->n_dim; d += VECTORS * LANES) {
            const uint16_t *v = values + 2 * d;
            if (heads == HEADS) sum_block(acc + d, s->n_dim, v, n, (const uint16_t (*)[TILE])weight, shrink, HEADS);
            else
                for (int i = 0; i < heads; i++)
                    sum_block(acc + (int64_t)i * s->n_dim + d, s->n_dim, v, n, (const uint16_t (*)[TILE])(weight + i), shrink + i, 1);
        }
    }
}
