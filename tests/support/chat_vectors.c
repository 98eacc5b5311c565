#include "support/chat_vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void give_up(const char *what, const char *name)
{
    fprintf(stderr, "%s: %s\n", name, what);
    exit(1);
}

char *chat_vector_file(const char *name, size_t *size)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/encoding/%s", GGL_TEST_VECTORS, name);
    FILE *f = fopen(path, "rb");
    if (!f) give_up("cannot open", path);
    size_t cap = 1 << 16, n = 0, got;
    char *data = malloc(cap + 1);
    while (data && (got = fread(data + n, 1, cap - n, f)) > 0) {
        n += got;
        if (n == cap) data = realloc(data, (cap *= 2) + 1);
    }
    fclose(f);
    if (!data) give_up("out of memory", path);
    data[n] = 0;
    *size = n;
    return data;
}

struct ggl_pyjson *chat_json(struct ggl_chat_arena *arena, const char *text, size_t size)
{
    struct ggl_pyjson *root = NULL;
    struct ggl_error err = {0};
    char line[GGL_ERROR_LINE];
    if (ggl_pyjson_read(arena, ggl_chat_span_of(text, size), "test", &root, &err))
        give_up(ggl_error_line(&err, line, sizeof(line)), "JSON of a test");
    return root;
}

struct ggl_pyjson *chat_vector_json(struct ggl_chat_arena *arena, const char *name)
{
    size_t size;
    char *text = chat_vector_file(name, &size);
    char *copy = ggl_chat_arena_alloc(arena, size + 1); /* numbers point into the text */
    if (!copy) give_up("out of memory", name);
    memcpy(copy, text, size + 1);
    free(text);
    return chat_json(arena, copy, size);
}

bool chat_json_same(const struct ggl_pyjson *a, const struct ggl_pyjson *b)
{
    if (!a || !b || a->kind != b->kind || a->n != b->n) return false;
    if (a->text.size != b->text.size || (a->text.size && memcmp(a->text.data, b->text.data, a->text.size))) return false;
    const struct ggl_pyjson *y = b->child;
    for (const struct ggl_pyjson *x = a->child; x; x = x->next, y = y->next) {
        if (a->kind == GGL_PYJSON_OBJECT) {
            for (y = b->child; y; y = y->next)
                if (x->key.size == y->key.size && !memcmp(x->key.data, y->key.data, x->key.size)) break;
            if (!y) return false;
        }
        if (!chat_json_same(x, y)) return false;
    }
    return true;
}

bool chat_same_text(const char *name, const char *found, size_t n_found, const char *expected, size_t n_expected)
{
    size_t i = 0, n = n_found < n_expected ? n_found : n_expected;
    while (i < n && found[i] == expected[i]) i++;
    if (i == n_found && i == n_expected) return true;
    size_t from = i > 60 ? i - 60 : 0, a = n_found - from, b = n_expected - from;
    fprintf(stderr, "%s: %zu and %zu bytes differ at byte %zu\n  found    ...%.*s\n  expected ...%.*s\n", name, n_found,
            n_expected, i, (int)(a < 120 ? a : 120), found + from, (int)(b < 120 ? b : 120), expected + from);
    return false;
}
