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
#include <cmocka.h>
#include "support/gguf_builder.h"
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
    gb_remove_temp();
    return 0;
}

int main(int argc, char **argv)
{
    const char *slash = argc ? strrchr(argv[0], '/') : NULL; /* tests/test-x -> bin/ggl-inspect */
    snprintf(tool, sizeof(tool), "%.*s../bin/ggl-inspect", slash ? (int)(slash + 1 - argv[0]) : 0, argv[0]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory),
        cmocka_unit_test(strange_text),
        cmocka_unit_test(verify),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, clean);
}
