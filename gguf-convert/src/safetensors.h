/*
 * One safetensors file.
 *
 *   u64 LE N, at most 64 MiB here
 *   N bytes of JSON: {"name": {"dtype": "BF16", "shape": [out, in], "data_offsets": [begin, end]}, ...,
 *                     "__metadata__": {"key": "value"}}
 *   the data; offsets count from its start; tensors cover it without a hole or an overlap
 *
 * Every rule of the format is checked when the file is opened, so that whoever holds a ggl_st_tensor may read
 * data[0..bytes) and trust that bytes fits dtype and shape.
 */
#ifndef GGL_CONVERT_SAFETENSORS_H
#define GGL_CONVERT_SAFETENSORS_H

#include "ggml-lite/src/file.h"
#include "ggml-lite/status.h"

#define GGL_ST_MAX_RANK   8
#define GGL_ST_MAX_HEADER (64u << 20)
#define GGL_ST_MAX_NAME   512

enum ggl_st_dtype {
    GGL_ST_BOOL, GGL_ST_U8, GGL_ST_I8, GGL_ST_U16, GGL_ST_I16, GGL_ST_F16, GGL_ST_BF16, GGL_ST_U32, GGL_ST_I32,
    GGL_ST_F32, GGL_ST_U64, GGL_ST_I64, GGL_ST_F64, GGL_ST_C64, GGL_ST_F8_E5M2, GGL_ST_F8_E4M3, GGL_ST_F8_E8M0,
    GGL_ST_F8_E4M3FNUZ, GGL_ST_F8_E5M2FNUZ, GGL_ST_F4, GGL_ST_F6_E2M3, GGL_ST_F6_E3M2,
};

struct ggl_st_tensor {
    const char *name;
    const char *path; /* of the file that holds it */
    enum ggl_st_dtype dtype;
    uint32_t rank;
    uint64_t shape[GGL_ST_MAX_RANK];
    const uint8_t *data; /* memory, or a place: see struct ggl_st_file */
    uint64_t bytes;
    uint64_t offset; /* of data in the file */
    bool used;       /* bound to a name of ours; for whoever looks for leftovers */
};

/*
 * A file is mapped, or only its header is read: its bytes are then called by places, addresses that no memory has
 * (byte i of the file has the place `place + i`), and ggl_st_read fetches what is wanted.
 */
struct ggl_st_file {
    char *path;
    struct ggl_map map;
    const uint8_t *place; /* NULL: mapped */
    uint64_t size;
    int fd;               /* of a file with places */
    uint8_t *head_buffer;
    const uint8_t *head;  /* the length and the header */
    uint64_t header_bytes;
    char *names; /* every name, each with its zero */
    struct ggl_st_tensor *tensors; /* header order */
    uint32_t n_tensors;
};

const char *ggl_st_dtype_name(enum ggl_st_dtype dtype);

/* Map and check a file; f must be zeroed.  NOT_FOUND, FORMAT, NOMEM, IO; f may then be half filled: close it. */
enum ggl_status ggl_st_open(const char *path, struct ggl_st_file *f, struct ggl_error *err);
/* The same without mapping it; *next is the first free place, and then the one behind the file. */
enum ggl_status ggl_st_open_unmapped(const char *path, struct ggl_st_file *f, uintptr_t *next, struct ggl_error *err);
enum ggl_status ggl_st_read(const struct ggl_st_file *f, uint64_t offset, void *to, uint64_t n, struct ggl_error *err);
/* Check bytes that are in memory already; f->path must be set, data must outlive f. */
enum ggl_status ggl_st_parse(struct ggl_st_file *f, const uint8_t *data, uint64_t size, struct ggl_error *err);
void ggl_st_close(struct ggl_st_file *f);

#endif
