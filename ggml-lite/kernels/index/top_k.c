#include "kernels/index/index.h"

#include <math.h>
#include <string.h>

/* Integers in the order of scores. */
static uint32_t rank(float score)
{
    uint32_t bits;
    score += 0.0f; /* one zero */
    memcpy(&bits, &score, 4);
    return bits >> 31 ? ~bits : bits | 0x80000000;
}

static float score_of(uint32_t rank)
{
    uint32_t bits = rank >> 31 ? rank & 0x7fffffff : ~rank;
    float score;
    memcpy(&score, &bits, 4);
    return score;
}

/* The rank of the last of the best, of more than there may be, byte by byte from the highest; *equal: how many of that
 * rank are among the best. */
static uint32_t last_rank(const struct ggl_top_k *k, int32_t *equal)
{
    uint32_t found = 0, known = 0;
    int32_t wanted = k->cap;
    for (int shift = 24; shift >= 0; shift -= 8) {
        int32_t count[256] = {0};
        for (int32_t i = 0; i < k->n; i++) {
            uint32_t r = rank(k->score[i]);
            if ((r & known) == found) count[r >> shift & 255]++;
        }
        uint32_t byte = 255;
        while (count[byte] < wanted) wanted -= count[byte--];
        found |= byte << shift;
        known |= (uint32_t)255 << shift;
    }
    *equal = wanted;
    return found;
}

void ggl_top_k_settle(struct ggl_top_k *k)
{
    if (k->n <= k->cap) return;
    int32_t equal, n = 0;
    uint32_t last = last_rank(k, &equal);
    for (int32_t i = 0; i < k->n; i++) { /* of equal ones the first, which have the lower entries */
        uint32_t r = rank(k->score[i]);
        int32_t same = r == last && equal > 0;
        k->score[n] = k->score[i];
        k->entry[n] = k->entry[i];
        n += r > last || same;
        equal -= same;
    }
    k->n = n;
    k->least = score_of(last);
}

void ggl_top_k_begin(struct ggl_top_k *k)
{
    k->n = 0;
    k->least = -INFINITY;
}

static inline void add_one(struct ggl_top_k *k, float score, int32_t entry)
{
    if (k->n >= k->cap && !(score > k->least)) return; /* once there are enough, an equal one comes too late */
    k->score[k->n] = score == score ? score : -INFINITY;
    k->entry[k->n++] = entry;
    if (k->n == 2 * k->cap) ggl_top_k_settle(k);
}

void ggl_top_k_add(struct ggl_top_k *k, const float *score, int32_t n, int32_t entry)
{
    for (int32_t i = 0; k->cap && i < n; i++) add_one(k, score[i], entry + i);
}

void ggl_top_k_join(struct ggl_top_k *k, const struct ggl_top_k *later)
{
    for (int32_t i = 0; i < later->n; i++) add_one(k, later->score[i], later->entry[i]);
}
