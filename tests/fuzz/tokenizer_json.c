/* Any bytes as a tokenizer.json: a tokenizer that gives a text back unchanged, or an error that says why. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "model/src/tokenizer_vocab.h"
#include "model/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] = "Hello <think> \xE4\xBD\xA0\xE5\xA5\xBD  12345\r\n \xFF "
                               "~!abababababababababababababababababababababab"
                               "ababababababababababababababababababababababababab";
    struct ggl_tokenizer *t = NULL;
    struct ggl_error err = {0};
    enum ggl_status s = ggl_tokenizer_from_json("fuzz", (const char *)data, size, &t, &err);
    if (s) {
        if (t || err.status != s || !err.what[0]) abort();
        return 0;
    }
    int32_t ids[sizeof(text)];
    int64_t n = ggl_tokenize(t, text, sizeof(text), true, ids, sizeof(text), NULL);
    size_t at = 0;
    for (int64_t i = 0; i < n; i++) {
        size_t bytes_size;
        const char *bytes = ggl_token_bytes(t, ids[i], &bytes_size);
        if (!bytes || bytes_size > sizeof(text) - at || memcmp(bytes, text + at, bytes_size)) abort();
        at += bytes_size;
    }
    if (at != sizeof(text)) abort();
    ggl_tokenizer_free(t);
    return 0;
}
