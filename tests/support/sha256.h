/* SHA-256, so that a test can carry the fingerprint of a long output instead of the output. */
#ifndef TESTS_SHA256_H
#define TESTS_SHA256_H

#include <stddef.h>

/* Lower-case hexadecimal digest of n bytes, zero-terminated. */
void sha256_hex(const void *data, size_t n, char hex[65]);

#endif
