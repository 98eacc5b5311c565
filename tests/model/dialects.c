/*
 * GGUF files as other programs write them: what is the same model gives the same
 * bits, and what is no model is refused with words that say what it is.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "gguf-convert/imatrix.h"
#include "support/model_vectors.h"
#include "support/v4_builder.h"

static const struct v4b_options tiny = {.mtp = false}, with_mtp = {.mtp = true};
static float plain[V4B_VOCAB];

static int32_t ids[140]; /* enough for an entry of ratio 128 */
enum { N_IDS = sizeof(ids) / sizeof(ids[0]) };

static void logits_of(const char *path, int64_t n, float *last, int64_t n_vocab)
{
    struct ggl_model *m = mv_load_file(path, 2);
    struct ggl_session *s = mv_session(m, 64, false);
    assert_int_equal(ggl_model_n_vocab(m), n_vocab);
    mv_eval_ids(s, ids, n);
    memcpy(last, ggl_session_logits(s), (size_t)n_vocab * sizeof(*last));
    ggl_session_free(s);
    ggl_model_free(m);
}

/* The file means the plain model; frees b. */
static void same(struct v4b *b, const char *what)
{
    float last[V4B_VOCAB];
    v4b_save(b, gb_temp("same.gguf"));
    v4b_free(b);
    logits_of(gb_temp("same.gguf"), N_IDS, last, V4B_VOCAB);
    mv_same_logits(plain, last, V4B_VOCAB, what);
}

static void refused_file(const char *path, const char *what, const char *words)
{
    struct ggl_model *m = NULL;
    struct ggl_error err = {0};
    char line[GGL_ERROR_LINE] = "";
    enum ggl_status s = ggl_model_load(path, NULL, &m, &err);
    if (s) ggl_error_line(&err, line, sizeof(line));
    if ((s != GGL_ERR_UNSUPPORTED && s != GGL_ERR_FORMAT) || !strstr(line, words) || !strstr(line, path))
        fail_msg("%s: status %d, expected \"%s\": %s", what, (int)s, words, line);
}

static void refused(struct v4b *b, const char *name, const char *words)
{
    v4b_save(b, gb_temp(name));
    v4b_free(b);
    refused_file(gb_temp(name), name, words);
}

static int setup(void **state)
{
    (void)state;
    for (int i = 0; i < N_IDS; i++) ids[i] = (7 * i + 3) % V4B_VOCAB;
    struct v4b *b = v4b_new(&tiny);
    v4b_save(b, gb_temp("plain.gguf"));
    v4b_free(b);
    logits_of(gb_temp("plain.gguf"), N_IDS, plain, V4B_VOCAB);
    return 0;
}

/* ---- ik_llama.cpp */

static void other_names(void **state)
{
    static const char *const names[][2] = {
        {"attn_kv.", "attn_kv_latent."}, {"attn_kv.", "attn_kv_a_mqa."}, {"attn_compressor_", "attn_compress_"},
        {"indexer_compressor_", "indexer.compress_"}, {"output_hc_", "hc_head_"}, {"exp_probs_b.bias", "exp_probs_b.weight"}};
    (void)state;
    struct v4b *all = v4b_new(&tiny);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct v4b *b = v4b_new(&tiny);
        v4b_rename(b, names[i][0], names[i][1]);
        v4b_rename(all, names[i][0], names[i][1]);
        same(b, names[i][1]);
    }
    same(all, "all other names at once");
    struct v4b *b = v4b_new(&tiny); /* the usual name wins, and the shape of the other is looked at */
    v4b_add(b, "hc_head_fn.weight", GGL_TYPE_F32, 3, 1, 1, 1, 0);
    same(b, "both names");
    b = v4b_new(&tiny);
    v4b_rename(b, "blk.1.attn_compressor_kv", "blk.1.attn_compress_kv");
    v4b_tensor(b, "blk.1.attn_compress_kv.weight")->ne[1]--;
    refused(b, "shape.gguf", "blk.1.attn_compress_kv.weight: dim 1");
}

static void keys_that_tensors_tell(void **state)
{
    (void)state;
    for (int renamed = 0; renamed < 2; renamed++) {
        struct v4b *b = v4b_new(&tiny);
        v4b_drop_kv(b, "attention.compress_ratios");
        v4b_drop_kv(b, "attention.output_group_count");
        v4b_drop_kv(b, "attention.compress_rope_freq_base");
        v4b_f32(b, "rope.freq_base_swa", 160000);
        if (renamed) v4b_rename(b, "attn_compressor_", "attn_compress_");
        same(b, "keys left out");
    }
    struct v4b *b = v4b_new(&tiny);
    v4b_drop_kv(b, "attention.compress_rope_freq_base");
    refused(b, "base.gguf", "compress_rope_freq_base");
    b = v4b_new(&tiny);
    v4b_f32(b, "rope.freq_base_swa", 5); /* not looked at beside the other key */
    same(b, "both bases");
    b = v4b_new(&tiny);
    v4b_drop_kv(b, "attention.output_group_count");
    v4b_drop(b, "blk.0.attn_output_a.weight");
    refused(b, "groups.gguf", "output_group_count");
}

static void slices_for_groups(void **state)
{
    (void)state;
    struct v4b *b = v4b_new(&tiny);
    for (int i = 0; i < V4B_LAYERS; i++) {
        char name[64];
        snprintf(name, sizeof(name), "blk.%d.attn_output_a.weight", i);
        struct v4b_tensor *t = v4b_tensor(b, name);
        t->n_dims = 3, t->ne[1] /= 2, t->ne[2] = 2;
    }
    same(b, "the groups of attn_output_a as slices");
    b = v4b_new(&tiny);
    struct v4b_tensor *t = v4b_tensor(b, "blk.0.attn_output_a.weight");
    t->n_dims = 3, t->ne[1] /= 4, t->ne[2] = 4;
    refused(b, "four.gguf", "blk.0.attn_output_a.weight: dim");
}

/* ---- layout of the file, and keys that say nothing new */

static void gaps_and_alignments(void **state)
{
    (void)state;
    static const size_t alignments[] = {8, 16, 64, 256, 4096, 16384, 65536};
    for (size_t i = 0; i < sizeof(alignments) / sizeof(alignments[0]); i++) {
        struct v4b *b = v4b_new(&tiny);
        b->alignment = alignments[i];
        b->gap = i % 2 ? 0 : alignments[i];
        same(b, "another alignment, gaps between tensors");
    }
}

static void stale_keys(void **state)
{
    (void)state;
    struct v4b *b = v4b_new(&tiny);
    v4b_u32(b, "nextn_predict_layers", 1);
    v4b_u32(b, "expert_group_count", 0);
    v4b_u32(b, "expert_group_used_count", 0);
    v4b_u32(b, "leading_dense_block_count", 0);
    v4b_u32(b, "embedding_length_out", 64);
    v4b_u32(b, "vocab_size", V4B_VOCAB);
    v4b_u32(b, "=general.file_type", 38);
    v4b_u32(b, "=general.quantization_version", 2);
    v4b_str(b, "=general.type", "model");
    v4b_str(b, "=quantize.imatrix.file", "imatrix.gguf");
    v4b_number(b, "=quantize.imatrix.chunks_count", GGL_KV_U64, 800);
    v4b_number(b, "rope.scaling.original_context_length", GGL_KV_U64, 65536);
    v4b_number(b, "=split.no", GGL_KV_U16, 0); /* of a split file that was merged again */
    v4b_number(b, "=split.count", GGL_KV_U16, 0);
    same(b, "keys of other programs");
    b = v4b_new(&tiny);
    v4b_u32(b, "vocab_size", V4B_VOCAB + 1);
    refused(b, "vocab.gguf", "token_embd.weight: dim 1 is 40, expected 41");
}

/* ---- antirez/ds4: types by role; the same numbers as F32 give the same bits */

static uint32_t ds4_type(const struct ggl_tensor *t, bool q4)
{
    static const char *const f16[] = {"hc_attn_fn", "hc_ffn_fn", "output_hc_fn", "compressor_kv", "compressor_gate", "compressor_ape",
                                      "indexer.", "ffn_gate_inp.", "token_embd"};
    if (t->type == GGL_TYPE_I32) return GGL_TYPE_I32;
    if (strstr(t->name, "_down_exps")) return q4 ? GGL_TYPE_Q4_K : GGL_TYPE_Q2_K;
    if (strstr(t->name, "_exps")) return q4 ? GGL_TYPE_Q4_K : GGL_TYPE_IQ2_XXS;
    for (size_t i = 0; i < sizeof(f16) / sizeof(f16[0]); i++)
        if (strstr(t->name, f16[i])) return GGL_TYPE_F16;
    return t->n_dims > 1 && t->ne[1] > 1 ? GGL_TYPE_Q8_0 : GGL_TYPE_F32;
}

static uint32_t rng = 1;
static uint8_t random_byte(void)
{
    rng = rng * 1664525 + 1013904223;
    return (uint8_t)(rng >> 24);
}

/* Blocks of any bits but sane scales. */
static void random_blocks(uint32_t type, uint8_t *blocks, size_t bytes)
{
    const struct ggl_type_info *info = ggl_type_info(type);
    static const uint8_t small[2] = {0x00, 0x14}; /* 2^-10 */
    for (size_t i = 0; i < bytes; i++) blocks[i] = random_byte();
    for (size_t i = 0; i < bytes; i += info->block_bytes) {
        size_t d = type == GGL_TYPE_Q2_K ? 80 : 0;
        memcpy(blocks + i + d, small, 2);
        if (type != GGL_TYPE_IQ2_XXS) memcpy(blocks + i + d + 2, small, 2);
    }
}

static size_t bytes_of(const struct ggl_tensor *t)
{
    return (size_t)ggl_gguf_tensor_bytes(t);
}

/* Tensor t of the source as `type`; the caller frees it. */
static uint8_t *make_data(const struct ggl_tensor *t, uint32_t type, size_t *bytes)
{
    uint64_t row;
    int64_t rows = t->ne[1] * t->ne[2];
    assert_true(ggl_row_bytes(type, t->ne[0], &row));
    *bytes = (size_t)row * (size_t)rows;
    uint8_t *data = malloc(*bytes);
    float *x = malloc((size_t)t->ne[0] * 4);
    if (type == GGL_TYPE_I32) {
        memcpy(data, t->data, *bytes);
    } else if (type == GGL_TYPE_IQ2_XXS || type == GGL_TYPE_Q2_K || type == GGL_TYPE_Q4_K) {
        random_blocks(type, data, *bytes);
    } else {
        for (int64_t r = 0; r < rows; r++) {
            assert_true(ggl_tensor_decode_row(t, r / t->ne[1], r % t->ne[1], x));
            assert_true(ggl_encode((enum ggl_type)type, x, data + (uint64_t)r * row, t->ne[0]));
        }
    }
    free(x);
    return data;
}

static void rewrite(const struct ggl_gguf *from, const char *path, bool as_f32, bool q4)
{
    struct ggl_gguf *g = ggl_gguf_new();
    struct ggl_gguf_writer *w;
    assert_int_equal(ggl_gguf_copy_kv(g, from, "split."), GGL_OK);
    assert_int_equal(ggl_gguf_set_u32(g, "deepseek4.vocab_size", 512), GGL_OK);
    for (uint64_t i = 0; i < ggl_gguf_n_tensors(from); i++) {
        const struct ggl_tensor *t = ggl_gguf_tensor(from, i);
        uint32_t type = !as_f32 ? ds4_type(t, q4) : t->type == GGL_TYPE_I32 ? GGL_TYPE_I32 : GGL_TYPE_F32;
        assert_int_equal(ggl_gguf_add_tensor(g, t->name, (enum ggl_type)type, t->n_dims, t->ne, NULL), GGL_OK);
    }
    assert_int_equal(ggl_gguf_write_begin(g, path, NULL, &w, NULL), GGL_OK);
    for (uint64_t i = 0; i < ggl_gguf_n_tensors(from); i++) {
        const struct ggl_tensor *t = ggl_gguf_tensor(g, i), *source = ggl_gguf_tensor(from, i);
        size_t bytes;
        uint8_t *data = make_data(source, t->type, &bytes);
        assert_int_equal(bytes, bytes_of(t));
        assert_int_equal(ggl_gguf_write_data(w, data, bytes, NULL), GGL_OK);
        free(data);
    }
    assert_int_equal(ggl_gguf_write_finish(w, NULL), GGL_OK);
    ggl_gguf_free(g);
}

static void types_of_ds4(void **state)
{
    (void)state;
    struct ggl_gguf *source, *ds4;
    static float a[512], b[512];
    assert_int_equal(ggl_gguf_open(GGL_TEST_VECTORS "/gguf/micro-Q2_K.gguf", NULL, &source, NULL), GGL_OK);
    for (int q4 = 0; q4 < 2; q4++) {
        rewrite(source, gb_temp("ds4.gguf"), false, q4);
        assert_int_equal(ggl_gguf_open(gb_temp("ds4.gguf"), NULL, &ds4, NULL), GGL_OK);
        rewrite(ds4, gb_temp("f32.gguf"), true, false);
        ggl_gguf_free(ds4);
        logits_of(gb_temp("ds4.gguf"), 40, a, 512);
        logits_of(gb_temp("f32.gguf"), 40, b, 512);
        mv_same_logits(a, b, 512, q4 ? "Q4_K experts" : "IQ2_XXS and Q2_K experts");
        assert_true(isfinite(a[0]) && a[0] != a[1]);
        remove(gb_temp("ds4.gguf"));
        remove(gb_temp("f32.gguf"));
    }
    ggl_gguf_free(source);
}

/* ---- no models */

static struct v4b *block_alone(void)
{
    struct v4b *b = v4b_new(&with_mtp);
    for (int i = b->n_tensors; i-- > 0;)
        if (!strncmp(b->tensors[i].name, "blk.", 4) && strncmp(b->tensors[i].name, "blk.3.", 6) != 0) v4b_drop(b, b->tensors[i].name);
    return b;
}

static void side_files(void **state)
{
    (void)state;
    struct v4b *b = v4b_new(&tiny);
    v4b_save(b, gb_temp("m.gguf"));
    v4b_free(b);
    refused(block_alone(), "mtp-m.gguf", "a multi-token-prediction block, expected the model itself: open m.gguf instead");
    refused(block_alone(), "mtp-other.gguf", "a multi-token-prediction block, expected the model itself: open the file");
    b = block_alone(); /* as ds4 names it */
    v4b_rename(b, "blk.3.nextn.", "mtp.0.");
    v4b_rename(b, "blk.3.", "mtp.0.");
    refused(b, "ds4-mtp.gguf", "a multi-token-prediction block");
    b = block_alone();
    v4b_rename(b, "nextn.e_proj", "nextn.main_proj");
    refused(b, "stages.gguf", "a DSpark drafter, expected the model itself");
    b = v4b_new(&tiny);
    v4b_str(b, "=general.architecture", "dflash");
    refused(b, "dflash-m.gguf", "a DSpark drafter, expected the model itself: open m.gguf instead");
}

static void other_files(void **state)
{
    (void)state;
    struct imatrix_sums entry = {"output.weight", 1, 1, (float[]){1}, (float[]){1}};
    assert_int_equal(imatrix_write(gb_temp("i.gguf"), &entry, 1, &(struct imatrix_text){"t", 1, 1}, NULL), GGL_OK);
    refused_file(gb_temp("i.gguf"), "an importance matrix", "general.type is imatrix, expected a model");
    struct v4b *b = v4b_new(&tiny);
    v4b_str(b, "=general.type", "adapter");
    refused(b, "lora.gguf", "general.type is adapter, expected a model");
    b = v4b_new(&tiny);
    v4b_str(b, "=general.type", "mmproj");
    refused(b, "mmproj.gguf", "a vision tower");
    b = v4b_new(&tiny);
    v4b_str(b, "=general.architecture", "clip");
    refused(b, "clip.gguf", "a vision tower");
    b = v4b_new(&tiny);
    v4b_add(b, "blk.1.exp_probs_b_vl.bias", GGL_TYPE_F32, 3, 1, 1, 1, 0);
    refused(b, "vl.gguf", "blk.1.exp_probs_b_vl.bias is a tensor of a vision model");
    b = v4b_new(&tiny);
    v4b_add(b, "blk.1.engram_embd.weight", GGL_TYPE_F32, 3, 1, 1, 1, 0);
    refused(b, "v41.gguf", "blk.1.engram_embd.weight is a tensor of DeepSeek V4.1");
}

static void other_types(void **state)
{
    (void)state;
    struct v4b *b = v4b_new(&tiny);
    v4b_tensor(b, "blk.1.attn_q_a.weight")->type = 139;
    refused(b, "ik.gguf", "139 (IQ4_K of ik_llama.cpp)");
    b = v4b_new(&tiny);
    v4b_retype(b, "output.weight", GGL_TYPE_F32);
    v4b_tensor(b, "output.weight")->type = GGL_TYPE_Q2_0;
    v4b_tensor(b, "output.weight")->ne[0] = 64;
    v4b_u32(b, "=general.file_type", 41);
    v4b_f32(b, "rope.freq_base_swa", 160000);
    refused(b, "fork.gguf", "42 as F8_E4M3_B128, which a fork of llama.cpp wrote");
}

static int clean(void **state)
{
    (void)state;
    gb_remove_temp();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_names),  cmocka_unit_test(keys_that_tensors_tell), cmocka_unit_test(slices_for_groups),
        cmocka_unit_test(gaps_and_alignments), cmocka_unit_test(stale_keys), cmocka_unit_test(types_of_ds4),
        cmocka_unit_test(side_files),   cmocka_unit_test(other_files),            cmocka_unit_test(other_types),
    };
    return cmocka_run_group_tests(tests, setup, clean);
}
