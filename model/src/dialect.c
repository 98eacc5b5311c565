/*
 * What people open by mistake: drafters, prediction blocks and vision towers
 * that lie beside the model, importance matrices, models of the family that
 * compute something else.  Without this they would fail at some missing key.
 */
#include "dialect.h"

#include <stdio.h>
#include <string.h>

static enum ggl_status refuse(const struct ggl_source *src, const char *what, const char *found, const char *expected,
                              struct ggl_error *err)
{
    return ggl_fail(err, GGL_ERR_UNSUPPORTED, src->path, GGL_NO_OFFSET, found, expected, "%s", what);
}

static bool starts_with(const char *s, const char *start)
{
    return strncmp(s, start, strlen(start)) == 0;
}

static bool exists(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f) fclose(f);
    return f != NULL;
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

static enum ggl_status refuse_side_file(const struct ggl_source *src, const char *what, const char *found, struct ggl_error *err)
{
    char expected[160];
    name_the_model(src->path, expected, sizeof(expected));
    return refuse(src, what, found, expected, err);
}

static enum ggl_status check_kind(const struct ggl_source *src, struct ggl_error *err)
{
    const char *type = ggl_gguf_get_str(src->meta, "general.type"), *arch = ggl_gguf_get_str(src->meta, "general.architecture");
    if (type && !strcmp(type, "imatrix"))
        return refuse(src, "general.type", "imatrix", "a model (gguf-convert --imatrix takes this file)", err);
    if (type && !strcmp(type, "adapter")) return refuse(src, "general.type", "adapter", "a model", err);
    if ((type && !strcmp(type, "mmproj")) || (arch && !strcmp(arch, "clip")))
        return refuse(src, "the file", "a vision tower", "a text model", err);
    if (arch && !strcmp(arch, "dflash")) return refuse_side_file(src, "the file", "a DSpark drafter", err);
    return GGL_OK;
}

/* Members of the family whose tensors give them away. */
static enum ggl_status check_family(const struct ggl_source *src, struct ggl_error *err)
{
    for (uint64_t i = 0; i < ggl_source_n_tensors(src); i++) {
        const char *name = ggl_source_tensor(src, i)->name;
        if (strstr(name, "engram"))
            return refuse(src, name, "a tensor of DeepSeek V4.1", "DeepSeek V4 (V4.1 is another architecture)", err);
        if (strstr(name, "exp_probs_b_vl") || starts_with(name, "v.") || starts_with(name, "mm."))
            return refuse(src, name, "a tensor of a vision model", "a text model of DeepSeek V4", err);
    }
    return GGL_OK;
}

/* A file without the first layer that holds a prediction block. */
static enum ggl_status check_side_file(const struct ggl_source *src, struct ggl_error *err)
{
    for (uint64_t i = 0; i < ggl_source_n_tensors(src); i++)
        if (starts_with(ggl_source_tensor(src, i)->name, "blk.0.")) return GGL_OK;
    for (uint64_t i = 0; i < ggl_source_n_tensors(src); i++) {
        const char *name = ggl_source_tensor(src, i)->name;
        if (strstr(name, ".nextn.main_proj")) return refuse_side_file(src, "the file", "a DSpark drafter", err);
        if (starts_with(name, "mtp.0.") || strstr(name, ".nextn."))
            return refuse_side_file(src, "the file", "a multi-token-prediction block", err);
    }
    return GGL_OK;
}

enum ggl_status ggl_check_dialect(const struct ggl_source *src, struct ggl_error *err)
{
    enum ggl_status s = src->gguf ? check_kind(src, err) : GGL_OK;
    if (!s && src->gguf) s = check_family(src, err);
    if (!s && src->gguf) s = check_side_file(src, err);
    return s;
}
