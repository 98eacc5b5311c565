#include "support/random_weight.h"

#include <math.h>
#include <string.h>

#include "support/checkkernel.h"

/* A block of random bytes that decodes to numbers of an ordinary size. */
static void random_block(const struct ggl_type_info *info, uint8_t *block)
{
    float y[256];
    for (bool ok = false; !ok;) {
        for (uint32_t i = 0; i < info->block_bytes; i += 2) { /* with a number for two bytes: most of the time goes here */
            const uint32_t two = ck_next(65536);
            block[i] = (uint8_t)two;
            if (i + 1 < info->block_bytes) block[i + 1] = (uint8_t)(two >> 8);
        }
        info->decode(block, y, info->block_elems);
        ok = true;
        for (uint32_t i = 0; i < info->block_elems && ok; i++) ok = fabsf(y[i]) < 1e6f;
    }
}

static uint8_t random_e4m3(void)
{
    uint8_t code = (uint8_t)ck_next(256);
    return (code & 0x7f) == 0x7f ? 0x38 : code; /* no NaN */
}

void random_codes(enum ggl_type type, uint8_t *p, uint64_t bytes)
{
    const struct ggl_type_info *info = ggl_type_info(type);
    if (type == GGL_TYPE_FP8) {
        for (uint64_t i = 0; i < bytes; i++)
            p[i] = random_e4m3();
    } else if (type == GGL_TYPE_FP4 || type == GGL_TYPE_INT4) {
        for (uint64_t i = 0; i < bytes; i++)
            p[i] = (uint8_t)ck_next(256);
    } else {
        for (uint64_t i = 0; i < bytes; i += info->block_bytes)
            random_block(info, p + i);
    }
}

void random_scales(enum ggl_scale_type type, uint8_t *p, uint64_t bytes)
{
    for (uint64_t i = 0; i < bytes; i += type == GGL_SCALE_F32 ? 4 : 1) {
        float f = 0.125f + (float)ck_next(100);
        if (type == GGL_SCALE_F32)
            memcpy(p + i, &f, 4);
        else
            p[i] = (uint8_t)(120 + ck_next(12));
    }
}

/* INT4's two kinds of scales. */
static void int4_scales(struct random_weight *w, int64_t n_out, int64_t n_slices)
{
    struct ggl_tensor *t = &w->t;
    uint64_t bytes = t->scale_slice_bytes * (uint64_t)n_slices;
    uint8_t *scales = ck_bytes(bytes, ck_next(64));
    for (uint64_t i = 0; i < bytes; i++) scales[i] = random_e4m3();
    t->scale = scales;
    float *rows = ck_f32(n_out * n_slices);
    for (int64_t i = 0; i < n_out * n_slices; i++) rows[i] = (float)(1 + ck_next(200)) / 1024;
    t->row_scale = rows;
}

void random_weight(struct random_weight *w, enum ggl_type type, enum ggl_scale_type scale_type, int64_t n_in, int64_t n_out,
                   int64_t n_slices)
{
    struct ggl_tensor *t = &w->t;
    *t = (struct ggl_tensor){
        .name = "w", .type = type, .scale_type = scale_type, .n_dims = 3, .ne = {n_in, n_out, n_slices, 1}};
    if (!ggl_row_bytes(type, n_in, &t->row_bytes)) ck_fail("row bytes");
    t->slice_bytes = t->row_bytes * (uint64_t)n_out;
    uint64_t scale_rows = (uint64_t)n_out;
    if (type == GGL_TYPE_FP8) {
        t->scale_row_bytes = (uint64_t)(n_in + 127) / 128 * (scale_type == GGL_SCALE_F32 ? 4 : 1);
        scale_rows = (uint64_t)(n_out + 127) / 128;
    } else if (type == GGL_TYPE_FP4 || type == GGL_TYPE_INT4) {
        t->scale_row_bytes = (uint64_t)n_in / 32;
    }
    t->scale_slice_bytes = t->scale_row_bytes * scale_rows;

    /* Whole elements of F32 and F32 scales stay aligned; block formats make no promise. */
    uint64_t gap = type == GGL_TYPE_F32 || scale_type == GGL_SCALE_F32 ? 4 * ck_next(16) : ck_next(64);
    if (ck_next(2)) gap = 0;
    uint8_t *codes = ck_bytes(t->slice_bytes * (uint64_t)n_slices, gap);
    random_codes(type, codes, t->slice_bytes * (uint64_t)n_slices);
    t->data = codes;
    if (type == GGL_TYPE_INT4) {
        int4_scales(w, n_out, n_slices);
    } else if (t->scale_row_bytes) {
        uint8_t *scales = ck_bytes(t->scale_slice_bytes * (uint64_t)n_slices, gap);
        random_scales(scale_type, scales, t->scale_slice_bytes * (uint64_t)n_slices);
        t->scale = scales;
    }
    if (n_slices == 1 || ck_next(2)) return;
    for (int64_t s = 0; s < n_slices; s++) { /* separate tensors, here in reverse */
        w->slices[s] = t->data + (uint64_t)(n_slices - 1 - s) * t->slice_bytes;
        w->row_scale_slices[s] = t->row_scale ? t->row_scale + (n_slices - 1 - s) * n_out : NULL;
        if (t->scale) w->scale_slices[s] = t->scale + (uint64_t)(n_slices - 1 - s) * t->scale_slice_bytes;
    }
    t->slices = w->slices;
    if (t->scale) t->scale_slices = w->scale_slices;
    if (t->row_scale) t->row_scale_slices = w->row_scale_slices;
    t->data = t->scale = NULL;
    t->row_scale = NULL;
}
