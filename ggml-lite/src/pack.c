/*
 * Packing: rows of a weight -> panels of 16 rows, in the memory of the node whose threads read them (slices.h).
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
    p->fp8 = w->type == GGL_TYPE_FP8;
    p->kquant = ggl_kquant_format(w->type);
    if (p->fp8) return w->ne[0] % 4 == 0;
    if (p->kquant) return w->ne[0] % GGL_KQUANT_BLOCK == 0;
    if (w->type == GGL_TYPE_INT4) p->format = (struct ggl_panel_format){GGL_PANEL_I4, 127, levels_int4};
    else if (format) p->format = *format;
    else return false;
    return w->ne[0] % BLOCK == 0;
}

/* Rows past the end of the matrix are zeros. */
static void pack_rows_panel(const struct ggl_kernels *k, const struct ggl_packed *p, const struct ggl_tensor *w, int64_t panel,
                            uint8_t *out)
{
    const uint8_t *rows = ggl_tensor_slice(w, 0) + (uint64_t)(panel * ROWS) * w->row_bytes;
    int n_rows = p->n_out - panel * ROWS < ROWS ? (int)(p->n_out - panel * ROWS) : ROWS;
    if (p->kquant) k->kquant_expand(p->kquant, rows, (int64_t)w->row_bytes, n_rows, p->n_in, out);
    else k->panel_expand(w->type, rows, (int64_t)w->row_bytes, n_rows, p->n_in, out);
}

/* One row of INT4 planes.  A scale that is not a number has no half with its bits: it spoils the row, as it should. */
static void pack_int4_row(const struct ggl_packed *p, const struct ggl_tensor *w, int64_t row, int r, uint8_t *out)
{
    const uint8_t *codes = ggl_tensor_slice(w, 0) + (uint64_t)row * w->row_bytes;
    const uint8_t *scales = ggl_tensor_scale_slice(w, 0) + (uint64_t)row * w->scale_row_bytes;
    float row_scale = ggl_tensor_row_scales(w, 0)[row] * 256;
    for (int64_t b = 0; b < p->n_in / BLOCK; b++, codes += 16, out += ggl_panel_block_bytes(GGL_PANEL_I4)) {
        out[r] = scales[b];
        for (int i = 0; i < 16; i++) out[16 + i / 4 * 64 + 4 * r + i % 4] = codes[i];
        if ((scales[b] & 0x7f) == 0x7f) row_scale = NAN;
    }
    memcpy(out + 4 * r, &row_scale, 4);
}

static void pack_int4_panel(const struct ggl_packed *p, const struct ggl_tensor *w, int64_t panel, uint8_t *out)
{
    memset(out, 0, p->panel_bytes);
    for (int r = 0; r < ROWS && panel * ROWS + r < p->n_out; r++) pack_int4_row(p, w, panel * ROWS + r, r, out);
}

static void pack_fp8_panel(const struct ggl_kernels *k, const struct ggl_packed *p, const struct ggl_tensor *w, int64_t panel,
                           uint8_t *out)
{
    const uint8_t *rows = ggl_tensor_slice(w, 0) + (uint64_t)(panel * ROWS) * w->row_bytes;
    int n_rows = p->n_out - panel * ROWS < ROWS ? (int)(p->n_out - panel * ROWS) : ROWS;
    k->fp8_pack(rows, (int64_t)w->row_bytes, n_rows, p->n_in, out);
    const uint8_t *scales = ggl_tensor_scale_slice(w, 0) + (uint64_t)(panel * ROWS / 128) * w->scale_row_bytes;
    for (int64_t tile = 0; tile * GGL_FP8_TILE < p->n_in; tile++) {
        float s;
        if (w->scale_type == GGL_SCALE_F32) memcpy(&s, scales + 4 * tile, 4);
        else s = ggl_e8m0_to_f32(scales[tile]);
        memcpy(out + p->n_in * ROWS + 4 * tile, &s, 4);
    }
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
    int64_t begin, end, unused;
    ggl_share(j->p->n_panels, ith, nth, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        uint8_t *out = ggl_packed_panel(j->p, i, &unused);
        if (j->p->fp8) pack_fp8_panel(&j->k, j->p, j->w, i, out);
        else if (j->w->type == GGL_TYPE_INT4) pack_int4_panel(j->p, j->w, i, out);
        else pack_rows_panel(&j->k, j->p, j->w, i, out);
    }
}

static int64_t panel_bytes(const struct ggl_packed *p)
{
    if (p->kquant) return ggl_kquant_panel_bytes(p->kquant, p->n_in);
    return p->fp8 ? ggl_fp8_panel_bytes(p->n_in) : ggl_panel_bytes(p->format.kind, p->n_in);
}

static uint64_t page_bytes(void)
{
    long page = sysconf(_SC_PAGESIZE);
    return page > 0 ? (uint64_t)page : 4096;
}

/* Memory for all slices.  Where there are several it is said explicitly what goes where, because the heap may return
 * pages that have a place already. */
static bool allocate(struct ggl_packed *p, const struct ggl_team *team)
{
    const struct ggl_machine *machine = ggl_team_machine(team);
    uint64_t all, page = page_bytes(), bytes, rounded;
    if (!ggl_mul_u64(p->panel_bytes, (uint64_t)p->n_panels, &all) || all > UINT64_MAX / 2) return false;
    p->n_slices = ggl_slices_find(p->n_panels, p->panel_bytes, page, ggl_team_size(team), ggl_machine_nodes(machine), p->slices, &bytes);
    uint64_t align = bytes >= GGL_HUGE_PAGE ? GGL_HUGE_PAGE : p->n_slices > 1 ? page : 64;
    if (ggl_align_u64(bytes, align, &rounded)) p->data = aligned_alloc(align, rounded);
    p->bytes = bytes;
    if (p->data && align == GGL_HUGE_PAGE) ggl_ask_for_huge_pages(p->data, bytes / GGL_HUGE_PAGE * GGL_HUGE_PAGE);
    for (int i = 0; p->data && p->n_slices > 1 && i < p->n_slices; i++)
        ggl_machine_bind_memory(machine, p->slices[i].thread, p->data + p->slices[i].offset,
                                (uint64_t)p->slices[i].n * p->panel_bytes);
    return p->data != NULL;
}

enum ggl_status ggl_pack(const struct ggl_tensor *w, struct ggl_team *team, struct ggl_packed **out, struct ggl_error *err)
{
    struct ggl_packed form = {.n_in = w->ne[0], .n_out = w->ne[1]};
    *out = NULL;
    if (!choose(w, &form)) return GGL_OK;
    form.n_panels = (form.n_out + ROWS - 1) / ROWS;
    form.panel_bytes = (uint64_t)panel_bytes(&form);
    memcpy(form.name, w->name, sizeof(form.name));
    struct ggl_packed *p = malloc(sizeof(*p));
    if (!p || !allocate(&form, team)) {
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
