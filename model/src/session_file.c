/*
 * Session files: the whole state of a session, so that a restored one continues
 * with the same bits.
 *
 *   "GGLSESS1", u64 fingerprint of the model, u64 flags (bit 0: rounding, bit 1: MTP, bit 2: has logits),
 *   i64 n_past, then sections: tokens, rings, entries of each layer, streams of the last token, logits;
 *   u64 checksum of everything before it
 *
 * Integers are in the machine's order; a file of the other order fails at its magic.
 */
#include <stdlib.h>
#include <string.h>

#include "ggml-lite/src/file.h"
#include "model_impl.h"

static const char magic[8] = {'G', 'G', 'L', 'S', 'E', 'S', 'S', '1'};

/* Eight bytes a step; multiplying by an odd number is a bijection, so any change of one step changes the sum. */
struct checksum {
    uint64_t sum;
    uint8_t held[8];
    size_t n_held;
};

static void checksum_word(struct checksum *c, const uint8_t *p)
{
    uint64_t word;
    memcpy(&word, p, 8);
    c->sum = (c->sum ^ word) * 0x9e3779b97f4a7c15u;
    c->sum ^= c->sum >> 29;
}

static void checksum_add(struct checksum *c, const void *data, size_t n)
{
    const uint8_t *p = data;
    while (n && c->n_held) {
        c->held[c->n_held++] = *p++;
        n--;
        if (c->n_held == 8) {
            checksum_word(c, c->held);
            c->n_held = 0;
        }
    }
    for (; n >= 8; p += 8, n -= 8) checksum_word(c, p);
    while (n--) c->held[c->n_held++] = *p++;
}

static uint64_t checksum_end(struct checksum *c)
{
    memset(c->held + c->n_held, 0, 8 - c->n_held);
    checksum_word(c, c->held);
    return c->sum;
}

/* One walk over the state serves writing, reading and measuring. */
struct walk {
    struct ggl_output *out;  /* writing */
    const uint8_t *in;       /* reading, when bytes are already checked */
    uint64_t bytes;          /* so far */
    struct checksum sum;
    enum ggl_status status;
    struct ggl_error *err;
};

static void visit(struct walk *w, void *data, uint64_t n)
{
    if (w->status || !n) return;
    if (w->out) {
        checksum_add(&w->sum, data, n);
        w->status = ggl_output_write(w->out, data, n, w->err);
    } else if (w->in) {
        memcpy(data, w->in + w->bytes, n);
    }
    w->bytes += n;
}

static void visit_list(struct walk *w, const struct ggl_row_list *l, int64_t rows)
{
    for (int64_t i = 0; i < rows; i += GGL_SEGMENT_ROWS) {
        int64_t n = rows - i < GGL_SEGMENT_ROWS ? rows - i : GGL_SEGMENT_ROWS;
        visit(w, w->out || w->in ? l->segments[i / GGL_SEGMENT_ROWS] : NULL, (uint64_t)n * l->row_bytes);
    }
}

static void visit_state(struct walk *w, struct ggl_session *s, int64_t n_past, bool has_logits)
{
    const struct v4_hparams *hp = &s->model->hp;
    visit(w, s->tokens, (uint64_t)n_past * 4);
    visit(w, s->cache.rings, s->cache.rings_bytes);
    for (int i = 0; i < hp->n_layer; i++) {
        if (hp->ratio[i]) visit_list(w, &s->cache.layers[i].entries, n_past / hp->ratio[i]);
        if (hp->ratio[i] == 4) visit_list(w, &s->cache.layers[i].index_keys, n_past / 4);
    }
    if (s->params.mtp) visit(w, s->h_last, (uint64_t)hp->n_embd * (uint64_t)hp->n_hc * 4);
    if (has_logits) visit(w, s->logits, (uint64_t)hp->n_vocab * 4);
}

struct header {
    char magic[8];
    uint64_t fingerprint, flags;
    int64_t n_past;
};

static struct header header_of(const struct ggl_session *s, int64_t n_past, bool has_logits)
{
    struct header h = {.fingerprint = s->model->fingerprint, .n_past = n_past};
    memcpy(h.magic, magic, sizeof(magic));
    h.flags = (s->params.cache_rounding_off ? 0u : 1u) | (s->params.mtp ? 2u : 0u) | (has_logits ? 4u : 0u);
    return h;
}

enum ggl_status ggl_session_save(const struct ggl_session *session, const char *path, struct ggl_error *err)
{
    struct ggl_session *s = (struct ggl_session *)(uintptr_t)session; /* the walk only reads when it writes a file */
    struct walk w = {.err = err};
    struct header h = header_of(s, s->n_past, s->has_logits);
    if ((w.status = ggl_output_open(path, true, &w.out, err))) return w.status;
    visit(&w, &h, sizeof(h));
    visit_state(&w, s, s->n_past, s->has_logits);
    uint64_t sum = checksum_end(&w.sum);
    if (!w.status) w.status = ggl_output_write(w.out, &sum, sizeof(sum), err);
    if (!w.status) return ggl_output_finish(w.out, err);
    ggl_output_abort(w.out);
    return w.status;
}

static enum ggl_status bad(struct ggl_error *err, const char *path, const char *what)
{
    return ggl_fail(err, GGL_ERR_FORMAT, path, GGL_NO_OFFSET, NULL, NULL, "%s", what);
}

/* Everything that could be wrong is found here, before the session is touched. */
static enum ggl_status check_file(struct ggl_session *s, const char *path, const struct ggl_map *map, struct header *h,
                                  struct ggl_error *err)
{
    struct checksum c = {0};
    uint64_t sum;
    if (map->size < sizeof(*h) + 8) return bad(err, path, "not a session file: too short");
    memcpy(h, map->data, sizeof(*h));
    if (memcmp(h->magic, magic, sizeof(magic)) != 0) return bad(err, path, "not a session file");
    checksum_add(&c, map->data, map->size - 8);
    memcpy(&sum, map->data + map->size - 8, 8);
    if (checksum_end(&c) != sum) return bad(err, path, "session file: the checksum does not match, the file is damaged");
    if (h->fingerprint != s->model->fingerprint) return bad(err, path, "session file: written with another model");
    struct header want = header_of(s, h->n_past, (h->flags & 4) != 0);
    if (h->flags != want.flags) return bad(err, path, "session file: written with other session options");
    if (h->n_past < 0 || h->n_past > s->params.n_ctx)
        return ggl_fail(err, GGL_ERR_LIMIT, path, GGL_NO_OFFSET, NULL, NULL, "session file: %lld tokens, the context holds %d",
                        (long long)h->n_past, s->params.n_ctx);
    struct walk w = {.bytes = sizeof(*h) + 8};
    visit_state(&w, s, h->n_past, (h->flags & 4) != 0);
    if (w.bytes != map->size) return bad(err, path, "session file: its length does not fit its contents");
    const int32_t *tokens = (const int32_t *)(const void *)(map->data + sizeof(*h));
    for (int64_t i = 0; i < h->n_past; i++)
        if (tokens[i] < 0 || tokens[i] >= s->model->hp.n_vocab) return bad(err, path, "session file: a token is out of range");
    return GGL_OK;
}

static enum ggl_status make_room(struct ggl_session *s, int64_t n, struct ggl_error *err)
{
    if (n > s->tokens_cap) {
        int32_t *tokens = realloc(s->tokens, (size_t)n * sizeof(*tokens));
        if (!tokens) return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "session: out of memory");
        s->tokens = tokens;
        s->tokens_cap = n;
    }
    return v4_cache_reserve(&s->cache, n, err);
}

enum ggl_status ggl_session_load(struct ggl_session *s, const char *path, struct ggl_error *err)
{
    struct ggl_map map = {0};
    struct header h;
    enum ggl_status status = ggl_map_open(path, &map, err);
    if (status) return status;
    if (!(status = check_file(s, path, &map, &h, err)) && !(status = make_room(s, h.n_past, err))) {
        struct walk w = {.in = map.data, .bytes = sizeof(h)};
        visit_state(&w, s, h.n_past, (h.flags & 4) != 0);
        s->n_past = h.n_past;
        s->has_logits = (h.flags & 4) != 0;
    }
    ggl_map_close(&map);
    return status;
}
