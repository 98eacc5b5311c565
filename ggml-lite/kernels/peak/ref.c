/* Plain C: what the compiler makes of the obvious loops, on data that stays in the first-level cache. */
#include "kernels/kernels.h"

enum { VALUES = 256, LANES = 16 };

/* Forget what is known about memory: the next round loads again. */
#define RELOAD() __asm__ volatile("" ::: "memory")

uint64_t ggl_read_bandwidth_ref(const void *data, int64_t bytes)
{
    const uint64_t *p = data;
    uint64_t sum[8] = {0};
    for (int64_t i = 0; i < bytes / 8; i += 8)
        for (int l = 0; l < 8; l++) sum[l] += p[i + l];
    return sum[0] + sum[1] + sum[2] + sum[3] + sum[4] + sum[5] + sum[6] + sum[7];
}

uint32_t ggl_int8_peak_ref(uint8_t a, int8_t b, int64_t rounds, int64_t *macs)
{
    uint8_t x[VALUES];
    int8_t y[VALUES];
    uint32_t sum = 0;
    for (int i = 0; i < VALUES; i++) x[i] = a, y[i] = b;
    __asm__ volatile("" ::"r"(x), "r"(y)); /* or RELOAD would not mean them */
    for (int64_t r = 0; r < rounds; r++) {
        int32_t dot = 0;
        RELOAD();
        for (int i = 0; i < VALUES; i++) dot += x[i] * y[i];
        sum += (uint32_t)dot;
    }
    *macs = rounds * VALUES;
    return sum;
}

float ggl_bf16_peak_ref(float a, float b, int64_t rounds, int64_t *macs)
{
    float x[VALUES], y[VALUES], sum[LANES] = {0}, total = 0;
    for (int i = 0; i < VALUES; i++) x[i] = a, y[i] = b;
    __asm__ volatile("" ::"r"(x), "r"(y));
    for (int64_t r = 0; r < rounds; r++) {
        RELOAD();
        for (int i = 0; i < VALUES; i += LANES)
            for (int l = 0; l < LANES; l++) sum[l] += x[i + l] * y[i + l];
    }
    for (int l = 0; l < LANES; l++) total += sum[l];
    *macs = rounds * VALUES;
    return total;
}
