/*
 * Checkpoint directories: what is bound to which name, 100 broken ones with the message that each gets, and odd ones
 * that must be accepted.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "gguf-convert/checkpoint.h"
#include "support/ckpt_builder.h"

#ifdef GGL_HAVE_JANSSON

static enum ggl_status open_dir(const char *dir, struct ggl_checkpoint **c, char line[GGL_ERROR_LINE])
{
    struct ggl_error err = {0};
    *c = NULL;
    enum ggl_status s = ggl_checkpoint_open(dir, c, &err);
    ggl_error_line(&err, line, GGL_ERROR_LINE);
    if (s && (err.status != s || *c)) fail_msg("%s: a failure that is half a success (%s)", dir, line);
    return s;
}

static bool is_as_expected(const char *what, const char *dir, enum ggl_status status, const char *message)
{
    struct ggl_checkpoint *c;
    char line[GGL_ERROR_LINE];
    enum ggl_status s = open_dir(dir, &c, line);
    ggl_checkpoint_free(c);
    if (s == status && (!message || strstr(line, message))) return true;
    print_error("%s: status %d, expected %d; \"%s\", expected \"%s\"\n", what, s, status, line, message ? message : "");
    return false;
}

static void expect_dir(const char *what, const char *dir, enum ggl_status status, const char *message)
{
    assert_true(is_as_expected(what, dir, status, message));
}

/* ---- broken and odd checkpoints, one change each */

enum op {
    REMOVE, RENAME, SHAPE, ADD, BYTE, SET, INDEX, TOKENIZER,
    I64_FIRST, I64_LAST, /* a value at the first or last place */
};

struct change {
    enum op op;
    const char *name, *to; /* dtype, new name or text */
    uint64_t d0, d1;       /* shape; byte and value */
    enum ggl_status status;
    const char *message;
};

#define NOT_V4   GGL_ERR_UNSUPPORTED
#define BROKEN   GGL_ERR_FORMAT
#define L0       "layers.0."
#define L1       "layers.1."
#define WEIGHTS  "{\"weight_map\":{\"norm.weight\":"
#define VOCAB(v) "{\"model\":{\"type\":\"BPE\",\"vocab\":" v ",\"merges\":[]}}"
#define ADDED(a) "{\"model\":{\"vocab\":{\"a\":0,\"b\":1},\"merges\":[]},\"added_tokens\":" a "}"
#define MERGES(m) "{\"model\":{\"vocab\":{\"a\":0,\"b\":1},\"merges\":" m "}}"

static const struct change broken[] = {
    /* missing */
    {REMOVE, "embed.weight", NULL, 0, 0, BROKEN, "embed.weight is missing"},
    {REMOVE, "norm.weight", NULL, 0, 0, BROKEN, "norm.weight is missing"},
    {REMOVE, "hc_head_scale", NULL, 0, 0, BROKEN, "hc_head_scale is missing"},
    {REMOVE, L0 "attn.attn_sink", NULL, 0, 0, BROKEN, "layers.0.attn.attn_sink is missing"},
    {REMOVE, L0 "attn.wq_a.weight", NULL, 0, 0, BROKEN, "layers.0.attn.wq_a.weight is missing"},
    {REMOVE, L0 "attn.wq_a.scale", NULL, 0, 0, BROKEN, "layers.0.attn.wq_a.scale is missing"},
    {REMOVE, L0 "ffn.gate.tid2eid", NULL, 0, 0, BROKEN, "tid2eid is missing"},
    {REMOVE, L1 "ffn.gate.bias", NULL, 0, 0, BROKEN, "layers.1.ffn.gate.bias is missing"},
    {REMOVE, L1 "attn.compressor.ape", NULL, 0, 0, BROKEN, "ape is missing"},
    {REMOVE, L1 "attn.indexer.wq_b.scale", NULL, 0, 0, BROKEN, "indexer.wq_b.scale is missing"},
    {REMOVE, "layers.2.attn.compressor.norm.weight", NULL, 0, 0, BROKEN, "norm.weight is missing"},
    {REMOVE, L0 "ffn.experts.0.w1.weight", NULL, 0, 0, BROKEN, "experts.0.w1.weight is missing"},
    {REMOVE, L0 "ffn.experts.1.w2.scale", NULL, 0, 0, BROKEN, "experts.1.w2.scale is missing"},
    {REMOVE, "layers.2.ffn.shared_experts.w3.scale", NULL, 0, 0, BROKEN, "shared_experts.w3.scale is missing"},
    {REMOVE, "mtp.0.e_proj.weight", NULL, 0, 0, BROKEN, "mtp.0.e_proj.weight is missing"},
    {REMOVE, "mtp.0.hc_head_fn", NULL, 0, 0, BROKEN, "mtp.0.hc_head_fn is missing"},
    {REMOVE, "mtp.0.ffn.gate.bias", NULL, 0, 0, BROKEN, "mtp.0.ffn.gate.bias is missing"},
    {SET, "num_hidden_layers", "4", 0, 0, BROKEN, "layers.3.hc_attn_fn is missing"},
    {SET, "n_routed_experts", "3", 0, 0, BROKEN, "ffn.gate.weight: shape"},
    {SET, "num_hash_layers", "2", 0, 0, BROKEN, "layers.1.ffn.gate.tid2eid is missing"},
    {SET, "compress_ratios", "[4, 4, 128]", 0, 0, BROKEN, "layers.0.attn.compressor.wkv.weight is missing"},
    /* more than there should be */
    {ADD, "extra.weight", "BF16", 4, 4, BROKEN, "extra.weight is a tensor that this model does not have"},
    {ADD, "layers.3.attn_norm.weight", "BF16", 64, 0, BROKEN, "layers.3.attn_norm.weight"},
    {ADD, L0 "attn.compressor.ape", "F32", 4, 160, BROKEN, "layers.0.attn.compressor.ape"},
    {ADD, L0 "ffn.experts.2.w1.weight", "I8", 32, 32, BROKEN, "experts.2.w1.weight"},
    {ADD, "mtp.1.norm.weight", "BF16", 64, 0, BROKEN, "mtp.1."},
    {ADD, "mtp.8.norm.weight", "BF16", 64, 0, NOT_V4, "at most 8"},
    {ADD, "norm.scale", "F8_E8M0", 1, 1, BROKEN, "norm.scale"},
    {SET, "num_hidden_layers", "2", 0, 0, BROKEN, "compress_ratios[2] is 128"},
    {SET, "compress_ratios", "[0, 4, 0]", 0, 0, BROKEN, "layers.2.attn.compressor"},
    {SHAPE, L0 "attn.wq_a.weight", "BF16", 32, 64, BROKEN, "layers.0.attn.wq_a.scale is a tensor"},
    /* other architectures, by name */
    {ADD, "model.layers.0.self_attn.q_proj.weight", "BF16", 4, 4, NOT_V4, "transformers"},
    {RENAME, "head.weight", "lm_head.weight", 0, 0, NOT_V4, "transformers"},
    {ADD, "image_newline", "BF16", 4, 0, NOT_V4, "vision"},
    {ADD, "aligner.weight", "BF16", 4, 4, NOT_V4, "vision"},
    {ADD, L1 "ffn.gate.bias_vl", "F32", 2, 0, NOT_V4, "vision"},
    {ADD, L1 "engram.embed.weight", "BF16", 4, 4, NOT_V4, "V4.1"},
    {RENAME, L0 "attn.wq_a.scale", L0 "attn.wq_a.weight_scale_inv", 0, 0, NOT_V4, "another model family"},
    /* shapes */
    {SHAPE, "embed.weight", "BF16", 64, 63, BROKEN, "embed.weight: shape is [64, 63], expected [64, 64]"},
    {SHAPE, "embed.weight", "BF16", 63, 64, BROKEN, "shape is [63, 64]"},
    {SHAPE, "embed.weight", "BF16", 4096, 0, BROKEN, "shape is [4096], expected [64, 64]"},
    {SHAPE, "norm.weight", "BF16", 1, 64, BROKEN, "shape is [1, 64], expected [64]"},
    {SHAPE, "hc_head_scale", "F32", 0, 0, BROKEN, "hc_head_scale: shape"},
    {SHAPE, "hc_head_base", "F32", 3, 0, BROKEN, "hc_head_base: shape"},
    {SHAPE, L0 "attn.wq_a.weight", "F8_E4M3", 64, 32, BROKEN, "wq_a.weight: shape is [64, 32], expected [32, 64]"},
    {SHAPE, L0 "attn.wq_a.scale", "F8_E8M0", 2, 1, BROKEN, "wq_a.scale: shape is [2, 1], expected [1, 1]"},
    {SHAPE, L0 "attn.wq_b.scale", "F8_E8M0", 1, 1, BROKEN, "wq_b.scale: shape is [1, 1], expected [2, 1]"},
    {SHAPE, L0 "attn.wo_a.weight", "F8_E4M3", 32, 160, BROKEN, "wo_a.weight: shape"},
    {SHAPE, L1 "attn.compressor.ape", "F32", 4, 80, BROKEN, "ape: shape is [4, 80], expected [4, 160]"},
    {SHAPE, "layers.2.attn.compressor.ape", "F32", 4, 80, BROKEN, "expected [128, 80]"},
    {SHAPE, L1 "attn.indexer.compressor.wkv.weight", "BF16", 32, 64, BROKEN, "expected [64, 64]"},
    {SHAPE, L0 "ffn.gate.tid2eid", "I64", 63, 2, BROKEN, "tid2eid: shape"},
    {SHAPE, L0 "ffn.gate.tid2eid", "I64", 64, 1, BROKEN, "tid2eid: shape"},
    {SHAPE, L1 "ffn.gate.bias", "F32", 3, 0, BROKEN, "gate.bias: shape"},
    {SHAPE, L0 "ffn.experts.1.w1.weight", "I8", 32, 64, BROKEN, "experts.1.w1.weight: shape"},
    {SHAPE, L0 "ffn.experts.0.w2.weight", "I8", 32, 16, BROKEN, "experts.0.w2.weight: shape"},
    {SHAPE, L0 "ffn.experts.1.w3.scale", "F8_E8M0", 32, 1, BROKEN, "w3.scale: shape is [32, 1], expected [32, 2]"},
    {SHAPE, L0 "ffn.experts.0.w1.scale", "F8_E8M0", 1, 1, BROKEN, "w1.scale: shape"},
    /* dtypes */
    {SHAPE, "norm.weight", "I8", 64, 0, BROKEN, "norm.weight: dtype is I8"},
    {SHAPE, "norm.weight", "F64", 64, 0, NOT_V4, "norm.weight: dtype is F64"},
    {SHAPE, "norm.weight", "F8_E4M3", 64, 0, BROKEN, "norm.weight: dtype"},
    {SHAPE, "hc_head_fn", "BF16", 4, 256, BROKEN, "hc_head_fn: dtype is BF16, expected F32"},
    {SHAPE, "hc_head_fn", "I32", 4, 256, BROKEN, "hc_head_fn: dtype"},
    {SHAPE, L0 "attn.attn_sink", "F16", 2, 0, BROKEN, "attn_sink: dtype"},
    {SHAPE, L0 "attn.wkv.weight", "F8_E5M2", 80, 64, NOT_V4, "wkv.weight: dtype is F8_E5M2"},
    {SHAPE, L0 "attn.wkv.weight", "I8", 80, 64, BROKEN, "wkv.weight: dtype"},
    {SHAPE, L0 "attn.wkv.scale", "BF16", 1, 1, BROKEN, "wkv.scale: dtype is BF16"},
    {SHAPE, L0 "attn.wkv.scale", "I8", 1, 1, BROKEN, "wkv.scale: dtype"},
    {SHAPE, L0 "attn.wkv.scale", "F8_E4M3", 1, 1, BROKEN, "wkv.scale: dtype"},
    {SHAPE, L0 "ffn.gate.tid2eid", "F32", 64, 2, BROKEN, "tid2eid: dtype is F32"},
    {SHAPE, L0 "ffn.gate.tid2eid", "U16", 64, 2, NOT_V4, "tid2eid: dtype is U16"},
    {SHAPE, L0 "ffn.experts.0.w1.weight", "BF16", 32, 32, BROKEN, "experts.0.w1.weight: dtype"},
    {SHAPE, L0 "ffn.experts.1.w1.weight", "F8_E4M3", 32, 64, BROKEN, "the dtype of expert 0"},
    {SHAPE, L0 "ffn.experts.1.w1.scale", "F32", 32, 2, BROKEN, "experts.1.w1.scale: dtype"},
    /* values */
    {I64_FIRST, L0 "ffn.gate.tid2eid", NULL, UINT64_MAX, 0, BROKEN, "expert 0 of token 0 is -1, expected 0 to 1"},
    {I64_FIRST, L0 "ffn.gate.tid2eid", NULL, 2, 0, BROKEN, "expert 0 of token 0 is 2"},
    {I64_LAST, L0 "ffn.gate.tid2eid", NULL, 2, 0, BROKEN, "expert 1 of token 63 is 2"},
    {I64_LAST, L0 "ffn.gate.tid2eid", NULL, UINT64_MAX, 0, BROKEN, "expert 1 of token 63 is -1"},
    {I64_LAST, L0 "ffn.gate.tid2eid", NULL, 4294967296u, 0, BROKEN, "is 4294967296"},
    {I64_LAST, L0 "ffn.gate.tid2eid", NULL, (uint64_t)INT64_MIN, 0, BROKEN, "tid2eid"},
    {BYTE, L0 "attn.wq_b.scale", NULL, 0, 255, BROKEN, "layers.0.attn.wq_b.scale: scale 0 is 255"},
    {BYTE, L0 "attn.wq_b.scale", NULL, 1, 255, BROKEN, "layers.0.attn.wq_b.scale: scale 1 is 255"},
    {BYTE, L0 "ffn.experts.1.w3.scale", NULL, 63, 255, BROKEN, "experts.1.w3.scale: scale 63 is 255"},
    {BYTE, "mtp.0.h_proj.scale", NULL, 0, 255, BROKEN, "mtp.0.h_proj.scale: scale 0 is 255"},
    /* the index */
    {INDEX, "", NULL, 0, 0, BROKEN, "index.json: JSON text"},
    {INDEX, "[]", NULL, 0, 0, BROKEN, "index.json: JSON text"},
    {INDEX, "{}", NULL, 0, 0, BROKEN, "weight_map is missing"},
    {INDEX, "{\"weight_map\":[]}", NULL, 0, 0, BROKEN, "weight_map is an array"},
    {INDEX, "{\"weight_map\":{}}", NULL, 0, 0, BROKEN, "weight_map"},
    {INDEX, "{\"weight_map\":{},\"weight_map\":{}}", NULL, 0, 0, BROKEN, "duplicate"},
    {INDEX, WEIGHTS "1}}", NULL, 0, 0, BROKEN, "weight_map: norm.weight is 1"},
    {INDEX, WEIGHTS "null}}", NULL, 0, 0, BROKEN, "weight_map: norm.weight"},
    {INDEX, WEIGHTS "\"\"}}", NULL, 0, 0, BROKEN, "without a folder"},
    {INDEX, WEIGHTS "\"../model.safetensors\"}}", NULL, 0, 0, BROKEN, "without a folder"},
    {INDEX, WEIGHTS "\"/etc/passwd\"}}", NULL, 0, 0, BROKEN, "without a folder"},
    {INDEX, WEIGHTS "\"/model.safetensors\"}}", NULL, 0, 0, BROKEN, "without a folder"},
    {INDEX, WEIGHTS "\"a/../model.safetensors\"}}", NULL, 0, 0, BROKEN, "without a folder"},
    {INDEX, WEIGHTS "\"./model.safetensors\"}}", NULL, 0, 0, BROKEN, "without a folder"},
    {INDEX, WEIGHTS "\"C:\\\\model.safetensors\"}}", NULL, 0, 0, BROKEN, "without a folder"},
    {INDEX, WEIGHTS "\"a\\\\model.safetensors\"}}", NULL, 0, 0, BROKEN, "without a folder"},
    {INDEX, WEIGHTS "\"C:model.safetensors\"}}", NULL, 0, 0, BROKEN, "without a folder"},
    {INDEX, WEIGHTS "\"..\"}}", NULL, 0, 0, BROKEN, "without a folder"},
    {INDEX, WEIGHTS "\"model.safetensors\\u0000.x\"}}", NULL, 0, 0, BROKEN, "JSON text"},
    {INDEX, WEIGHTS "\"a\\nb.safetensors\"}}", NULL, 0, 0, BROKEN, "without a folder"},
    {INDEX, WEIGHTS "\"config.json\"}}", NULL, 0, 0, BROKEN, "without a folder"},
    {INDEX, WEIGHTS "\".safetensors\"}}", NULL, 0, 0, BROKEN, "without a folder"},
    {INDEX, WEIGHTS "\"gone.safetensors\"}}", NULL, 0, 0, GGL_ERR_NOT_FOUND, "gone.safetensors"},
    {INDEX, WEIGHTS "\"model.safetensors\"}}", NULL, 0, 0, BROKEN, "file that the index names is nothing"},
    {INDEX, "{\"a\":[[[[[[[[[1]]]]]]]]]}", NULL, 0, 0, BROKEN, "nesting"},
    /* the tokenizer */
    {TOKENIZER, "", NULL, 0, 0, BROKEN, "tokenizer.json: JSON text"},
    {TOKENIZER, "{}", NULL, 0, 0, BROKEN, "model is missing"},
    {TOKENIZER, "{\"model\":{\"type\":\"Unigram\"}}", NULL, 0, 0, NOT_V4, "model.type is \"Unigram\""},
    {TOKENIZER, "{\"model\":{\"type\":\"BPE\"}}", NULL, 0, 0, BROKEN, "model.vocab is missing"},
    {TOKENIZER, VOCAB("[]"), NULL, 0, 0, BROKEN, "model.vocab"},
    {TOKENIZER, VOCAB("{}"), NULL, 0, 0, BROKEN, "model.vocab"},
    {TOKENIZER, VOCAB("{\"a\":0,\"b\":2}"), NULL, 0, 0, BROKEN, "token id 1 is no token"},
    {TOKENIZER, VOCAB("{\"a\":1}"), NULL, 0, 0, BROKEN, "token id 0 is no token"},
    {TOKENIZER, VOCAB("{\"a\":0,\"b\":0}"), NULL, 0, 0, BROKEN, "its id 0 belongs to"},
    {TOKENIZER, VOCAB("{\"a\":0,\"a\":1}"), NULL, 0, 0, BROKEN, "duplicate"},
    {TOKENIZER, VOCAB("{\"a\":-1}"), NULL, 0, 0, BROKEN, "token \"a\": id is -1"},
    {TOKENIZER, VOCAB("{\"a\":64}"), NULL, 0, 0, BROKEN, "token \"a\": id is 64"},
    {TOKENIZER, VOCAB("{\"a\":4294967296}"), NULL, 0, 0, BROKEN, "token \"a\": id"},
    {TOKENIZER, VOCAB("{\"a\":0.0}"), NULL, 0, 0, BROKEN, "token \"a\": id"},
    {TOKENIZER, VOCAB("{\"a\":\"0\"}"), NULL, 0, 0, BROKEN, "token \"a\": id"},
    {TOKENIZER, ADDED("{}"), NULL, 0, 0, BROKEN, "added_tokens is an object"},
    {TOKENIZER, ADDED("[1]"), NULL, 0, 0, BROKEN, "added_tokens: content"},
    {TOKENIZER, ADDED("[{\"id\":2}]"), NULL, 0, 0, BROKEN, "content is missing"},
    {TOKENIZER, ADDED("[{\"id\":2,\"content\":\"\"}]"), NULL, 0, 0, BROKEN, "added_tokens: content"},
    {TOKENIZER, ADDED("[{\"content\":\"c\"}]"), NULL, 0, 0, BROKEN, "token \"c\": id is missing"},
    {TOKENIZER, ADDED("[{\"id\":64,\"content\":\"c\"}]"), NULL, 0, 0, BROKEN, "token \"c\": id is 64"},
    {TOKENIZER, ADDED("[{\"id\":1,\"content\":\"c\"}]"), NULL, 0, 0, BROKEN, "its id 1 belongs to is b"},
    {TOKENIZER, ADDED("[{\"id\":2,\"content\":\"a\"}]"), NULL, 0, 0, BROKEN, "that no other token has"},
    {TOKENIZER, ADDED("[{\"id\":2,\"content\":\"c\"},{\"id\":3,\"content\":\"c\"}]"), NULL, 0, 0, BROKEN,
     "that no other token has"},
    {TOKENIZER, ADDED("[{\"id\":2,\"content\":\"c\",\"special\":1}]"), NULL, 0, 0, BROKEN, "special is 1"},
    {TOKENIZER, MERGES("{}"), NULL, 0, 0, BROKEN, "model.merges"},
    {TOKENIZER, MERGES("[1]"), NULL, 0, 0, BROKEN, "model.merges[0] is 1"},
    {TOKENIZER, MERGES("[\"ab\"]"), NULL, 0, 0, BROKEN, "model.merges[0]"},
    {TOKENIZER, MERGES("[\"a b\",\"a b c\"]"), NULL, 0, 0, BROKEN, "model.merges[1]"},
    {TOKENIZER, MERGES("[\" b\"]"), NULL, 0, 0, BROKEN, "model.merges[0]"},
    {TOKENIZER, MERGES("[\"a \"]"), NULL, 0, 0, BROKEN, "model.merges[0]"},
    {TOKENIZER, MERGES("[[\"a\"]]"), NULL, 0, 0, BROKEN, "model.merges[0]"},
    {TOKENIZER, MERGES("[[\"a\",1]]"), NULL, 0, 0, BROKEN, "model.merges[0]"},
    {TOKENIZER, MERGES("[[\"a\",\"b c\"]]"), NULL, 0, 0, BROKEN, "model.merges[0]"},
};

static const struct change odd[] = {
    {SET, "num_nextn_predict_layers", "0", 0, 0, GGL_OK, NULL}, /* the tensors decide */
    {SET, "compress_ratios", "[0, 4, 128]", 0, 0, GGL_OK, NULL},
    {SET, "compress_ratios", "[0, 4, 128, 0, 0, 0, 0]", 0, 0, GGL_OK, NULL},
    {SET, "expert_dtype", "\"fp8\"", 0, 0, GGL_OK, NULL}, /* the headers decide */
    {ADD, L0 "ffn.gate.bias", "F32", 2, 0, GGL_OK, NULL}, /* never used there */
    {ADD, L1 "attn.rotary_emb.inv_freq", "F32", 8, 0, GGL_OK, NULL},
    {SHAPE, "norm.weight", "F32", 64, 0, GGL_OK, NULL},
    {SHAPE, "embed.weight", "F16", 64, 64, GGL_OK, NULL},
    {SHAPE, L0 "ffn.gate.tid2eid", "I32", 64, 2, GGL_OK, NULL},
    {SHAPE, L0 "attn.wkv.scale", "F32", 1, 1, GGL_OK, NULL},
    {SHAPE, L0 "ffn.experts.1.w1.weight", "U8", 32, 32, GGL_OK, NULL},
    {BYTE, L0 "attn.wq_b.scale", NULL, 0, 254, GGL_OK, NULL},
    {BYTE, L0 "attn.wq_b.scale", NULL, 0, 0, GGL_OK, NULL},
    {BYTE, L0 "ffn.experts.0.w1.weight", NULL, 0, 0x88, GGL_OK, NULL}, /* -0 twice */
    {TOKENIZER, VOCAB("{\"a\":0}"), NULL, 0, 0, GGL_OK, NULL},
    {TOKENIZER, ADDED("[{\"id\":1,\"content\":\"b\",\"special\":true}]"), NULL, 0, 0, GGL_OK, NULL},
    {TOKENIZER, MERGES("[[\"a\",\"b\"],\"b a\"]"), NULL, 0, 0, GGL_OK, NULL},
};

static void apply(struct ckpt *ck, const struct change *c)
{
    struct ckpt_tensor *t = c->op >= I64_FIRST || c->op == BYTE ? ckpt_tensor(ck, c->name) : NULL;
    switch (c->op) {
    case REMOVE: ckpt_remove(ck, c->name); break;
    case RENAME: ckpt_rename(ck, c->name, c->to); break;
    case SHAPE: ckpt_reshape(ck, c->name, c->to, c->d0, c->d1); break;
    case ADD: ckpt_add(ck, c->name, c->to, c->d0, c->d1); break;
    case BYTE: t->data[c->d0] = (uint8_t)c->d1; break;
    case SET: ckpt_set(ck, c->name, c->to); break;
    case INDEX: ck->index = strdup(c->name); break;
    case TOKENIZER: ck->tokenizer = strdup(c->name); break;
    case I64_FIRST: memcpy(t->data, &c->d0, 8); break;
    case I64_LAST: memcpy(t->data + t->bytes - 8, &c->d0, 8); break;
    }
}

static void judge(const struct change *changes, size_t n)
{
    char *dir = ckpt_temp_dir();
    int failures = 0;
    for (size_t i = 0; i < n; i++) {
        char what[160], path[600];
        struct ckpt *ck = ckpt_new(&(struct ckpt_options){.mtp = 1});
        apply(ck, &changes[i]);
        ckpt_write(ck, dir);
        snprintf(what, sizeof(what), "case %zu, %.100s", i, changes[i].name);
        failures += !is_as_expected(what, dir, changes[i].status, changes[i].message);
        if (ck->tokenizer) {
            snprintf(path, sizeof(path), "%s/tokenizer.json", dir);
            unlink(path);
        }
        ckpt_free(ck);
    }
    ckpt_remove_dir(dir);
    free(dir);
    assert_int_equal(failures, 0);
}

static void refuses_broken_checkpoints(void **state)
{
    (void)state;
    judge(broken, sizeof(broken) / sizeof(broken[0]));
    print_message("%zu broken checkpoints\n", sizeof(broken) / sizeof(broken[0]));
}

static void accepts_odd_checkpoints(void **state)
{
    (void)state;
    judge(odd, sizeof(odd) / sizeof(odd[0]));
    print_message("%zu odd checkpoints\n", sizeof(odd) / sizeof(odd[0]));
}

/* FP8 experts: scales of another dtype than the first, or no numbers. */
static void judges_fp8_experts(void **state)
{
    (void)state;
    char *dir = ckpt_temp_dir();
    for (int i = 0; i < 4; i++) {
        struct ckpt *ck = ckpt_new(&(struct ckpt_options){.experts = CKPT_FP8_F32});
        struct ckpt_tensor *scale = ckpt_tensor(ck, "layers.1.ffn.experts.1.w2.scale");
        static const float values[] = {1.0f, (float)(1e300 * 1e300), 0.0f};
        float value = i == 2 ? values[1] - values[1] : values[i == 1 ? 1 : 0]; /* 1: infinite, 2: NaN */
        memcpy(scale->data, &value, 4);
        if (i == 3) ckpt_reshape(ck, "layers.1.ffn.experts.1.w2.scale", "F8_E8M0", 1, 1);
        ckpt_write(ck, dir);
        if (!i) expect_dir("F32 scales", dir, GGL_OK, NULL);
        else expect_dir("bad F32 scales", dir, BROKEN, i == 3 ? "the dtype of expert 0" : "not a finite number");
        ckpt_free(ck);
    }
    ckpt_remove_dir(dir);
    free(dir);
}

/* ---- files and folders */

static void write_good(const char *dir, const struct ckpt_options *options)
{
    struct ckpt *ck = ckpt_new(options);
    ckpt_write(ck, dir);
    ckpt_free(ck);
}

static void path_in(char path[700], const char *dir, const char *name)
{
    snprintf(path, 700, "%s/%s", dir, name);
}

static void reads_every_layout(void **state)
{
    (void)state;
    static const struct ckpt_options layouts[] = {
        {.shards = 0}, {.shards = 1}, {.shards = 3}, {.shards = 17}, {.shards = 0, .no_index = true},
        {.shards = 1, .no_index = true}, {.shards = 3, .no_index = true}, {.mtp = 1}, {.mtp = 2},
        {.dspark = 3}, {.dspark = 1}, {.experts = CKPT_FP8_E8M0}, {.experts = CKPT_FP8_F32, .mtp = 1},
    };
    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
        char what[32], *dir = ckpt_temp_dir();
        snprintf(what, sizeof(what), "layout %zu", i);
        write_good(dir, &layouts[i]);
        expect_dir(what, dir, GGL_OK, NULL);
        ckpt_remove_dir(dir);
        free(dir);
    }
}

static void refuses_bad_folders(void **state)
{
    (void)state;
    char *dir = ckpt_temp_dir(), path[700], other[700];
    path_in(path, dir, "nowhere");
    expect_dir("no folder", path, GGL_ERR_NOT_FOUND, "config.json");
    expect_dir("an empty folder", dir, GGL_ERR_NOT_FOUND, "config.json");
    assert_true(ggl_checkpoint_is_directory(dir));
    assert_false(ggl_checkpoint_is_directory(path));
    assert_false(ggl_checkpoint_is_directory(NULL));

    write_good(dir, &(struct ckpt_options){.shards = 3, .no_index = true});
    path_in(path, dir, "model-00002-of-00003.safetensors");
    path_in(other, dir, "aside");
    assert_int_equal(rename(path, other), 0);
    expect_dir("a missing part", dir, BROKEN, "files 1 to 3");
    assert_int_equal(mkdir(path, 0700), 0);
    expect_dir("a folder as a part", dir, GGL_ERR_NOT_FOUND, "00002");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_dir("a FIFO as a part", dir, GGL_ERR_NOT_FOUND, "00002"); /* and does not wait */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/dev/zero", path), 0);
    expect_dir("a device as a part", dir, GGL_ERR_NOT_FOUND, "00002");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("aside", path), 0); /* as download caches do */
    expect_dir("a link to the part", dir, GGL_OK, NULL);
    ckpt_write_file(dir, "model.safetensors", "", 0);
    expect_dir("two sets of weights", dir, BROKEN, "numbered files");
    path_in(path, dir, "model.safetensors");
    assert_int_equal(unlink(path), 0);
    path_in(path, dir, "model-00003-of-00003.safetensors");
    assert_int_equal(unlink(path), 0);
    expect_dir("the last part missing", dir, BROKEN, "files 1 to 3");
    ckpt_remove_dir(dir);
    free(dir);

    dir = ckpt_temp_dir();
    struct ckpt *ck = ckpt_new(&(struct ckpt_options){0});
    char *config = ckpt_config_text(ck);
    ckpt_write_file(dir, "config.json", config, strlen(config));
    expect_dir("no weights", dir, GGL_ERR_NOT_FOUND, "no safetensors files");
    free(config);
    ckpt_free(ck);
    ckpt_remove_dir(dir);
    free(dir);
}

static void replace_text(const char *dir, const char *name, const char *from, const char *to)
{
    size_t n;
    char *text = (char *)ckpt_read_file(dir, name, &n);
    text[n] = '\0';
    char *at = strstr(text, from);
    assert_non_null(at);
    assert_int_equal(strlen(from), strlen(to));
    memcpy(at, to, strlen(to));
    ckpt_write_file(dir, name, text, n);
    free(text);
}

/* The index and the shards must agree, in both directions. */
static void compares_index_and_shards(void **state)
{
    (void)state;
    char *dir = ckpt_temp_dir();
    const struct ckpt_options options = {.shards = 2};
    write_good(dir, &options);
    replace_text(dir, "model.safetensors.index.json", "\"embed.weight\": \"model-00001", "\"embed.weight\": \"model-00002");
    expect_dir("a tensor in the other file", dir, BROKEN, "embed.weight: file that the index names");
    write_good(dir, &options);
    replace_text(dir, "model.safetensors.index.json", "\"embed.weight\"", "\"embed.weighs\"");
    expect_dir("a tensor that is not mapped", dir, BROKEN, "embed.weight: file that the index names is nothing");
    write_good(dir, &options);
    replace_text(dir, "model.safetensors.index.json", "\"weight_map\": {", "\"weight_map\":{ ");
    expect_dir("the same index", dir, GGL_OK, NULL);
    replace_text(dir, "model.safetensors.index.json", "\"metadata\": {\"total_size\"", "\"metadata\": {\"total_sizf\"");
    expect_dir("no total_size", dir, GGL_OK, NULL);

    /* One tensor more in the index than in the files. */
    size_t n;
    char *text = (char *)ckpt_read_file(dir, "model.safetensors.index.json", &n);
    char *longer = malloc(n + 100);
    assert_non_null(longer);
    int m = snprintf(longer, n + 100, "%.*s, \"more\": \"model-00001-of-00002.safetensors\"}}", (int)n - 2, text);
    ckpt_write_file(dir, "model.safetensors.index.json", longer, (size_t)m);
    expect_dir("a mapped tensor that is not there", dir, BROKEN, "no such tensor in its file");
    free(longer);
    free(text);

    /* The same tensor in two files, without an index to say which. */
    write_good(dir, &(struct ckpt_options){.shards = 2, .no_index = true});
    char path[700];
    path_in(path, dir, "model.safetensors.index.json");
    assert_int_equal(unlink(path), 0);
    expect_dir("two parts", dir, GGL_OK, NULL);
    text = (char *)ckpt_read_file(dir, "model-00001-of-00002.safetensors", &n);
    ckpt_write_file(dir, "model-00002-of-00002.safetensors", text, n);
    expect_dir("one part twice", dir, BROKEN, "in another file too");
    free(text);
    ckpt_remove_dir(dir);
    free(dir);
}

/* The files of a checkpoint cut anywhere. */
static void refuses_truncated_files(void **state)
{
    (void)state;
    static const char *const names[] = {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                                        "model.safetensors.index.json", "config.json", "tokenizer.json"};
    char *dir = ckpt_temp_dir();
    struct ckpt *ck = ckpt_new(&(struct ckpt_options){.shards = 2});
    ck->tokenizer = ckpt_tokenizer_text();
    ckpt_write(ck, dir);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t n;
        uint8_t *data = ckpt_read_file(dir, names[i], &n);
        const size_t cuts[] = {0, 1, 7, 8, 9, n / 4, n / 2, n - n / 4, n - 9, n - 8, n - 3};
        for (size_t k = 0; k < sizeof(cuts) / sizeof(cuts[0]); k++) {
            ckpt_write_file(dir, names[i], data, cuts[k]);
            expect_dir(names[i], dir, BROKEN, names[i]);
        }
        ckpt_write_file(dir, names[i], data, n);
        free(data);
    }
    expect_dir("the whole checkpoint", dir, GGL_OK, NULL);
    ckpt_free(ck);
    ckpt_remove_dir(dir);
    free(dir);
}

/* ---- what comes out */

static const struct ggl_tensor *need(const struct ggl_checkpoint *c, const char *name)
{
    const struct ggl_tensor *t = ggl_checkpoint_find(c, name);
    if (!t) fail_msg("%s is missing", name);
    return t;
}

static void check_tensor(const struct ggl_checkpoint *c, struct ckpt *ck, const char *name, const char *official,
                         enum ggl_type type, int64_t ne0, int64_t ne1)
{
    const struct ggl_tensor *t = need(c, name);
    const struct ckpt_tensor *from = ckpt_tensor(ck, official);
    assert_non_null(from);
    if (t->type != type || t->ne[0] != ne0 || t->ne[1] != ne1 || t->ne[2] != 1) fail_msg("%s: type or shape", name);
    if (t->slice_bytes != from->bytes || memcmp(t->data, from->data, (size_t)from->bytes) != 0) fail_msg("%s: data", name);
}

static void check_scale(const struct ggl_checkpoint *c, struct ckpt *ck, const char *name, const char *official,
                        enum ggl_scale_type type, uint64_t row_bytes)
{
    const struct ggl_tensor *t = need(c, name);
    const struct ckpt_tensor *from = ckpt_tensor(ck, official);
    assert_non_null(from);
    assert_int_equal(t->scale_type, type);
    assert_int_equal(t->scale_row_bytes, row_bytes);
    assert_int_equal(t->scale_slice_bytes, from->bytes);
    assert_memory_equal(t->scale, from->data, from->bytes);
}

static void check_experts(const struct ggl_checkpoint *c, struct ckpt *ck, const char *name, const char *which,
                          enum ggl_type type, int64_t ne0, int64_t ne1)
{
    const struct ggl_tensor *t = need(c, name);
    assert_int_equal(t->type, type);
    assert_int_equal(t->n_dims, 3);
    assert_int_equal(t->ne[0], ne0);
    assert_int_equal(t->ne[1], ne1);
    assert_int_equal(t->ne[2], 2);
    assert_int_equal(t->row_bytes, type == GGL_TYPE_FP4 ? ne0 / 2 : ne0);
    for (int e = 0; e < 2; e++) {
        char official[96];
        snprintf(official, sizeof(official), "layers.1.ffn.experts.%d.%s.weight", e, which);
        const struct ckpt_tensor *codes = ckpt_tensor(ck, official);
        assert_int_equal(t->slice_bytes, codes->bytes);
        assert_memory_equal(ggl_tensor_slice(t, e), codes->data, codes->bytes);
        snprintf(official, sizeof(official), "layers.1.ffn.experts.%d.%s.scale", e, which);
        const struct ckpt_tensor *scales = ckpt_tensor(ck, official);
        assert_int_equal(t->scale_slice_bytes, scales->bytes);
        assert_memory_equal(ggl_tensor_scale_slice(t, e), scales->data, scales->bytes);
    }
}

static struct ggl_checkpoint *open_ckpt(struct ckpt *ck, const char *dir)
{
    struct ggl_checkpoint *c;
    char line[GGL_ERROR_LINE];
    ckpt_write(ck, dir);
    if (open_dir(dir, &c, line)) fail_msg("%s", line);
    return c;
}

static void binds_every_tensor(void **state)
{
    (void)state;
    char *dir = ckpt_temp_dir();
    struct ckpt *ck = ckpt_new(&(struct ckpt_options){.mtp = 1, .shards = 3});
    struct ggl_checkpoint *c = open_ckpt(ck, dir);
    check_tensor(c, ck, "token_embd.weight", "embed.weight", GGL_TYPE_BF16, 64, 64);
    check_tensor(c, ck, "output_norm.weight", "norm.weight", GGL_TYPE_BF16, 64, 1);
    check_tensor(c, ck, "output_hc_fn.weight", "hc_head_fn", GGL_TYPE_F32, 256, 4);
    check_tensor(c, ck, "blk.0.attn_sinks.weight", L0 "attn.attn_sink", GGL_TYPE_F32, 2, 1);
    check_tensor(c, ck, "blk.0.attn_q_b.weight", L0 "attn.wq_b.weight", GGL_TYPE_FP8, 32, 160);
    check_scale(c, ck, "blk.0.attn_q_b.weight", L0 "attn.wq_b.scale", GGL_SCALE_E8M0, 1);
    check_tensor(c, ck, "blk.0.attn_output_a.weight", L0 "attn.wo_a.weight", GGL_TYPE_FP8, 80, 32);
    check_tensor(c, ck, "blk.0.attn_output_b.weight", L0 "attn.wo_b.weight", GGL_TYPE_FP8, 32, 64);
    check_tensor(c, ck, "blk.0.ffn_gate_tid2eid.weight", L0 "ffn.gate.tid2eid", GGL_TYPE_I64, 2, 64);
    check_tensor(c, ck, "blk.1.exp_probs_b.bias", L1 "ffn.gate.bias", GGL_TYPE_F32, 2, 1);
    check_tensor(c, ck, "blk.1.attn_compressor_ape.weight", L1 "attn.compressor.ape", GGL_TYPE_F32, 160, 4);
    check_tensor(c, ck, "blk.2.attn_compressor_ape.weight", "layers.2.attn.compressor.ape", GGL_TYPE_F32, 80, 128);
    check_tensor(c, ck, "blk.1.indexer.attn_q_b.weight", L1 "attn.indexer.wq_b.weight", GGL_TYPE_FP8, 32, 64);
    check_tensor(c, ck, "blk.1.indexer.proj.weight", L1 "attn.indexer.weights_proj.weight", GGL_TYPE_BF16, 64, 2);
    check_tensor(c, ck, "blk.1.ffn_down_shexp.weight", L1 "ffn.shared_experts.w2.weight", GGL_TYPE_FP8, 32, 64);
    check_tensor(c, ck, "blk.3.nextn.e_proj.weight", "mtp.0.e_proj.weight", GGL_TYPE_FP8, 64, 64);
    check_tensor(c, ck, "blk.3.nextn.shared_head_norm.weight", "mtp.0.norm.weight", GGL_TYPE_BF16, 64, 1);
    check_tensor(c, ck, "blk.3.nextn.hc_head_scale.weight", "mtp.0.hc_head_scale", GGL_TYPE_F32, 1, 1);
    check_experts(c, ck, "blk.1.ffn_gate_exps.weight", "w1", GGL_TYPE_FP4, 64, 32);
    check_experts(c, ck, "blk.1.ffn_down_exps.weight", "w2", GGL_TYPE_FP4, 32, 64);
    check_experts(c, ck, "blk.1.ffn_up_exps.weight", "w3", GGL_TYPE_FP4, 64, 32);
    assert_null(ggl_checkpoint_find(c, "blk.0.exp_probs_b.bias"));
    assert_null(ggl_checkpoint_find(c, "blk.0.attn_compressor_kv.weight"));
    assert_null(ggl_checkpoint_tensor(c, ggl_checkpoint_n_tensors(c)));

    /* Every tensor of the checkpoint is part of exactly one of ours. */
    uint64_t used = 0;
    for (uint64_t i = 0; i < ggl_checkpoint_n_tensors(c); i++) {
        const struct ggl_tensor *t = ggl_checkpoint_tensor(c, i);
        used += (uint64_t)t->ne[2] * (t->scale_type == GGL_SCALE_NONE ? 1 : 2);
        assert_ptr_equal(ggl_checkpoint_find(c, t->name), t);
    }
    assert_int_equal(used, ck->n_tensors);
    assert_string_equal(ggl_checkpoint_tensor(c, 0)->name, "token_embd.weight");
    ggl_checkpoint_free(c);
    ckpt_free(ck);
    ckpt_remove_dir(dir);
    free(dir);
}

static void binds_dspark_and_base(void **state)
{
    (void)state;
    char *dir = ckpt_temp_dir();
    struct ckpt *ck = ckpt_new(&(struct ckpt_options){.dspark = 3, .experts = CKPT_FP8_F32});
    struct ggl_checkpoint *c = open_ckpt(ck, dir);
    uint32_t v = 0;
    check_experts(c, ck, "blk.1.ffn_gate_exps.weight", "w1", GGL_TYPE_FP8, 64, 32);
    check_tensor(c, ck, "blk.3.nextn.main_proj.weight", "mtp.0.main_proj.weight", GGL_TYPE_FP8, 192, 64);
    check_tensor(c, ck, "blk.3.nextn.main_norm.weight", "mtp.0.main_norm.weight", GGL_TYPE_BF16, 64, 1);
    check_tensor(c, ck, "blk.4.attn_kv.weight", "mtp.1.attn.wkv.weight", GGL_TYPE_FP8, 64, 80);
    check_tensor(c, ck, "blk.5.nextn.markov_w2.weight", "mtp.2.markov_head.markov_w2.weight", GGL_TYPE_BF16, 8, 64);
    check_tensor(c, ck, "blk.5.nextn.confidence.weight", "mtp.2.confidence_head.proj.weight", GGL_TYPE_BF16, 72, 1);
    assert_null(ggl_checkpoint_find(c, "blk.3.nextn.e_proj.weight"));
    const struct ggl_gguf *meta = ggl_checkpoint_meta(c);
    assert_string_equal(ggl_gguf_get_str(meta, "ggl.prompt_format"), "dsv4-0731");
    assert_int_equal(ggl_gguf_get_u32(meta, "deepseek4-native.block_count", 0, 99, &v, NULL), GGL_OK);
    assert_int_equal(v, 6);
    assert_int_equal(ggl_gguf_get_u32(meta, "deepseek4-native.dspark.markov_rank", 0, 99, &v, NULL), GGL_OK);
    assert_int_equal(v, 8);
    ggl_checkpoint_free(c);

    /* The rank can also be told from the tensor, and three targets are the rule. */
    ckpt_set(ck, "dspark_markov_rank", NULL);
    ckpt_set(ck, "dspark_target_layer_ids", NULL);
    c = open_ckpt(ck, dir);
    assert_non_null(ggl_checkpoint_find(c, "blk.5.nextn.markov_w1.weight"));
    ggl_checkpoint_free(c);
    ckpt_remove(ck, "mtp.2.markov_head.markov_w1.weight");
    ckpt_write(ck, dir);
    expect_dir("no markov head", dir, BROKEN, "mtp.2.markov_head.markov_w1.weight is missing");
    ckpt_free(ck);
    ckpt_remove_dir(dir);
    free(dir);
}

static void reads_the_tokenizer(void **state)
{
    (void)state;
    char *dir = ckpt_temp_dir();
    struct ckpt *ck = ckpt_new(&(struct ckpt_options){0});
    struct ggl_checkpoint *c = open_ckpt(ck, dir);
    assert_null(ggl_gguf_find_kv(ggl_checkpoint_meta(c), "tokenizer.ggml.model"));
    assert_int_equal(ggl_checkpoint_n_warnings(c), 1);
    assert_non_null(strstr(ggl_checkpoint_warning(c, 0), "tokenizer.json"));
    ggl_checkpoint_free(c);

    ck->tokenizer = ckpt_tokenizer_text();
    c = open_ckpt(ck, dir);
    const struct ggl_gguf *meta = ggl_checkpoint_meta(c);
    assert_int_equal(ggl_checkpoint_n_warnings(c), 0);
    assert_string_equal(ggl_gguf_get_str(meta, "tokenizer.ggml.model"), "gpt2");
    assert_string_equal(ggl_gguf_get_str(meta, "tokenizer.ggml.pre"), "joyai-llm");
    const struct ggl_kv *tokens = ggl_gguf_find_kv(meta, "tokenizer.ggml.tokens");
    const struct ggl_kv *types = ggl_gguf_find_kv(meta, "tokenizer.ggml.token_type");
    const struct ggl_kv *merges = ggl_gguf_find_kv(meta, "tokenizer.ggml.merges");
    assert_true(tokens && types && merges && tokens->n == 64 && types->n == 64 && merges->n == 2);
    const int32_t *type = types->data;
    assert_string_equal(tokens->str[0].data, "<bos>");
    assert_int_equal(type[0], 3);
    assert_string_equal(tokens->str[1].data, "b1");
    assert_int_equal(type[1], 1);
    assert_string_equal(tokens->str[40].data, "<think>");
    assert_int_equal(type[40], 4);
    assert_int_equal(type[41], 3);
    assert_string_equal(tokens->str[42].data, "[PAD42]");
    assert_int_equal(type[42], 5);
    assert_string_equal(tokens->str[63].data, "[PAD63]");
    assert_string_equal(merges->str[0].data, "a b");
    assert_string_equal(merges->str[1].data, "b c");
    uint32_t v = 0;
    bool add = true;
    assert_int_equal(ggl_gguf_get_u32(meta, "tokenizer.ggml.eos_token_id", 0, 99, &v, NULL), GGL_OK);
    assert_int_equal(v, 1);
    assert_int_equal(ggl_gguf_get_u32(meta, "tokenizer.ggml.padding_token_id", 0, 99, &v, NULL), GGL_OK);
    assert_int_equal(v, 41);
    assert_int_equal(ggl_gguf_get_bool(meta, "tokenizer.ggml.add_bos_token", &add, NULL), GGL_OK);
    assert_false(add);
    ggl_checkpoint_free(c);
    ckpt_free(ck);
    ckpt_remove_dir(dir);
    free(dir);
}

/* Numbers at any address: the header one, two and three bytes longer. */
static void reads_misaligned_files(void **state)
{
    (void)state;
    char *dir = ckpt_temp_dir();
    struct ckpt *ck = ckpt_new(&(struct ckpt_options){.no_index = true});
    ckpt_write(ck, dir);
    size_t n;
    uint8_t *data = ckpt_read_file(dir, "model.safetensors", &n), *shifted = malloc(n + 8);
    assert_non_null(shifted);
    uint64_t header = (uint64_t)data[0] | (uint64_t)data[1] << 8 | (uint64_t)data[2] << 16;
    for (uint64_t extra = 1; extra < 8; extra++) {
        struct ggl_checkpoint *c;
        char line[GGL_ERROR_LINE];
        memcpy(shifted, data, 8 + header);
        memset(shifted + 8 + header, ' ', extra);
        memcpy(shifted + 8 + header + extra, data + 8 + header, n - 8 - header);
        for (int i = 0; i < 8; i++) shifted[i] = (uint8_t)((header + extra) >> (8 * i));
        ckpt_write_file(dir, "model.safetensors", shifted, n + extra);
        if (open_dir(dir, &c, line)) fail_msg("%s", line);
        for (uint64_t i = 0; i < ggl_checkpoint_n_tensors(c); i++) {
            const struct ggl_tensor *t = ggl_checkpoint_tensor(c, i);
            size_t size = t->type == GGL_TYPE_F32 ? 4 : t->type == GGL_TYPE_BF16 ? 2 : t->type == GGL_TYPE_I64 ? 8 : 1;
            assert_int_equal((uintptr_t)ggl_tensor_slice(t, 0) % size, 0);
        }
        check_tensor(c, ck, "output_hc_fn.weight", "hc_head_fn", GGL_TYPE_F32, 256, 4);
        check_tensor(c, ck, "blk.0.ffn_gate_tid2eid.weight", L0 "ffn.gate.tid2eid", GGL_TYPE_I64, 2, 64);
        ggl_checkpoint_free(c);
    }
    free(shifted);
    free(data);
    ckpt_free(ck);
    ckpt_remove_dir(dir);
    free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_broken_checkpoints),
        cmocka_unit_test(accepts_odd_checkpoints),
        cmocka_unit_test(judges_fp8_experts),
        cmocka_unit_test(reads_every_layout),
        cmocka_unit_test(refuses_bad_folders),
        cmocka_unit_test(compares_index_and_shards),
        cmocka_unit_test(refuses_truncated_files),
        cmocka_unit_test(binds_every_tensor),
        cmocka_unit_test(binds_dspark_and_base),
        cmocka_unit_test(reads_the_tokenizer),
        cmocka_unit_test(reads_misaligned_files),
    };
    return cmocka_run_group_tests_name("gguf-convert/checkpoint", tests, NULL, NULL);
}

#else

static void needs_jansson(void **state)
{
    (void)state;
    struct ggl_error err;
    struct ggl_checkpoint *c;
    assert_int_equal(ggl_checkpoint_open(".", &c, &err), GGL_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.what, "jansson"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(needs_jansson)};
    return cmocka_run_group_tests_name("gguf-convert/checkpoint", tests, NULL, NULL);
}

#endif
