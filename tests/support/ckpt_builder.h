/*
 * Small checkpoints in the official layout for tests: built in memory, broken at will, then written to a folder.
 *
 *     struct ckpt *ck = ckpt_new(&(struct ckpt_options){.mtp = 1});
 *     ckpt_tensor(ck, "norm.weight")->dtype = "F64";
 *     ckpt_set(ck, "hc_mult", "9");
 *     ckpt_write(ck, dir);
 *
 * Three layers (ratios 0, 4, 128; the first one routes by token id), two experts, 64 tokens.  Everything here
 * fails by ending the test program: it is no code under test.
 */
#ifndef TEST_CKPT_BUILDER_H
#define TEST_CKPT_BUILDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ckpt_experts { CKPT_FP4, CKPT_FP8_E8M0, CKPT_FP8_F32 };

struct ckpt_options {
    int mtp;    /* prediction blocks of the preview kind */
    int dspark; /* DSpark stages */
    enum ckpt_experts experts;
    int shards; /* 0: one file, named model.safetensors, when there is no index */
    bool no_index;
    bool wide; /* 4200 tokens and 512 inner dimensions: tensors that do not pass in one piece */
    uint32_t seed;
};

struct ckpt_tensor {
    char *name;
    const char *dtype;
    int rank;
    uint64_t shape[4];
    uint8_t *data;
    uint64_t bytes;
};

struct ckpt {
    struct ckpt_options options;
    struct ckpt_tensor *tensors;
    int n_tensors;
    struct {
        char *key, *json;
    } config[64];
    int n_config;
    char *index;     /* written instead of the right one */
    char *tokenizer; /* NULL: no tokenizer.json */
    uint64_t vocab, ff;
    uint32_t rng;
};

struct ckpt *ckpt_new(const struct ckpt_options *options);
void ckpt_free(struct ckpt *ck);

struct ckpt_tensor *ckpt_tensor(struct ckpt *ck, const char *name); /* NULL: none */
/* Add a tensor with random but sound values; shape ends at the first 0. */
struct ckpt_tensor *ckpt_add(struct ckpt *ck, const char *name, const char *dtype, uint64_t d0, uint64_t d1);
void ckpt_remove(struct ckpt *ck, const char *name);
void ckpt_rename(struct ckpt *ck, const char *name, const char *to);
/* Another shape or dtype, with data of the right size. */
void ckpt_reshape(struct ckpt *ck, const char *name, const char *dtype, uint64_t d0, uint64_t d1);

/* A key of config.json as JSON text; NULL removes it. */
void ckpt_set(struct ckpt *ck, const char *key, const char *json);
char *ckpt_config_text(const struct ckpt *ck); /* to be freed */
/* A tokenizer with 40 normal tokens, 3 added ones and 2 merges. */
char *ckpt_tokenizer_text(void);

void ckpt_write(const struct ckpt *ck, const char *dir);

/* Folders and files of tests. */
char *ckpt_temp_dir(void); /* new, to be freed */
void ckpt_remove_dir(const char *dir);
void ckpt_write_file(const char *dir, const char *name, const void *data, size_t n);
uint8_t *ckpt_read_file(const char *dir, const char *name, size_t *n);

#endif
