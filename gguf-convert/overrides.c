#include "gguf-convert/overrides.h"

#include <inttypes.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "gguf-convert/recipe.h"

struct override {
    regex_t regex;
    const char *text;
    enum ggl_type type;
    bool compiled, used;
    char kept[GGL_MAX_NAME]; /* a tensor that it matches and that has one type whatever anybody says, */
    const char *reason;      /* which is this */
};

struct overrides {
    struct override *items;
    int n;
};

bool can_encode(enum ggl_type type)
{
    float zeros[256] = {0}, ones[256];
    uint8_t blocks[2048];
    const struct ggl_type_info *info = ggl_type_info((uint32_t)type);
    for (int i = 0; i < 256; i++) ones[i] = 1;
    if (!info || info->block_elems > 256 || info->block_bytes > sizeof(blocks)) return false;
    return ggl_encode_row(type, zeros, ones, blocks, info->block_elems);
}

static enum ggl_status parse(struct override *o, const char *text, struct ggl_error *err)
{
    const char *equals = strrchr(text, '=');
    char regex[256], reason[128];
    o->text = text;
    if (!equals || equals == text || equals - text >= (ptrdiff_t)sizeof(regex)) {
        return ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, text, "REGEX=TYPE", "--tensor-type");
    }
    if (!ggl_type_from_name(equals + 1, &o->type) || (!can_encode(o->type) && o->type != GGL_TYPE_I32)) {
        return ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, equals + 1,
                        "a type that can be written (F32, BF16, F16, Q8_0, Q6_K, Q4_K, ...)", "--tensor-type: type");
    }
    snprintf(regex, sizeof(regex), "%.*s", (int)(equals - text), text);
    int rc = regcomp(&o->regex, regex, REG_EXTENDED | REG_NOSUB);
    o->compiled = rc == 0;
    if (!rc) return GGL_OK;
    regerror(rc, &o->regex, reason, sizeof(reason));
    return ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, reason, NULL, "--tensor-type: %.180s", regex);
}

enum ggl_status overrides_new(const struct cli_list *texts, struct overrides **out, struct ggl_error *err)
{
    struct overrides *o = calloc(1, sizeof(*o));
    enum ggl_status s = GGL_OK;
    if (o) o->items = calloc((size_t)texts->n + 1, sizeof(*o->items));
    if (!o || !o->items) s = ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "--tensor-type");
    for (int i = 0; i < texts->n && !s; i++) {
        o->n = i + 1;
        s = parse(&o->items[i], texts->items[i], err);
    }
    if (!s) *out = o;
    else overrides_free(o);
    return s;
}

void overrides_free(struct overrides *o)
{
    if (!o) return;
    for (int i = 0; i < o->n; i++)
        if (o->items[i].compiled) regfree(&o->items[i].regex);
    free(o->items);
    free(o);
}

static enum ggl_status check_fit(const struct ggl_tensor *t, enum ggl_type type, struct ggl_error *err)
{
    const struct ggl_type_info *info = ggl_type_info((uint32_t)type);
    char found[64];
    if (t->ne[0] % info->block_elems == 0) return GGL_OK;
    snprintf(found, sizeof(found), "%s, blocks of %d in rows of %" PRId64, info->name, (int)info->block_elems, t->ne[0]);
    return ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, found, "a type whose blocks fill the rows",
                    "--tensor-type: %s", t->name);
}

/* "attn=Q8_0" means the matrices; norms and the like are passed over. */
enum ggl_status overrides_apply(struct overrides *o, const struct ggl_tensor *t, enum ggl_type *type, bool *found,
                                struct ggl_error *err)
{
    *found = false;
    for (int i = 0; o && i < o->n && !*found; i++) {
        struct override *one = &o->items[i];
        if (regexec(&one->regex, t->name, 0, NULL, 0) != 0) continue;
        const char *reason = recipe_fixed(t, one->type);
        if (reason) {
            snprintf(one->kept, sizeof(one->kept), "%s", t->name);
            one->reason = reason;
            return GGL_OK;
        }
        one->used = *found = true;
        *type = one->type;
    }
    return *found ? check_fit(t, *type, err) : GGL_OK;
}

enum ggl_status overrides_used(const struct overrides *o, struct ggl_error *err)
{
    for (int i = 0; o && i < o->n; i++) {
        const struct override *one = &o->items[i];
        if (one->used) continue;
        if (one->reason) {
            return ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, ggl_type_info((uint32_t)one->type)->name, one->reason,
                            "--tensor-type: %s", one->kept);
        }
        return ggl_fail(err, GGL_ERR_ARGUMENT, NULL, GGL_NO_OFFSET, NULL, NULL,
                        "--tensor-type %.160s: it matches no tensor, or another choice is before it", one->text);
    }
    return GGL_OK;
}
