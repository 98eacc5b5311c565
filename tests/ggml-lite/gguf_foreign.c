/*
 * Type ids that mean nothing here, or something else in a fork's files.
 */
#include "support/gguf_reject.h"

static void unsupported(const char *text)
{
    char line[GGL_ERROR_LINE];
    for (int header_only = 0; header_only < 2; header_only++) {
        struct ggl_gguf *g = NULL;
        enum ggl_status s = gb_open(&b, "x.gguf", header_only, &g, line);
        if (s != GGL_ERR_UNSUPPORTED || g || !strstr(line, text)) fail_msg("status %d: \"%s\" should be UNSUPPORTED and contain \"%s\"", s, line, text);
    }
}

static void names(void **state)
{
    (void)state;
    static const struct {
        uint32_t id;
        const char *text;
    } ids[] = {{4, "4 (Q4_2, which ggml has no more)"}, {36, "36 (IQ4_NL_4_4, which ggml has no more)"}, {137, "137 (IQ2_K of ik_llama.cpp)"},
               {158, "158 (IQ1_KT of ik_llama.cpp)"}, {212, "212 (perhaps an interleaved type of ik_llama.cpp)"}, {43, "type is 43, expected"},
               {0x44530001, "type is 1146290177, expected"}, {UINT32_MAX, "type is 4294967295, expected"}};
    for (size_t i = 0; i < N(ids); i++) {
        gb_head(&b, 3, 1, 0);
        gb_tensor(&b, "blk.0.x", 1, (int64_t[]){256}, ids[i].id, 0);
        gb_pad(&b, 32);
        gb_zeros(&b, 4096);
        reject(ids[i].text);
        reject("blk.0.x");
    }
}

/* A tensor of type 42 with `bytes` bytes before the next one. */
static void type_42(int64_t ne0, uint64_t bytes, uint32_t file_type, bool base)
{
    gb_head(&b, 3, 2, 1 + (file_type ? 1u : 0u) + (base ? 1u : 0u));
    gb_kv_str(&b, "general.architecture", "deepseek4");
    if (file_type) gb_kv_u32(&b, "general.file_type", file_type);
    if (base) {
        float v = 160000;
        gb_key(&b, "deepseek4.rope.freq_base_swa", GGL_KV_F32);
        gb_bytes(&b, &v, 4);
    }
    gb_tensor(&b, "a", 2, (int64_t[]){ne0, 3}, GGL_TYPE_Q2_0, 0);
    gb_tensor(&b, "b", 1, (int64_t[]){8}, GGL_TYPE_F32, bytes);
    gb_pad(&b, 32);
    gb_zeros(&b, bytes + 32);
}

static void accepted(void)
{
    char line[GGL_ERROR_LINE];
    struct ggl_gguf *g = NULL;
    if (gb_open(&b, "x.gguf", true, &g, line)) fail_msg("%s", line);
    ggl_gguf_free(g);
}

static void fp8_of_a_fork(void **state)
{
    (void)state;
    static const char words[] = "tensor 'a': type is 42 as F8_E4M3_B128";
    type_42(256, 224, 0, false), accepted();  /* 3 * 4 * 18 = 216 */
    type_42(256, 224, 41, false), accepted(); /* what upstream calls Q2_0 */
    type_42(256, 224, 0, true), accepted();
    type_42(256, 224, 41, true), unsupported(words);
    type_42(256, 800, 0, false), unsupported(words); /* 3 * 2 * 129 = 774 */
    type_42(256, 768, 0, false), accepted(); /* a gap of another size */
    type_42(64, 800, 0, false), accepted();  /* half a block of the fork's */
    type_42(1 << 20, 0, 0, false);
    b.n = 100; /* cut off: the size counts first */
    reject("");
}

/* The message for a further part has the first one's name. */
static void first_part(void **state)
{
    (void)state;
    char line[GGL_ERROR_LINE];
    struct ggl_gguf *g = NULL;
    gb_head(&b, 3, 0, 3);
    gb_kv_u32(&b, "split.no", 2);
    gb_kv_u32(&b, "split.count", 4);
    gb_kv_u32(&b, "split.tensors.count", 0);
    assert_int_equal(gb_open(&b, "m-00003-of-00004.gguf", true, &g, line), GGL_ERR_FORMAT);
    if (!strstr(line, "split.no is 2, expected 0: open m-00001-of-00004.gguf")) fail_msg("%s", line);
    assert_int_equal(gb_open(&b, "renamed.gguf", true, &g, line), GGL_ERR_FORMAT);
    if (!strstr(line, "expected 0: open a split file by its first part")) fail_msg("%s", line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(names), cmocka_unit_test(fp8_of_a_fork), cmocka_unit_test(first_part)};
    return cmocka_run_group_tests(tests, NULL, clean);
}
