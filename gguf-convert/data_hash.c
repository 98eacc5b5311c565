/* Four lanes of multiply and rotate over words of eight bytes: every change of one word changes the sum. */
#include <string.h>
#include "gguf-convert/journal.h"

#define PRIME_1 0x9e3779b97f4a7c15u /* 2^64 over the golden ratio, odd */
#define PRIME_2 0xd6e8feb86659fd93u

static uint64_t mix(uint64_t h, uint64_t word)
{
    h = (h ^ word) * PRIME_1;
    return h << 29 | h >> 35; /* or the top bits would never meet the others */
}

void data_hash_begin(struct data_hash *h)
{
    *h = (struct data_hash){.lane = {1, 2, 3, 4}};
}

static void add_stripes(struct data_hash *h, const uint8_t *p, size_t n)
{
    uint64_t a = h->lane[0], b = h->lane[1], c = h->lane[2], d = h->lane[3], w[4];
    for (; n >= sizeof(w); n -= sizeof(w), p += sizeof(w)) {
        memcpy(w, p, sizeof(w));
        a = mix(a, w[0]);
        b = mix(b, w[1]);
        c = mix(c, w[2]);
        d = mix(d, w[3]);
    }
    h->lane[0] = a;
    h->lane[1] = b;
    h->lane[2] = c;
    h->lane[3] = d;
}

void data_hash_add(struct data_hash *h, const void *data, size_t n)
{
    const uint8_t *p = data;
    size_t at = (size_t)(h->total % sizeof(h->rest)), room = sizeof(h->rest) - at;
    h->total += n;
    if (at) {
        size_t chunk = n < room ? n : room;
        memcpy(h->rest + at, p, chunk);
        if (n < room) return;
        add_stripes(h, h->rest, sizeof(h->rest));
        p += chunk;
        n -= chunk;
    }
    add_stripes(h, p, n);
    size_t left = n % sizeof(h->rest);
    if (left) memcpy(h->rest, p + n - left, left);
}

uint64_t data_hash_end(const struct data_hash *h)
{
    uint64_t sum = h->total * PRIME_2;
    uint8_t last[sizeof(h->rest)] = {0};
    struct data_hash end = *h;
    memcpy(last, h->rest, (size_t)(h->total % sizeof(last)));
    add_stripes(&end, last, sizeof(last));
    for (int i = 0; i < 4; i++) sum = mix(sum, end.lane[i]);
    sum ^= sum >> 32;
    sum *= PRIME_2;
    return sum ^ sum >> 29;
}
