/*
 * One session's memory of the past: the window ring of every layer, the entries
 * that compressors appended, and the tokens that they have not pooled yet.
 */
#ifndef GGL_V4_CACHE_H
#define GGL_V4_CACHE_H

#include "ggml-lite/cache.h"
#include "hparams.h"

struct v4_layer_cache {
    struct ggl_row_ring window;
    struct ggl_row_ring state, index_state;  /* (value, score) rows of recent tokens; ratio 4 and 128 / ratio 4 */
    struct ggl_row_list entries, index_keys; /* ratio 4 and 128 / ratio 4 */
};

struct v4_cache {
    const struct v4_hparams *hp;
    struct ggl_row_format kv, index;
    int n_layers; /* main layers and the MTP block */
    struct v4_layer_cache *layers;
    uint8_t *rings; /* every ring of every layer, in one piece: small, of constant size */
    uint64_t rings_bytes;
    uint8_t *backup; /* of the rings, while a long run may still fail */
};

enum ggl_status v4_cache_init(struct v4_cache *c, const struct v4_hparams *hp, int32_t n_ctx, bool rounding, bool mtp,
                              struct ggl_error *err);
void v4_cache_deinit(struct v4_cache *c);

/* Room for the entries of the first n tokens; on failure nothing is lost. */
enum ggl_status v4_cache_reserve(struct v4_cache *c, int64_t n_tokens, struct ggl_error *err);

/* Made-up rows, valid and always the same, as if n tokens had been evaluated; room for them is there already. */
void v4_cache_fill(struct v4_cache *c, int64_t n_tokens);

/* Bytes of a cache that holds n tokens. */
uint64_t v4_cache_bytes(const struct v4_hparams *hp, int64_t n_tokens, bool rounding, bool mtp);

/* Before a run that could overwrite ring rows which are still needed should it fail; and after such a failure. */
enum ggl_status v4_cache_save_rings(struct v4_cache *c, int64_t n_tokens, struct ggl_error *err);
void v4_cache_restore_rings(struct v4_cache *c);

#endif
