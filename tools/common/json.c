/*
 * Strings in JSON output.
 */
#include "common/cli.h"

/* Length of the UTF-8 sequence at s, 0 when it is none. */
static uint64_t utf8_length(const unsigned char *s, uint64_t n)
{
    uint64_t len = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (len == 1) return 1;
    if (s[0] < 0xc2 || s[0] > 0xf4 || n < len) return 0;
    for (uint64_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool beyond = (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf4 && s[1] > 0x8f);
    return overlong || beyond ? 0 : len;
}

void cli_json_text(FILE *f, const char *s, uint64_t n)
{
    fputc('"', f);
    for (uint64_t i = 0; i < n;) {
        unsigned char c = (unsigned char)s[i];
        uint64_t len = utf8_length((const unsigned char *)s + i, n - i);
        if (!len)
            fputs("\\ufffd", f);
        else if (c == '"' || c == '\\')
            fprintf(f, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            fprintf(f, "\\u%04x", c);
        else
            fwrite(s + i, 1, (size_t)len, f);
        i += len ? len : 1;
    }
    fputc('"', f);
}
