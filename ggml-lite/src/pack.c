/*
 * Packing: rows of a weight -> panels of 16 rows, cut into parts (pack_impl.h), in the memory of the node whose threads
 * read them (slices.h).
 */
#include "graph_impl.h"
#include "pack_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include "checked.h"
#include "cores.h"
#include "huge.h"

enum { ROWS = 16, BLOCK = 32 };

/* The levels of INT4 plus a bias that makes them unsigned. */
static const uint8_t levels_int4[16] = {0, 23, 44, 62, 78, 92, 105, 117, 128, 140, 152, 165, 180, 196, 216, 240};

/* Which form a type has; false: none. */
static bool choose(const struct ggl_tensor *w, struct ggl_packed *p)
{
    const struct ggl_panel_format *format = ggl_panel_format(w->type);
    p->bf16 = w->type == GGL_TYPE_BF16;
    p->fp8 = w->type == GGL_TYPE_FP8;
    p->kquant = ggl_kquant_format(w->type);
    if (p->bf16) return true;
    if (p->fp8) return w->ne[0] % 4 == 0;
    if (p->kquant) return w->ne[0] % GGL_KQUANT_BLOCK == 0;
    if (w->type == GGL_TYPE_INT4) p->format = (struct ggl_panel_format){GGL_PANEL_I4, 127, levels_int4};
    else if (format) p->format = *format;
    else return false;
    return w->ne[0] % BLOCK == 0;
}

/* Inputs of a part: about 8 KiB of a panel; of BF16 all. */
static int64_t inputs_of_part(const struct ggl_packed *p)
{
    if (p->bf16) return p->n_in;
    int64_t part = GGL_KQUANT_BLOCK; /* a multiple of every type's block, and of FP8's tile */
    while (ggl_packed_part_bytes(p, 2 * part) <= 10 * 1024) part *= 2;
    return part;
}

/* Eight groups or more a thread, so that all end together. */
static int64_t panels_of_group(int64_t n_panels, int nth)
{
    int64_t group = 4;
    while (group > 1 && n_panels < 8 * group * nth) group /= 2;
    return group;
}

/* ---- one part of a panel: inputs [begin, begin + n) of 16 rows, of which those past the end of the matrix are zeros */

struct part {
    const struct ggl_tensor *w;
    int64_t row, begin, n;
    int n_rows;
};

static const uint8_t *first_code(const struct part *p)
{
    uint64_t before = p->w->row_bytes * (uint64_t)p->begin / (uint64_t)p->w->ne[0]; /* whole blocks, so whole bytes */
    return ggl_tensor_slice(p->w, 0) + (uint64_t)p->row * p->w->row_bytes + before;
}

static void pack_blocks(const struct ggl_kernels *k, const struct ggl_packed *form, const struct part *p, uint8_t *out)
{
    int64_t row_bytes = (int64_t)p->w->row_bytes;
    if (form->bf16) memcpy(out, first_code(p), (size_t)(p->n_rows * row_bytes));
    else if (form->kquant) k->kquant_expand(form->kquant, first_code(p), row_bytes, p->n_rows, p->n, out);
    else k->panel_expand(p->w->type, first_code(p), row_bytes, p->n_rows, p->n, out);
}

static void pack_int4(const struct part *p, uint8_t *out)
{
    memset(out, 0, (size_t)ggl_panel_bytes(GGL_PANEL_I4, p->n));
    for (int r = 0; r < p->n_rows; r++) {
        const uint8_t *codes = first_code(p) + (uint64_t)r * p->w->row_bytes;
        const uint8_t *scales = ggl_tensor_scale_slice(p->w, 0) + (uint64_t)(p->row + r) * p->w->scale_row_bytes + p->begin / BLOCK;
        uint8_t *to = out, *to_scales = out + ggl_panel_scales_at(GGL_PANEL_I4, p->n);
        for (int64_t b = 0; b < p->n / BLOCK; b++, codes += 16, to += ggl_panel_code_bytes(GGL_PANEL_I4)) {
            to_scales[b * ROWS + r] = scales[b];
            for (int i = 0; i < 16; i++) to[i / 4 * 64 + 4 * r + i % 4] = codes[i];
        }
    }
}

/* A scale of a block that is not a number has no half with its bits: it spoils the row, as it should. */
static float int4_row_scale(const struct ggl_tensor *w, int64_t row)
{
    const uint8_t *scales = ggl_tensor_scale_slice(w, 0) + (uint64_t)row * w->scale_row_bytes;
    for (int64_t b = 0; b < w->ne[0] / BLOCK; b++)
        if ((scales[b] & 0x7f) == 0x7f) return NAN;
    return ggl_tensor_row_scales(w, 0)[row] * 256;
}

static void pack_fp8(const struct ggl_kernels *k, const struct part *p, uint8_t *out)
{
    k->fp8_pack(first_code(p), (int64_t)p->w->row_bytes, p->n_rows, p->n, out);
    const uint8_t *scales = ggl_tensor_scale_slice(p->w, 0) + (uint64_t)(p->row / 128) * p->w->scale_row_bytes;
    for (int64_t tile = 0; tile * GGL_FP8_TILE < p->n; tile++) {
        int64_t at = p->begin / GGL_FP8_TILE + tile;
        float s;
        if (p->w->scale_type == GGL_SCALE_F32) memcpy(&s, scales + 4 * at, 4);
        else s = ggl_e8m0_to_f32(scales[at]);
        memcpy(out + p->n * ROWS + 4 * tile, &s, 4);
    }
}

static void pack_panel(const struct ggl_kernels *k, const struct ggl_packed *form, const struct ggl_tensor *w, int64_t panel)
{
    int64_t row = panel * ROWS;
    struct part p = {.w = w, .row = row, .n_rows = form->n_out - row < ROWS ? (int)(form->n_out - row) : ROWS};
    for (; p.begin < form->n_in; p.begin += form->part) {
        uint8_t *out = ggl_packed_part(form, panel, p.begin);
        p.n = ggl_packed_inputs(form, p.begin);
        if (form->fp8) pack_fp8(k, &p, out);
        else if (w->type == GGL_TYPE_INT4) pack_int4(&p, out);
        else pack_blocks(k, form, &p, out);
    }
    for (int r = 0; form->row_scales && r < ROWS; r++) form->row_scales[row + r] = r < p.n_rows ? int4_row_scale(w, row + r) : 0;
}

struct job {
    struct ggl_packed *p;
    const struct ggl_tensor *w;
    struct ggl_kernels k;
};

/* The same share as of the products: a page lies on the node of the thread that first writes to it. */
static void pack_share(void *arg, int ith, int nth)
{
    const struct job *j = arg;
    int64_t begin, end;
    ggl_share(j->p->n_groups, ith, nth, &begin, &end);
    for (int64_t i = begin * j->p->group; i < end * j->p->group && i < j->p->n_panels; i++) pack_panel(&j->k, j->p, j->w, i);
}

static uint64_t page_bytes(void)
{
    long page = sysconf(_SC_PAGESIZE);
    return page > 0 ? (uint64_t)page : 4096;
}

/* Memory for all slices.  Where there are several it is said explicitly what goes where, because the heap may return
 * pages that have a place already. */
static bool allocate(struct ggl_packed *p, bool has_row_scales, const struct ggl_team *team)
{
    const struct ggl_machine *machine = ggl_team_machine(team);
    uint64_t group_bytes, all, page = page_bytes(), bytes, rounded;
    if (!ggl_mul_u64(p->panel_bytes, (uint64_t)p->group, &group_bytes) || !ggl_mul_u64(group_bytes, (uint64_t)p->n_groups, &all) ||
        all > UINT64_MAX / 2)
        return false;
    p->n_slices = ggl_slices_find(p->n_groups, group_bytes, page, ggl_team_size(team), ggl_machine_nodes(machine), p->slices, &bytes);
    uint64_t scales = (bytes + 63) & ~(uint64_t)63;
    if (has_row_scales) bytes = scales + (uint64_t)p->n_panels * ROWS * sizeof(float);
    uint64_t align = bytes >= GGL_HUGE_PAGE ? GGL_HUGE_PAGE : p->n_slices > 1 ? page : 64;
    if (ggl_align_u64(bytes, align, &rounded)) p->data = aligned_alloc(align, rounded);
    p->bytes = bytes - (uint64_t)(p->n_groups * p->group - p->n_panels) * p->panel_bytes; /* what the last group lacks */
    if (p->data && has_row_scales) p->row_scales = (float *)(void *)(p->data + scales);
    if (p->data && align == GGL_HUGE_PAGE) ggl_ask_for_huge_pages(p->data, bytes / GGL_HUGE_PAGE * GGL_HUGE_PAGE);
    for (int i = 0; p->data && p->n_slices > 1 && i < p->n_slices; i++)
        ggl_machine_bind_memory(machine, p->slices[i].thread, p->data + p->slices[i].offset,
                                (uint64_t)p->slices[i].n * group_bytes);
    return p->data != NULL;
}

/* Parts, groups and memory for what choose() chose. */
static bool lay_out(struct ggl_packed *p, const struct ggl_tensor *w, const struct ggl_team *team)
{
    p->part = inputs_of_part(p);
    p->group = panels_of_group(p->n_panels, ggl_team_size(team));
    p->n_groups = (p->n_panels + p->group - 1) / p->group;
    for (int64_t i = 0; i < p->n_in; i += p->part) p->panel_bytes += ggl_packed_part_bytes(p, ggl_packed_inputs(p, i));
    return allocate(p, w->type == GGL_TYPE_INT4, team);
}

enum ggl_status ggl_pack(const struct ggl_tensor *w, struct ggl_team *team, struct ggl_packed **out, struct ggl_error *err)
{
    struct ggl_packed form = {.n_in = w->ne[0], .n_out = w->ne[1]};
    *out = NULL;
    if (!choose(w, &form)) return GGL_OK;
    form.n_panels = (form.n_out + ROWS - 1) / ROWS;
    memcpy(form.name, w->name, sizeof(form.name));
    struct ggl_packed *p = malloc(sizeof(*p));
    if (!p || !lay_out(&form, w, team)) {
        free(p);
        return ggl_fail(err, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "%s: no memory to pack it", w->name);
    }
    *p = form;
    struct job job = {.p = p, .w = w};
    ggl_kernels_pick(&job.k, ggl_cpu_isa());
    enum ggl_status s = ggl_team_run(team, pack_share, &job, err);
    if (s) ggl_packed_free(p);
    else *out = p;
    return s;
}

void ggl_packed_free(struct ggl_packed *p)
{
    if (!p) return;
    free(p->data);
    free(p);
}

uint64_t ggl_packed_bytes(const struct ggl_packed *p)
{
    return p ? p->bytes : 0;
}
