/*
 * XXH3-128 of a tensor's bytes in its canonical (big-endian) text form, the
 * same that xxhsum prints.
 */
#include "ggml-lite/src/hash.h"

#ifdef GGL_HAVE_XXHASH
void ggl_hash_text(XXH128_hash_t hash, char hex[33])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        hex[15 - i] = digits[hash.high64 >> (4 * i) & 15];
        hex[31 - i] = digits[hash.low64 >> (4 * i) & 15];
    }
    hex[32] = '\0';
}

bool ggl_hash_hex(const void *data, size_t n, char hex[33])
{
    ggl_hash_text(XXH3_128bits(data, n), hex);
    return true;
}
#else
bool ggl_hash_hex(const void *data, size_t n, char hex[33])
{
    (void)data;
    (void)n;
    hex[0] = '\0';
    return false;
}
#endif
