/*
 * ggl-inspect on files made here: what it prints, what it refuses, and the
 * memory of the real models' metadata.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "support/gguf_builder.h"
#include "support/tool_path.h"
#ifdef GGL_HAVE_JANSSON
#include <jansson.h>
#endif

static char tool[512];
static char output[1 << 20];
static struct gguf_builder b;

/* The tool's exit code; stdout and stderr are in output. */
static int run(const char *options, const char *path)
{
    char command[2048];
    snprintf(command, sizeof(command), "'%s' %s '%s' 2>&1", tool, options, path);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    size_t n = fread(output, 1, sizeof(output) - 1, f);
    output[n] = '\0';
    int status = pclose(f);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void says(const char *text)
{
    if (!strstr(output, text)) fail_msg("\"%s\" is not in: %.2000s", text, output);
}

/* ---- memory */

static void model(const char *arch, int layers, const char *path)
{
    int32_t ratios[62] = {0};
    char key[64];
    bool pro = layers == 61;
    for (int i = 0; i < layers; i++) ratios[i] = i < 2 ? (pro ? 128 : 0) : i % 2 ? 128 : 4;
    const struct {
        const char *name;
        uint32_t v;
    } keys[] = {{"block_count", (uint32_t)layers}, {"attention.key_length", 512}, {"rope.dimension_count", 64},
                {"attention.indexer.key_length", 128}, {"attention.sliding_window", 128}, {"context_length", 1048576}};
    gb_head(&b, 3, 0, 8);
    gb_kv_str(&b, "general.architecture", arch);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        snprintf(key, sizeof(key), "%s.%s", arch, keys[i].name);
        gb_kv_u32(&b, key, keys[i].v);
    }
    snprintf(key, sizeof(key), "%s.attention.compress_ratios", arch);
    gb_arr(&b, key, GGL_KV_I32, (uint64_t)layers + 1); /* and the draft layer's */
    gb_bytes(&b, ratios, ((size_t)layers + 1) * sizeof(int32_t));
    gb_save(&b, path);
}

static void memory(void **state)
{
    (void)state;
    const char *path = gb_temp("m.gguf");
    model("deepseek4", 43, path);
    assert_int_equal(run("--json", path), 0);
    says("\"kv_bytes\": 3682498176");
    says("\"index_row_bytes\": 374341632");
    says("\"window_bytes\": 3208832");
    says("\"state_bytes\": 12206080");
    says("\"kv_bytes_per_token\": 3508.8");
    model("deepseek4-native", 61, path);
    assert_int_equal(run("--json --ctx 1048576", path), 0);
    says("\"kv_bytes\": 5272278400");
    says("\"state_bytes\": 18710528");
    says("\"kv_bytes_per_token\": 5023.6953");
    assert_int_equal(run("--ctx 0x10", path), 2);
    assert_int_equal(run("--ctx -1", path), 2);
    assert_int_equal(run("", path), 0);
    says("KV bytes per token");
    gb_head(&b, 3, 0, 0);
    gb_save(&b, path);
    assert_int_equal(run("", path), 0);
    says("memory: unknown");
    assert_int_equal(run("--json", path), 0);
    says("\"memory\": null");
}

/* ---- a model of full size: its header, and a hole for the weights */

static uint64_t data_at, n_added;
static struct gguf_builder infos;

static void add(const char *prefix, const char *name, uint32_t type, int64_t ne0, int64_t ne1, int64_t ne2)
{
    char full[64];
    uint64_t row;
    snprintf(full, sizeof(full), "%s%s", prefix, name);
    assert_true(ggl_row_bytes(type, ne0, &row));
    gb_tensor(&infos, full, ne2 > 1 ? 3 : ne1 > 1 ? 2 : 1, (int64_t[]){ne0, ne1, ne2}, type, data_at);
    data_at += (row * (uint64_t)(ne1 * ne2) + 31) / 32 * 32;
    n_added++;
}

static void add_compressor(const char *p, const char *stem, int64_t width, int64_t ratio, int64_t dim)
{
    char name[64];
    snprintf(name, sizeof(name), "%s%s_", p, stem);
    add(name, "kv.weight", GGL_TYPE_BF16, 4096, width, 1);
    add(name, "gate.weight", GGL_TYPE_BF16, 4096, width, 1);
    add(name, "ape.weight", GGL_TYPE_F32, width, ratio, 1);
    add(name, "norm.weight", GGL_TYPE_F32, dim, 1, 1);
}

static void add_layer(int i, int ratio)
{
    char p[16];
    snprintf(p, sizeof(p), "blk.%d.", i);
    for (int ffn = 0; ffn < 2; ffn++) {
        add(p, ffn ? "hc_ffn_fn.weight" : "hc_attn_fn.weight", GGL_TYPE_F32, 16384, 24, 1);
        add(p, ffn ? "hc_ffn_base.weight" : "hc_attn_base.weight", GGL_TYPE_F32, 24, 1, 1);
        add(p, ffn ? "hc_ffn_scale.weight" : "hc_attn_scale.weight", GGL_TYPE_F32, 3, 1, 1);
    }
    add(p, "attn_norm.weight", GGL_TYPE_F32, 4096, 1, 1);
    add(p, "attn_sinks.weight", GGL_TYPE_F32, 64, 1, 1);
    add(p, "attn_q_a.weight", GGL_TYPE_Q8_0, 4096, 1024, 1);
    add(p, "attn_q_a_norm.weight", GGL_TYPE_F32, 1024, 1, 1);
    add(p, "attn_q_b.weight", GGL_TYPE_Q8_0, 1024, 32768, 1);
    add(p, "attn_kv.weight", GGL_TYPE_Q8_0, 4096, 512, 1);
    add(p, "attn_kv_a_norm.weight", GGL_TYPE_F32, 512, 1, 1);
    add(p, "attn_output_a.weight", GGL_TYPE_Q8_0, 4096, 8192, 1);
    add(p, "attn_output_b.weight", GGL_TYPE_Q8_0, 8192, 4096, 1);
    if (ratio) add_compressor(p, "attn_compressor", ratio == 4 ? 1024 : 512, ratio, 512);
    if (ratio == 4) {
        add(p, "indexer.proj.weight", GGL_TYPE_BF16, 4096, 64, 1);
        add(p, "indexer.attn_q_b.weight", GGL_TYPE_Q8_0, 1024, 8192, 1);
        add_compressor(p, "indexer_compressor", 256, 4, 128);
    }
    add(p, "ffn_norm.weight", GGL_TYPE_F32, 4096, 1, 1);
    add(p, "ffn_gate_inp.weight", GGL_TYPE_BF16, 4096, 256, 1);
    if (i < 3) add(p, "ffn_gate_tid2eid.weight", GGL_TYPE_I32, 6, 129280, 1);
    else add(p, "exp_probs_b.bias", GGL_TYPE_F32, 256, 1, 1);
    add(p, "ffn_gate_exps.weight", GGL_TYPE_MXFP4, 4096, 2048, 256);
    add(p, "ffn_down_exps.weight", GGL_TYPE_MXFP4, 2048, 4096, 256);
    add(p, "ffn_up_exps.weight", GGL_TYPE_MXFP4, 4096, 2048, 256);
    add(p, "ffn_gate_shexp.weight", GGL_TYPE_Q8_0, 4096, 2048, 1);
    add(p, "ffn_up_shexp.weight", GGL_TYPE_Q8_0, 4096, 2048, 1);
    add(p, "ffn_down_shexp.weight", GGL_TYPE_Q8_0, 2048, 4096, 1);
}

static bool flash(const char *path)
{
    int32_t ratios[44] = {0};
    data_at = n_added = 0;
    gb_reset(&infos);
    for (int i = 2; i < 43; i++) ratios[i] = i % 2 ? 128 : 4;
    add("", "token_embd.weight", GGL_TYPE_BF16, 4096, 129280, 1);
    add("", "output.weight", GGL_TYPE_BF16, 4096, 129280, 1);
    add("", "output_norm.weight", GGL_TYPE_F32, 4096, 1, 1);
    add("", "output_hc_fn.weight", GGL_TYPE_F32, 16384, 4, 1);
    add("", "output_hc_base.weight", GGL_TYPE_F32, 4, 1, 1);
    add("", "output_hc_scale.weight", GGL_TYPE_F32, 1, 1, 1);
    for (int i = 0; i < 43; i++) add_layer(i, ratios[i]);
    gb_head(&b, 3, n_added, 10);
    gb_kv_str(&b, "general.architecture", "deepseek4");
    static const struct {
        const char *key;
        uint32_t v;
    } keys[] = {{"block_count", 43}, {"attention.key_length", 512}, {"rope.dimension_count", 64}, {"attention.indexer.key_length", 128},
                {"attention.sliding_window", 128}, {"context_length", 1048576}, {"expert_count", 256}, {"expert_used_count", 6}};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        char key[64];
        snprintf(key, sizeof(key), "deepseek4.%s", keys[i].key);
        gb_kv_u32(&b, key, keys[i].v);
    }
    gb_arr(&b, "deepseek4.attention.compress_ratios", GGL_KV_I32, 44);
    gb_bytes(&b, ratios, sizeof(ratios));
    gb_bytes(&b, infos.data, infos.n);
    gb_pad(&b, 32);
    gb_save(&b, path);
    return truncate(path, (off_t)(b.n + data_at)) == 0;
}

static void full_size(void **state)
{
    (void)state;
    const char *path = gb_temp("flash.gguf");
    if (!flash(path)) skip(); /* a file system without files that long */
    assert_int_equal(n_added, 1328);
    assert_int_equal(run("--no-tensors --ctx 100000", path), 0);
    int lines = 0;
    for (const char *p = output; *p; p++) lines += *p == '\n';
    if (lines > 110) fail_msg("%d lines", lines);
    says("43 layers");
    says("layers 0-1, attention within the window: ");
    says("layer 2, one entry for 4 tokens: "); /* routes by token id, the others do not */
    says("layers 3, 5, ... 41, one entry for 128 tokens: 3.3 GiB each, 66.6 GiB for 20");
    says("layers 4, 6, ... 42, one entry for 4 tokens: ");
    says("    routed experts       3 tensors  MXFP4                       3.2 GiB  routed, 6 of 256: 76.5 MiB");
    says("    embedding            1 tensor   BF16                     1010.0 MiB  one row a token: 8.0 KiB");
    says("memory for 100000 tokens");
    says("tensors: 1328 (--tensors lists them)");
    assert_null(strstr(output, "blk.42"));
    assert_int_equal(run("--tensors", path), 0);
    says("blk.42.ffn_up_exps.weight");
    assert_int_equal(run("", path), 0); /* no terminal: scripts find the table */
    says("  blk.42.ffn_down_shexp.weight                 [2048, 4096]           Q8_0            8912896  -");
    assert_int_equal(run("--json", path), 0);
    says("\"layer\": 42, \"ratio\": 4, \"prediction\": false");
    says("\"routed_bytes\": 3449290752, \"routed_bytes_of_all\": 147169738752"); /* 43 * 3 * 256 * 2^23 * 17 / 32 */
    /* One of everything that is not routed: all, without the experts, and one row of each table. */
    says("\"hot_bytes\": 8134908324,");
    remove(path);
}

/* A block behind the main layers, and what is no model at all. */
static void odd_layers(void **state)
{
    (void)state;
    const char *path = gb_temp("odd.gguf");
    gb_head(&b, 3, 5, 3);
    gb_kv_str(&b, "general.architecture", "deepseek4");
    gb_kv_u32(&b, "deepseek4.block_count", 2);
    gb_kv_u32(&b, "deepseek4.nextn_predict_layers", 1);
    gb_tensor(&b, "blk.0.attn_norm.weight", 1, (int64_t[]){8}, GGL_TYPE_F32, 0);
    gb_tensor(&b, "blk.1.attn_norm.weight", 1, (int64_t[]){8}, GGL_TYPE_F32, 32);
    gb_tensor(&b, "blk.1.nextn.enorm.weight", 1, (int64_t[]){8}, GGL_TYPE_F32, 64);
    gb_tensor(&b, "blk.99999999999999999999.x", 1, (int64_t[]){8}, GGL_TYPE_F32, 96);
    gb_tensor(&b, "blk.1023.ffn_up_exps.weight", 1, (int64_t[]){8}, GGL_TYPE_F32, 128);
    gb_pad(&b, 32);
    gb_zeros(&b, 160);
    gb_save(&b, path);
    assert_int_equal(run("--no-tensors", path), 0);
    says("layer 0: 32 B");
    says("layer 1: 64 B");
    says("routed experts       1 tensor   F32                            32 B  routed\n");
    b.data[b.n - 1] = 0;
    gb_head(&b, 3, 3, 3);
    gb_kv_str(&b, "general.architecture", "deepseek4");
    gb_kv_u32(&b, "deepseek4.block_count", 2);
    gb_kv_u32(&b, "deepseek4.nextn_predict_layers", 1);
    gb_tensor(&b, "blk.0.attn_norm.weight", 1, (int64_t[]){8}, GGL_TYPE_F32, 0);
    gb_tensor(&b, "blk.1.attn_norm.weight", 1, (int64_t[]){8}, GGL_TYPE_F32, 32);
    gb_tensor(&b, "blk.1.nextn.enorm.weight", 1, (int64_t[]){8}, GGL_TYPE_F32, 64);
    gb_pad(&b, 32);
    gb_zeros(&b, 96);
    gb_save(&b, path);
    assert_int_equal(run("--no-tensors", path), 0);
    says("layer 1, prediction: 64 B");
    says("prediction (with drafts only)                          64");
    gb_head(&b, 3, 1, 0);
    gb_tensor(&b, "blk.0.x", 1, (int64_t[]){8}, GGL_TYPE_F32, 0);
    gb_pad(&b, 32);
    gb_zeros(&b, 32);
    gb_save(&b, path);
    assert_int_equal(run("", path), 0);
    says("  blk.0.x ");
    assert_null(strstr(output, "layer"));
    assert_int_equal(run("--json", path), 0);
    says("\"layers\": null");
}

/* ---- text that would disturb a terminal, or is not text */

static void strange_text(void **state)
{
    (void)state;
    const char *path = gb_temp("t.gguf");
    gb_head(&b, 3, 1, 7);
    gb_kv_str(&b, "esc\x1b[31m\xc2\x9b" "31m", "\x1b]0;title\x07\n\"quoted\\\xc2\x9b");
    gb_key(&b, "binary", GGL_KV_STR);
    gb_strn(&b, "a\0\xff\xed\xa0\x80z", 7);
    gb_arr(&b, "long", GGL_KV_U8, 1000);
    gb_zeros(&b, 1000);
    gb_arr(&b, "none", GGL_KV_STR, 0);
    gb_key(&b, "nan", GGL_KV_F32);
    gb_u32(&b, 0x7fc00000);
    gb_key(&b, "inf", GGL_KV_F64);
    gb_u64(&b, 0xfff0000000000000);
    gb_key(&b, "big", GGL_KV_U64);
    gb_u64(&b, UINT64_MAX);
    gb_tensor(&b, "name\x1b[2J", 2, (int64_t[]){8, 2}, GGL_TYPE_F32, 0);
    gb_pad(&b, 32);
    gb_zeros(&b, 64 + 5);
    gb_save(&b, path);
    assert_int_equal(run("", path), 0);
    assert_null(strchr(output, '\x1b'));
    assert_null(strchr(output, '\x07'));
    assert_null(strstr(output, "\xc2\x9b"));
    says("(1000)");
    says("5 bytes after the last tensor");
    says("18446744073709551615");
    assert_int_equal(run("--json", path), 0);
    assert_null(strchr(output, '\x1b'));
    says("\"n\": 1000");
    says("\\ufffd");
    says("\"nan\": null");
#ifdef GGL_HAVE_JANSSON
    json_t *root = json_loads(output, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
    assert_non_null(root);
    assert_int_equal(json_object_size(json_object_get(root, "metadata")), 7);
    assert_int_equal(json_array_size(json_object_get(root, "tensors")), 1);
    json_decref(root);
#endif
}

/* ---- hashes */

static void verify(void **state)
{
    (void)state;
    char hex[33];
    uint8_t data[64 + 96];
    const char *path = gb_temp("v.gguf");
    struct ggl_gguf_writer *w;
    struct ggl_gguf *g = ggl_gguf_new();
    for (size_t i = 0; i < sizeof(data); i++) data[i] = (uint8_t)i;
    assert_int_equal(ggl_gguf_add_tensor(g, "first", GGL_TYPE_I8, 1, (int64_t[]){64}, NULL), GGL_OK);
    assert_int_equal(ggl_gguf_add_tensor(g, "second", GGL_TYPE_F32, 2, (int64_t[]){8, 3}, NULL), GGL_OK);
    assert_int_equal(ggl_gguf_write_begin(g, path, NULL, &w, NULL), GGL_OK);
    assert_int_equal(ggl_gguf_write_data(w, data, sizeof(data), NULL), GGL_OK);
    assert_int_equal(ggl_gguf_write_finish(w, NULL), GGL_OK);
    ggl_gguf_free(g);
    if (!ggl_hash_hex(data, 64, hex)) {
        assert_int_equal(run("--verify", path), 65);
        says("xxHash");
        return;
    }
    assert_int_equal(run("--verify --threads 2", path), 0);
    says("verified: all 2");
    says(hex);
    assert_int_equal(run("--verify --json", path), 0);
    says("\"verified\": true");
    assert_int_equal(run("--json", path), 0);
    says("\"verified\": false");

    FILE *f = fopen(path, "r+b"); /* one bit of the second tensor, the last in the file */
    assert_int_equal(fseek(f, -1, SEEK_END), 0);
    fputc(data[159] ^ 4, f);
    fclose(f);
    assert_int_equal(run("--verify --quiet", path), 65);
    says("ggl-inspect: ");
    says("second: hash is ");
    assert_int_equal(strcspn(output, "\n") + 1, strlen(output)); /* one line */
    assert_int_equal(run("", path), 0);

    gb_head(&b, 3, 0, 0);
    gb_save(&b, path);
    assert_int_equal(run("--verify", path), 65);
    says("no hashes");
}

static void refusals(void **state)
{
    (void)state;
    const char *path = gb_temp("r.gguf");
    gb_head(&b, 3, 1, 0);
    gb_tensor(&b, "blk.0.x", 1, (int64_t[]){8}, GGL_TYPE_F32, 0);
    gb_pad(&b, 32);
    gb_zeros(&b, 31);
    gb_save(&b, path);
    assert_int_equal(run("", path), 65);
    says("blk.0.x");
    assert_int_equal(run("", gb_temp("absent.gguf")), 66);
    assert_int_equal(run("--no-such-option", path), 2);
    assert_int_equal(run("", ""), 66);
    assert_int_equal(run("--help", path), 0);
    assert_int_equal(run("a", path), 2);
}

static int clean(void **state)
{
    (void)state;
    gb_free(&b);
    gb_free(&infos);
    gb_remove_temp();
    return 0;
}

int main(int argc, char **argv)
{
    if (!tool_path(argc, argv, "ggl-inspect", tool, sizeof(tool))) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory),
        cmocka_unit_test(full_size),
        cmocka_unit_test(odd_layers),
        cmocka_unit_test(strange_text),
        cmocka_unit_test(verify),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, clean);
}
