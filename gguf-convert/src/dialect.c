/*
 * What people open by mistake: drafters, prediction blocks and vision towers
 * that lie beside the model, importance matrices, models of the family that
 * compute something else.  Without this they would fail at some missing key.
 * And what other programs call the tensors.
 */
#include "gguf-convert/dialect.h"

#include <stdio.h>
#include <string.h>

struct file {
    const struct ggl_gguf *gguf;
    const char *path;
};

static enum ggl_status refuse(const struct file *f, const char *what, const char *found, const char *expected,
                              struct ggl_error *err)
{
    return ggl_fail(err, GGL_ERR_UNSUPPORTED, f->path, GGL_NO_OFFSET, found, expected, "%s", what);
}

static bool starts_with(const char *s, const char *start)
{
    return strncmp(s, start, strlen(start)) == 0;
}

static bool exists(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file) fclose(file);
    return file != NULL;
}

/* The model that a side file's name points to: mtp-NAME.gguf lies beside NAME.gguf. */
static void name_the_model(const char *path, char *text, size_t n)
{
    static const char *const prefixes[] = {"mtp-", "dflash-", "dspark-"};
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        char model[1024];
        size_t skip = strlen(prefixes[i]);
        if (!starts_with(name, prefixes[i])) continue;
        int length = snprintf(model, sizeof(model), "%.*s%s", (int)(name - path), path, name + skip);
        if (length < 0 || (size_t)length >= sizeof(model) || !exists(model)) continue;
        snprintf(text, n, "the model itself: open %.100s instead", name + skip);
        return;
    }
    snprintf(text, n, "the model itself: open the file that this one belongs to instead");
}

static enum ggl_status refuse_side_file(const struct file *f, const char *what, const char *found, struct ggl_error *err)
{
    char expected[160];
    name_the_model(f->path, expected, sizeof(expected));
    return refuse(f, what, found, expected, err);
}

static enum ggl_status check_kind(const struct file *f, struct ggl_error *err)
{
    const char *type = ggl_gguf_get_str(f->gguf, "general.type"), *arch = ggl_gguf_get_str(f->gguf, "general.architecture");
    if (type && !strcmp(type, "imatrix"))
        return refuse(f, "general.type", "imatrix", "a model (gguf-convert --imatrix takes this file)", err);
    if (type && !strcmp(type, "adapter")) return refuse(f, "general.type", "adapter", "a model", err);
    if ((type && !strcmp(type, "mmproj")) || (arch && !strcmp(arch, "clip")))
        return refuse(f, "the file", "a vision tower", "a text model", err);
    if (arch && !strcmp(arch, "dflash")) return refuse_side_file(f, "the file", "a DSpark drafter", err);
    return GGL_OK;
}

/* Members of the family whose tensors give them away. */
static enum ggl_status check_family(const struct file *f, struct ggl_error *err)
{
    for (uint64_t i = 0; i < ggl_gguf_n_tensors(f->gguf); i++) {
        const char *name = ggl_gguf_tensor(f->gguf, i)->name;
        if (strstr(name, "engram"))
            return refuse(f, name, "a tensor of DeepSeek V4.1", "DeepSeek V4 (V4.1 is another architecture)", err);
        if (strstr(name, "exp_probs_b_vl") || starts_with(name, "v.") || starts_with(name, "mm."))
            return refuse(f, name, "a tensor of a vision model", "a text model of DeepSeek V4", err);
    }
    return GGL_OK;
}

/* A file without the first layer that holds a prediction block. */
static enum ggl_status check_side_file(const struct file *f, struct ggl_error *err)
{
    for (uint64_t i = 0; i < ggl_gguf_n_tensors(f->gguf); i++)
        if (starts_with(ggl_gguf_tensor(f->gguf, i)->name, "blk.0.")) return GGL_OK;
    for (uint64_t i = 0; i < ggl_gguf_n_tensors(f->gguf); i++) {
        const char *name = ggl_gguf_tensor(f->gguf, i)->name;
        if (strstr(name, ".nextn.main_proj")) return refuse_side_file(f, "the file", "a DSpark drafter", err);
        if (starts_with(name, "mtp.0.") || strstr(name, ".nextn."))
            return refuse_side_file(f, "the file", "a multi-token-prediction block", err);
    }
    return GGL_OK;
}

enum ggl_status ggl_check_dialect(const struct ggl_gguf *g, const char *path, struct ggl_error *err)
{
    const struct file f = {g, path};
    enum ggl_status s = check_kind(&f, err);
    if (!s) s = check_family(&f, err);
    if (!s) s = check_side_file(&f, err);
    return s;
}

/* ---- names: beginnings, without "blk.N.", and what ik_llama.cpp's files may have in their place */

static const struct {
    const char *usual, *other;
} beginnings[] = {{"attn_kv.", "attn_kv_latent."},
                  {"attn_kv.", "attn_kv_a_mqa."},
                  {"attn_compressor_", "attn_compress_"},
                  {"indexer_compressor_", "indexer.compress_"},
                  {"output_hc_", "hc_head_"},
                  {"exp_probs_b.bias", "exp_probs_b.weight"}};
enum { N_BEGINNINGS = sizeof(beginnings) / sizeof(beginnings[0]) };

static size_t block_prefix(const char *name)
{
    const char *dot = starts_with(name, "blk.") ? strchr(name + 4, '.') : NULL;
    return dot ? (size_t)(dot + 1 - name) : 0;
}

/* name with its beginning replaced behind the block; false: it begins in another way, or is too long. */
static bool replace(const char *name, const char *from, const char *to, char out[GGL_MAX_NAME])
{
    size_t n = block_prefix(name);
    if (!starts_with(name + n, from)) return false;
    int length = snprintf(out, GGL_MAX_NAME, "%.*s%s%s", (int)n, name, to, name + n + strlen(from));
    return length >= 0 && length < GGL_MAX_NAME;
}

bool ggl_other_name(const char *name, size_t *i, char other[GGL_MAX_NAME])
{
    while (*i < N_BEGINNINGS) {
        size_t at = (*i)++;
        if (replace(name, beginnings[at].usual, beginnings[at].other, other)) return true;
    }
    return false;
}

bool ggl_usual_name(const char *other, char name[GGL_MAX_NAME])
{
    for (size_t i = 0; i < N_BEGINNINGS; i++)
        if (replace(other, beginnings[i].other, beginnings[i].usual, name)) return true;
    return false;
}
