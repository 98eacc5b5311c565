/*
 * Hashes every tensor again, several at a time: reading from disk is what takes long.
 */
#include <string.h>
#include "ggl-inspect/inspect.h"
#ifdef GGL_HAVE_OPENMP
#include <omp.h>
#endif

static bool matches(const struct inspect *in, uint64_t i)
{
    char hex[33];
    const struct ggl_tensor *t = ggl_gguf_tensor(in->gguf, i);
    return ggl_hash_hex(t->data, (size_t)ggl_gguf_tensor_bytes(t), hex) && !memcmp(hex, in->hashes[i].data, 32);
}

uint64_t inspect_verify(struct inspect *in, int threads, bool quiet)
{
    struct cli_progress progress;
    uint64_t bad = in->n_tensors, done = 0;
    cli_progress_begin(&progress, "verify", "B", in->data_bytes, quiet);
#ifdef GGL_HAVE_OPENMP
    if (threads > 0) omp_set_num_threads(threads);
#pragma omp parallel for schedule(dynamic, 1)
#else
    (void)threads;
#endif
    for (int64_t i = 0; i < (int64_t)in->n_tensors; i++) {
        bool ok = matches(in, (uint64_t)i);
#ifdef GGL_HAVE_OPENMP
#pragma omp critical
#endif
        {
            if (!ok && (uint64_t)i < bad) bad = (uint64_t)i;
            done += ggl_gguf_tensor_bytes(ggl_gguf_tensor(in->gguf, (uint64_t)i));
            cli_progress_update(&progress, done);
        }
    }
    cli_progress_end(&progress, done);
    in->n_verified = bad == in->n_tensors ? bad : 0;
    return bad;
}
