/*
 * The kernels of this machine: one function an operation, picked once.
 *
 *     struct ggl_kernels k;
 *     ggl_kernels_pick(&k, ggl_cpu_isa());
 *     float sum = k.dot_f32(a, b, n);
 *
 * kernels/<folder>/<folder>.h says what an operation does, as a function type ggl_<operation>_fn;
 * kernels/<folder>/kernels.def lists its implementations, and is the only list: prototypes, the pick, tests and
 * benchmarks include it.  ref.c has the plain C; x86_<level>.c and arm_<level>.c are built with that level's flags
 * (kernels.cmake).  Operations made of others take the table and call those through it.
 */
#ifndef GGL_KERNELS_H
#define GGL_KERNELS_H

#include "ggml-lite/cpu.h"

/* Which processor-specific kernels this build has; -DGGML_LITE_SIMD=OFF defines GGL_PLAIN_C. */
#if defined(__x86_64__) && !defined(GGL_PLAIN_C)
#define GGL_ARCH_X86 1
#else
#define GGL_ARCH_X86 0
#endif
#if GGL_ARCH_X86 && !defined(GGL_NO_AVX512FP16)
#define GGL_ARCH_X86_FP16 1 /* by a compiler that knows it */
#else
#define GGL_ARCH_X86_FP16 0
#endif
#if defined(__aarch64__) && !defined(GGL_PLAIN_C)
#define GGL_ARCH_ARM64 1
#else
#define GGL_ARCH_ARM64 0
#endif

#include "kernels/act_q8/act_q8.h"
#include "kernels/attention/attention.h"
#include "kernels/attention16/attention16.h"
#include "kernels/bf16/bf16.h"
#include "kernels/compress/compress.h"
#include "kernels/decode/decode.h"
#include "kernels/fp8/fp8.h"
#include "kernels/hadamard/hadamard.h"
#include "kernels/hyper_connection/hyper_connection.h"
#include "kernels/index/index.h"
#include "kernels/kquant/kquant.h"
#include "kernels/mul_mat/mul_mat.h"
#include "kernels/mul_mat_fused/mul_mat_fused.h"
#include "kernels/mxfp4/mxfp4.h"
#include "kernels/panel/panel.h"
#include "kernels/panel_expand/panel_expand.h"
#include "kernels/peak/peak.h"
#include "kernels/rms_norm/rms_norm.h"
#include "kernels/rope/rope.h"
#include "kernels/router/router.h"
#include "kernels/swiglu/swiglu.h"
#include "kernels/vec/vec.h"

struct ggl_kernels {
    ggl_decode_row_fn *decode_row;
    ggl_decode_cache_fn *decode_cache;
    ggl_dot_f32_fn *dot_f32;
    ggl_axpy_f32_fn *axpy_f32;
    ggl_mul_mat_f32_fn *mul_mat_f32;
    ggl_mul_mat_fused_fn *mul_mat_fused;
    ggl_rms_norm_f32_fn *rms_norm_f32;
    ggl_rms_scale_f32_fn *rms_scale_f32;
    ggl_rope_angles_fn *rope_angles;
    ggl_rope_f32_fn *rope_f32;
    ggl_hadamard_f32_fn *hadamard_f32;
    ggl_hc_split_f32_fn *hc_split_f32;
    ggl_hc_head_f32_fn *hc_head_f32;
    ggl_hc_pre_f32_fn *hc_pre_f32;
    ggl_hc_post_f32_fn *hc_post_f32;
    ggl_compress_pool_f32_fn *compress_pool_f32;
    ggl_index_score_f32_fn *index_score_f32;
    ggl_index_unpack_fn *index_unpack;
    ggl_index_combine_fn *index_combine;
    ggl_index_scan_fn *index_scan;
    ggl_attention_begin_fn *attention_begin;
    ggl_attention_tile_fn *attention_tile;
    ggl_attention_end_fn *attention_end;
    ggl_attention16_query_fn *attention16_query; /* these three of the same level */
    ggl_attention16_pack_fn *attention16_pack;
    ggl_attention16_tile_fn *attention16_tile;
    ggl_router_score_f32_fn *router_score_f32;
    ggl_router_top_k_fn *router_top_k;
    ggl_router_gains_f32_fn *router_gains_f32;
    ggl_swiglu_f32_fn *swiglu_f32;
    ggl_act_q8_fn *act_q8;
    ggl_act_bf16_fn *act_bf16;
    ggl_panel_mul_fn *panel_mul;
    ggl_panel_expand_fn *panel_expand;
    ggl_kquant_mul_fn *kquant_mul;
    ggl_kquant_expand_fn *kquant_expand;
    ggl_mxfp4_rows_fn *mxfp4_rows;
    ggl_mxfp4_expand_fn *mxfp4_expand;
    ggl_mxfp4_mul_fn *mxfp4_mul;
    ggl_act_fp8_fn *act_fp8;   /* this and the next of the same level as fp8_mul */
    ggl_fp8_pack_fn *fp8_pack;
    ggl_fp8_mul_fn *fp8_mul;
    ggl_bf16_mul_fn *bf16_mul;
    ggl_read_bandwidth_fn *read_bandwidth;
    ggl_int8_peak_fn *int8_peak;
    ggl_int8_tile_peak_fn *int8_tile_peak;
    ggl_bf16_peak_fn *bf16_peak;
};

/* For every operation the first implementation in its list whose levels are all in isa. */
void ggl_kernels_pick(struct ggl_kernels *k, uint64_t isa);
/* The levels that the picked implementations need, all together. */
uint64_t ggl_kernels_levels(const struct ggl_kernels *k);

#define KERNEL(operation, isa, symbol) ggl_##operation##_fn symbol;
#include "kernels/kernels.def"
#undef KERNEL

#endif
