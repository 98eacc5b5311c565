/*
 * GGUF files byte by byte, right or wrong: nothing here knows the rules, so
 * that tests can break each of them.  Memory failures end the test program.
 *
 *     struct gguf_builder b = {0};
 *     gb_head(&b, 3, 1, 0);
 *     gb_tensor(&b, "t", 1, (int64_t[]){32}, GGL_TYPE_F32, 0);
 *     gb_pad(&b, 32);
 *     gb_zeros(&b, 128);
 *     gb_save(&b, gb_temp("x.gguf"));
 */
#ifndef GGUF_BUILDER_H
#define GGUF_BUILDER_H

#include "ggml-lite/gguf.h"

struct gguf_builder {
    uint8_t *data;
    size_t n, capacity;
};

void gb_reset(struct gguf_builder *b); /* empty again */
void gb_free(struct gguf_builder *b);
void gb_bytes(struct gguf_builder *b, const void *data, size_t n);
void gb_zeros(struct gguf_builder *b, size_t n);
void gb_pad(struct gguf_builder *b, size_t alignment);
void gb_u8(struct gguf_builder *b, uint8_t v);
void gb_u16(struct gguf_builder *b, uint16_t v);
void gb_u32(struct gguf_builder *b, uint32_t v);
void gb_u64(struct gguf_builder *b, uint64_t v);
void gb_str(struct gguf_builder *b, const char *s);
void gb_strn(struct gguf_builder *b, const char *s, uint64_t n); /* may hold zeros */

void gb_head(struct gguf_builder *b, uint32_t version, uint64_t n_tensors, uint64_t n_kv);
void gb_key(struct gguf_builder *b, const char *key, uint32_t type);
void gb_kv_u32(struct gguf_builder *b, const char *key, uint32_t v);
void gb_kv_str(struct gguf_builder *b, const char *key, const char *v);
void gb_arr(struct gguf_builder *b, const char *key, uint32_t elem, uint64_t n); /* elements follow */
void gb_tensor(struct gguf_builder *b, const char *name, uint32_t n_dims, const int64_t *ne, uint32_t type,
               uint64_t offset);

/* A path in a folder of this program's own, valid until the next four calls; the folder goes with gb_remove_temp. */
const char *gb_temp(const char *name);
void gb_remove_temp(void);
void gb_save(const struct gguf_builder *b, const char *path);

/* Save as `name` there and open it; line gets the error's text. */
enum ggl_status gb_open(const struct gguf_builder *b, const char *name, bool header_only, struct ggl_gguf **g,
                        char line[GGL_ERROR_LINE]);

#endif
