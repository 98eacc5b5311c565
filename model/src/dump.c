/*
 * Dumping: a graph calls back after every named node; the rows of the wanted
 * ones are turned into floats.  Cache rows are decoded; a compressor's name
 * gives the entries that the run appended.
 */
#include "dump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model_impl.h"

struct ggl_dump {
    struct ggl_dump *next;
    char name[32];
    ggl_dump_fn *fn;
    void *user;
    float *row; /* room for one row, decoded */
};

void ggl_dump_free(struct ggl_dump *list)
{
    while (list) {
        struct ggl_dump *next = list->next;
        free(list->row);
        free(list);
        list = next;
    }
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

/* The layer of "L12.attn.in"; the MTP block's is the last of the cache. */
static int layer_of(const struct ggl_session *s, const char *name)
{
    int layer = 0;
    if (name[0] == 'M') return s->cache.n_layers - 1;
    for (const char *p = name + 1; *p >= '0' && *p <= '9'; p++) layer = 10 * layer + (*p - '0');
    return layer;
}

static void dump_rows(const struct ggl_dump *d, const struct ggl_row_format *f, const struct ggl_row_list *list,
                      int64_t first, int64_t n)
{
    for (int64_t i = first; i < first + n; i++) {
        ggl_row_decode(f, ggl_list_row(list, i), d->row);
        d->fn(d->user, d->name, i, d->row, f->n_dim);
    }
}

static void dump_node(const struct ggl_session *s, const struct ggl_dump *d, const struct ggl_node *node, int64_t n_tokens,
                      int64_t pos)
{
    int64_t width = ggl_node_width(node);
    int layer = layer_of(s, d->name), ratio = layer < s->model->hp.n_layer ? s->model->hp.ratio[layer] : 0;
    const struct v4_layer_cache *cache = &s->cache.layers[layer];
    bool index = ends_with(d->name, ".index_keys");
    if (index || ends_with(d->name, ".compressed")) {
        int64_t first = pos / ratio, last = (pos + n_tokens) / ratio;
        dump_rows(d, index ? &s->cache.index : &s->cache.kv, index ? &cache->index_keys : &cache->entries, first, last - first);
        return;
    }
    for (int64_t t = 0; t < n_tokens; t++) {
        if (ggl_node_elem(node) == GGL_ELEM_F32) {
            d->fn(d->user, d->name, pos + t, (const float *)ggl_node_data(node) + t * width, width);
        } else if (ggl_node_elem(node) == GGL_ELEM_U8) {
            ggl_row_decode(&s->cache.kv, (const uint8_t *)ggl_node_data(node) + t * width, d->row);
            d->fn(d->user, d->name, pos + t, d->row, s->cache.kv.n_dim);
        } else {
            const int32_t *ids = (const int32_t *)ggl_node_data(node) + t * width;
            for (int64_t i = 0; i < width; i++) d->row[i] = (float)ids[i];
            d->fn(d->user, d->name, pos + t, d->row, width);
        }
    }
}

static void tap(void *user, const struct ggl_node *node, int64_t n_tokens, int64_t pos)
{
    struct ggl_session *s = user;
    for (const struct ggl_dump *d = s->dumps; d; d = d->next) {
        if (!strcmp(d->name, ggl_node_name(node))) dump_node(s, d, node, n_tokens, pos);
    }
}

enum ggl_status ggl_session_dump(struct ggl_session *s, const char *name, ggl_dump_fn *fn, void *user,
                                 struct ggl_error *err)
{
    struct ggl_graph *g = s->mtp.g && name[0] == 'M' ? s->mtp.g : s->trunk.g;
    bool possible = name[0] && strlen(name) < sizeof(((struct ggl_dump *)0)->name);
    const struct ggl_node *node = possible ? ggl_graph_find(g, name) : NULL;
    if (!node)
        return ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, name, "one like L0.attn.in, L0.ffn.out, L0.h or M0.h",
                        "name of an intermediate");
    int64_t n = ggl_node_width(node), n_dim = s->model->hp.n_dim, index_dim = s->model->hp.index_dim;
    if (n < n_dim) n = n_dim;
    if (n < index_dim) n = index_dim;
    struct ggl_dump *d = calloc(1, sizeof(*d));
    if (d) d->row = malloc((size_t)n * 4);
    if (!d || !d->row) {
        ggl_dump_free(d);
        return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "dump: out of memory");
    }
    snprintf(d->name, sizeof(d->name), "%s", name);
    d->fn = fn;
    d->user = user;
    d->next = s->dumps;
    s->dumps = d;
    ggl_graph_set_tap(g, tap, s);
    return GGL_OK;
}
