/*
 * The same as one JSON object.  Metadata values are plain JSON values; arrays
 * longer than MAX_ELEMENTS become {"elem", "n", "first"}, numbers that JSON
 * does not have become null, and bytes that are not UTF-8 U+FFFD.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include "ggl-inspect/inspect.h"

#define MAX_ELEMENTS 512
#define N_FIRST      8

static void put_string(FILE *f, const char *s)
{
    cli_json_text(f, s, strlen(s));
}

static void put_float(FILE *f, double v, int digits)
{
    if (isfinite(v))
        fprintf(f, "%.*g", digits, v);
    else
        fputs("null", f);
}

static void put_element(FILE *f, const struct ggl_kv *kv, uint64_t i)
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
    case GGL_KV_F32: put_float(f, (double)((const float *)kv->data)[i], 9); break;
    case GGL_KV_F64: put_float(f, ((const double *)kv->data)[i], 17); break;
    case GGL_KV_BOOL: fputs(((const uint8_t *)kv->data)[i] ? "true" : "false", f); break;
    case GGL_KV_STR: cli_json_text(f, kv->str[i].data, kv->str[i].size); break;
    case GGL_KV_ARR: break;
    }
}

static void put_elements(FILE *f, const struct ggl_kv *kv, uint64_t n)
{
    fputc('[', f);
    for (uint64_t i = 0; i < n; i++) {
        if (i) fputs(", ", f);
        put_element(f, kv, i);
    }
    fputc(']', f);
}

static void put_value(FILE *f, const struct ggl_kv *kv)
{
    if (kv->type != GGL_KV_ARR) {
        put_element(f, kv, 0);
    } else if (kv->n <= MAX_ELEMENTS) {
        put_elements(f, kv, kv->n);
    } else {
        fprintf(f, "{\"elem\": \"%s\", \"n\": %" PRIu64 ", \"first\": ", ggl_kv_type_name(kv->elem), kv->n);
        put_elements(f, kv, N_FIRST);
        fputc('}', f);
    }
}

static void put_tensor(FILE *f, const struct inspect *in, uint64_t i)
{
    const struct ggl_tensor *t = inspect_tensor(in, i);
    fputs("{\"name\": ", f);
    put_string(f, t->name);
    fputs(", \"shape\": [", f);
    for (uint32_t d = 0; d < t->n_dims; d++) fprintf(f, d ? ", %" PRId64 : "%" PRId64, t->ne[d]);
    fprintf(f, "], \"type\": \"%s\", \"bytes\": %" PRIu64, inspect_type_name(t->type), inspect_tensor_bytes(in, i));
    if (in->gguf) {
        uint32_t part;
        uint64_t offset;
        ggl_gguf_tensor_location(in->gguf, i, &part, &offset);
        fprintf(f, ", \"stored_type\": \"%s\", \"part\": %" PRIu32 ", \"offset\": %" PRIu64,
                inspect_type_name(ggl_gguf_stored_type(in->gguf, i)), part, offset);
    }
    if (in->hashes) fprintf(f, ", \"xxh3\": \"%s\"", in->hashes[i].data);
    fputc('}', f);
}

static void put_parts(FILE *f, const struct inspect_layer *l)
{
    fputs("\"roles\": [", f);
    for (int r = 0, n = 0; r < N_ROLES; r++) {
        const struct inspect_part *p = &l->parts[r];
        if (!p->tensors) continue;
        fprintf(f, "%s{\"role\": \"%s\", \"tensors\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"bytes_per_token\": %" PRIu64
                   ", \"types\": [", n++ ? ", " : "", inspect_role_name((enum inspect_role)r), p->tensors, p->bytes, p->token_bytes);
        for (int k = 0; k < p->n_types; k++) fprintf(f, "%s\"%s\"", k ? ", " : "", p->types[k].name);
        fputs("]}", f);
    }
    fputs("]}", f);
}

static void put_layers(FILE *f, const struct inspect *in)
{
    const struct inspect_totals *t = &in->totals;
    if (!in->layers) {
        fputs(",\n\"layers\": null", f);
        return;
    }
    fputs(",\n\"layers\": [", f);
    for (int i = 0, n = 0; i < in->n_layers; i++) {
        if (!in->layers[i].bytes) continue;
        fprintf(f, "%s\n  {\"layer\": %d, \"ratio\": %" PRId32 ", \"prediction\": %s, \"bytes\": %" PRIu64 ", ", n++ ? "," : "", i,
                in->layers[i].ratio, in->layers[i].prediction ? "true" : "false", in->layers[i].bytes);
        put_parts(f, &in->layers[i]);
    }
    fprintf(f, "],\n\"outside\": {\"bytes\": %" PRIu64 ", ", in->outside.bytes);
    put_parts(f, &in->outside);
    fprintf(f, ",\n\"per_token\": {\"hot_bytes\": %" PRIu64 ", \"routed_bytes\": %" PRIu64 ", \"routed_bytes_of_all\": %" PRIu64
               ", \"prediction_bytes\": %" PRIu64 "}", t->hot, t->routed_token, t->routed, t->prediction);
}

static void put_memory(FILE *f, const struct inspect_memory *m)
{
    if (!m->known) {
        fputs("null", f);
        return;
    }
    fprintf(f,
            "{\"ctx\": %" PRIu64 ", \"kv_bytes_per_token\": %.4f, \"kv_row_bytes\": %" PRIu64 ", \"index_row_bytes\": %" PRIu64
            ", \"window_bytes\": %" PRIu64 ", \"kv_bytes\": %" PRIu64 ", \"state_bytes\": %" PRIu64
            ", \"weight_bytes\": %" PRIu64 ", \"total_bytes\": %" PRIu64 "}",
            m->ctx, m->bytes_per_token, m->rows, m->index, m->window, m->rows + m->index + m->window, m->state, m->weights,
            m->total);
}

void inspect_print_json(const struct inspect *in, FILE *f)
{
    fputs("{\"path\": ", f);
    put_string(f, in->path);
    fprintf(f, ",\n\"format\": \"%s\"", in->gguf ? "gguf" : "checkpoint");
    if (in->gguf)
        fprintf(f, ", \"version\": %" PRIu32 ", \"parts\": %" PRIu32 ", \"file_bytes\": %" PRIu64 ", \"alignment\": %" PRIu64
                   ", \"trailing_bytes\": %" PRIu64,
                ggl_gguf_version(in->gguf), ggl_gguf_n_parts(in->gguf), ggl_gguf_file_bytes(in->gguf),
                ggl_gguf_alignment(in->gguf), in->trailing_bytes);
    fputs(",\n\"metadata\": {", f);
    for (uint64_t i = 0; i < ggl_gguf_n_kv(in->meta); i++) {
        fputs(i ? ",\n  " : "\n  ", f);
        put_string(f, ggl_gguf_kv(in->meta, i)->key);
        fputs(": ", f);
        put_value(f, ggl_gguf_kv(in->meta, i));
    }
    fputs("},\n\"tensors\": [", f);
    for (uint64_t i = 0; i < in->n_tensors; i++) {
        fputs(i ? ",\n  " : "\n  ", f);
        put_tensor(f, in, i);
    }
    fputs("],\n\"types\": [", f);
    for (int i = 0; i < in->n_types; i++)
        fprintf(f, "%s{\"type\": \"%s\", \"tensors\": %" PRIu64 ", \"bytes\": %" PRIu64 "}", i ? ", " : "", in->types[i].name,
                in->types[i].tensors, in->types[i].bytes);
    fprintf(f, "],\n\"n_tensors\": %" PRIu64 ", \"tensor_bytes\": %" PRIu64 ", \"verified\": %s,\n\"memory\": ", in->n_tensors,
            in->data_bytes, in->n_verified ? "true" : "false");
    put_memory(f, &in->memory);
    put_layers(f, in);
    fputs("}\n", f);
}
