/*
 * An importance matrix of any bytes, in either format: it is opened or refused,
 * and what was opened can be asked for every tensor and slice.
 */
#include <math.h>
#include "gguf-convert/src/imatrix.h"
#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

volatile float ggl_fuzz_sink; /* nobody can tell that it is not read */

/* Every slice of n inputs; there is none behind the last. */
static void use_slices(const struct imatrix *m, const struct imatrix_entry *e, int64_t n)
{
    int64_t n_slices = n ? e->n_values / n : 0;
    for (int64_t s = 0; s < n_slices && s < 64; s++) {
        const float *w = imatrix_find(m, e->tensor, s, n);
        for (int64_t i = 0; w && i < n; i++) {
            check(isfinite(w[i]) && w[i] >= 0);
            ggl_fuzz_sink = w[i];
        }
    }
    check(!imatrix_find(m, e->tensor, n_slices, n) && !imatrix_find(m, e->tensor, -1, n));
}

static void use(const struct imatrix *m)
{
    for (uint64_t i = 0; i < m->n_entries; i++) {
        const struct imatrix_entry *e = &m->entries[i];
        use_slices(m, e, e->n ? e->n : e->n_values);
        use_slices(m, e, e->n ? e->n : 1);
        check(!imatrix_find(m, e->tensor, 0, e->n_values + 1));
    }
    check(strlen(imatrix_dataset(m)) < 1u << 30 && imatrix_n_chunks(m) >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct imatrix *m = NULL;
    struct ggl_error err = {0};
    char line[GGL_ERROR_LINE];
    enum ggl_status s = imatrix_open(write_input(data, n), &m, &err);
    check(s ? !m && err.status == s && ggl_error_line(&err, line, sizeof(line))[0] : m != NULL);
    if (m) use(m);
    imatrix_free(m);
    return 0;
}
