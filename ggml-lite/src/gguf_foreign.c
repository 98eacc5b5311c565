/*
 * Type ids that other programs gave away: names for messages, and files of a
 * fork whose ids mean something else than they do here.
 */
#include "ggml-lite/src/gguf_internal.h"

#include <stdio.h>
#include <string.h>

#include "ggml-lite/src/checked.h"

static const struct {
    uint32_t id;
    const char *name;
} removed[] = {{4, "Q4_2"}, {5, "Q4_3"}, {31, "Q4_0_4_4"}, {32, "Q4_0_4_8"}, {33, "Q4_0_8_8"}, {36, "IQ4_NL_4_4"},
               {37, "IQ4_NL_4_8"}, {38, "IQ4_NL_8_8"}},
  of_ik[] = {{133, "Q6_0"}, {134, "IQ1_BN"}, {135, "IQ2_BN"}, {137, "IQ2_K"}, {138, "IQ3_K"}, {139, "IQ4_K"}, {140, "IQ5_K"},
             {141, "IQ6_K"}, {144, "IQ4_KS"}, {145, "IQ2_KS"}, {146, "IQ4_KSS"}, {152, "IQ5_KS"}, {153, "IQ2_KT"}, {154, "IQ3_KT"},
             {155, "IQ4_KT"}, {156, "IQ3_KS"}, {157, "IQ2_KL"}, {158, "IQ1_KT"}};

void ggl_foreign_type(uint32_t id, char *text, size_t n)
{
    for (size_t i = 0; i < sizeof(removed) / sizeof(removed[0]); i++) {
        if (removed[i].id != id) continue;
        snprintf(text, n, "%u (%s, which ggml has no more)", id, removed[i].name);
        return;
    }
    for (size_t i = 0; i < sizeof(of_ik) / sizeof(of_ik[0]); i++) {
        if (of_ik[i].id != id) continue;
        snprintf(text, n, "%u (%s of ik_llama.cpp)", id, of_ik[i].name);
        return;
    }
    if (id >= 202 && id < 400) snprintf(text, n, "%u (perhaps an interleaved type of ik_llama.cpp)", id);
    else snprintf(text, n, "%u", id);
}

/* ---- a fork that had FP8 under the id of Q2_0 */

#define FP8_ELEMS 128u /* E4M3 codes after one scale byte */
#define FP8_BYTES 129u

/* Whether the next tensor begins where it would if this one were FP8, and not where it would after Q2_0. */
static bool spaced_as_fp8(const struct ggl_gguf *g, uint64_t i)
{
    const struct ggl_tensor *t = &g->tensors[i];
    uint64_t alignment = ggl_gguf_alignment(g), rows = (uint64_t)t->ne[1] * (uint64_t)t->ne[2] * (uint64_t)t->ne[3], own, fp8;
    if (i + 1 >= g->n_tensors || t->ne[0] % FP8_ELEMS || !t->ne[0] || g->places[i + 1].part != g->places[i].part) return false;
    if (!ggl_mul_u64((uint64_t)t->ne[0] / FP8_ELEMS * FP8_BYTES, rows, &fp8) || !ggl_align_u64(fp8, alignment, &fp8)) return false;
    if (!ggl_align_u64(ggl_gguf_tensor_bytes(t), alignment, &own) || own == fp8) return false;
    return g->places[i + 1].offset - g->places[i].offset == fp8;
}

/* The keys that its converter wrote and no other does together. */
static bool has_fork_keys(const struct ggl_gguf *g)
{
    const char *arch = ggl_gguf_get_str(g, "general.architecture");
    char key[128];
    uint32_t file_type;
    if (!arch || strlen(arch) > 60 || ggl_gguf_get_u32(g, "general.file_type", 41, 41, &file_type, NULL)) return false;
    snprintf(key, sizeof(key), "%s.rope.freq_base_swa", arch);
    return ggl_gguf_find_kv(g, key) != NULL;
}

enum ggl_status ggl_gguf_check_forks(const struct ggl_gguf *g, struct ggl_error *err)
{
    bool fork = has_fork_keys(g);
    for (uint64_t i = 0; i < g->n_tensors; i++)
        if (g->places[i].stored_type == GGL_TYPE_Q2_0 && (fork || spaced_as_fp8(g, i)))
            return ggl_fail(err, GGL_ERR_UNSUPPORTED, g->path, GGL_NO_OFFSET, "42 as F8_E4M3_B128, which a fork of llama.cpp wrote",
                            "42 as Q2_0 (make a file from the checkpoint with gguf-convert)", "tensor '%s': type", g->tensors[i].name);
    return GGL_OK;
}
