/*
 * Any bytes as text: they come back unchanged, counting agrees with writing, and the detokenizer gives valid
 * UTF-8 however its input is cut.  The vocabulary has merges of letters, spaces, CJK and invalid bytes, and
 * added tokens that overlap.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "model/src/tokenizer_vocab.h"
#include "model/src/unicode.h"
#include "model/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { N_BYTES = 256, N_ADDED = 4, MAX_TOKENS = 512 };

static char texts[MAX_TOKENS][64];
static struct ggl_vocab_token tokens[MAX_TOKENS];
static struct ggl_vocab_merge merges[MAX_TOKENS];

static uint32_t add(uint32_t *n, enum ggl_token_kind kind)
{
    tokens[*n] = (struct ggl_vocab_token){texts[*n], strlen(texts[*n]), kind};
    return (*n)++;
}

/* Bytes as in the byte alphabet, then every pair of a few of them and some pairs of pairs. */
static struct ggl_tokenizer *make(void)
{
    static const uint8_t often[] = {'a', 'b', ' ', '\n', '!', 0xE4, 0xBD, 0xA0, 0xFF, '<'};
    static const char *const added[N_ADDED] = {"<a>", "<a>b", "\xEF\xBD\x9C<a", "ab\n"};
    uint32_t n = 0, n_merges = 0, other = 256;
    for (uint32_t b = 0; b < N_BYTES; b++) {
        uint32_t code = (b >= '!' && b <= '~') || (b >= 0xA1 && b != 0xAD) ? b : other++;
        if (code < 128)
            texts[n][0] = (char)code;
        else
            texts[n][0] = (char)(0xC0 | code >> 6), texts[n][1] = (char)(0x80 | (code & 63));
        add(&n, GGL_TOKEN_NORMAL);
    }
    for (uint32_t i = 0; i < 200; i++) {
        uint32_t left = i < 100 ? often[i / 10] : N_BYTES + i % 97,
                 right = i < 100 ? often[i % 10] : N_BYTES + i % 89;
        size_t n_left = strlen(texts[left]), n_right = strlen(texts[right]);
        memcpy(texts[n], texts[left], n_left);
        memcpy(texts[n] + n_left, texts[right], n_right + 1);
        merges[n_merges++] =
            (struct ggl_vocab_merge){texts[left], texts[right], strlen(texts[left]), strlen(texts[right])};
        bool known = false;
        for (uint32_t k = 0; k < n; k++)
            known |= !strcmp(texts[k], texts[n]);
        if (!known) add(&n, GGL_TOKEN_NORMAL);
    }
    for (int i = 0; i < N_ADDED; i++) {
        strcpy(texts[n], added[i]);
        add(&n, i & 1 ? GGL_TOKEN_USER : GGL_TOKEN_CONTROL);
    }
    struct ggl_vocab v = {"fuzz", "tokens", "merges", n, n_merges, tokens, merges, -1, -1};
    struct ggl_tokenizer *t = NULL;
    if (ggl_tokenizer_new(&v, &t, NULL)) abort();
    return t;
}

static void check(const struct ggl_tokenizer *t, const uint8_t *data, size_t size, bool special)
{
    int32_t *ids = malloc((size + 1) * sizeof(*ids));
    char *shown = malloc(3 * (size + 4) + 12);
    if (!ids || !shown) abort();
    int64_t n = ggl_tokenize(t, (const char *)data, size, special, ids, (int64_t)size, NULL);
    if (n < 0 || n > (int64_t)size || n != ggl_tokenize(t, (const char *)data, size, special, NULL, 0, NULL))
        abort();

    struct ggl_detokenizer d = {{0}, 0};
    size_t at = 0, n_shown = 0;
    for (int64_t i = 0; i < n; i++) {
        size_t bytes_size;
        const char *bytes = ggl_token_bytes(t, ids[i], &bytes_size);
        if (!bytes || bytes_size > size - at || memcmp(bytes, data + at, bytes_size)) abort();
        at += bytes_size;
        n_shown += ggl_detokenizer_feed(&d, bytes, bytes_size, shown + n_shown);
    }
    n_shown += ggl_detokenizer_flush(&d, shown + n_shown);
    if (at != size) abort();
    const uint8_t *p = (const uint8_t *)shown, *end = p + n_shown;
    while (p < end) {
        struct ggl_char c = ggl_utf8_decode(p, end);
        if (c.code == GGL_INVALID_BYTE) abort();
        p += c.size;
    }
    free(ids);
    free(shown);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ggl_tokenizer *t; /* static, so it stays reachable */
    if (!t) t = make();
    check(t, data, size, true);
    check(t, data, size, false);
    return 0;
}
