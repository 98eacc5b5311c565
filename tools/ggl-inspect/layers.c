/*
 * A model's tensors by layer and role, and how much of each a token reads.
 *
 * Everything but the routed experts and the rows of tables is read for every
 * token; of the experts a token reads as many as are used, of a table one row.
 */
#include <stdlib.h>
#include <string.h>
#include "ggl-inspect/inspect.h"

static const struct {
    const char *start; /* of the name behind "blk.N." */
    enum inspect_role role;
} starts[] = {{"attn_compress", ROLE_COMPRESSOR}, {"indexer", ROLE_INDEXER}, {"hc_", ROLE_HC}, {"attn_", ROLE_ATTENTION},
              {"ffn_gate_inp", ROLE_ROUTER}, {"ffn_norm", ROLE_ROUTER}, {"exp_probs_b", ROLE_ROUTER}, {"ffn_gate_tid2eid", ROLE_ROUTER},
              {"nextn.", ROLE_PREDICTION}};

const char *inspect_role_name(enum inspect_role role)
{
    static const char *const names[N_ROLES] = {"attention", "compressor", "indexer", "hyper-connections", "router", "shared expert",
                                               "routed experts", "prediction", "embedding", "head", "other"};
    return names[role];
}

static enum inspect_role role_in_layer(const char *name)
{
    if (strstr(name, "_shexp")) return ROLE_SHARED;
    if (strstr(name, "_exps")) return ROLE_EXPERTS;
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
        if (!strncmp(name, starts[i].start, strlen(starts[i].start))) return starts[i].role;
    return ROLE_OTHER;
}

/* Where a tensor belongs; *layer is -1 outside of the layers. */
static enum inspect_role role_of(const char *name, int *layer)
{
    int n = 0;
    const char *p = name + 4;
    *layer = -1;
    if (!strncmp(name, "blk.", 4)) {
        for (; *p >= '0' && *p <= '9' && n < INSPECT_MAX_LAYERS; p++) n = 10 * n + (*p - '0');
        if (p == name + 4 || *p != '.' || n >= INSPECT_MAX_LAYERS) return ROLE_OTHER;
        *layer = n;
        return role_in_layer(p + 1);
    }
    if (!strncmp(name, "token_embd.", 11)) return ROLE_EMBEDDING;
    return !strncmp(name, "output", 6) || !strncmp(name, "hc_head_", 8) ? ROLE_HEAD : ROLE_OTHER;
}

/* ---- counting */

static uint64_t share_of_experts(const struct inspect *in, uint64_t bytes)
{
    return in->n_expert ? bytes / in->n_expert * in->n_expert_used : 0;
}

static uint64_t bytes_a_token(const struct inspect *in, const struct ggl_tensor *t, enum inspect_role role, uint64_t bytes)
{
    bool table = role == ROLE_EMBEDDING || strstr(t->name, "tid2eid");
    if (table) return t->ne[1] > 0 ? bytes / (uint64_t)t->ne[1] : 0;
    return role == ROLE_EXPERTS ? share_of_experts(in, bytes) : bytes;
}

static void add_type(struct inspect_part *p, const char *name, uint64_t bytes)
{
    int k = 0;
    while (k < p->n_types && strcmp(p->types[k].name, name)) k++;
    if (k == INSPECT_PART_TYPES) return; /* the totals by type have them all */
    if (k == p->n_types) p->types[p->n_types++].name = name;
    p->types[k].bytes += bytes;
}

static int by_bytes(const void *a, const void *b)
{
    const struct inspect_part_type *x = a, *y = b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return strcmp(x->name, y->name);
}

static void sort_types(struct inspect_layer *l)
{
    for (int r = 0; r < N_ROLES; r++) qsort(l->parts[r].types, (size_t)l->parts[r].n_types, sizeof(l->parts[r].types[0]), by_bytes);
}

static void add_tensor(struct inspect *in, uint64_t i)
{
    const struct ggl_tensor *t = inspect_tensor(in, i);
    uint64_t bytes = inspect_tensor_bytes(in, i);
    int layer;
    enum inspect_role role = role_of(t->name, &layer);
    struct inspect_layer *l = layer < 0 ? &in->outside : &in->layers[layer];
    struct inspect_part *p = &l->parts[role];
    if (layer >= in->n_layers) in->n_layers = layer + 1;
    p->tensors++;
    p->bytes += bytes;
    p->token_bytes += bytes_a_token(in, t, role, bytes);
    l->bytes += bytes;
    add_type(p, inspect_type_name(t->type), bytes);
}

static uint64_t key(const struct inspect *in, const char *name)
{
    char full[128];
    uint32_t v;
    const char *arch = ggl_gguf_get_str(in->meta, "general.architecture");
    if (!arch || strlen(arch) > 60) return 0;
    snprintf(full, sizeof(full), "%s.%s", arch, name);
    return ggl_gguf_get_u32(in->meta, full, 1, 1u << 24, &v, NULL) ? 0 : v;
}

/* Layers from `first` on are for prediction: those whose number is not below the count without them. */
static int first_prediction(const struct inspect *in)
{
    int n = in->n_layers;
    while (n > 0 && in->layers[n - 1].parts[ROLE_PREDICTION].tensors) n--;
    uint64_t blocks = key(in, "block_count"), nextn = key(in, "nextn_predict_layers");
    return n < in->n_layers && nextn && nextn < blocks && blocks - nextn < (uint64_t)n ? (int)(blocks - nextn) : n;
}

static void add_totals(struct inspect *in, const struct inspect_layer *l)
{
    struct inspect_totals *t = &in->totals;
    for (int r = 0; r < N_ROLES; r++) {
        const struct inspect_part *p = &l->parts[r];
        if (l->prediction) {
            t->prediction += p->bytes;
        } else if (r == ROLE_EXPERTS) {
            t->routed += p->bytes;
            t->routed_token += p->token_bytes;
        } else {
            t->hot += p->token_bytes;
            t->tables += p->bytes - p->token_bytes;
        }
    }
}

void inspect_layers(struct inspect *in)
{
    if (!ggl_gguf_get_str(in->meta, "general.architecture") || !in->n_tensors) return;
    in->layers = calloc(INSPECT_MAX_LAYERS, sizeof(*in->layers));
    if (!in->layers) return;
    in->n_expert = key(in, "expert_count");
    in->n_expert_used = key(in, "expert_used_count");
    for (uint64_t i = 0; i < in->n_tensors; i++) add_tensor(in, i);
    int prediction = first_prediction(in);
    for (int i = 0; i < in->n_layers; i++) {
        in->layers[i].prediction = i >= prediction;
        in->layers[i].ratio = inspect_ratio(in, i);
        sort_types(&in->layers[i]);
        add_totals(in, &in->layers[i]);
    }
    sort_types(&in->outside);
    add_totals(in, &in->outside);
}

bool inspect_same_layer(const struct inspect_layer *a, const struct inspect_layer *b)
{
    if (a->ratio != b->ratio || a->prediction != b->prediction || a->bytes != b->bytes) return false;
    for (int r = 0; r < N_ROLES; r++) {
        const struct inspect_part *p = &a->parts[r], *q = &b->parts[r];
        if (p->tensors != q->tensors || p->bytes != q->bytes || p->n_types != q->n_types) return false;
        for (int k = 0; k < p->n_types; k++)
            if (p->types[k].bytes != q->types[k].bytes || strcmp(p->types[k].name, q->types[k].name)) return false;
    }
    return true;
}
