/*
 * Any bytes as a GGUF model: refused with a message, or loaded, and then it
 * evaluates tokens whatever its weights are.  Models that say they need much
 * memory are not run.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "model/model.h"
#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { N_TOKENS = 6, MAX_BYTES = 64 << 20 };

volatile float ggl_fuzz_sink; /* nobody can tell that it is not read */

static void on_logits(void *user, int64_t pos, const float *logits, bool draft)
{
    const int32_t *n_vocab = user;
    (void)pos, (void)draft;
    for (int32_t i = 0; i < *n_vocab; i++) ggl_fuzz_sink = logits[i];
}

static void evaluate(struct ggl_model *m)
{
    int32_t ids[N_TOKENS], n_vocab = ggl_model_n_vocab(m), n_ctx = ggl_model_n_ctx_train(m);
    struct ggl_session_params p = ggl_session_defaults();
    struct ggl_session *s = NULL;
    struct ggl_memory memory;
    struct ggl_error err = {0};
    p.n_ctx = n_ctx < N_TOKENS ? n_ctx : N_TOKENS;
    p.n_chunk = 4;
    p.mtp = ggl_model_has_mtp(m);
    enum ggl_status status = ggl_memory_estimate(m, &p, &memory, &err);
    check(status == err.status);
    if (status || memory.cache + memory.activations > MAX_BYTES) return;
    status = ggl_session_new(m, &p, &s, &err);
    check(status == err.status && (!status) == (s != NULL));
    if (!s) return;
    ggl_session_set_logits_fn(s, on_logits, &n_vocab);
    for (int i = 0; i < N_TOKENS; i++) ids[i] = i % 2 ? n_vocab - 1 : i % n_vocab;
    check(ggl_session_eval(s, ids, p.n_ctx, &err) == GGL_OK);
    check(ggl_session_n_past(s) == p.n_ctx && ggl_session_logits(s));
    ggl_session_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct ggl_model_params p = ggl_model_defaults();
    struct ggl_model *m = NULL;
    struct ggl_error err = {0};
    char line[GGL_ERROR_LINE];
    const char *path = write_input(data, n);
    p.n_threads = 1;
    for (int fast = 0; fast < 2; fast++) {
        p.precision = fast ? GGL_PRECISION_FAST : GGL_PRECISION_F32;
        enum ggl_status s = ggl_model_load(path, &p, &m, &err);
        check(s ? !m && err.status == s && ggl_error_line(&err, line, sizeof(line))[0] : m != NULL);
        if (s) break;
        evaluate(m);
        ggl_model_free(m);
        m = NULL;
    }
    return 0;
}
