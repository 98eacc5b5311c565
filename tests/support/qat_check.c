/* Block rounding against vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <math.h>
#include "support/codec_check.h"
#include "support/qat_check.h"

enum { MAX_N = 128 };

static void check_record(int record, const float *x, const uint8_t *expected, int n, qat_encode *encode,
                         qat_decode *decode)
{
    uint8_t codes[MAX_N + 1], scale;
    float y[MAX_N], again[MAX_N];
    memset(codes, 0xa5, sizeof(codes));
    encode(x, n, codes, &scale);
    assert_int_equal(codes[n], 0xa5);
    decode(codes, scale, y, n);
    bool finite = true;
    for (int i = 0; i < n; i++) {
        float e = ggl_bf16_to_f32((uint16_t)(expected[2 * i] | expected[2 * i + 1] << 8));
        if (!(y[i] == e))
            fail_msg("record %d: element %d, %a, became %a, expected %a", record, i, (double)x[i], (double)y[i],
                     (double)e);
        finite = finite && isfinite(y[i]);
    }
    if (!finite) return; /* rounded up past the largest float */
    encode(y, n, codes, &scale);
    decode(codes, scale, again, n);
    assert_true(same_bits(y, again, (size_t)n));
}

int check_qat(const char *file, qat_encode *encode, qat_decode *decode)
{
    size_t size, at = 0;
    uint8_t *bytes = vector_read(file, &size);
    int records = 0;
    while (at < size) {
        float x[MAX_N];
        uint32_t n;
        assert_true(size - at >= sizeof(n));
        memcpy(&n, bytes + at, sizeof(n));
        at += sizeof(n);
        assert_in_range(n, 1, MAX_N);
        assert_true(size - at >= 6 * (size_t)n);
        memcpy(x, bytes + at, n * sizeof(float));
        check_record(records++, x, bytes + at + 4 * (size_t)n, (int)n, encode, decode);
        at += 6 * (size_t)n;
    }
    free(bytes);
    return records;
}
