#include "source.h"

#include <stdlib.h>
#include <string.h>

#include "gguf-convert/checkpoint.h"

enum ggl_status ggl_source_open(const char *path, struct ggl_source *s, struct ggl_error *err)
{
    size_t n = strlen(path) + 1;
    memset(s, 0, sizeof(*s));
    s->path = malloc(n);
    if (!s->path) return ggl_fail(err, GGL_ERR_NOMEM, path, GGL_NO_OFFSET, NULL, NULL, "out of memory");
    memcpy(s->path, path, n);
    enum ggl_status status;
    if (ggl_checkpoint_is_directory(path)) {
        status = ggl_checkpoint_open(path, &s->checkpoint, err);
        if (!status) s->meta = ggl_checkpoint_meta(s->checkpoint);
    } else {
        status = ggl_gguf_open(path, NULL, &s->gguf, err);
        s->meta = s->gguf;
    }
    if (status) ggl_source_close(s);
    return status;
}

void ggl_source_close(struct ggl_source *s)
{
    ggl_gguf_free(s->gguf);
    if (s->checkpoint) ggl_checkpoint_free(s->checkpoint);
    free(s->path);
    memset(s, 0, sizeof(*s));
}

const struct ggl_tensor *ggl_source_find(const struct ggl_source *s, const char *name)
{
    return s->checkpoint ? ggl_checkpoint_find(s->checkpoint, name) : ggl_gguf_find_tensor(s->gguf, name);
}

uint64_t ggl_source_n_tensors(const struct ggl_source *s)
{
    return s->checkpoint ? ggl_checkpoint_n_tensors(s->checkpoint) : ggl_gguf_n_tensors(s->gguf);
}

const struct ggl_tensor *ggl_source_tensor(const struct ggl_source *s, uint64_t i)
{
    return s->checkpoint ? ggl_checkpoint_tensor(s->checkpoint, i) : ggl_gguf_tensor(s->gguf, i);
}

uint64_t ggl_source_tensor_bytes(const struct ggl_source *s, const struct ggl_tensor *t)
{
    uint64_t slices = (uint64_t)(t->ne[2] * t->ne[3]);
    return slices * (t->slice_bytes + (s->gguf || t->scale_type == GGL_SCALE_NONE ? 0 : t->scale_slice_bytes));
}
