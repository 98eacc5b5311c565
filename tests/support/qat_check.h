/* Block rounding against a vector file of records {u32 n, float32 x[n], bf16 y[n]}. */
#ifndef TESTS_QAT_CHECK_H
#define TESTS_QAT_CHECK_H

#include <stdint.h>

typedef void qat_encode(const float *x, int n, uint8_t *codes, uint8_t *scale);
typedef void qat_decode(const uint8_t *codes, uint8_t scale, float *y, int n);

/* Fails the running test unless decoding what was encoded gives y (zeros of either sign) in every record, and
 * encoding that again changes nothing.  Returns the number of records. */
int check_qat(const char *file, qat_encode *encode, qat_decode *decode);

#endif
