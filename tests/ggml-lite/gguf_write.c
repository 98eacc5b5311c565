/*
 * The writer: what it writes is what the reader reads, as long as it said it
 * would be, and either complete or not there at all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <unistd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <cmocka.h>
#include "support/gguf_builder.h"

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        if (call) fail_msg("%s: %s", #call, ggl_error_line(&err, line, sizeof(line)));                                 \
    } while (0)

static struct ggl_error err;
static char line[GGL_ERROR_LINE];

static uint8_t byte_at(uint64_t tensor, uint64_t i)
{
    return (uint8_t)(tensor * 31 + i * 7 + (i >> 8));
}

/* Seven tensors: an empty one in the middle and one at the end, trailing dimensions of 1, odd sizes. */
static struct ggl_gguf *sample(uint32_t alignment)
{
    static const int64_t tokens[] = {-1, 2, INT64_MAX};
    static const struct ggl_str words[] = {{"a", 1}, {"", 0}, {"b\0c", 3}};
    static const uint8_t flags[] = {1, 0, 1};
    struct ggl_gguf *g = ggl_gguf_new();
    assert_non_null(g);
    OK(ggl_gguf_set_str(g, "general.architecture", "test"));
    if (alignment) OK(ggl_gguf_set_u32(g, "general.alignment", alignment));
    OK(ggl_gguf_set_i32(g, "i32", -5));
    OK(ggl_gguf_set_u16(g, "u16", 65535));
    OK(ggl_gguf_set_u64(g, "u64", UINT64_MAX));
    OK(ggl_gguf_set_f32(g, "f32", 1.5f));
    OK(ggl_gguf_set_bool(g, "bool", true));
    OK(ggl_gguf_set_arr(g, "i64s", GGL_KV_I64, tokens, 3));
    OK(ggl_gguf_set_arr(g, "bools", GGL_KV_BOOL, flags, 3));
    OK(ggl_gguf_set_arr(g, "none", GGL_KV_F32, NULL, 0));
    OK(ggl_gguf_set_arr_str(g, "words", words, 3));
    OK(ggl_gguf_set_u16(g, "split.no", 7)); /* of a source file: the writer must make its own */
    OK(ggl_gguf_set_str(g, "ggl.tensor.xxh3", "stale"));
    OK(ggl_gguf_add_tensor(g, "f32", GGL_TYPE_F32, 2, (int64_t[]){5, 3}, &err));
    OK(ggl_gguf_add_tensor(g, "empty", GGL_TYPE_F32, 1, (int64_t[]){0}, &err));
    OK(ggl_gguf_add_tensor(g, "q8", GGL_TYPE_Q8_0, 3, (int64_t[]){64, 9, 4}, &err));
    OK(ggl_gguf_add_tensor(g, "one", GGL_TYPE_F16, 4, (int64_t[]){1, 1, 1, 1}, &err));
    OK(ggl_gguf_add_tensor(g, "ones", GGL_TYPE_I8, 4, (int64_t[]){7, 1, 2, 1}, &err));
    OK(ggl_gguf_add_tensor(g, "scalar", GGL_TYPE_I32, 0, NULL, &err));
    OK(ggl_gguf_add_tensor(g, "last", GGL_TYPE_I8, 1, (int64_t[]){0}, &err));
    return g;
}

/* Write in pieces of `piece` bytes, across tensor borders. */
static void write_sample(const struct ggl_gguf *g, const char *path, uint64_t split, size_t piece, bool overwrite)
{
    struct ggl_gguf_write_options o = {.split_max_bytes = split, .overwrite = overwrite};
    struct ggl_gguf_writer *w;
    uint8_t buffer[8192];
    size_t n = 0;
    OK(ggl_gguf_write_begin(g, path, &o, &w, &err));
    for (uint64_t t = 0; t < ggl_gguf_n_tensors(g); t++) {
        uint64_t bytes = ggl_gguf_tensor_bytes(ggl_gguf_tensor(g, t));
        for (uint64_t i = 0; i < bytes; i++) {
            buffer[n++] = byte_at(t, i);
            if (n < piece) continue;
            OK(ggl_gguf_write_data(w, buffer, n, &err));
            n = 0;
        }
    }
    OK(ggl_gguf_write_data(w, buffer, n, &err));
    OK(ggl_gguf_write_finish(w, &err));
}

static int files_in_folder(void)
{
    int n = 0;
    DIR *d = opendir(gb_temp("."));
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void check_sample(const char *path, uint32_t alignment, uint32_t n_parts)
{
    struct ggl_gguf *g;
    static const uint32_t n_dims[] = {2, 1, 3, 1, 3, 1, 1};
    OK(ggl_gguf_open(path, NULL, &g, &err));
    assert_int_equal(ggl_gguf_n_parts(g), n_parts);
    assert_int_equal(ggl_gguf_version(g), 3);
    assert_int_equal(ggl_gguf_alignment(g), alignment ? alignment : 32);
    assert_string_equal(ggl_gguf_get_str(g, "general.architecture"), "test");
    assert_int_equal(((const int64_t *)ggl_gguf_find_kv(g, "i64s")->data)[2], INT64_MAX);
    assert_int_equal(*(const uint64_t *)ggl_gguf_find_kv(g, "u64")->data, UINT64_MAX);
    assert_memory_equal(ggl_gguf_find_kv(g, "words")->str[2].data, "b\0c", 4);
    assert_int_equal(ggl_gguf_find_kv(g, "words")->n, 3);
    assert_int_equal(ggl_gguf_find_kv(g, "none")->n, 0);
    assert_int_equal(ggl_gguf_find_kv(g, "none")->elem, GGL_KV_F32);
    const struct ggl_kv *hashes = ggl_gguf_find_kv(g, "ggl.tensor.xxh3");
    char hex[33];
    bool have_hash = ggl_hash_hex("", 0, hex);
    assert_int_equal(hashes != NULL, have_hash);
    if (hashes) assert_int_equal(hashes->n, 7);
    uint64_t end[8] = {0};
    for (uint64_t t = 0; t < 7; t++) {
        const struct ggl_tensor *tensor = ggl_gguf_tensor(g, t);
        uint64_t bytes = ggl_gguf_tensor_bytes(tensor), offset;
        uint32_t part;
        assert_int_equal(tensor->n_dims, n_dims[t]);
        ggl_gguf_tensor_location(g, t, &part, &offset);
        assert_true(offset >= end[part] && offset % ggl_gguf_alignment(g) == 0);
        if (end[part]) assert_true(offset < end[part] + ggl_gguf_alignment(g)); /* no gaps */
        end[part] = offset + bytes;
        for (uint64_t i = 0; i < bytes; i++)
            if (tensor->data[i] != byte_at(t, i)) fail_msg("tensor %d byte %d", (int)t, (int)i);
        if (!hashes) continue;
        ggl_hash_hex(tensor->data, (size_t)bytes, hex);
        assert_string_equal(hashes->str[t].data, hex);
    }
    ggl_gguf_free(g);
}

static void round_trip(void **state)
{
    (void)state;
    static const uint32_t alignments[] = {0, 8, 64, 4096};
    static const size_t pieces[] = {8192, 1, 7, 1000};
    for (int i = 0; i < 4; i++) {
        struct ggl_gguf *g = sample(alignments[i]);
        uint64_t bytes = 0;
        struct stat st;
        OK(ggl_gguf_write_size(g, NULL, &bytes, &err));
        write_sample(g, gb_temp("r.gguf"), 0, pieces[i], true);
        check_sample(gb_temp("r.gguf"), alignments[i], 1);
        assert_int_equal(stat(gb_temp("r.gguf"), &st), 0);
        assert_int_equal(st.st_size, bytes);
        ggl_gguf_free(g);
    }
    assert_int_equal(files_in_folder(), 1);
    remove(gb_temp("r.gguf"));
}

static void known_hash(void **state)
{
    (void)state;
    char hex[33];
    if (!ggl_hash_hex("", 0, hex)) skip();
    assert_string_equal(hex, "99aa06d3014798d86001c324468d497f"); /* XXH3-128 of nothing, as published */
}

static void split_round_trip(void **state)
{
    (void)state;
    static const uint64_t limits[] = {1, 2800, 3300, 1 << 20};
    for (int i = 0; i < 4; i++) {
        struct ggl_gguf *g = sample(64);
        struct ggl_gguf_write_options o = {.split_max_bytes = limits[i]};
        uint64_t bytes = 0, sum = 0;
        OK(ggl_gguf_write_size(g, &o, &bytes, &err));
        write_sample(g, gb_temp("s.gguf"), limits[i], 100, false);
        uint32_t n = (uint32_t)files_in_folder();
        assert_true(i == 0 ? n == 7 : i == 3 ? n == 1 : n > 1);
        for (uint32_t k = 0; k < n; k++) {
            char name[64];
            struct stat st;
            snprintf(name, sizeof(name), "s-%05u-of-%05u.gguf", k + 1, n);
            assert_int_equal(stat(gb_temp(name), &st), 0);
            sum += (uint64_t)st.st_size;
            if (i) assert_true((uint64_t)st.st_size <= limits[i]);
        }
        assert_int_equal(sum, bytes);
        char first[64];
        snprintf(first, sizeof(first), "s-00001-of-%05u.gguf", n);
        check_sample(gb_temp(first), 64, n);
        /* None may be replaced without being asked. */
        struct ggl_gguf_writer *w;
        assert_int_equal(ggl_gguf_write_begin(g, gb_temp("s.gguf"), &o, &w, &err), GGL_ERR_ARGUMENT);
        assert_null(w);
        write_sample(g, gb_temp("s.gguf"), limits[i], 100, true);
        for (uint32_t k = 0; k < n; k++) {
            char name[64];
            snprintf(name, sizeof(name), "s-%05u-of-%05u.gguf", k + 1, n);
            remove(gb_temp(name));
        }
        assert_int_equal(files_in_folder(), 0);
        ggl_gguf_free(g);
    }
}

static void all_or_nothing(void **state)
{
    (void)state;
    struct ggl_gguf *g = sample(0);
    struct ggl_gguf_write_options o = {0};
    struct ggl_gguf_writer *w;
    uint8_t data[16384] = {0};
    for (uint64_t split = 0; split < 2; split++) {
        o.split_max_bytes = split;
        OK(ggl_gguf_write_begin(g, gb_temp("a.gguf"), &o, &w, &err));
        assert_true(files_in_folder() > 0);
        OK(ggl_gguf_write_data(w, data, 61, &err));
        ggl_gguf_write_abort(w);
        assert_int_equal(files_in_folder(), 0);

        OK(ggl_gguf_write_begin(g, gb_temp("a.gguf"), &o, &w, &err));
        OK(ggl_gguf_write_data(w, data, 59, &err));
        assert_int_equal(ggl_gguf_write_finish(w, &err), GGL_ERR_STATE); /* incomplete */
        assert_non_null(strstr(ggl_error_line(&err, line, sizeof(line)), "'f32'"));
        assert_int_equal(files_in_folder(), 0);

        OK(ggl_gguf_write_begin(g, gb_temp("a.gguf"), &o, &w, &err));
        assert_int_equal(ggl_gguf_write_data(w, data, sizeof(data), &err), GGL_ERR_ARGUMENT); /* too much */
        ggl_gguf_write_abort(w);
        assert_int_equal(files_in_folder(), 0);
    }
    ggl_gguf_write_abort(NULL);
    o.split_max_bytes = 0;
    assert_int_equal(ggl_gguf_write_begin(g, gb_temp("no/such/folder.gguf"), &o, &w, &err), GGL_ERR_CREATE);
    assert_int_equal(ggl_gguf_write_begin(g, gb_temp("."), &(struct ggl_gguf_write_options){.overwrite = true}, &w, &err),
                     GGL_ERR_CREATE);
    ggl_gguf_free(g);
}

/* A file size limit stands in for a full disk; every place where it may strike. */
static void disk_full(void **state)
{
    (void)state;
    struct rlimit old, small;
    struct ggl_gguf *g = sample(0);
    uint8_t *data = calloc(1, 1 << 22);
    OK(ggl_gguf_add_tensor(g, "large", GGL_TYPE_I8, 1, (int64_t[]){3 << 20}, &err));
    uint64_t bytes = 0;
    for (uint64_t t = 0; t < ggl_gguf_n_tensors(g); t++) bytes += ggl_gguf_tensor_bytes(ggl_gguf_tensor(g, t));
    getrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, SIG_IGN);
    for (rlim_t limit = 0; limit < 3u << 20; limit = limit * 2 + 100) {
        struct ggl_gguf_writer *w;
        gb_save(&(struct gguf_builder){.data = data, .n = 5}, gb_temp("d.gguf"));
        small = old;
        small.rlim_cur = limit;
        setrlimit(RLIMIT_FSIZE, &small);
        enum ggl_status s = ggl_gguf_write_begin(g, gb_temp("d.gguf"), &(struct ggl_gguf_write_options){.overwrite = true}, &w, &err);
        if (!s && (s = ggl_gguf_write_data(w, data, bytes, &err)))
            ggl_gguf_write_abort(w);
        else if (!s)
            s = ggl_gguf_write_finish(w, &err);
        setrlimit(RLIMIT_FSIZE, &old);
        if (s != GGL_ERR_IO) fail_msg("limit %lu: status %d", (unsigned long)limit, s);
        struct stat st;
        assert_int_equal(stat(gb_temp("d.gguf"), &st), 0);
        assert_int_equal(st.st_size, 5); /* the old one */
        assert_int_equal(files_in_folder(), 1);
    }
    remove(gb_temp("d.gguf"));
    free(data);
    ggl_gguf_free(g);
}

static void no_room(void **state)
{
    (void)state;
    struct ggl_gguf *g = ggl_gguf_new();
    struct ggl_gguf_writer *w;
    OK(ggl_gguf_add_tensor(g, "huge", GGL_TYPE_I8, 1, (int64_t[]){1ll << 61}, &err));
    assert_int_equal(ggl_gguf_write_begin(g, gb_temp("h.gguf"), NULL, &w, &err), GGL_ERR_IO);
    assert_non_null(strstr(ggl_error_line(&err, line, sizeof(line)), "bytes needed"));
    assert_int_equal(files_in_folder(), 0);
    OK(ggl_gguf_add_tensor(g, "huge2", GGL_TYPE_I8, 1, (int64_t[]){INT64_MAX}, &err));
    uint64_t bytes;
    assert_int_equal(ggl_gguf_write_size(g, NULL, &bytes, &err), GGL_ERR_ARGUMENT);
    ggl_gguf_free(g);
}

static void bad_arguments(void **state)
{
    (void)state;
    struct ggl_gguf *g = ggl_gguf_new();
    uint64_t bytes;
    const uint8_t two = 2;
    assert_int_equal(ggl_gguf_set_u32(g, "", 1), GGL_ERR_ARGUMENT);
    assert_int_equal(ggl_gguf_set_u32(g, NULL, 1), GGL_ERR_ARGUMENT);
    assert_int_equal(ggl_gguf_set_u32(g, "\xff", 1), GGL_ERR_ARGUMENT);
    assert_int_equal(ggl_gguf_set_str(g, "k", NULL), GGL_ERR_ARGUMENT);
    assert_int_equal(ggl_gguf_set_arr(g, "k", GGL_KV_STR, &two, 1), GGL_ERR_ARGUMENT);
    assert_int_equal(ggl_gguf_set_arr(g, "k", GGL_KV_ARR, &two, 1), GGL_ERR_ARGUMENT);
    assert_int_equal(ggl_gguf_set_arr(g, "k", GGL_KV_BOOL, &two, 1), GGL_ERR_ARGUMENT);
    assert_int_equal(ggl_gguf_set_arr(g, "k", GGL_KV_U8, NULL, 1), GGL_ERR_ARGUMENT);
    assert_int_equal(ggl_gguf_n_kv(g), 0);
    const int64_t ne[] = {32, 1, 1, 1, 1}, odd[] = {33};
    char name[65];
    memset(name, 'n', 64);
    name[64] = '\0';
    assert_int_equal(ggl_gguf_add_tensor(g, "", GGL_TYPE_F32, 1, ne, &err), GGL_ERR_ARGUMENT);
    assert_int_equal(ggl_gguf_add_tensor(g, name, GGL_TYPE_F32, 1, ne, &err), GGL_ERR_ARGUMENT);
    assert_int_equal(ggl_gguf_add_tensor(g, "t", GGL_TYPE_F32, 5, ne, &err), GGL_ERR_ARGUMENT);
    assert_int_equal(ggl_gguf_add_tensor(g, "t", GGL_TYPE_FP8, 1, ne, &err), GGL_ERR_ARGUMENT);
    assert_int_equal(ggl_gguf_add_tensor(g, "t", GGL_TYPE_Q8_0, 1, odd, &err), GGL_ERR_ARGUMENT);
    OK(ggl_gguf_add_tensor(g, "t", GGL_TYPE_Q8_0, 1, ne, &err));
    assert_int_equal(ggl_gguf_add_tensor(g, "t", GGL_TYPE_F32, 1, ne, &err), GGL_ERR_ARGUMENT);
    for (uint32_t a = 0; a < 64; a = a * 3 + 1) {
        OK(ggl_gguf_set_u32(g, "general.alignment", a));
        assert_int_equal(ggl_gguf_write_size(g, NULL, &bytes, &err), GGL_ERR_ARGUMENT);
    }
    OK(ggl_gguf_set_u16(g, "general.alignment", 64));
    assert_int_equal(ggl_gguf_write_size(g, NULL, &bytes, &err), GGL_ERR_ARGUMENT);
    ggl_gguf_free(g);
}

static int clean(void **state)
{
    (void)state;
    gb_remove_temp();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip), cmocka_unit_test(known_hash), cmocka_unit_test(split_round_trip),
        cmocka_unit_test(all_or_nothing), cmocka_unit_test(disk_full), cmocka_unit_test(no_room),
        cmocka_unit_test(bad_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, clean);
}
