/*
 * Layers and roles for people: layers of the same make share a paragraph.
 */
#include <inttypes.h>
#include <string.h>
#include "ggl-inspect/inspect.h"

#define MAX_RANGES 8

/* The layers like layer i: "0-2", "3, 5, ... 41", "0, 4-7". */
static void print_numbers(const struct inspect *in, int i, FILE *f)
{
    int same[INSPECT_MAX_LAYERS], n = 0;
    for (int k = i; k < in->n_layers; k++)
        if (inspect_same_layer(&in->layers[i], &in->layers[k])) same[n++] = k;
    bool even = n > 3;
    for (int k = 2; k < n; k++) even = even && same[k] - same[k - 1] == same[1] - same[0];
    if (even && same[1] - same[0] > 1) {
        fprintf(f, "%d, %d, ... %d", same[0], same[1], same[n - 1]);
        return;
    }
    for (int k = 0, ranges = 0; k < n; ranges++) {
        int last = k;
        while (last + 1 < n && same[last + 1] == same[last] + 1) last++;
        if (ranges == MAX_RANGES) {
            fprintf(f, ", ... %d", same[n - 1]);
            return;
        }
        fprintf(f, k ? ", %d" : "%d", same[k]);
        if (last > k) fprintf(f, "-%d", same[last]);
        k = last + 1;
    }
}

static int count_like(const struct inspect *in, int i)
{
    int n = 0;
    for (int k = i; k < in->n_layers; k++) n += inspect_same_layer(&in->layers[i], &in->layers[k]);
    return n;
}

static bool seen_before(const struct inspect *in, int i)
{
    for (int k = 0; k < i; k++)
        if (inspect_same_layer(&in->layers[i], &in->layers[k])) return true;
    return false;
}

static void print_types(const struct inspect_part *p, char *text, size_t n)
{
    size_t at = 0;
    text[0] = '\0';
    for (int k = 0; k < p->n_types && at < n; k++)
        at += (size_t)snprintf(text + at, n - at, k ? ", %s" : "%s", p->types[k].name);
}

static void print_read(const struct inspect *in, enum inspect_role role, const struct inspect_part *p, FILE *f)
{
    char text[32];
    if (role == ROLE_EMBEDDING) fprintf(f, "one row a token: %s", cli_bytes(p->token_bytes, text));
    else if (role != ROLE_EXPERTS) fputs("every token", f);
    else if (!in->n_expert) fputs("routed", f);
    else fprintf(f, "routed, %" PRIu64 " of %" PRIu64 ": %s", in->n_expert_used, in->n_expert, cli_bytes(p->token_bytes, text));
}

static void print_parts(const struct inspect *in, const struct inspect_layer *l, FILE *f)
{
    char types[96], bytes[32];
    for (int r = 0; r < N_ROLES; r++) {
        const struct inspect_part *p = &l->parts[r];
        if (!p->tensors) continue;
        print_types(p, types, sizeof(types));
        fprintf(f, "    %-18s %3" PRIu64 " tensor%c  %-24s %10s  ", inspect_role_name((enum inspect_role)r), p->tensors,
                p->tensors == 1 ? ' ' : 's', types, cli_bytes(p->bytes, bytes));
        print_read(in, (enum inspect_role)r, p, f);
        fputc('\n', f);
    }
}

static void print_group(const struct inspect *in, int i, FILE *f)
{
    char text[32];
    int n = count_like(in, i);
    const struct inspect_layer *l = &in->layers[i];
    fputs(n == 1 ? "  layer " : "  layers ", f);
    print_numbers(in, i, f);
    if (l->prediction) fputs(", prediction", f);
    else if (l->ratio == 0) fputs(", attention within the window", f);
    else if (l->ratio > 0) fprintf(f, ", one entry for %d tokens", l->ratio);
    fprintf(f, ": %s", cli_bytes(l->bytes, text));
    if (n > 1) fprintf(f, " each, %s for %d", cli_bytes(l->bytes * (uint64_t)n, text), n);
    fputc('\n', f);
    print_parts(in, l, f);
}

static void print_line(const char *what, uint64_t n, FILE *f)
{
    char text[32];
    if (n) fprintf(f, "  %-40s %16" PRIu64 "  %s\n", what, n, cli_bytes(n, text));
}

static void print_totals(const struct inspect *in, FILE *f)
{
    const struct inspect_totals *t = &in->totals;
    char routed[64] = "routed experts that it chooses";
    fprintf(f, "\nread for a token\n");
    print_line("the same for every token (hot)", t->hot, f);
    if (in->n_expert) snprintf(routed, sizeof(routed), "%" PRIu64 " of %" PRIu64 " routed experts in each layer", in->n_expert_used, in->n_expert);
    print_line(routed, t->routed_token, f);
    print_line("together", t->hot + t->routed_token, f);
    fprintf(f, "the rest\n");
    print_line("routed experts that others choose", t->routed - t->routed_token, f);
    print_line("other rows of tables", t->tables, f);
    print_line("prediction (with drafts only)", t->prediction, f);
}

void inspect_print_layers(const struct inspect *in, FILE *f)
{
    char text[32];
    if (!in->layers) return;
    fprintf(f, "\n%d layer%s\n", in->n_layers, in->n_layers == 1 ? "" : "s");
    for (int i = 0; i < in->n_layers; i++)
        if (in->layers[i].bytes && !seen_before(in, i)) print_group(in, i, f);
    fprintf(f, "  outside of the layers: %s\n", cli_bytes(in->outside.bytes, text));
    print_parts(in, &in->outside, f);
    print_totals(in, f);
}
