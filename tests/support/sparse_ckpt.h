/*
 * Checkpoints of full size without their data: true headers, and files that are one long hole but for the scales of
 * FP8 matrices (2^-7).  And, from the published table of tensors and not from our own, what is in them.
 */
#ifndef TEST_SPARSE_CKPT_H
#define TEST_SPARSE_CKPT_H

#include <stdbool.h>
#include <stdint.h>

enum sparse_kind { SPARSE_BF16, SPARSE_F32, SPARSE_FP8, SPARSE_FP4, SPARSE_IDS };

struct sparse_tensor {
    char name[64];     /* in a GGUF file */
    char official[64]; /* of experts: of number 0 */
    enum sparse_kind kind;
    int64_t ne[3];
    int n_dims;
};

struct sparse_model {
    bool pro;
    int n_layer, n_tensors;
    int64_t embd, heads, q_rank, groups, ff, experts;
    struct sparse_tensor tensors[2048];
};

/* Flash or Pro without prediction blocks. */
void sparse_model(struct sparse_model *m, bool pro);
int sparse_ratio(const struct sparse_model *m, int layer);
/* One file, in dir, which must exist; the size of its tensors. */
uint64_t sparse_write(const struct sparse_model *m, const char *dir);

#endif
