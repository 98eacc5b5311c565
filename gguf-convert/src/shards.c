/* Which files hold the weights, and what tensors they hold together. */
#include "gguf-convert/src/shards.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "gguf-convert/src/json.h"

#define INDEX_NAME      "model.safetensors.index.json"
#define MAX_INDEX_BYTES (256u << 20)
#define MAX_INDEX_DEPTH 8

char *ggl_join_path(const char *dir, const char *name)
{
    size_t n = strlen(dir), m = strlen(name);
    char *path = malloc(n + m + 2);
    if (!path) return NULL;
    memcpy(path, dir, n);
    if (n && dir[n - 1] != '/') path[n++] = '/';
    memcpy(path + n, name, m + 1);
    return path;
}

void ggl_shards_close(struct ggl_shards *s)
{
    for (uint32_t i = 0; i < s->n_files; i++) ggl_st_close(&s->files[i]);
    free(s->files);
    free(s->tensors);
    free(s->index_path);
    ggl_names_free(&s->names);
    memset(s, 0, sizeof(*s));
}

static const char *tensor_name(const void *shards, uint32_t i)
{
    return ((const struct ggl_shards *)shards)->tensors[i]->name;
}

struct ggl_st_tensor *ggl_shards_find(const struct ggl_shards *s, const char *name)
{
    uint32_t i;
    return ggl_names_find(&s->names, name, tensor_name, s, &i) ? s->tensors[i] : NULL;
}

const char *ggl_shards_place(const struct ggl_shards *s, const uint8_t *place, int *fd, uint64_t *offset)
{
    uint32_t first = 0, n = s->n_files; /* places grow with the files */
    while (n > 1) {
        uint32_t half = n / 2;
        if ((uintptr_t)s->files[first + half].place <= (uintptr_t)place) first += half, n -= half;
        else n = half;
    }
    if (!n || !s->files[first].place || (uintptr_t)place < (uintptr_t)s->files[first].place) return NULL;
    *offset = (uint64_t)((uintptr_t)place - (uintptr_t)s->files[first].place);
    *fd = s->files[first].fd;
    return *offset <= s->files[first].size ? s->files[first].path : NULL;
}

enum ggl_status ggl_shards_read(const struct ggl_shards *s, const uint8_t *place, void *to, uint64_t n,
                                struct ggl_error *err)
{
    int fd;
    uint64_t offset;
    const char *path = ggl_shards_place(s, place, &fd, &offset);
    if (!path) return ggl_fail(err, GGL_ERR_STATE, NULL, GGL_NO_OFFSET, NULL, NULL, "no file has this place");
    const struct ggl_st_file f = {.path = (char *)(uintptr_t)path, .fd = fd};
    return ggl_st_read(&f, offset, to, n, err);
}

#ifdef GGL_HAVE_JANSSON

/* A growing list of file names, owned. */
struct names {
    char **items;
    uint32_t n;
};

static enum ggl_status no_memory(const char *path, struct ggl_error *err)
{
    return ggl_fail(err, GGL_ERR_NOMEM, path, GGL_NO_OFFSET, NULL, NULL, "list of weight files");
}

static void names_free(struct names *names)
{
    for (uint32_t i = 0; i < names->n; i++) free(names->items[i]);
    free(names->items);
}

static bool names_add(struct names *names, const char *name)
{
    if ((names->n & (names->n + 1)) == 0) { /* room for 1, 3, 7, ... */
        char **items = realloc(names->items, (2 * (size_t)names->n + 1) * sizeof(*items));
        if (!items) return false;
        names->items = items;
    }
    char *copy = strdup(name);
    if (!copy) return false;
    names->items[names->n++] = copy;
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool has_suffix(const char *name)
{
    static const char suffix[] = ".safetensors";
    size_t n = strlen(name), m = sizeof(suffix) - 1;
    return n > m && memcmp(name + n - m, suffix, m) == 0;
}

/* A file of this directory and no other place: what an index may name. */
static bool is_plain_name(const char *name)
{
    if (name[0] == '.' || strlen(name) > 255) return false;
    for (const char *p = name; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f || *p == '/' || *p == '\\' || *p == ':') return false;
    }
    return has_suffix(name);
}

/* i and n of "model-0000i-of-0000n.safetensors". */
static bool parse_part(const char *name, uint32_t *i, uint32_t *n)
{
    static const char pattern[] = "model-#####-of-#####.safetensors";
    uint32_t value[2] = {0, 0};
    if (strlen(name) != sizeof(pattern) - 1) return false;
    for (size_t k = 0; name[k]; k++) {
        if (pattern[k] == '#') {
            if (name[k] < '0' || name[k] > '9') return false;
            value[k > 12] = value[k > 12] * 10 + (uint32_t)(name[k] - '0');
        } else if (pattern[k] != name[k]) {
            return false;
        }
    }
    *i = value[0];
    *n = value[1];
    return true;
}

/* Without an index: the one file that has the usual name, or a whole numbered set. */
static enum ggl_status list_directory(const char *dir, struct names *names, struct ggl_error *err)
{
    DIR *d = opendir(dir);
    if (!d) return ggl_fail(err, GGL_ERR_NOT_FOUND, dir, GGL_NO_OFFSET, NULL, NULL, "directory: cannot be opened");
    bool single = false, ok = true;
    uint32_t i = 0, n = 0, parts = 0;
    for (struct dirent *e = readdir(d); e && ok && names->n < GGL_MAX_SHARDS; e = readdir(d)) {
        if (strcmp(e->d_name, "model.safetensors") == 0) single = true;
        if (parse_part(e->d_name, &i, &n)) ok = names_add(names, e->d_name);
    }
    closedir(d);
    if (!ok) return no_memory(dir, err);
    if (single && names->n) {
        return ggl_fail(err, GGL_ERR_FORMAT, dir, GGL_NO_OFFSET, "model.safetensors and numbered files", "one of them",
                        "weights without an index");
    }
    if (single) return names_add(names, "model.safetensors") ? GGL_OK : no_memory(dir, err);
    if (!names->n) {
        return ggl_fail(err, GGL_ERR_NOT_FOUND, dir, GGL_NO_OFFSET, "no safetensors files",
                        INDEX_NAME " or model.safetensors", "weights");
    }
    qsort(names->items, names->n, sizeof(*names->items), by_name);
    for (uint32_t k = 0; k < names->n; k++) {
        parse_part(names->items[k], &i, &n);
        parts = k ? parts : n;
        if (n != parts || i != k + 1 || names->n != parts) {
            char expected[32];
            snprintf(expected, sizeof(expected), "files 1 to %u", (unsigned)parts);
            return ggl_fail(err, GGL_ERR_FORMAT, dir, GGL_NO_OFFSET, names->items[k], expected,
                            "numbered files without an index");
        }
    }
    return GGL_OK;
}

static const char *file_name(const void *names, uint32_t i)
{
    return ((const struct names *)names)->items[i];
}

/* The distinct files of weight_map. */
static enum ggl_status list_index(const char *path, json_t *map, struct names *names, struct ggl_error *err)
{
    const char *tensor;
    json_t *value;
    char found[64];
    struct ggl_names seen = {0};
    uint32_t other;
    if (!ggl_names_reserve(&seen, GGL_MAX_SHARDS)) return no_memory(path, err);
    enum ggl_status s = GGL_OK;
    json_object_foreach(map, tensor, value) {
        const char *file = json_string_value(value);
        if (!file || !is_plain_name(file)) {
            s = ggl_fail(err, GGL_ERR_FORMAT, path, GGL_NO_OFFSET, ggl_json_describe(value, found),
                         "a *.safetensors file name without a folder", "weight_map: %.180s", tensor);
            break;
        }
        if (ggl_names_find(&seen, file, file_name, names, &other)) continue;
        if (names->n == GGL_MAX_SHARDS) {
            s = ggl_fail(err, GGL_ERR_FORMAT, path, GGL_NO_OFFSET, "more than 4096 files", NULL, "weight_map");
            break;
        }
        if (!names_add(names, file)) {
            s = no_memory(path, err);
            break;
        }
        ggl_names_add(&seen, file, names->n - 1);
    }
    ggl_names_free(&seen);
    if (!s && !names->n) s = ggl_fail(err, GGL_ERR_FORMAT, path, GGL_NO_OFFSET, "no tensors", NULL, "weight_map");
    if (!s) qsort(names->items, names->n, sizeof(*names->items), by_name);
    return s;
}

/* Takes over root. */
static enum ggl_status fill_index(const char *path, json_t *root, struct ggl_shard_index *index, struct ggl_error *err)
{
    char found[64];
    json_t *map = json_object_get(root, "weight_map");
    const json_t *total = json_object_get(json_object_get(root, "metadata"), "total_size");
    index->json = root;
    index->weight_map = map;
    index->total_size = json_is_integer(total) ? json_integer_value(total) : -1;
    if (!json_is_object(map)) {
        return ggl_fail(err, GGL_ERR_FORMAT, path, GGL_NO_OFFSET, ggl_json_describe(map, found), "an object",
                        "weight_map");
    }
    struct names names = {0};
    enum ggl_status s = list_index(path, map, &names, err);
    index->files = names.items;
    index->n_files = names.n;
    return s;
}

enum ggl_status ggl_shard_index_load(const char *path, struct ggl_shard_index *index, struct ggl_error *err)
{
    json_t *root = NULL;
    enum ggl_status s = ggl_json_load(path, MAX_INDEX_BYTES, MAX_INDEX_DEPTH, &root, err);
    return s ? s : fill_index(path, root, index, err);
}

enum ggl_status ggl_shard_index_parse(const char *path, const void *text, size_t n, struct ggl_shard_index *index,
                                      struct ggl_error *err)
{
    json_t *root = NULL;
    enum ggl_status s = ggl_json_parse(path, 0, text, n, MAX_INDEX_DEPTH, &root, err);
    return s ? s : fill_index(path, root, index, err);
}

void ggl_shard_index_free(struct ggl_shard_index *index)
{
    struct names names = {index->files, index->n_files};
    names_free(&names);
    json_decref(index->json);
    memset(index, 0, sizeof(*index));
}

/* Both directions: what the files hold is mapped to them, and what is mapped is there. */
static enum ggl_status compare_index(const struct ggl_shards *s, const struct ggl_shard_index *index,
                                     struct ggl_error *err)
{
    json_t *map = index->weight_map;
    for (uint32_t i = 0; i < s->n_tensors; i++) {
        const char *file = json_string_value(json_object_get(map, s->tensors[i]->name));
        const char *slash = strrchr(s->tensors[i]->path, '/');
        const char *name = slash ? slash + 1 : s->tensors[i]->path;
        if (!file || strcmp(file, name) != 0) {
            return ggl_fail(err, GGL_ERR_FORMAT, s->tensors[i]->path, GGL_NO_OFFSET, file ? file : "nothing", name,
                            "%.180s: file that the index names", s->tensors[i]->name);
        }
    }
    const char *tensor;
    json_t *value;
    json_object_foreach(map, tensor, value) {
        if (!ggl_shards_find(s, tensor)) {
            return ggl_fail(err, GGL_ERR_FORMAT, s->index_path, GGL_NO_OFFSET, "no such tensor in its file", NULL,
                            "weight_map: %.180s: %.60s", tensor, json_string_value(value));
        }
    }
    return GGL_OK;
}

static enum ggl_status open_files(struct ggl_shards *s, const char *dir, const struct names *names,
                                  struct ggl_error *err)
{
    size_t n = 0;
    s->files = calloc(names->n, sizeof(*s->files));
    if (!s->files) return no_memory(dir, err);
    for (uint32_t i = 0; i < names->n; i++) {
        char *path = ggl_join_path(dir, names->items[i]);
        if (!path) return no_memory(dir, err);
        struct ggl_st_file *f = &s->files[s->n_files++];
        enum ggl_status status = s->next_place ? ggl_st_open_unmapped(path, f, &s->next_place, err) : ggl_st_open(path, f, err);
        free(path);
        if (status) return status;
        n += s->files[i].n_tensors;
    }
    if (n >= UINT32_MAX) return no_memory(dir, err);
    s->tensors = calloc(n + 1, sizeof(*s->tensors));
    if (!s->tensors || !ggl_names_reserve(&s->names, n)) return no_memory(dir, err);
    for (uint32_t i = 0; i < s->n_files; i++) {
        for (uint32_t k = 0; k < s->files[i].n_tensors; k++) {
            struct ggl_st_tensor *t = &s->files[i].tensors[k];
            if (ggl_shards_find(s, t->name)) {
                return ggl_fail(err, GGL_ERR_FORMAT, t->path, GGL_NO_OFFSET, "in another file too", "each tensor once",
                                "%.180s", t->name);
            }
            ggl_names_add(&s->names, t->name, s->n_tensors);
            s->tensors[s->n_tensors++] = t;
            s->tensor_bytes += t->bytes; /* bounded by the files' sizes */
        }
    }
    return GGL_OK;
}

enum ggl_status ggl_shards_open(const char *dir, struct ggl_shards *s, struct ggl_error *err)
{
    struct ggl_shard_index index = {0};
    struct names names = {0};
    s->index_total_size = -1;
    s->index_path = ggl_join_path(dir, INDEX_NAME);
    if (!s->index_path) return no_memory(dir, err);

    enum ggl_status status = ggl_shard_index_load(s->index_path, &index, err);
    if (status == GGL_ERR_NOT_FOUND) {
        if (err) memset(err, 0, sizeof(*err)); /* no index is no error */
        free(s->index_path);
        s->index_path = NULL;
        status = list_directory(dir, &names, err);
    } else if (!status) {
        s->index_total_size = index.total_size;
        names = (struct names){index.files, index.n_files};
    }
    if (!status) status = open_files(s, dir, &names, err);
    if (!status && s->index_path) status = compare_index(s, &index, err);
    if (names.items != index.files) names_free(&names);
    ggl_shard_index_free(&index);
    return status;
}

#else

enum ggl_status ggl_shards_open(const char *dir, struct ggl_shards *s, struct ggl_error *err)
{
    (void)s;
    return ggl_fail(err, GGL_ERR_UNSUPPORTED, dir, GGL_NO_OFFSET, NULL, NULL,
                    "checkpoint directories need a build with jansson");
}

#endif
