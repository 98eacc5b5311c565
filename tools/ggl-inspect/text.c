/*
 * The page for people.
 */
#include <inttypes.h>
#include <string.h>
#include "ggl-inspect/inspect.h"

#define MAX_ELEMENTS 8
#define MAX_STRINGS  3
#define MAX_TEXT     80

/* Text of a file on a terminal: one line, and no control characters (C1 ones neither). */
static void print_clean(FILE *f, const char *s, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c == '\n')
            fputs("\\n", f);
        else if (c < 0x20 || c == 0x7f)
            fputc('?', f);
        else if (c == 0xc2 && i + 1 < n && (unsigned char)s[i + 1] < 0xa0)
            i++, fputc('?', f);
        else
            fputc(c, f);
    }
}

static void print_name(FILE *f, const char *name, int width)
{
    size_t n = strlen(name);
    print_clean(f, name, n);
    fprintf(f, "%*s", n < (size_t)width ? width - (int)n : 0, "");
}

static void print_string(FILE *f, const struct ggl_str *s)
{
    uint64_t n = s->size < MAX_TEXT ? s->size : MAX_TEXT;
    while (n < s->size && n > MAX_TEXT - 4 && ((unsigned char)s->data[n] & 0xc0) == 0x80) n--; /* whole characters */
    fputc('"', f);
    print_clean(f, s->data, n);
    fputc('"', f);
    if (n < s->size) fprintf(f, "... (%" PRIu64 " bytes)", s->size);
}

static void print_element(FILE *f, const struct ggl_kv *kv, uint64_t i)
{
    switch (kv->elem) {
    case GGL_KV_U8: fprintf(f, "%" PRIu8, ((const uint8_t *)kv->data)[i]); break;
    case GGL_KV_I8: fprintf(f, "%" PRId8, ((const int8_t *)kv->data)[i]); break;
    case GGL_KV_U16: fprintf(f, "%" PRIu16, ((const uint16_t *)kv->data)[i]); break;
    case GGL_KV_I16: fprintf(f, "%" PRId16, ((const int16_t *)kv->data)[i]); break;
    case GGL_KV_U32: fprintf(f, "%" PRIu32, ((const uint32_t *)kv->data)[i]); break;
    case GGL_KV_I32: fprintf(f, "%" PRId32, ((const int32_t *)kv->data)[i]); break;
    case GGL_KV_U64: fprintf(f, "%" PRIu64, ((const uint64_t *)kv->data)[i]); break;
    case GGL_KV_I64: fprintf(f, "%" PRId64, ((const int64_t *)kv->data)[i]); break;
    case GGL_KV_F32: fprintf(f, "%.9g", (double)((const float *)kv->data)[i]); break;
    case GGL_KV_F64: fprintf(f, "%.17g", ((const double *)kv->data)[i]); break;
    case GGL_KV_BOOL: fputs(((const uint8_t *)kv->data)[i] ? "true" : "false", f); break;
    case GGL_KV_STR: print_string(f, &kv->str[i]); break;
    case GGL_KV_ARR: break;
    }
}

static void print_kv(FILE *f, const struct ggl_kv *kv)
{
    char type[16];
    bool array = kv->type == GGL_KV_ARR;
    uint64_t most = kv->elem == GGL_KV_STR ? MAX_STRINGS : MAX_ELEMENTS;
    snprintf(type, sizeof(type), array ? "arr %s" : "%s", ggl_kv_type_name(kv->elem));
    fputs("  ", f);
    print_name(f, kv->key, 52);
    fprintf(f, " %-8s ", type);
    if (array) fputc('[', f);
    for (uint64_t i = 0; i < kv->n && i < most; i++) {
        if (i) fputs(", ", f);
        print_element(f, kv, i);
    }
    if (array) fputs(kv->n > most ? ", ...]" : "]", f);
    if (array) fprintf(f, " (%" PRIu64 ")", kv->n);
    fputc('\n', f);
}

static void print_tensor(FILE *f, const struct inspect *in, uint64_t i)
{
    const struct ggl_tensor *t = inspect_tensor(in, i);
    char shape[96] = "";
    for (uint32_t d = 0, n = 0; d < t->n_dims; d++)
        n += (uint32_t)snprintf(shape + n, sizeof(shape) - n, d ? ", %lld" : "%lld", (long long)t->ne[d]);
    fputs("  ", f);
    print_name(f, t->name, 44);
    fprintf(f, " [%s]%*s %-8s %14" PRIu64 "  %s\n", shape,
            strlen(shape) < 20 ? (int)(20 - strlen(shape)) : 0, "", inspect_type_name(t->type), inspect_tensor_bytes(in, i),
            in->hashes ? in->hashes[i].data : "-");
}

static void print_bytes(FILE *f, const char *what, uint64_t n)
{
    char text[32];
    fprintf(f, "  %-24s %16" PRIu64 "  %s\n", what, n, cli_bytes(n, text));
}

static void print_memory(const struct inspect *in, FILE *f)
{
    const struct inspect_memory *m = &in->memory;
    if (!m->known) {
        fprintf(f, "\nmemory: unknown (the metadata lacks the keys of a DeepSeek V4 model)\n");
        return;
    }
    fprintf(f, "\nmemory for %" PRIu64 " tokens (without activations)\n", m->ctx);
    fprintf(f, "  %-24s %16.1f\n", "KV bytes per token", m->bytes_per_token);
    print_bytes(f, "KV rows", m->rows);
    print_bytes(f, "index rows", m->index);
    print_bytes(f, "windows", m->window);
    print_bytes(f, "compressor state", m->state);
    print_bytes(f, "weights (mapped)", m->weights);
    print_bytes(f, "all", m->total);
    if (in->layers) print_bytes(f, "of it hot", m->total - m->weights + in->totals.hot);
}

void inspect_print_text(const struct inspect *in, FILE *f)
{
    char text[32];
    uint64_t n_kv = ggl_gguf_n_kv(in->meta);
    if (in->gguf)
        fprintf(f, "%s: GGUF version %u, %u part%s, %" PRIu64 " bytes, alignment %" PRIu64 "\n", in->path,
                ggl_gguf_version(in->gguf), ggl_gguf_n_parts(in->gguf), ggl_gguf_n_parts(in->gguf) == 1 ? "" : "s",
                ggl_gguf_file_bytes(in->gguf), ggl_gguf_alignment(in->gguf));
    else
        fprintf(f, "%s: checkpoint directory\n", in->path);
    if (in->trailing_bytes) fprintf(f, "note: %" PRIu64 " bytes after the last tensor belong to nothing\n", in->trailing_bytes);

    fprintf(f, "\nmetadata: %" PRIu64 " keys\n", n_kv);
    for (uint64_t i = 0; i < n_kv; i++) print_kv(f, ggl_gguf_kv(in->meta, i));
    inspect_print_layers(in, f);
    if (in->n_verified) fprintf(f, "\nverified: all %" PRIu64 " tensors have their hash\n", in->n_verified);

    fprintf(f, "\ntypes\n");
    for (int i = 0; i < in->n_types; i++)
        fprintf(f, "  %-8s %6" PRIu64 " tensors %16" PRIu64 "  %s\n", in->types[i].name, in->types[i].tensors, in->types[i].bytes,
                cli_bytes(in->types[i].bytes, text));
    fprintf(f, "  %-8s %6" PRIu64 " tensors %16" PRIu64 "  %s\n", "all", in->n_tensors, in->data_bytes,
            cli_bytes(in->data_bytes, text));

    print_memory(in, f);
    if (!in->list_tensors) {
        fprintf(f, "\ntensors: %" PRIu64 " (--tensors lists them)\n", in->n_tensors);
        return;
    }
    fprintf(f, "\ntensors: %" PRIu64 " (name, shape, type, bytes, XXH3-128)\n", in->n_tensors);
    for (uint64_t i = 0; i < in->n_tensors; i++) print_tensor(f, in, i);
}
