/*
 * The three passes of the pre-tokenizer.  Each has a function that takes a piece [p, end) and returns the end of
 * its first part: a match that starts at p, or all up to the first match.
 *
 * What the regular expressions do by backtracking is decided here by looking at runs: a greedy run followed by
 * something that cannot match gives back exactly what the comments say.
 */
#include "model/src/pretokenizer.h"
#include "model/src/unicode.h"

enum { LETTER = GGL_CHAR_L | GGL_CHAR_M, PUNCT = GGL_CHAR_P | GGL_CHAR_S };

static bool is_ascii_letter(uint32_t c)
{
    return (c | 32) - 'a' < 26;
}

static bool is_newline(uint32_t c)
{
    return c == '\r' || c == '\n';
}

/* Skip characters that have one of the classes. */
static const uint8_t *skip_class(const uint8_t *p, const uint8_t *end, unsigned classes)
{
    while (p < end) {
        struct ggl_char c = ggl_utf8_decode(p, end);
        if (!(ggl_char_class(c.code) & classes)) break;
        p += c.size;
    }
    return p;
}

/* ---- pass 1: \p{N}{1,3} */

static const uint8_t *split_numbers(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *q = p;
    for (int digits = 0; q < end && digits < 3; digits++) {
        struct ggl_char c = ggl_utf8_decode(q, end);
        if (!(ggl_char_class(c.code) & GGL_CHAR_N)) break;
        q += c.size;
    }
    if (q > p) return q;
    while (q < end) {
        struct ggl_char c = ggl_utf8_decode(q, end);
        if (ggl_char_class(c.code) & GGL_CHAR_N) break;
        q += c.size;
    }
    return q;
}

/* ---- pass 2: runs of Han, Hiragana and Katakana, by code point */

static bool is_cjk(uint32_t c)
{
    return (c >= 0x4E00 && c <= 0x9FA5) || (c >= 0x3040 && c <= 0x30FF);
}

static const uint8_t *split_cjk(const uint8_t *p, const uint8_t *end)
{
    bool inside = is_cjk(ggl_utf8_decode(p, end).code);
    while (p < end) {
        struct ggl_char c = ggl_utf8_decode(p, end);
        if (is_cjk(c.code) != inside) break;
        p += c.size;
    }
    return p;
}

/* ---- pass 3: words with one leading character, punctuation, white space */

/*
 * White space at p.  With a line break in the run, \s*[\r\n]+ gives back all that follows the last one.
 * Without, \s+(?!\S) gives back one character when something follows in the piece, so that a word can have it
 * as its leading character; a single one is then taken by \s+.
 */
static const uint8_t *match_space(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *q = p, *last = p, *after_newline = NULL;
    while (q < end) {
        struct ggl_char c = ggl_utf8_decode(q, end);
        if (!(ggl_char_class(c.code) & GGL_CHAR_SPACE)) break;
        last = q;
        q += c.size;
        if (is_newline(c.code)) after_newline = q;
    }
    if (after_newline) return after_newline;
    if (q < end && last > p) return last;
    return q;
}

/* The end of the match that starts at p < end, or p when there is none.  The order of the tests is the order of
 * the alternatives. */
static const uint8_t *match_word(const uint8_t *p, const uint8_t *end)
{
    struct ggl_char c = ggl_utf8_decode(p, end);
    unsigned class = ggl_char_class(c.code);
    const uint8_t *after = p + c.size, *q;

    if (c.code < 0x80 && class & PUNCT) { /* [punctuation][A-Za-z]+ */
        for (q = after; q < end && is_ascii_letter(*q); q++) {}
        if (q > after) return q;
    }
    if (!(class & (GGL_CHAR_L | PUNCT)) && !is_newline(c.code)) { /* [^\r\n\p{L}\p{P}\p{S}][\p{L}\p{M}]+ */
        q = skip_class(after, end, LETTER);
        if (q > after) return q;
    }
    if (class & LETTER) return skip_class(after, end, LETTER); /* the same without the leading character */

    const uint8_t *punct = c.code == ' ' ? after : p; /* " ?[\p{P}\p{S}]+[\r\n]*" */
    q = skip_class(punct, end, PUNCT);
    if (q > punct) {
        while (q < end && is_newline(*q)) q++;
        return q;
    }
    return class & GGL_CHAR_SPACE ? match_space(p, end) : p;
}

/* A failed match_word looks at two characters, so that the scan for the next match is linear. */
static const uint8_t *split_words(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *q = match_word(p, end);
    if (q > p) return q;
    do {
        q += ggl_utf8_decode(q, end).size;
    } while (q < end && match_word(q, end) == q);
    return q;
}

void ggl_words_begin(struct ggl_words *w, const void *text, size_t size)
{
    w->next = w->piece2 = w->piece1 = text;
    w->end = size ? w->next + size : w->next;
}

bool ggl_words_next(struct ggl_words *w, const uint8_t **word, size_t *size)
{
    const uint8_t *p = w->next;
    if (p == w->end) return false;
    if (p == w->piece1) w->piece1 = split_numbers(p, w->end);
    if (p == w->piece2) w->piece2 = split_cjk(p, w->piece1);
    w->next = split_words(p, w->piece2);
    *word = p;
    *size = (size_t)(w->next - p);
    return true;
}
