#include "kernels/index/index.h"

#include <math.h>

/* A heap with the worst kept entry on top: lowest score, and of equal scores the highest entry. */
static bool worse(float score_a, int32_t entry_a, float score_b, int32_t entry_b)
{
    if (score_a != score_b) return !(score_a > score_b);
    return entry_a > entry_b;
}

static void sift_down(struct ggl_top_k *k, int32_t i, float score, int32_t entry)
{
    for (;;) {
        int32_t child = 2 * i + 1;
        if (child >= k->n) break;
        if (child + 1 < k->n && worse(k->score[child + 1], k->entry[child + 1], k->score[child], k->entry[child])) child++;
        if (!worse(k->score[child], k->entry[child], score, entry)) break;
        k->score[i] = k->score[child];
        k->entry[i] = k->entry[child];
        i = child;
    }
    k->score[i] = score;
    k->entry[i] = entry;
}

void ggl_top_k_push(struct ggl_top_k *k, float score, int32_t entry)
{
    if (score != score) score = -INFINITY;
    if (k->n == k->cap) {
        if (k->cap && worse(k->score[0], k->entry[0], score, entry)) sift_down(k, 0, score, entry);
        return;
    }
    int32_t i = k->n++;
    while (i && worse(score, entry, k->score[(i - 1) / 2], k->entry[(i - 1) / 2])) {
        k->score[i] = k->score[(i - 1) / 2];
        k->entry[i] = k->entry[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    k->score[i] = score;
    k->entry[i] = entry;
}

static void sift_entry(int32_t *e, int32_t i, int32_t n)
{
    int32_t v = e[i];
    for (int32_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && e[child + 1] > e[child]) child++;
        if (e[child] <= v) break;
        e[i] = e[child];
    }
    e[i] = v;
}

void ggl_top_k_sort_entries(struct ggl_top_k *k)
{
    int32_t *e = k->entry;
    for (int32_t i = k->n / 2; i-- > 0;) sift_entry(e, i, k->n);
    for (int32_t n = k->n; n-- > 1;) {
        int32_t top = e[0];
        e[0] = e[n];
        e[n] = top;
        sift_entry(e, 0, n);
    }
}
