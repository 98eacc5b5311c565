/*
 * gguf-convert on GGUF files as other programs write them: names that llama.cpp does not know become those that it
 * does, and what is no model is refused, with nothing written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "gguf-convert/dialect.h"
#include "support/tool_path.h"
#include "support/v4_builder.h"

static char tool[1024];
static const struct v4b_options tiny = {.mtp = false}, with_mtp = {.mtp = true};

/* FROM.gguf to TO.gguf -> exit status; line: what it said. */
static int convert(const char *from, const char *to, const char *type, char line[1024])
{
    char command[4096];
    snprintf(command, sizeof(command), "'%s' -q '%s' '%s' --type %s >/dev/null 2>'%s'", tool, gb_temp(from), gb_temp(to), type, gb_temp("err"));
    int status = system(command);
    FILE *f = fopen(gb_temp("err"), "rb");
    assert_non_null(f);
    line[fread(line, 1, 1023, f)] = '\0';
    fclose(f);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void save(struct v4b *b, const char *name)
{
    v4b_save(b, gb_temp(name));
    v4b_free(b);
}

static size_t read_all(const char *name, uint8_t *data, size_t n)
{
    FILE *f = fopen(gb_temp(name), "rb");
    assert_non_null(f);
    size_t got = fread(data, 1, n, f);
    fclose(f);
    assert_true(got && got < n);
    return got;
}

static bool same_files(const char *a, const char *b)
{
    static uint8_t x[1 << 20], y[1 << 20];
    size_t n = read_all(a, x, sizeof(x)), m = read_all(b, y, sizeof(y));
    return n == m && !memcmp(x, y, n);
}

/* Every other name that a tensor of the builder's model can have. */
static void rename_all(struct v4b *b, size_t which)
{
    for (int i = 0; i < b->n_tensors; i++) {
        char other[GGL_MAX_NAME], chosen[GGL_MAX_NAME] = "";
        size_t at = 0;
        for (size_t k = 0; k <= which && ggl_other_name(b->tensors[i].name, &at, other); k++) memcpy(chosen, other, sizeof(other));
        if (*chosen) snprintf(b->tensors[i].name, sizeof(b->tensors[i].name), "%s", chosen);
    }
}

static void other_names(void **state)
{
    (void)state;
    char line[1024];
    save(v4b_new(&tiny), "usual.gguf");
    assert_int_equal(convert("usual.gguf", "want.gguf", "Q8_0", line), 0);
    for (size_t which = 0; which < 2; which++) {
        struct v4b *b = v4b_new(&tiny);
        rename_all(b, which);
        save(b, "other.gguf");
        assert_false(same_files("usual.gguf", "other.gguf"));
        assert_int_equal(convert("other.gguf", "got.gguf", "Q8_0 --verify", line), 0);
        assert_true(same_files("want.gguf", "got.gguf"));
        remove(gb_temp("got.gguf"));
    }
}

static void names_there_and_back(void **state)
{
    (void)state;
    char other[GGL_MAX_NAME], name[GGL_MAX_NAME];
    static const char *const usual[] = {"blk.2.attn_kv.weight", "blk.12.attn_compressor_ape.weight", "output_hc_fn.weight",
                                        "blk.3.indexer_compressor_kv.weight", "blk.4.exp_probs_b.bias"};
    for (size_t k = 0; k < sizeof(usual) / sizeof(usual[0]); k++) {
        size_t i = 0;
        int n = 0;
        for (; ggl_other_name(usual[k], &i, other); n++) {
            assert_true(ggl_usual_name(other, name));
            assert_string_equal(name, usual[k]);
        }
        assert_int_equal(n, k == 0 ? 2 : 1);
        assert_false(ggl_usual_name(usual[k], name));
    }
    size_t i = 0;
    assert_false(ggl_other_name("blk.2.attn_kv_a_norm.weight", &i, other));
    assert_false(ggl_usual_name("xblk.2.attn_kv_latent.weight", name));
}

static void refused(const char *name, const char *words)
{
    char line[1024];
    for (int i = 0; i < 2; i++) {
        int status = convert(name, "out.gguf", i ? "native-int4" : "Q8_0", line);
        if (status != 65 || !strstr(line, words) || !strstr(line, name)) fail_msg("%s: status %d: %s", name, status, line);
        assert_int_not_equal(access(gb_temp("out.gguf"), F_OK), 0);
    }
}

static void no_models(void **state)
{
    (void)state;
    struct v4b *b = v4b_new(&with_mtp);
    for (int i = b->n_tensors; i-- > 0;)
        if (!strncmp(b->tensors[i].name, "blk.", 4) && strncmp(b->tensors[i].name, "blk.3.", 6) != 0) v4b_drop(b, b->tensors[i].name);
    save(b, "mtp-usual.gguf");
    refused("mtp-usual.gguf", "open usual.gguf instead");
    b = v4b_new(&tiny);
    v4b_str(b, "=general.type", "imatrix");
    save(b, "weights.gguf");
    refused("weights.gguf", "imatrix");
    b = v4b_new(&tiny);
    v4b_add(b, "blk.1.engram.weight", GGL_TYPE_F32, 4, 1, 1, 1, 0);
    save(b, "newer.gguf");
    refused("newer.gguf", "DeepSeek V4.1");
}

static int tear_down(void **state)
{
    (void)state;
    gb_remove_temp();
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(other_names), cmocka_unit_test(names_there_and_back), cmocka_unit_test(no_models)};
    if (!tool_path(argc, argv, "gguf-convert", tool, sizeof(tool))) return 1;
    return cmocka_run_group_tests_name("gguf-convert/dialects", tests, NULL, tear_down);
}
