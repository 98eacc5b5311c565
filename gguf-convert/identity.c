/* What makes a conversion the same conversion: the head of its journal. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ggml-lite/src/gguf_internal.h"
#include "gguf-convert/convert.h"
#include "gguf-convert/journal.h"

/* ---- the plan's hash */

static void add_text(struct data_hash *h, const char *text)
{
    data_hash_add(h, text, strlen(text) + 1);
}

static void add_keys(struct data_hash *h, const struct ggl_gguf *g)
{
    for (uint64_t i = 0; i < ggl_gguf_n_kv(g); i++) {
        const struct ggl_kv *kv = ggl_gguf_kv(g, i);
        const uint32_t types[] = {(uint32_t)kv->type, (uint32_t)kv->elem};
        add_text(h, kv->key);
        data_hash_add(h, types, sizeof(types));
        data_hash_add(h, &kv->n, sizeof(kv->n));
        for (uint64_t k = 0; kv->str && k < kv->n; k++) {
            data_hash_add(h, &kv->str[k].size, sizeof(kv->str[k].size));
            data_hash_add(h, kv->str[k].data, (size_t)kv->str[k].size);
        }
        if (!kv->str) data_hash_add(h, kv->data, (size_t)(kv->n * ggl_kv_type_bytes(kv->elem)));
    }
}

static uint64_t plan_hash(const struct plan *p)
{
    struct data_hash h;
    data_hash_begin(&h);
    add_keys(&h, p->out);
    for (uint64_t i = 0; i < p->n_items; i++) {
        const struct ggl_tensor *t = ggl_gguf_tensor(p->out, i), *from = p->items[i].source;
        const uint64_t n[] = {(uint64_t)p->items[i].kind, (uint64_t)t->type, (uint64_t)from->type, (uint64_t)from->scale_type,
                              steps_count(&p->items[i]), p->items[i].bytes};
        add_text(&h, t->name);
        add_text(&h, from->name);
        data_hash_add(&h, n, sizeof(n));
        data_hash_add(&h, t->ne, sizeof(t->ne));
        data_hash_add(&h, from->ne, sizeof(from->ne));
    }
    return data_hash_end(&h);
}

/* ---- lines */

struct lines {
    char *text; /* NULL: out of memory, or nothing yet */
    size_t n;
    bool failed;
};

__attribute__((format(printf, 2, 3))) static void add_line(struct lines *l, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = n < 0 || l->failed ? NULL : realloc(l->text, l->n + (size_t)n + 2);
    if (!text) {
        l->failed = true;
        return;
    }
    l->text = text;
    va_start(args, format);
    vsnprintf(text + l->n, (size_t)n + 1, format, args);
    va_end(args);
    for (int i = 0; i < n; i++) {
        char *c = &text[l->n + (size_t)i];
        if ((unsigned char)*c < ' ') *c = '?'; /* a path with a line break */
    }
    l->n += (size_t)n;
    text[l->n++] = '\n';
    text[l->n] = '\0';
}

char *identity_text(const struct plan *p, const struct convert_options *o, uint32_t n_parts)
{
    struct lines l = {0};
    add_line(&l, "version %s", GGL_VERSION);
    add_line(&l, "type %s", o->type);
    add_line(&l, "mtp %s", o->mtp ? "yes" : "no");
    add_line(&l, "split-max-size %" PRIu64, o->split_max_bytes);
    for (int i = 0; i < o->tensor_types.n; i++) add_line(&l, "tensor-type %s", o->tensor_types.items[i]);
    add_line(&l, "imatrix %s", o->imatrix ? o->imatrix : "none");
    add_line(&l, "parts %" PRIu32, n_parts);
    for (uint32_t i = 0; i < p->n_inputs; i++) {
        const struct input_file *f = &p->inputs[i];
        add_line(&l, "input %" PRIu64 " bytes, time %" PRId64 ".%09" PRId64 ", inode %" PRIu64 ", %s", f->size, f->seconds,
                 f->nanoseconds, f->inode, f->path);
    }
    add_line(&l, "plan %016" PRIx64, plan_hash(p));
    if (!l.failed) return l.text;
    free(l.text);
    return NULL;
}
