/*
 * Models of full size: memory that does not grow with them, and the complete list of what a file of llama.cpp's must
 * hold, with Flash's 1328 and Pro's 1894 tensors.  The checkpoints are sparse files with true headers.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <cmocka.h>
#include "ggml-lite/src/gguf_internal.h"
#include "gguf-convert/convert.h"
#include "gguf-convert/recipe.h"
#include "support/sparse_ckpt.h"
#include "support/tool_path.h"

#ifdef GGL_HAVE_JANSSON

static char tool[1024], scratch[256], flash_dir[300], pro_dir[300];
static char said[65536];

static int make_checkpoints(void **state)
{
    (void)state;
    struct sparse_model *m = calloc(1, sizeof(*m));
    const char *tmp = getenv("TMPDIR");
    snprintf(scratch, sizeof(scratch), "%s/ggl-full.XXXXXX", tmp ? tmp : "/tmp");
    if (!m || !mkdtemp(scratch)) return -1;
    snprintf(flash_dir, sizeof(flash_dir), "%s/flash", scratch);
    snprintf(pro_dir, sizeof(pro_dir), "%s/pro", scratch);
    if (mkdir(flash_dir, 0700) || mkdir(pro_dir, 0700)) return -1;
    sparse_model(m, false);
    sparse_write(m, flash_dir);
    sparse_model(m, true);
    sparse_write(m, pro_dir);
    free(m);
    return 0;
}

static int remove_checkpoints(void **state)
{
    (void)state;
    char command[400];
    snprintf(command, sizeof(command), "rm -rf '%s'", scratch);
    return system(command);
}

/* ---- memory */

#define MIB 1048576u

/* The exit status of a child; its peak of resident memory in *rss. */
static int wait_for(pid_t pid, uint64_t *rss)
{
    int status;
    struct rusage usage;
    assert_int_equal(wait4(pid, &status, 0, &usage), pid);
    *rss = (uint64_t)usage.ru_maxrss * 1024;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static bool limit_memory(uint64_t bytes)
{
    const struct rlimit space = {bytes, bytes};
    return setrlimit(RLIMIT_AS, &space) == 0;
}

/* The tool with so much address space; what it says in `said`. */
static int run_limited(uint64_t limit, uint64_t *rss, const char *const *args)
{
    char out[300];
    snprintf(out, sizeof(out), "%s/said", scratch);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        int fd = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0 || !limit_memory(limit)) _exit(99);
        execv(tool, (char *const *)(uintptr_t)args);
        _exit(98);
    }
    int status = wait_for(pid, rss);
    FILE *f = fopen(out, "rb");
    assert_non_null(f);
    fseek(f, -(long)sizeof(said) / 2, SEEK_END); /* the end of long output */
    said[fread(said, 1, sizeof(said) - 1, f)] = '\0';
    fclose(f);
    return status;
}

static enum ggl_status nowhere(void *user, const void *data, size_t n, struct ggl_error *e)
{
    (void)data, (void)e;
    *(uint64_t *)user += n;
    return GGL_OK;
}

/* What stands for the rest: every tensor outside the blocks, and of the blocks the first with its id table and one
 * tensor of experts. */
static bool is_sample(const char *name)
{
    if (strncmp(name, "blk.", 4) != 0) return true;
    return strncmp(name, "blk.0.", 6) == 0 && (!strstr(name, "_exps.") || strstr(name, "ffn_down_exps."));
}

static enum ggl_status emit_samples(const struct plan *p, const struct encoders *e, struct ggl_error *err)
{
    struct source *source = source_new(p);
    enum ggl_status s = source ? GGL_OK : GGL_ERR_NOMEM;
    for (uint64_t i = 0; i < p->n_items && !s; i++) {
        uint64_t bytes = 0;
        bool sample = is_sample(ggl_gguf_tensor(p->out, i)->name);
        if (p->items[i].kind > ITEM_INT4) continue;
        uint64_t steps = sample ? steps_count(&p->items[i]) : 0;
        if (steps > 12) steps = 12; /* they are all alike */
        for (uint64_t n = 0; n < steps && !s; n++) {
            struct step step;
            s = source_step(source, i, n, &step, err);
            if (!s) s = emit_step(p, i, &step, e, nowhere, &bytes, err);
            source_done(source, &step);
        }
        if (!s && bytes != (sample ? steps_bytes(&p->items[i], steps) : 0)) s = GGL_ERR_STATE;
    }
    source_free(source);
    return s;
}

/* In a process of its own: plan, and emit samples. */
static int convert_limited(const struct convert_options *o, uint64_t limit)
{
    struct plan p;
    struct ggl_error e = {0};
    struct encoders encoders = {NULL, NULL};
#ifdef __GLIBC__
    mallopt(M_ARENA_MAX, 1); /* as main.c does */
#endif
    if (!limit_memory(limit)) return 99;
    enum ggl_status s = plan_make(o, &p, &e);
    if (!s && p.n_int4) s = int4_new(2, NULL, &encoders.int4, &e);
    if (!s && p.n_encoded) s = rows_new(2, NULL, &encoders.rows, &e);
    if (!s) s = emit_samples(&p, &encoders, &e);
    char line[GGL_ERROR_LINE];
    if (s) fprintf(stderr, "%s\n", ggl_error_line(&e, line, sizeof(line)));
    return s ? 1 : 0;
}

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define HAS_ASAN 1 /* it maps terabytes */
#else
#define HAS_ASAN 0
#endif

/* As --help says. */
static void stays_small(const char *dir, const char *type, uint64_t limit)
{
    uint64_t rss, plan_rss;
    const struct convert_options o = {.input = dir, .output = "x.gguf", .type = type, .int4 = strcmp(type, "native-int4") == 0,
                                      .recipe = recipe_find(type), .threads = 2};
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (!pid) _exit(convert_limited(&o, limit));
    assert_int_equal(wait_for(pid, &rss), 0);
    assert_true(rss < limit);
    const char *const args[] = {tool, dir, "x.gguf", "--dry-run", "-q", "--threads", "2", "--type", type, NULL};
    if (run_limited(limit, &plan_rss, args)) fail_msg("%s: --dry-run: %s", type, said);
    const char *bound = strstr(said, "memory: at most ");
    assert_non_null(bound);
    assert_non_null(strstr(said, "time: about "));
    double mib = strtod(bound + strlen("memory: at most "), NULL);
    print_message("%s, %s: %u MiB, said %.1f\n", dir + strlen(scratch) + 1, type, (unsigned)(rss / MIB), mib);
    assert_true(mib >= (double)rss / MIB);
    assert_true(mib <= (double)limit / MIB);
}

static void memory_is_bounded(void **state)
{
    (void)state;
    if (HAS_ASAN) skip();
    stays_small(flash_dir, "native", 512 * (uint64_t)MIB);
    stays_small(flash_dir, "native-int4", 512 * (uint64_t)MIB);
    stays_small(flash_dir, "MXFP4_MOE", 512 * (uint64_t)MIB);
    stays_small(pro_dir, "native", 768 * (uint64_t)MIB);
}

/* Nobody waits for hours to hear that the disk is too small. */
static void wants_room_first(void **state)
{
    (void)state;
    char out[300];
    uint64_t rss;
    struct statvfs fs;
    if (HAS_ASAN || statvfs(scratch, &fs) || (uint64_t)fs.f_bavail * fs.f_frsize > 850000000000u) skip();
    snprintf(out, sizeof(out), "%s/x.gguf", scratch);
    const char *const args[] = {tool, pro_dir, out, "-q", NULL};
    assert_int_equal(run_limited(768 * (uint64_t)MIB, &rss, args), 74);
    assert_non_null(strstr(said, "not enough room on the disk: 85"));
    assert_non_null(strstr(said, " bytes needed, "));
    assert_int_equal(access(out, F_OK), -1);
    strcat(out, ".journal");
    assert_int_equal(access(out, F_OK), -1);
}

/* ---- the complete list */

static int layer_of(const char *name)
{
    return strncmp(name, "blk.", 4) == 0 ? atoi(name + 4) : -1;
}

/* What belongs to no block first, then block by block, by name. */
static int in_order(const void *a, const void *b)
{
    const struct sparse_tensor *x = a, *y = b;
    int i = layer_of(x->name), k = layer_of(y->name);
    return i != k ? (i < k ? -1 : 1) : strcmp(x->name, y->name);
}

/* Of n blocks the ones whose down matrices Q4_K_M gives more bits: the first and last eighth and every third between. */
static bool has_more_bits(int block, int n)
{
    return block < n / 8 || block >= 7 * n / 8 || (block - n / 8) % 3 == 2;
}

static enum ggl_type rounded_type(const struct sparse_tensor *t, const char *recipe, int n_blocks)
{
    if (strcmp(recipe, "Q4_K_M") != 0) return t->kind == SPARSE_FP4 && strcmp(recipe, "Q8_0") != 0 ? GGL_TYPE_MXFP4 : GGL_TYPE_Q8_0;
    if (strcmp(t->name, "output.weight") == 0) return GGL_TYPE_Q6_K;
    return strstr(t->name, "ffn_down_") && has_more_bits(layer_of(t->name), n_blocks) ? GGL_TYPE_Q6_K : GGL_TYPE_Q4_K;
}

static enum ggl_type expected_type(const struct sparse_tensor *t, const char *recipe, int n_blocks)
{
    const bool compat = strcmp(recipe, "compat") == 0;
    if (t->kind == SPARSE_IDS) return GGL_TYPE_I32;
    if (!compat && t->n_dims > 1 && !strstr(t->name, "ffn_gate_inp.")) return rounded_type(t, recipe, n_blocks);
    if (t->kind == SPARSE_FP4) return GGL_TYPE_MXFP4;
    return t->kind != SPARSE_F32 && compat && t->n_dims > 1 ? GGL_TYPE_BF16 : GGL_TYPE_F32;
}

/* The file's header as it will be, in front of a hole. */
static struct ggl_gguf *write_header(const struct plan *p)
{
    struct ggl_gguf_layout layout;
    struct ggl_output *o;
    struct ggl_error e;
    struct ggl_gguf *g;
    char path[300];
    uint64_t hashes;
    const struct ggl_gguf_options header_only = {.header_only = true};
    snprintf(path, sizeof(path), "%s/header.gguf", scratch);
    assert_int_equal(ggl_gguf_layout_init(&layout, p->out, NULL, &e), GGL_OK);
    assert_int_equal(ggl_output_open(path, true, &o, &e), GGL_OK);
    assert_int_equal(ggl_gguf_layout_header(&layout, 0, o, &hashes, &e), GGL_OK);
    assert_int_equal(ggl_output_finish(o, &e), GGL_OK);
    assert_int_equal(truncate(path, (off_t)layout.bytes), 0);
    ggl_gguf_layout_deinit(&layout);
    if (ggl_gguf_open(path, &header_only, &g, &e)) fail_msg("%s: %s", e.what, e.found);
    return g;
}

struct totals {
    int f32, bf16, i32, mxfp4, q8_0, q6_k, q4_k;
    uint64_t bytes; /* with an alignment of 32; 0: not published */
};

static void compare_tensors(struct sparse_model *m, const struct ggl_gguf *g, const char *recipe, bool pro,
                            const struct totals *want)
{
    struct totals is = {0};
    uint64_t next = 0;
    qsort(m->tensors, (size_t)m->n_tensors, sizeof(m->tensors[0]), in_order);
    assert_int_equal(ggl_gguf_n_tensors(g), m->n_tensors);
    for (int i = 0; i < m->n_tensors; i++) {
        const struct ggl_tensor *t = ggl_gguf_tensor(g, (uint64_t)i);
        const uint64_t bytes = ggl_gguf_tensor_bytes(t);
        uint32_t part;
        uint64_t offset;
        assert_string_equal(t->name, m->tensors[i].name);
        if (t->type != expected_type(&m->tensors[i], recipe, pro ? 61 : 43)) fail_msg("%s: type %d", t->name, (int)t->type);
        for (int d = 0; d < 3; d++) assert_int_equal(t->ne[d], m->tensors[i].ne[d]);
        assert_int_equal(t->n_dims, m->tensors[i].n_dims);
        ggl_gguf_tensor_location(g, (uint64_t)i, &part, &offset);
        if (i) assert_int_equal(offset, next); /* no gaps: llama.cpp insists */
        assert_int_equal(offset % 4096, 0);
        next = (offset + bytes + 4095) / 4096 * 4096;
        is.bytes += (bytes + 31) / 32 * 32;
        is.f32 += t->type == GGL_TYPE_F32;
        is.bf16 += t->type == GGL_TYPE_BF16;
        is.q8_0 += t->type == GGL_TYPE_Q8_0;
        is.i32 += t->type == GGL_TYPE_I32;
        is.mxfp4 += t->type == GGL_TYPE_MXFP4;
        is.q6_k += t->type == GGL_TYPE_Q6_K;
        is.q4_k += t->type == GGL_TYPE_Q4_K;
    }
    assert_int_equal(is.f32, want->f32);
    assert_int_equal(is.bf16, want->bf16);
    assert_int_equal(is.q8_0, want->q8_0);
    assert_int_equal(is.i32, want->i32);
    assert_int_equal(is.mxfp4, want->mxfp4);
    assert_int_equal(is.q6_k, want->q6_k);
    assert_int_equal(is.q4_k, want->q4_k);
    if (want->bytes) assert_int_equal(is.bytes, want->bytes);
}

static void compare_keys(const struct ggl_gguf *g, bool pro, bool compat, double file_type)
{
    const struct {
        const char *key;
        enum ggl_kv_type type, elem;
        double flash, pro; /* of numbers; of arrays: how many */
        const char *text;
    } keys[] = {
        {"general.architecture", GGL_KV_STR, GGL_KV_STR, 0, 0, "deepseek4"},
        {"general.type", GGL_KV_STR, GGL_KV_STR, 0, 0, "model"},
        {"general.name", GGL_KV_STR, GGL_KV_STR, 0, 0, "deepseek_v4"},
        {"general.alignment", GGL_KV_U32, GGL_KV_U32, 4096, 4096, NULL},
        {"general.quantization_version", GGL_KV_U32, GGL_KV_U32, 2, 2, NULL},
        {"general.file_type", GGL_KV_U32, GGL_KV_U32, file_type, file_type, NULL},
        {"deepseek4.block_count", GGL_KV_U32, GGL_KV_U32, 43, 61, NULL},
        {"deepseek4.context_length", GGL_KV_U32, GGL_KV_U32, 1048576, 1048576, NULL},
        {"deepseek4.embedding_length", GGL_KV_U32, GGL_KV_U32, 4096, 7168, NULL},
        {"deepseek4.embedding_length_out", GGL_KV_U32, GGL_KV_U32, 16384, 28672, NULL},
        {"deepseek4.attention.head_count", GGL_KV_U32, GGL_KV_U32, 64, 128, NULL},
        {"deepseek4.attention.head_count_kv", GGL_KV_U32, GGL_KV_U32, 1, 1, NULL},
        {"deepseek4.attention.key_length", GGL_KV_U32, GGL_KV_U32, 512, 512, NULL},
        {"deepseek4.attention.value_length", GGL_KV_U32, GGL_KV_U32, 512, 512, NULL},
        {"deepseek4.rope.dimension_count", GGL_KV_U32, GGL_KV_U32, 64, 64, NULL},
        {"deepseek4.rope.freq_base", GGL_KV_F32, GGL_KV_F32, 10000, 10000, NULL},
        {"deepseek4.rope.scaling.type", GGL_KV_STR, GGL_KV_STR, 0, 0, "yarn"},
        {"deepseek4.rope.scaling.factor", GGL_KV_F32, GGL_KV_F32, 16, 16, NULL},
        {"deepseek4.rope.scaling.original_context_length", GGL_KV_U32, GGL_KV_U32, 65536, 65536, NULL},
        {"deepseek4.rope.scaling.yarn_beta_fast", GGL_KV_F32, GGL_KV_F32, 32, 32, NULL},
        {"deepseek4.rope.scaling.yarn_beta_slow", GGL_KV_F32, GGL_KV_F32, 1, 1, NULL},
        {"deepseek4.attention.layer_norm_rms_epsilon", GGL_KV_F32, GGL_KV_F32, 1e-6, 1e-6, NULL},
        {"deepseek4.attention.q_lora_rank", GGL_KV_U32, GGL_KV_U32, 1024, 1536, NULL},
        {"deepseek4.attention.sliding_window", GGL_KV_U32, GGL_KV_U32, 128, 128, NULL},
        {"deepseek4.attention.indexer.head_count", GGL_KV_U32, GGL_KV_U32, 64, 64, NULL},
        {"deepseek4.attention.indexer.key_length", GGL_KV_U32, GGL_KV_U32, 128, 128, NULL},
        {"deepseek4.attention.indexer.top_k", GGL_KV_U32, GGL_KV_U32, 512, 1024, NULL},
        {"deepseek4.attention.output_group_count", GGL_KV_U32, GGL_KV_U32, 8, 16, NULL},
        {"deepseek4.attention.output_lora_rank", GGL_KV_U32, GGL_KV_U32, 1024, 1024, NULL},
        {"deepseek4.attention.compress_ratios", GGL_KV_ARR, GGL_KV_I32, 43, 61, NULL},
        {"deepseek4.attention.compress_rope_freq_base", GGL_KV_F32, GGL_KV_F32, 160000, 160000, NULL},
        {"deepseek4.hyper_connection.count", GGL_KV_U32, GGL_KV_U32, 4, 4, NULL},
        {"deepseek4.hyper_connection.sinkhorn_iterations", GGL_KV_U32, GGL_KV_U32, 20, 20, NULL},
        {"deepseek4.hyper_connection.epsilon", GGL_KV_F32, GGL_KV_F32, 1e-6, 1e-6, NULL},
        {"deepseek4.hash_layer_count", GGL_KV_U32, GGL_KV_U32, 3, 3, NULL},
        {"deepseek4.expert_count", GGL_KV_U32, GGL_KV_U32, 256, 384, NULL},
        {"deepseek4.expert_used_count", GGL_KV_U32, GGL_KV_U32, 6, 6, NULL},
        {"deepseek4.expert_shared_count", GGL_KV_U32, GGL_KV_U32, 1, 1, NULL},
        {"deepseek4.expert_feed_forward_length", GGL_KV_U32, GGL_KV_U32, 2048, 3072, NULL},
        {"deepseek4.expert_weights_scale", GGL_KV_F32, GGL_KV_F32, 1.5, 2.5, NULL},
        {"deepseek4.expert_weights_norm", GGL_KV_BOOL, GGL_KV_BOOL, 1, 1, NULL},
        {"deepseek4.expert_gating_func", GGL_KV_U32, GGL_KV_U32, 4, 4, NULL},
        {"deepseek4.swiglu_clamp_exp", GGL_KV_ARR, GGL_KV_F32, 43, 61, NULL},
        {"deepseek4.swiglu_clamp_shexp", GGL_KV_ARR, GGL_KV_F32, 43, 61, NULL},
        {"deepseek4.vocab_size", GGL_KV_U32, GGL_KV_U32, 129280, 129280, NULL},
        {"deepseek4.feed_forward_length", GGL_KV_U32, GGL_KV_U32, 2048, 3072, NULL}, /* the last: not in compat */
    };
    const size_t n = sizeof(keys) / sizeof(keys[0]) - compat;
    uint64_t others = 0;
    for (size_t i = 0; i < n; i++) {
        const struct ggl_kv *kv = ggl_gguf_find_kv(g, keys[i].key);
        const double want = pro ? keys[i].pro : keys[i].flash;
        uint32_t u;
        float f = 0;
        if (!kv || kv->type != keys[i].type || kv->elem != keys[i].elem) fail_msg("%s: missing, or its type", keys[i].key);
        if (kv->type == GGL_KV_STR) assert_string_equal(kv->str[0].data, keys[i].text);
        else if (kv->type == GGL_KV_ARR) assert_int_equal(kv->n, want);
        else if (kv->type == GGL_KV_BOOL) assert_int_equal(*(const uint8_t *)kv->data, want);
        else if (kv->type == GGL_KV_F32) memcpy(&f, kv->data, 4), assert_true(f == (float)want);
        else memcpy(&u, kv->data, 4), assert_int_equal(u, want);
    }
    for (uint64_t i = 0; i < ggl_gguf_n_kv(g); i++) {
        const char *key = ggl_gguf_kv(g, i)->key;
        bool ours = strncmp(key, "ggl.", 4) == 0, tokens = strncmp(key, "tokenizer.", 10) == 0;
        if (strncmp(key, "ggl.storage.", 12) == 0) fail_msg("%s", key);
        bool named = ours || tokens;
        for (size_t k = 0; k < n && !named; k++) named = strcmp(key, keys[k].key) == 0;
        if (!named) fail_msg("%s: a key too many", key);
        others += ours || tokens;
    }
    assert_int_equal(ggl_gguf_n_kv(g), n + others);
}

static void check_list(bool pro, const char *type, double file_type, const struct totals *want)
{
    struct sparse_model *m = calloc(1, sizeof(*m));
    struct plan p;
    struct ggl_error e = {0};
    const struct convert_options o = {.input = pro ? pro_dir : flash_dir, .output = "x.gguf", .type = type,
                                      .recipe = recipe_find(type)};
    assert_non_null(m);
    sparse_model(m, pro);
    if (plan_make(&o, &p, &e)) fail_msg("%s: found %s, expected %s", e.what, e.found, e.expected);
    struct ggl_gguf *g = write_header(&p);
    compare_tensors(m, g, type, pro, want);
    compare_keys(g, pro, recipe_is_lossless(o.recipe), file_type);
    ggl_gguf_free(g);
    plan_free(&p);
    free(m);
}

static void has_every_tensor(void **state)
{
    (void)state;
    check_list(false, "compat", 38, &(struct totals){.f32 = 641, .bf16 = 190 + 365, .i32 = 3, .mxfp4 = 129, .bytes = 161864271936u});
    check_list(true, "compat", 38, &(struct totals){.f32 = 915, .bf16 = 275 + 518, .i32 = 3, .mxfp4 = 183, .bytes = 873440218944u});
    check_list(false, "MXFP4_MOE", 38, &(struct totals){.f32 = 535, .i32 = 3, .mxfp4 = 129, .q8_0 = 661});
    check_list(true, "MXFP4_MOE", 38, &(struct totals){.f32 = 762, .i32 = 3, .mxfp4 = 183, .q8_0 = 946});
    check_list(false, "Q8_0", 7, &(struct totals){.f32 = 535, .i32 = 3, .q8_0 = 661 + 129});
    check_list(true, "Q8_0", 7, &(struct totals){.f32 = 762, .i32 = 3, .q8_0 = 946 + 183});
    /* More bits: the head, and both down matrices of 21 blocks of 43, of 30 of 61. */
    check_list(false, "Q4_K_M", 15, &(struct totals){.f32 = 535, .i32 = 3, .q6_k = 1 + 42, .q4_k = 661 + 129 - 43});
    check_list(true, "Q4_K_M", 15, &(struct totals){.f32 = 762, .i32 = 3, .q6_k = 1 + 60, .q4_k = 946 + 183 - 61});
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_bounded), /* first: it measures processes that begin as copies of this one */
        cmocka_unit_test(wants_room_first),
        cmocka_unit_test(has_every_tensor),
    };
    if (!tool_path(argc, argv, "gguf-convert", tool, sizeof(tool))) return 1;
    return cmocka_run_group_tests_name("gguf-convert/full_size", tests, make_checkpoints, remove_checkpoints);
}

#else

int main(void)
{
    return 0; /* checkpoints are only read by builds with jansson */
}

#endif
