/*
 * Splits text into the words inside which byte pairs are merged, as DeepSeek V4's tokenizer does.
 *
 *     struct ggl_words words;
 *     ggl_words_begin(&words, text, size);
 *     while (ggl_words_next(&words, &word, &word_size)) ...
 *
 * Three regular expressions one after the other, each applied to the pieces that the one before left (matches
 * and what lies between them alike), so that nothing matches or looks ahead past the end of its piece:
 *
 *   1  \p{N}{1,3}
 *   2  [U+4E00-U+9FA5 U+3040-U+309F U+30A0-U+30FF]+
 *   3  [!-/:-~ punctuation][A-Za-z]+ | [^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+ | ?[\p{P}\p{S}]+[\r\n]*
 *      | \s*[\r\n]+ | \s+(?!\S) | \s+
 *
 * They are written out as scans: linear in the text, constant memory, no recursion.
 */
#ifndef GGL_PRETOKENIZER_H
#define GGL_PRETOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ggl_words {
    const uint8_t *next;      /* start of the next word */
    const uint8_t *piece2;    /* end of the piece of pass 2 that it lies in */
    const uint8_t *piece1;    /* end of the piece of pass 1 */
    const uint8_t *end;       /* of the text */
};

void ggl_words_begin(struct ggl_words *w, const void *text, size_t size);
/* The next word, never empty; false at the end of the text.  The words are the text, cut. */
bool ggl_words_next(struct ggl_words *w, const uint8_t **word, size_t *size);

#endif
