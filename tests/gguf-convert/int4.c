/*
 * gguf-convert --type native-int4 from outside: what becomes INT4 and what stays, byte for byte; the same file from a
 * checkpoint and from its native file, with any number of threads; what --verify notices; and what the micro model
 * computes with it.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "gguf-convert/checkpoint.h"
#include "model/model.h"
#include "support/ckpt_builder.h"
#include "support/tool_path.h"

#ifdef GGL_HAVE_JANSSON

static char tool[1024], scratch[700];
static char out_text[65536], err_text[4096]; /* of the last run */

static void slurp(const char *name, char *buf, size_t cap)
{
    size_t n;
    uint8_t *text = ckpt_read_file(scratch, name, &n);
    if (n >= cap) n = cap - 1;
    memcpy(buf, text, n);
    buf[n] = '\0';
    free(text);
}

/* The tool with these words behind its name; paths of tests have no blanks. */
static void run(int expected, const char *format, ...)
{
    char words[2900], command[6000];
    va_list list;
    va_start(list, format);
    vsnprintf(words, sizeof(words), format, list);
    va_end(list);
    snprintf(command, sizeof(command), "'%s' %s >'%s/out' 2>'%s/err'", tool, words, scratch, scratch);
    int status = system(command);
    slurp("out", out_text, sizeof(out_text));
    slurp("err", err_text, sizeof(err_text));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != expected)
        fail_msg("status %d, expected exit %d: %s: %s", status, expected, words, err_text);
}

static void says(const char *text)
{
    if (!strstr(err_text, text)) fail_msg("\"%s\" does not say \"%s\"", err_text, text);
}

static struct ggl_gguf *open_file(const char *path)
{
    struct ggl_gguf *g;
    struct ggl_error err;
    char line[GGL_ERROR_LINE];
    if (ggl_gguf_open(path, NULL, &g, &err)) fail_msg("%s", ggl_error_line(&err, line, sizeof(line)));
    return g;
}

struct folders {
    char *in, *out;
    char native[700], a[700], b[700]; /* files in out */
};

static struct folders make_folders(struct ckpt *ck)
{
    struct folders f = {.in = ckpt_temp_dir(), .out = ckpt_temp_dir()};
    snprintf(f.native, sizeof(f.native), "%s/native.gguf", f.out);
    snprintf(f.a, sizeof(f.a), "%s/a.gguf", f.out);
    snprintf(f.b, sizeof(f.b), "%s/b.gguf", f.out);
    ckpt_write(ck, f.in);
    ckpt_free(ck);
    return f;
}

static void remove_folders(struct folders *f)
{
    ckpt_remove_dir(f->in);
    ckpt_remove_dir(f->out);
    free(f->in);
    free(f->out);
}

static bool same_files(const struct folders *f, const char *a, const char *b)
{
    size_t n, m;
    uint8_t *x = ckpt_read_file(f->out, a, &n), *y = ckpt_read_file(f->out, b, &m);
    bool same = n == m && memcmp(x, y, n) == 0;
    free(x);
    free(y);
    return same;
}

static struct ckpt *usual(void)
{
    return ckpt_new(&(struct ckpt_options){.mtp = 1, .shards = 2, .wide = true});
}

/* ---- contents */

static bool ends(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static bool should_be_int4(const struct ggl_tensor *t)
{
    static const char *const list[] = {".attn_q_a.weight", ".attn_q_b.weight", ".attn_kv.weight", ".attn_output_a.weight",
                                       ".attn_output_b.weight", "ffn_gate_shexp.weight", "ffn_up_shexp.weight",
                                       "ffn_down_shexp.weight", ".nextn.e_proj.weight", ".nextn.h_proj.weight"};
    bool named = strcmp(t->name, "output.weight") == 0;
    for (size_t i = 0; i < sizeof(list) / sizeof(*list); i++) named = named || ends(t->name, list[i]);
    return named && t->ne[0] % 32 == 0;
}

static const struct ggl_tensor *plane(const struct ggl_gguf *g, const struct ggl_tensor *t, const char *end)
{
    char name[GGL_MAX_NAME + 8];
    snprintf(name, sizeof(name), "%.*s%s", (int)(strlen(t->name) - 7), t->name, end);
    return ggl_gguf_find_tensor(g, name);
}

/* The planes are what encoding the source's rows gives. */
static void compare_rounded(const struct ggl_gguf *g, const struct ggl_tensor *from, const struct ggl_tensor *t)
{
    float x[512], row_scale;
    uint8_t codes[256], scales[16];
    const int64_t n = from->ne[0];
    const struct ggl_tensor *s = plane(g, t, ".scale"), *r = plane(g, t, ".rscale");
    assert_true(n <= 512 && s && r && s->data == t->scale);
    for (int64_t row = 0; row < from->ne[1]; row++) {
        assert_true(ggl_tensor_decode_row(from, 0, row, x));
        ggl_int4_encode_row(x, NULL, codes, scales, &row_scale, n);
        assert_memory_equal(t->data + row * n / 2, codes, (size_t)n / 2);
        assert_memory_equal(s->data + row * n / 32, scales, (size_t)n / 32);
        assert_memory_equal(r->data + row * 4, &row_scale, 4);
    }
}

/* Returns the number of INT4 tensors; everything else is as in the native file. */
static int compare(const struct ggl_gguf *native, const struct ggl_gguf *g)
{
    int n_int4 = 0;
    uint64_t n_rest = 0;
    for (uint64_t i = 0; i < ggl_gguf_n_tensors(native); i++) {
        const struct ggl_tensor *from = ggl_gguf_tensor(native, i), *t = ggl_gguf_find_tensor(g, from->name);
        char weight[GGL_MAX_NAME + 8];
        snprintf(weight, sizeof(weight), "%.*s.weight", (int)(strlen(from->name) - (ends(from->name, ".scale") ? 6 : 0)), from->name);
        const struct ggl_tensor *owner = ggl_gguf_find_tensor(native, weight);
        if (ends(from->name, ".scale") && owner && should_be_int4(owner)) continue; /* replaced */
        if (!t) fail_msg("%s is missing", from->name);
        assert_memory_equal(t->ne, from->ne, sizeof(t->ne));
        if (should_be_int4(from)) {
            if (t->type != GGL_TYPE_INT4) fail_msg("%s is not INT4", t->name);
            compare_rounded(g, from, t);
            n_int4++;
            continue;
        }
        n_rest++;
        if (t->type != from->type) fail_msg("%s: another type", t->name);
        assert_memory_equal(t->data, from->data, ggl_gguf_tensor_bytes(from));
    }
    assert_int_equal(ggl_gguf_n_tensors(g), n_rest + 3 * (uint64_t)n_int4);
    return n_int4;
}

static void rounds_what_it_should(void **state)
{
    (void)state;
    static const struct ckpt_options kinds[] = {{.mtp = 1}, {.dspark = 3}, {.experts = CKPT_FP8_F32}, {.mtp = 1, .wide = true}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        struct ckpt *ck = ckpt_new(&kinds[i]);
        if (i == 2) { /* a dense matrix that is not FP8 */
            ckpt_reshape(ck, "layers.1.attn.wq_a.weight", "BF16", 32, 64);
            ckpt_remove(ck, "layers.1.attn.wq_a.scale");
        }
        struct folders f = make_folders(ck);
        run(0, "%s %s -q", f.in, f.native);
        run(0, "%s %s -q --type NATIVE-INT4 --verify", f.in, f.a);
        assert_string_equal(err_text, "");
        struct ggl_gguf *native = open_file(f.native), *g = open_file(f.a);
        int n = compare(native, g), lines = 0;
        for (const char *p = strstr(out_text, "relative RMS error"); p; p = strstr(p + 1, "relative RMS error")) lines++;
        print_message("%d matrices in INT4\n", n);
        assert_true(n > 20);
        assert_int_equal(lines, n);
        assert_int_equal(ggl_gguf_find_tensor(g, "blk.1.attn_output_a.weight")->type, GGL_TYPE_FP8); /* 80 inputs */
        assert_int_equal(ggl_gguf_find_tensor(g, "token_embd.weight")->type, GGL_TYPE_BF16);
        ggl_gguf_free(native);
        ggl_gguf_free(g);
        remove_folders(&f);
    }
}

static void one_file_whatever_the_way(void **state)
{
    (void)state;
    struct folders f = make_folders(usual());
    struct stat st;
    char expected[64];
    run(0, "%s %s --type native-int4 -q --threads 1", f.in, f.a);
    for (int threads = 2; threads <= 5; threads++) {
        run(0, "%s %s --type native-int4 -q -f --threads %d", f.in, f.b, threads);
        assert_true(same_files(&f, "a.gguf", "b.gguf"));
    }
    run(0, "%s %s -q", f.in, f.native);
    run(0, "%s %s -q -f --type native-int4 --verify", f.native, f.b);
    assert_true(same_files(&f, "a.gguf", "b.gguf"));
    run(0, "%s %s -q -f --verify", f.a, f.b); /* a copy, and INT4 once more changes nothing */
    assert_true(same_files(&f, "a.gguf", "b.gguf"));
    run(0, "%s %s -q -f --verify --type native-int4", f.a, f.b);
    assert_true(same_files(&f, "a.gguf", "b.gguf"));

    assert_int_equal(stat(f.a, &st), 0);
    snprintf(expected, sizeof(expected), "a.gguf: %lld bytes", (long long)st.st_size);
    run(0, "%s %s --type native-int4 --dry-run", f.in, f.a);
    if (!strstr(out_text, expected)) fail_msg("the plan does not say \"%s\"", expected);
    assert_non_null(strstr(out_text, "INT4 codes, rounded from FP8"));
    run(0, "%s %s --type native-int4 --dry-run", f.native, f.a);
    if (!strstr(out_text, expected)) fail_msg("the plan does not say \"%s\"", expected);

    /* Split, without the prediction block, and back again. */
    run(0, "%s %s/s.gguf -q --type native-int4 --verify --no-mtp --split-max-size 300K", f.in, f.out);
    run(0, "%s %s -q -f --no-mtp", f.native, f.b);
    run(0, "%s %s/t.gguf -q --type native-int4", f.b, f.out);
    run(0, "%s/s-00001-of-0000*.gguf %s -q -f", f.out, f.b);
    assert_true(same_files(&f, "b.gguf", "t.gguf"));
    remove_folders(&f);
}

/* ---- refusals */

static void verify_notices(void **state)
{
    (void)state;
    struct folders f = make_folders(ckpt_new(&(struct ckpt_options){.mtp = 1}));
    size_t n;
    run(0, "%s %s --type native-int4 -q", f.in, f.a);
    struct ggl_gguf *g = open_file(f.a);
    uint8_t *data = ckpt_read_file(f.out, "a.gguf", &n);
    bool hashes = ggl_gguf_find_kv(g, "ggl.tensor.xxh3") != NULL;
    for (uint64_t i = 0; i < ggl_gguf_n_tensors(g); i++) {
        const struct ggl_tensor *t = ggl_gguf_tensor(g, i);
        uint32_t part;
        uint64_t at;
        ggl_gguf_tensor_location(g, i, &part, &at);
        if (i % 2) at += ggl_gguf_tensor_bytes(t) - 1;
        if (t->type != GGL_TYPE_INT4 && !hashes) continue;
        data[at] ^= 8;
        ckpt_write_file(f.out, "a.gguf", data, n);
        run(65, "%s %s --type native-int4 -q --verify", f.in, f.a);
        data[at] ^= 8;
        if (t->type == GGL_TYPE_INT4) says("slice"); /* by its value, not by its hash */
        if (t->type == GGL_TYPE_INT4) says(t->name);
    }
    ckpt_write_file(f.out, "a.gguf", data, n);
    run(0, "%s %s --type native-int4 -q --verify", f.in, f.a);
    run(65, "%s %s -q --verify", f.in, f.a); /* it is not the native one */
    free(data);
    ggl_gguf_free(g);
    remove_folders(&f);
}

static void refuses(void **state)
{
    (void)state;
    struct folders f = make_folders(ckpt_new(&(struct ckpt_options){.mtp = 1}));
    run(66, "%s %s --type native-int4 --imatrix x.dat", f.in, f.a);
    says("x.dat: cannot open");
    run(2, "%s %s --type int4", f.in, f.a);
    run(65, "%s/gguf/micro-Q2_K.gguf %s --type native-int4", GGL_TEST_VECTORS, f.a);
    says("deepseek4-native");
    assert_int_equal(access(f.a, F_OK), -1);
    remove_folders(&f);

    /* Numbers that are none, first and last, in FP8 and in BF16. */
    static const char *const names[] = {"layers.1.attn.wq_b.weight", "head.weight"};
    for (int i = 0; i < 4; i++) {
        struct ckpt *ck = ckpt_new(&(struct ckpt_options){.mtp = 1, .wide = true});
        struct ckpt_tensor *t = ckpt_tensor(ck, names[i / 2]);
        uint8_t *at = t->data + (i % 2 ? t->bytes - 2 : 0);
        at[1] = 0x7f; /* BF16: infinity or NaN */
        at[0] = i % 2 ? 0x80 : 0xff;
        f = make_folders(ck);
        run(65, "%s %s --type native-int4 -q", f.in, f.a);
        says(i / 2 ? "output.weight" : "blk.1.attn_q_b.weight");
        says("a finite number");
        says(i == 3 ? "infinity" : "not a number");
        assert_int_equal(access(f.a, F_OK), -1);
        remove_folders(&f);
    }
}

/* ---- the micro model */

enum { MAX_TOKENS = 256 };

struct logits {
    float *rows;
    int64_t n_vocab, n;
};

static void on_logits(void *user, int64_t pos, const float *row, bool draft)
{
    struct logits *l = user;
    if (draft || pos >= l->n) return;
    memcpy(l->rows + pos * l->n_vocab, row, (size_t)l->n_vocab * sizeof(float));
}

static int64_t read_tokens(const char *path, int32_t ids[MAX_TOKENS])
{
    FILE *f = fopen(path, "r");
    int64_t n = 0;
    assert_non_null(f);
    while (n < MAX_TOKENS && fscanf(f, "%d", &ids[n]) == 1) n++;
    fclose(f);
    return n;
}

static struct logits evaluate(const char *path, enum ggl_precision precision)
{
    int32_t ids[MAX_TOKENS];
    struct logits l = {.n = read_tokens(GGL_TEST_VECTORS "/model/micro/tokens.txt", ids)};
    struct ggl_model_params mp = ggl_model_defaults();
    struct ggl_session_params sp = ggl_session_defaults();
    struct ggl_model *m;
    struct ggl_session *s;
    mp.precision = precision;
    mp.n_threads = 2;
    sp.n_ctx = (int32_t)l.n;
    assert_int_equal(ggl_model_load(path, &mp, &m, NULL), GGL_OK);
    l.n_vocab = ggl_model_n_vocab(m);
    l.rows = calloc((size_t)(l.n * l.n_vocab), sizeof(float));
    assert_non_null(l.rows);
    assert_int_equal(ggl_session_new(m, &sp, &s, NULL), GGL_OK);
    ggl_session_set_logits_fn(s, on_logits, &l);
    assert_int_equal(ggl_session_eval(s, ids, l.n, NULL), GGL_OK);
    ggl_session_free(s);
    ggl_model_free(m);
    return l;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Normalised squared error over everything; *median: of the rows. */
static double nmse(const struct logits *a, const struct logits *b, double *median)
{
    double rows[MAX_TOKENS], error = 0, power = 0;
    for (int64_t t = 0; t < a->n; t++) {
        double e = 0, p = 0;
        for (int64_t i = t * a->n_vocab; i < (t + 1) * a->n_vocab; i++) {
            e += ((double)a->rows[i] - (double)b->rows[i]) * ((double)a->rows[i] - (double)b->rows[i]);
            p += (double)b->rows[i] * (double)b->rows[i];
        }
        rows[t] = e / p;
        error += e;
        power += p;
    }
    qsort(rows, (size_t)a->n, sizeof(*rows), by_value);
    *median = rows[a->n / 2];
    return error / power;
}

/* The same model with every INT4 matrix as plain floats. */
static void write_as_floats(const struct ggl_gguf *from, const char *path)
{
    struct ggl_gguf *g = ggl_gguf_new();
    struct ggl_gguf_writer *w;
    struct ggl_gguf_write_options o = {.overwrite = true};
    assert_int_equal(ggl_gguf_copy_kv(g, from, "ggl.storage."), GGL_OK);
    for (uint64_t i = 0; i < ggl_gguf_n_tensors(from); i++) {
        const struct ggl_tensor *t = ggl_gguf_tensor(from, i);
        assert_true(t->type != GGL_TYPE_FP8);
        enum ggl_type type = t->type == GGL_TYPE_INT4 ? GGL_TYPE_F32 : t->type;
        assert_int_equal(ggl_gguf_add_tensor(g, t->name, type, t->n_dims, t->ne, NULL), GGL_OK);
    }
    assert_int_equal(ggl_gguf_write_begin(g, path, &o, &w, NULL), GGL_OK);
    for (uint64_t i = 0; i < ggl_gguf_n_tensors(from); i++) {
        const struct ggl_tensor *t = ggl_gguf_tensor(from, i);
        float y[1024];
        if (t->type != GGL_TYPE_INT4) {
            assert_int_equal(ggl_gguf_write_data(w, t->data, (size_t)ggl_gguf_tensor_bytes(t), NULL), GGL_OK);
            continue;
        }
        for (int64_t r = 0; r < t->ne[1]; r++) {
            assert_true(t->ne[0] <= 1024 && ggl_tensor_decode_row(t, 0, r, y));
            assert_int_equal(ggl_gguf_write_data(w, y, (size_t)t->ne[0] * 4, NULL), GGL_OK);
        }
    }
    assert_int_equal(ggl_gguf_write_finish(w, NULL), GGL_OK);
    ggl_gguf_free(g);
}

/* Random weights amplify what rounding does to them: a community Q4_K_M of this model is off by 0.14 (median 0.08). */
static void micro_model(void **state)
{
    (void)state;
    double median, error;
    struct folders f = {.in = ckpt_temp_dir(), .out = ckpt_temp_dir()};
    snprintf(f.native, sizeof(f.native), "%s/native.gguf", f.out);
    snprintf(f.a, sizeof(f.a), "%s/a.gguf", f.out);
    snprintf(f.b, sizeof(f.b), "%s/b.gguf", f.out);
    run(0, "%s/model/micro/checkpoint %s -q", GGL_TEST_VECTORS, f.native);
    run(0, "%s/model/micro/checkpoint %s -q --type native-int4", GGL_TEST_VECTORS, f.a);
    struct ggl_gguf *g = open_file(f.a);
    write_as_floats(g, f.b);
    ggl_gguf_free(g);
    struct logits native = evaluate(f.native, GGL_PRECISION_F32), int4 = evaluate(f.a, GGL_PRECISION_F32);
    struct logits floats = evaluate(f.b, GGL_PRECISION_F32), fast = evaluate(f.a, GGL_PRECISION_FAST);
    assert_memory_equal(int4.rows, floats.rows, (size_t)(int4.n * int4.n_vocab) * sizeof(float));
    error = nmse(&int4, &native, &median);
    print_message("native-int4 against native: NMSE %.4f, median row %.4f\n", error, median);
    assert_true(median < 0.05 && error < 0.15);
    error = nmse(&fast, &int4, &median);
    print_message("native-int4, fast against f32: NMSE %.5f, median row %.6f\n", error, median);
    assert_true(median < 0.002 && error < 0.05);
    free(native.rows);
    free(int4.rows);
    free(floats.rows);
    free(fast.rows);
    remove_folders(&f);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounds_what_it_should), cmocka_unit_test(one_file_whatever_the_way), cmocka_unit_test(verify_notices),
        cmocka_unit_test(refuses),               cmocka_unit_test(micro_model),
    };
    if (!tool_path(argc, argv, "gguf-convert", tool, sizeof(tool))) return 1;
    char *dir = ckpt_temp_dir();
    snprintf(scratch, sizeof(scratch), "%s", dir);
    int failed = cmocka_run_group_tests_name("gguf-convert/int4", tests, NULL, NULL);
    ckpt_remove_dir(dir);
    free(dir);
    return failed;
}

#else

int main(void)
{
    return 0; /* checkpoints are only read by builds with jansson */
}

#endif
