/*
 * FP8 and INT4 weights whose planes lie in other tensors (ggl.storage): combinations that must be refused, and those
 * beside them that must not.
 */
#include "support/gguf_reject.h"

/* ---- FP8 in carriers */

struct carrier {
    int version; /* -1: no such key */
    int n_names, n_kinds;
    const char *name, *kind, *weight, *scale; /* scale NULL: none */
    uint32_t weight_type, scale_type;
    int64_t w[4], s[4];
    const char *text;
};

static void carrier_file(const struct carrier *c)
{
    bool names = c->n_names >= 0, kinds = c->n_kinds >= 0;
    gb_head(&b, 3, c->scale ? 2 : 1, (uint64_t)((c->version >= 0) + names + kinds));
    if (c->version >= 0) gb_kv_u32(&b, "ggl.storage.version", (uint32_t)c->version);
    if (names) gb_arr(&b, "ggl.storage.names", GGL_KV_STR, (uint64_t)c->n_names);
    for (int i = 0; i < c->n_names; i++) gb_str(&b, c->name);
    if (kinds) gb_arr(&b, "ggl.storage.kinds", GGL_KV_STR, (uint64_t)c->n_kinds);
    for (int i = 0; i < c->n_kinds; i++) gb_str(&b, c->kind);
    gb_tensor(&b, c->weight, 4, c->w, c->weight_type, 0);
    if (c->scale) gb_tensor(&b, c->scale, 4, c->s, c->scale_type, 1u << 19);
    gb_pad(&b, 32);
    gb_zeros(&b, 1u << 20);
}

static void storage(void **state)
{
    (void)state;
    static const char kind[] = "fp8_e4m3.ue8m0.t128x128", kind32[] = "fp8_e4m3.f32.t128x128";
    static const char w[] = "x.weight", s[] = "x.scale";
    enum { I8 = GGL_TYPE_I8, F32 = GGL_TYPE_F32 };
    const struct carrier good = {1, 1, 1, w, kind, w, s, I8, I8, {256, 130, 1, 1}, {2, 2, 1, 1}, ""};
    const struct carrier bad[] = {
        {0, 1, 1, w, kind, w, s, I8, I8, {256, 130, 1, 1}, {2, 2, 1, 1}, "ggl.storage.version"},
        {2, 1, 1, w, kind, w, s, I8, I8, {256, 130, 1, 1}, {2, 2, 1, 1}, "ggl.storage.version"},
        {-1, 1, 1, w, kind, w, s, I8, I8, {256, 130, 1, 1}, {2, 2, 1, 1}, "ggl.storage.version"},
        {1, -1, 1, w, kind, w, s, I8, I8, {256, 130, 1, 1}, {2, 2, 1, 1}, "ggl.storage.names"},
        {1, 1, -1, w, kind, w, s, I8, I8, {256, 130, 1, 1}, {2, 2, 1, 1}, "ggl.storage.kinds"},
        {1, 1, 0, w, kind, w, s, I8, I8, {256, 130, 1, 1}, {2, 2, 1, 1}, "one a name"},
        {1, 1, 2, w, kind, w, s, I8, I8, {256, 130, 1, 1}, {2, 2, 1, 1}, "one a name"},
        {1, 2, 2, w, kind, w, s, I8, I8, {256, 130, 1, 1}, {2, 2, 1, 1}, "duplicate"},
        {1, 1, 1, "y.weight", kind, w, s, I8, I8, {256, 130, 1, 1}, {2, 2, 1, 1}, "name of a tensor"},
        {1, 1, 1, "", kind, w, s, I8, I8, {256, 130, 1, 1}, {2, 2, 1, 1}, "name of a tensor"},
        {1, 1, 1, s, kind, w, s, I8, I8, {256, 130, 1, 1}, {2, 2, 1, 1}, ".weight"},
        {1, 1, 1, w, "", w, s, I8, I8, {256, 130, 1, 1}, {2, 2, 1, 1}, "storage kind"},
        {1, 1, 1, w, "fp8_e4m3.ue8m0.t128x129", w, s, I8, I8, {256, 130, 1, 1}, {2, 2, 1, 1}, "storage kind"},
        {1, 1, 1, w, "i4t.g32.s16", w, s, I8, I8, {256, 130, 1, 1}, {2, 2, 1, 1}, "storage kind"},
        {1, 1, 1, w, "i4t.g32.s8", w, s, I8, I8, {256, 130, 1, 1}, {16, 130, 1, 1}, ".rscale"},
        {1, 1, 1, w, kind, w, NULL, I8, I8, {256, 130, 1, 1}, {2, 2, 1, 1}, ".scale"},
        {1, 1, 1, w, kind, w, "x.scales", I8, I8, {256, 130, 1, 1}, {2, 2, 1, 1}, ".scale"},
        {1, 1, 1, w, kind, w, s, GGL_TYPE_F16, I8, {256, 130, 1, 1}, {2, 2, 1, 1}, "I8"},
        {1, 1, 1, w, kind, w, s, GGL_TYPE_Q8_0, I8, {256, 130, 1, 1}, {2, 2, 1, 1}, "I8"},
        {1, 1, 1, w, kind, w, s, I8, F32, {256, 130, 1, 1}, {2, 2, 1, 1}, "I8"},
        {1, 1, 1, w, kind32, w, s, I8, I8, {256, 130, 1, 1}, {2, 2, 1, 1}, "F32"},
        {1, 1, 1, w, kind, w, s, I8, I8, {256, 128, 1, 1}, {2, 2, 1, 1}, "shape"},
        {1, 1, 1, w, kind, w, s, I8, I8, {257, 130, 1, 1}, {2, 2, 1, 1}, "shape"},
        {1, 1, 1, w, kind, w, s, I8, I8, {256, 130, 1, 1}, {2, 1, 1, 1}, "shape"},
        {1, 1, 1, w, kind, w, s, I8, I8, {256, 130, 1, 1}, {4, 1, 1, 1}, "shape"},
        {1, 1, 1, w, kind, w, s, I8, I8, {256, 130, 1, 1}, {2, 3, 1, 1}, "shape"},
        {1, 1, 1, w, kind, w, s, I8, I8, {256, 130, 3, 1}, {2, 2, 2, 1}, "shape"},
        {1, 1, 1, w, kind, w, s, I8, I8, {256, 130, 2, 1}, {2, 2, 1, 2}, "shape"},
        {1, 1, 1, w, kind, w, s, I8, I8, {256, 130, 1, 2}, {2, 2, 1, 2}, "dimensions"},
        {1, 1, 1, w, kind, w, s, I8, I8, {0, 130, 1, 1}, {0, 2, 1, 1}, "empty"},
        {1, 1, 1, w, kind, w, s, I8, I8, {256, 0, 1, 1}, {2, 0, 1, 1}, "empty"},
        {1, 1, 1, w, kind, w, s, I8, I8, {256, 130, 0, 1}, {2, 2, 0, 1}, "empty"},
    };
    struct ggl_gguf *g;
    char line[GGL_ERROR_LINE];
    carrier_file(&good);
    assert_int_equal(gb_open(&b, "x.gguf", false, &g, line), GGL_OK);
    ggl_gguf_free(g);
    for (size_t i = 0; i < N(bad); i++) {
        carrier_file(&bad[i]);
        reject(bad[i].text);
    }
    /* A name or kind with a zero inside is not the name before it. */
    for (int which = 0; which < 2; which++) {
        gb_head(&b, 3, 2, 3);
        gb_kv_u32(&b, "ggl.storage.version", 1);
        gb_arr(&b, "ggl.storage.names", GGL_KV_STR, 1);
        gb_strn(&b, "x.weight\0y", which ? 8 : 10);
        gb_arr(&b, "ggl.storage.kinds", GGL_KV_STR, 1);
        gb_strn(&b, "fp8_e4m3.ue8m0.t128x128\0", which ? 24 : 23);
        gb_tensor(&b, w, 2, (int64_t[]){128, 1}, I8, 0);
        gb_tensor(&b, s, 1, (int64_t[]){1}, I8, 128);
        gb_pad(&b, 32);
        gb_zeros(&b, 160);
        reject(which ? "storage kind" : "name of a tensor");
    }
    gb_head(&b, 3, 0, 3);
    gb_kv_u32(&b, "ggl.storage.version", 1);
    gb_kv_str(&b, "ggl.storage.names", "x.weight");
    gb_kv_str(&b, "ggl.storage.kinds", kind);
    reject("array of strings");
    gb_head(&b, 3, 0, 1);
    gb_kv_str(&b, "ggl.storage.version", "1");
    reject("an integer");
}

/* INT4: three planes, in one of which something is wrong. */
static void int4_storage(void **state)
{
    (void)state;
    enum { I8 = GGL_TYPE_I8, F32 = GGL_TYPE_F32 };
    static const char w[] = "x.weight", s[] = "x.scale", r[] = "x.rscale";
    static const struct {
        int n_names;
        const char *scale, *rscale;
        uint32_t weight_type, scale_type, rscale_type;
        int64_t w[4], s[4], r[4];
        const char *text;
    } files[] = {
        {1, s, r, I8, I8, F32, {48, 10, 2, 1}, {3, 10, 2, 1}, {10, 2, 1, 1}, NULL},
        {1, s, r, I8, I8, F32, {16, 1, 1, 1}, {1, 1, 1, 1}, {1, 1, 1, 1}, NULL},
        {2, s, r, I8, I8, F32, {48, 10, 2, 1}, {3, 10, 2, 1}, {10, 2, 1, 1}, "duplicate"},
        {1, "y", r, I8, I8, F32, {48, 10, 2, 1}, {3, 10, 2, 1}, {10, 2, 1, 1}, ".scale"},
        {1, s, "y", I8, I8, F32, {48, 10, 2, 1}, {3, 10, 2, 1}, {10, 2, 1, 1}, ".rscale"},
        {1, s, r, F32, I8, F32, {48, 10, 2, 1}, {3, 10, 2, 1}, {10, 2, 1, 1}, "I8"},
        {1, s, r, I8, F32, F32, {48, 10, 2, 1}, {3, 10, 2, 1}, {10, 2, 1, 1}, "I8"},
        {1, s, r, I8, I8, I8, {48, 10, 2, 1}, {3, 10, 2, 1}, {10, 2, 1, 1}, "F32"},
        {1, s, r, I8, I8, GGL_TYPE_F16, {48, 10, 2, 1}, {3, 10, 2, 1}, {10, 2, 1, 1}, "F32"},
        {1, s, r, I8, I8, F32, {47, 10, 2, 1}, {3, 10, 2, 1}, {10, 2, 1, 1}, "multiple of 16"},
        {1, s, r, I8, I8, F32, {56, 10, 2, 1}, {3, 10, 2, 1}, {10, 2, 1, 1}, "multiple of 16"},
        {1, s, r, I8, I8, F32, {8, 10, 2, 1}, {1, 10, 2, 1}, {10, 2, 1, 1}, "multiple of 16"},
        {1, s, r, I8, I8, F32, {96, 10, 2, 1}, {3, 10, 2, 1}, {10, 2, 1, 1}, "shape"},
        {1, s, r, I8, I8, F32, {48, 10, 2, 1}, {2, 10, 2, 1}, {10, 2, 1, 1}, "shape"},
        {1, s, r, I8, I8, F32, {48, 10, 2, 1}, {3, 9, 2, 1}, {10, 2, 1, 1}, "shape"},
        {1, s, r, I8, I8, F32, {48, 10, 2, 1}, {3, 20, 1, 1}, {10, 2, 1, 1}, "shape"},
        {1, s, r, I8, I8, F32, {48, 10, 2, 1}, {3, 10, 1, 2}, {10, 2, 1, 1}, "shape"},
        {1, s, r, I8, I8, F32, {48, 10, 2, 1}, {3, 10, 2, 1}, {10, 1, 1, 1}, "shape"},
        {1, s, r, I8, I8, F32, {48, 10, 2, 1}, {3, 10, 2, 1}, {9, 2, 1, 1}, "shape"},
        {1, s, r, I8, I8, F32, {48, 10, 2, 1}, {3, 10, 2, 1}, {20, 1, 1, 1}, "shape"},
        {1, s, r, I8, I8, F32, {48, 10, 2, 1}, {3, 10, 2, 1}, {10, 1, 2, 1}, "shape"},
        {1, s, r, I8, I8, F32, {48, 10, 2, 1}, {3, 10, 2, 1}, {10, 2, 1, 2}, "shape"},
        {1, s, r, I8, I8, F32, {48, 10, 2, 2}, {3, 10, 2, 2}, {10, 2, 2, 1}, "dimensions"},
        {1, s, r, I8, I8, F32, {0, 10, 2, 1}, {0, 10, 2, 1}, {10, 2, 1, 1}, "empty"},
        {1, s, r, I8, I8, F32, {48, 0, 2, 1}, {3, 0, 2, 1}, {0, 2, 1, 1}, "empty"},
        {1, s, r, I8, I8, F32, {48, 10, 0, 1}, {3, 10, 0, 1}, {10, 0, 1, 1}, "empty"},
    };
    for (size_t i = 0; i < N(files); i++) {
        struct ggl_gguf *g;
        char line[GGL_ERROR_LINE];
        gb_head(&b, 3, 3, 3);
        gb_kv_u32(&b, "ggl.storage.version", 1);
        gb_arr(&b, "ggl.storage.names", GGL_KV_STR, (uint64_t)files[i].n_names);
        for (int k = 0; k < files[i].n_names; k++) gb_str(&b, w);
        gb_arr(&b, "ggl.storage.kinds", GGL_KV_STR, (uint64_t)files[i].n_names);
        for (int k = 0; k < files[i].n_names; k++) gb_str(&b, "i4t.g32.s8");
        gb_tensor(&b, files[i].rscale, 4, files[i].r, files[i].rscale_type, 16384);
        gb_tensor(&b, w, 4, files[i].w, files[i].weight_type, 0);
        gb_tensor(&b, files[i].scale, 4, files[i].s, files[i].scale_type, 8192);
        gb_pad(&b, 32);
        gb_zeros(&b, 32768);
        if (files[i].text) {
            reject(files[i].text);
            continue;
        }
        assert_int_equal(gb_open(&b, "x.gguf", false, &g, line), GGL_OK);
        assert_int_equal(ggl_gguf_find_tensor(g, w)->type, GGL_TYPE_INT4);
        assert_int_equal(ggl_gguf_find_tensor(g, w)->ne[0], 2 * files[i].w[0]);
        ggl_gguf_free(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(storage),
        cmocka_unit_test(int4_storage),
    };
    return cmocka_run_group_tests(tests, NULL, clean);
}
