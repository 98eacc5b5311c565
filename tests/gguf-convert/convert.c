/*
 * The tool gguf-convert from outside: what it writes is compared with the checkpoint by other means than its own
 * --verify, and everything that it must refuse, it refuses without leaving a file.
 */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "gguf-convert/checkpoint.h"
#include "support/ckpt_builder.h"
#include "support/tool_path.h"

#ifdef GGL_HAVE_JANSSON

static char tool[1024];
static char out_text[65536], err_text[4096]; /* of the last run */

/* ---- running it */

static void slurp(const char *path, char *buf, size_t cap)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    buf[fread(buf, 1, cap - 1, f)] = '\0';
    fclose(f);
}

static void start(const char *dir, const char *const *args, int err_fd)
{
    const char *argv[16] = {tool};
    char path[700];
    for (int i = 0; args[i]; i++) argv[i + 1] = args[i];
    snprintf(path, sizeof(path), "%s/stdout", dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    snprintf(path, sizeof(path), "%s/stderr", dir);
    if (err_fd < 0) err_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || err_fd < 0 || dup2(fd, 1) < 0 || dup2(err_fd, 2) < 0) _exit(99);
    execv(tool, (char *const *)argv);
    _exit(98);
}

/* The exit status of the tool; scratch is a folder for what it says. */
static int run(const char *scratch, ...)
{
    const char *args[15] = {0};
    char path[700];
    va_list list;
    va_start(list, scratch);
    for (int i = 0; i < 14 && (args[i] = va_arg(list, const char *)); i++) continue;
    va_end(list);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (!pid) start(scratch, args, -1);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    snprintf(path, sizeof(path), "%s/stdout", scratch);
    slurp(path, out_text, sizeof(out_text));
    snprintf(path, sizeof(path), "%s/stderr", scratch);
    slurp(path, err_text, sizeof(err_text));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

#define RUN(code, ...) \
    do { \
        int code_ = run(scratch, __VA_ARGS__, NULL); \
        if (code_ != (code)) fail_msg("exit status %d, expected %d: %s", code_, (code), err_text); \
    } while (0)

static void says(const char *text)
{
    if (!strstr(err_text, text)) fail_msg("\"%s\" does not say \"%s\"", err_text, text);
}

static int count_files(const char *dir)
{
    DIR *d = opendir(dir);
    int n = 0;
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static bool same_files(const char *dir, const char *a, const char *b)
{
    size_t n, m;
    uint8_t *x = ckpt_read_file(dir, a, &n), *y = ckpt_read_file(dir, b, &m);
    bool same = n == m && memcmp(x, y, n) == 0;
    free(x);
    free(y);
    return same;
}

/* ---- comparing */

static void compare_values(const struct ggl_tensor *a, const struct ggl_tensor *b)
{
    float x[512], y[512];
    assert_true(a->ne[0] <= 512);
    for (int64_t s = 0; s < a->ne[2]; s++) {
        for (int64_t r = 0; r < a->ne[1]; r++) {
            if (!ggl_tensor_decode_row(a, s, r, x) || !ggl_tensor_decode_row(b, s, r, y)) fail_msg("%s", a->name);
            for (int64_t i = 0; i < a->ne[0]; i++) {
                if (x[i] != y[i]) fail_msg("%s: slice %d, row %d, element %d", a->name, (int)s, (int)r, (int)i);
            }
        }
    }
}

static void compare_ids(const struct ggl_tensor *a, const struct ggl_tensor *b)
{
    for (int64_t i = 0; i < a->ne[0] * a->ne[1]; i++) {
        int64_t x;
        int32_t y;
        memcpy(&x, a->data + 8 * i, 8);
        memcpy(&y, b->data + 4 * i, 4);
        assert_int_equal(x, y);
    }
}

static void compare_tensor(const struct ggl_tensor *a, const struct ggl_tensor *b)
{
    if (!b) fail_msg("%s is missing", a->name);
    if (memcmp(a->ne, b->ne, sizeof(a->ne)) != 0) fail_msg("%s: shape", a->name);
    if (a->type == GGL_TYPE_FP4) {
        assert_int_equal(b->type, GGL_TYPE_MXFP4);
        compare_values(a, b);
        return;
    }
    if (a->type == GGL_TYPE_I64) {
        assert_int_equal(b->type, GGL_TYPE_I32);
        compare_ids(a, b);
        return;
    }
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->scale_type, b->scale_type);
    for (int64_t s = 0; s < a->ne[2]; s++) {
        assert_memory_equal(ggl_tensor_slice(a, s), ggl_tensor_slice(b, s), a->slice_bytes);
        if (a->scale_type == GGL_SCALE_NONE) continue;
        assert_memory_equal(ggl_tensor_scale_slice(a, s), ggl_tensor_scale_slice(b, s), a->scale_slice_bytes);
    }
}

static bool is_mtp(const char *name)
{
    return strncmp(name, "blk.", 4) == 0 && name[4] >= '3';
}

/* The file holds the checkpoint: all of it, or all but its prediction blocks. */
static void compare(const char *dir, const char *file, bool mtp)
{
    struct ggl_checkpoint *c;
    struct ggl_gguf *g;
    struct ggl_error err;
    char line[GGL_ERROR_LINE];
    uint64_t n = 0;
    if (ggl_checkpoint_open(dir, &c, &err)) fail_msg("%s", ggl_error_line(&err, line, sizeof(line)));
    if (ggl_gguf_open(file, NULL, &g, &err)) fail_msg("%s", ggl_error_line(&err, line, sizeof(line)));
    for (uint64_t i = 0; i < ggl_checkpoint_n_tensors(c); i++) {
        const struct ggl_tensor *t = ggl_checkpoint_tensor(c, i);
        if (!mtp && is_mtp(t->name)) continue;
        compare_tensor(t, ggl_gguf_find_tensor(g, t->name));
        n += t->type == GGL_TYPE_FP8 ? 2 : 1;
    }
    assert_int_equal(ggl_gguf_n_tensors(g), n);
    const struct ggl_gguf *meta = ggl_checkpoint_meta(c);
    for (uint64_t i = 0; i < ggl_gguf_n_kv(meta); i++) {
        const struct ggl_kv *a = ggl_gguf_kv(meta, i), *b = ggl_gguf_find_kv(g, a->key);
        if (!mtp) continue;
        if (!b || a->type != b->type || a->n != b->n) fail_msg("%s", a->key);
    }
    assert_int_equal(ggl_gguf_alignment(g), 4096);
    ggl_gguf_free(g);
    ggl_checkpoint_free(c);
}

/* ---- the tests */

struct folders {
    char *in, *out, *scratch;
    char a[700], b[700]; /* out/a.gguf, out/b.gguf */
};

static struct folders make_folders(struct ckpt *ck)
{
    struct folders f = {ckpt_temp_dir(), ckpt_temp_dir(), ckpt_temp_dir(), "", ""};
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
    ckpt_remove_dir(f->scratch);
    free(f->in);
    free(f->out);
    free(f->scratch);
}

static struct ckpt *usual(void)
{
    struct ckpt *ck = ckpt_new(&(struct ckpt_options){.mtp = 1, .shards = 3});
    ck->tokenizer = ckpt_tokenizer_text();
    return ck;
}

static void converts_every_kind(void **state)
{
    (void)state;
    static const struct ckpt_options kinds[] = {
        {.mtp = 1}, {.shards = 3}, {.dspark = 3}, {.experts = CKPT_FP8_E8M0, .mtp = 1}, {.experts = CKPT_FP8_F32},
        {.no_index = true, .mtp = 2}, {.wide = true},
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct ckpt *ck = ckpt_new(&kinds[i]);
        if (i % 2) ck->tokenizer = ckpt_tokenizer_text();
        if (i == 1) { /* dense matrices that are not FP8, ids that are I32 */
            ckpt_reshape(ck, "layers.1.attn.wo_a.weight", "BF16", 32, 80);
            ckpt_remove(ck, "layers.1.attn.wo_a.scale");
        }
        struct folders f = make_folders(ck);
        const char *scratch = f.scratch;
        RUN(0, f.in, f.a, "--verify", "--quiet");
        assert_string_equal(err_text, "");
        compare(f.in, f.a, true);
        RUN(0, f.in, f.b, "-q", "--no-mtp", "--verify");
        compare(f.in, f.b, false);
        assert_int_equal(count_files(f.out), 2);
        remove_folders(&f);
    }
}

static void repeats_itself(void **state)
{
    (void)state;
    struct folders f = make_folders(usual()), other = make_folders(usual());
    const char *scratch = f.scratch;
    RUN(0, f.in, f.a, "-q");
    RUN(0, other.in, f.b, "-q", "--threads", "3"); /* the same content in another folder */
    assert_true(same_files(f.out, "a.gguf", "b.gguf"));
    RUN(0, f.a, f.b, "-q", "--force", "--verify"); /* a copy of a native file */
    assert_true(same_files(f.out, "a.gguf", "b.gguf"));
    remove_folders(&other);
    remove_folders(&f);
}

static void splits_and_merges(void **state)
{
    (void)state;
    struct folders f = make_folders(usual());
    const char *scratch = f.scratch;
    char first[700], merged[700];
    snprintf(merged, sizeof(merged), "%s/merged.gguf", f.out);
    RUN(0, f.in, f.a, "-q");
    RUN(0, f.in, f.b, "-q", "--verify", "--split-max-size", "256K");
    int parts = count_files(f.out) - 1;
    assert_true(parts > 2);
    snprintf(first, sizeof(first), "%s/b-00001-of-%05d.gguf", f.out, parts);
    for (int i = 1; i <= parts; i++) {
        char part[700];
        struct stat st;
        snprintf(part, sizeof(part), "%s/b-%05d-of-%05d.gguf", f.out, i, parts);
        assert_int_equal(stat(part, &st), 0);
        assert_true(st.st_size <= 256 * 1024);
    }
    compare(f.in, first, true);
    RUN(73, f.in, f.b, "-q", "--split-max-size", "256K");
    RUN(0, f.in, f.b, "-q", "--split-max-size", "256K", "--verify"); /* only compares */
    RUN(2, first, f.b, "-q", "--split-max-size", "256K", "--force"); /* onto its own parts */
    says("the output is the input");
    RUN(0, first, merged, "-q", "--verify");
    assert_true(same_files(f.out, "a.gguf", "merged.gguf"));
    remove_folders(&f);
}

static void drops_prediction_blocks(void **state)
{
    (void)state;
    struct ggl_gguf *g;
    uint32_t v = 99;
    struct folders f = make_folders(ckpt_new(&(struct ckpt_options){.dspark = 3}));
    const char *scratch = f.scratch;
    char c[700];
    snprintf(c, sizeof(c), "%s/c.gguf", f.out);
    RUN(0, f.in, f.a, "-q");
    RUN(0, f.in, f.b, "-q", "--no-mtp");
    RUN(0, f.a, c, "-q", "--no-mtp", "--verify");
    assert_true(same_files(f.out, "b.gguf", "c.gguf")); /* now or later makes no difference */
    assert_int_equal(ggl_gguf_open(f.b, NULL, &g, NULL), GGL_OK);
    assert_int_equal(ggl_gguf_get_u32(g, "deepseek4-native.block_count", 0, 99, &v, NULL), GGL_OK);
    assert_int_equal(v, 3);
    assert_int_equal(ggl_gguf_get_u32(g, "deepseek4-native.nextn_predict_layers", 0, 99, &v, NULL), GGL_OK);
    assert_int_equal(v, 0);
    assert_int_equal(ggl_gguf_find_kv(g, "deepseek4-native.attention.compress_ratios")->n, 3);
    assert_int_equal(ggl_gguf_find_kv(g, "deepseek4-native.swiglu_clamp_exp")->n, 3);
    assert_null(ggl_gguf_find_kv(g, "deepseek4-native.dspark.block_size"));
    assert_null(ggl_gguf_find_tensor(g, "blk.3.attn_norm.weight"));
    ggl_gguf_free(g);
    remove_folders(&f);
}

static void plans_without_writing(void **state)
{
    (void)state;
    struct folders f = make_folders(usual());
    const char *scratch = f.scratch;
    char expected[64];
    struct stat st;
    RUN(0, f.in, f.a, "--dry-run", "-q");
    assert_int_equal(count_files(f.out), 0);
    char *plan = strdup(out_text);
    RUN(0, f.in, f.a, "-q");
    assert_int_equal(stat(f.a, &st), 0);
    snprintf(expected, sizeof(expected), "a.gguf: %lld bytes", (long long)st.st_size);
    if (!strstr(plan, expected)) fail_msg("the plan does not say \"%s\"", expected);
    assert_non_null(strstr(plan, "blk.1.ffn_gate_exps.weight"));
    assert_non_null(strstr(plan, "{64, 32, 2}"));
    free(plan);
    remove_folders(&f);
}

static void refuses_wrong_use(void **state)
{
    (void)state;
    struct folders f = make_folders(usual());
    const char *scratch = f.scratch;
    char path[800], missing[800];
    snprintf(missing, sizeof(missing), "%s/no/such/folder.gguf", f.out);
    RUN(2, f.in);
    RUN(2, f.in, f.a, f.b);
    RUN(2, f.in, f.a, "--type", "Q4_K_X");
    says("this version writes only native, native-int4, compat, MXFP4_MOE");
    RUN(2, f.in, f.a, "--split-max-size", "100");
    RUN(2, f.in, f.a, "--threads", "-1");
    RUN(2, f.in, "");
    RUN(66, missing, f.a);
    RUN(66, f.scratch, f.a); /* a folder without a checkpoint */
    RUN(73, f.in, missing, "-q");
    RUN(73, f.in, f.out, "-q", "--force");
    snprintf(path, sizeof(path), "%s/config.json", f.in);
    RUN(65, path, f.a); /* no GGUF file */
    assert_int_equal(count_files(f.out), 0);

    RUN(0, f.in, f.a, "-q");
    RUN(73, f.in, f.a, "-q");
    says("--force");
    RUN(0, f.in, f.a, "-q", "--force");
    RUN(0, f.in, f.a, "-q", "--verify");
    assert_int_equal(count_files(f.out), 1);

    /* The output under another name of the input. */
    size_t n, m;
    uint8_t *before = ckpt_read_file(f.out, "a.gguf", &n);
    snprintf(path, sizeof(path), "%s/link.gguf", f.out);
    assert_int_equal(symlink("a.gguf", path), 0);
    RUN(2, f.a, path, "-q", "--force");
    says("the output is the input");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(link(f.a, path), 0);
    RUN(2, f.a, path, "-q", "--force");
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof(path), "%s/../%s/./a.gguf", f.out, strrchr(f.out, '/') + 1);
    RUN(2, f.a, path, "-q", "--force");
    snprintf(path, sizeof(path), "%s/model-00002-of-00003.safetensors", f.in);
    RUN(2, f.in, path, "-q", "--force");
    snprintf(path, sizeof(path), "%s/config.json", f.in);
    RUN(2, f.in, path, "-q", "--force");
    uint8_t *after = ckpt_read_file(f.out, "a.gguf", &m);
    assert_int_equal(n, m);
    assert_memory_equal(before, after, n);
    free(before);
    free(after);
    assert_int_equal(count_files(f.out), 1);
    remove_folders(&f);
}

/* Faults that show before or while the bytes flow: no output, no temporary file. */
static void leaves_nothing_behind(void **state)
{
    (void)state;
    static const char *const names[] = {"layers.1.attn.wq_b.weight", "mtp.0.ffn.shared_experts.w3.weight"};
    for (size_t i = 0; i < 4; i++) {
        struct ckpt *ck = usual();
        struct ckpt_tensor *t = ckpt_tensor(ck, names[i / 2]);
        t->data[i % 2 ? t->bytes - 1 : 0] = i % 2 ? 0xff : 0x7f;
        struct folders f = make_folders(ck);
        const char *scratch = f.scratch;
        RUN(65, f.in, f.a, "-q");
        says(i / 2 ? "blk.3.ffn_up_shexp.weight" : "blk.1.attn_q_b.weight");
        says("not a number");
        assert_int_equal(count_files(f.out), 0);
        remove_folders(&f);
    }
    struct ckpt *ck = usual();
    ckpt_remove(ck, "mtp.0.norm.weight");
    struct folders f = make_folders(ck);
    const char *scratch = f.scratch;
    ckpt_write_file(f.out, "a.gguf", "old", 3);
    RUN(65, f.in, f.a, "-q", "--force");
    size_t n;
    uint8_t *old = ckpt_read_file(f.out, "a.gguf", &n);
    assert_int_equal(n, 3);
    assert_int_equal(count_files(f.out), 1);
    free(old);
    remove_folders(&f);
}

/* --verify sees a changed byte in every tensor, and in the keys. */
static void finds_every_flip(void **state)
{
    (void)state;
    struct folders f = make_folders(usual());
    const char *scratch = f.scratch;
    struct ggl_gguf *g;
    RUN(0, f.in, f.a, "-q");
    assert_int_equal(ggl_gguf_open(f.a, NULL, &g, NULL), GGL_OK);
    size_t n;
    uint8_t *data = ckpt_read_file(f.out, "a.gguf", &n);
    for (uint64_t i = 0; i < ggl_gguf_n_tensors(g); i++) {
        const struct ggl_tensor *t = ggl_gguf_tensor(g, i);
        uint32_t part;
        uint64_t at;
        ggl_gguf_tensor_location(g, i, &part, &at);
        if (i % 2) at += ggl_gguf_tensor_bytes(t) - 1;
        data[at] ^= 1;
        ckpt_write_file(f.out, "a.gguf", data, n);
        RUN(65, f.in, f.a, "-q", "--verify");
        says(t->name);
        says("slice"); /* found by comparing, not by its hash */
        data[at] ^= 1;
    }
    for (size_t at = 24; at < 1000; at += 97) { /* somewhere in the keys */
        data[at] ^= 4;
        ckpt_write_file(f.out, "a.gguf", data, n);
        RUN(65, f.in, f.a, "-q", "--verify");
        data[at] ^= 4;
    }
    ckpt_write_file(f.out, "a.gguf", data, n);
    RUN(0, f.in, f.a, "-q", "--verify");
    free(data);
    ggl_gguf_free(g);
    remove_folders(&f);
}

/* A recipe of llama.cpp: rows that are not whole blocks get F16, numbers that are none are refused. */
static void follows_recipes(void **state)
{
    (void)state;
    struct folders f = make_folders(usual());
    const char *scratch = f.scratch;
    struct ggl_gguf *g;
    int n_f16 = 0;
    RUN(0, f.in, f.a, "-q", "--verify", "--type", "mxfp4_moe");
    assert_int_equal(ggl_gguf_open(f.a, NULL, &g, NULL), GGL_OK);
    for (uint64_t i = 0; i < ggl_gguf_n_tensors(g); i++) {
        const struct ggl_tensor *t = ggl_gguf_tensor(g, i);
        if (t->type == GGL_TYPE_F16) assert_int_not_equal(t->ne[0] % 32, 0);
        n_f16 += t->type == GGL_TYPE_F16;
    }
    assert_true(n_f16 > 2);
    ggl_gguf_free(g);
    remove_folders(&f);

    struct ckpt *ck = usual();
    struct ckpt_tensor *t = ckpt_tensor(ck, "layers.1.attn.wq_b.weight");
    t->data[t->bytes - 1] = 0x7f;
    f = make_folders(ck);
    scratch = f.scratch;
    RUN(65, f.in, f.a, "-q", "--type", "mxfp4_moe");
    says("blk.1.attn_q_b.weight");
    says("not a number");
    assert_int_equal(count_files(f.out), 0);
    remove_folders(&f);
}

/* Disk full, played by a limit on the size of files. */
static void reports_a_full_disk(void **state)
{
    (void)state;
    struct folders f = make_folders(usual());
    char command[4096], path[700];
    snprintf(path, sizeof(path), "%s/err", f.scratch);
    snprintf(command, sizeof(command), "trap '' XFSZ; ulimit -f 64; '%s' '%s' '%s' -q 2>'%s'", tool, f.in, f.a, path);
    int status = system(command);
    slurp(path, err_text, sizeof(err_text));
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 74);
    says("gguf-convert: ");
    assert_int_equal(count_files(f.out), 0);
    remove_folders(&f);
}

/* SIGINT while the tool waits: its warning goes to a pipe that is full. */
static void stops_when_interrupted(void **state)
{
    (void)state;
    static const useconds_t delays[] = {200000, 500000, 1000000, 3000000, 8000000};
    struct folders f = make_folders(ckpt_new(&(struct ckpt_options){.mtp = 1})); /* no tokenizer: a warning */
    const char *const args[] = {f.in, f.a, NULL};
    int status = 0;
    for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
        int fds[2];
        char page[4096] = {0};
        assert_int_equal(pipe(fds), 0);
        assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
        while (write(fds[1], page, sizeof(page)) > 0) continue;
        while (write(fds[1], page, 1) > 0) continue;
        assert_int_equal(fcntl(fds[1], F_SETFL, 0), 0);
        fflush(NULL);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (!pid) {
            close(fds[0]);
            start(f.scratch, args, fds[1]);
        }
        close(fds[1]);
        usleep(delays[i]);
        assert_int_equal(kill(pid, SIGINT), 0);
        usleep(50000);
        close(fds[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status)) break; /* else the signal came before the tool was ready for it */
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 130);
    assert_int_equal(count_files(f.out), 0);
    remove_folders(&f);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(converts_every_kind),
        cmocka_unit_test(repeats_itself),
        cmocka_unit_test(splits_and_merges),
        cmocka_unit_test(drops_prediction_blocks),
        cmocka_unit_test(plans_without_writing),
        cmocka_unit_test(refuses_wrong_use),
        cmocka_unit_test(leaves_nothing_behind),
        cmocka_unit_test(finds_every_flip),
        cmocka_unit_test(follows_recipes),
        cmocka_unit_test(reports_a_full_disk),
        cmocka_unit_test(stops_when_interrupted),
    };
    if (!tool_path(argc, argv, "gguf-convert", tool, sizeof(tool))) return 1;
    return cmocka_run_group_tests_name("gguf-convert/convert", tests, NULL, NULL);
}

#else

int main(void)
{
    return 0; /* checkpoints are only read by builds with jansson */
}

#endif
