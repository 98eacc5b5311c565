/*
 * Mappings of what is not a plain file, and outputs that are there or not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "ggml-lite/src/file.h"
#include "support/gguf_builder.h"

static struct ggl_error err;

static void mapping(void **state)
{
    (void)state;
    struct ggl_map map;
    struct gguf_builder b = {0};
    gb_bytes(&b, "hello", 5);
    gb_save(&b, gb_temp("f"));
    gb_free(&b);
    assert_int_equal(ggl_map_open(gb_temp("f"), &map, &err), GGL_OK);
    assert_int_equal(map.size, 5);
    assert_memory_equal(map.data, "hello", 5);
    ggl_map_close(&map);
    assert_null(map.data);
    ggl_map_close(&map); /* twice is harmless */
    gb_save(&(struct gguf_builder){0}, gb_temp("f"));
    assert_int_equal(ggl_map_open(gb_temp("f"), &map, &err), GGL_OK);
    assert_null(map.data);
    assert_int_equal(map.size, 0);
    ggl_map_close(&map);
    remove(gb_temp("f"));
}

static void not_files(void **state)
{
    (void)state;
    struct ggl_map map;
    char line[GGL_ERROR_LINE], deep[6000];
    memset(deep, 'x', sizeof(deep) - 1);
    deep[sizeof(deep) - 1] = '\0';
    const char *paths[] = {gb_temp("absent"), gb_temp("."), "/dev/null", "/dev/zero", "", deep, NULL};
    for (int i = 0; i < 7; i++) {
        assert_int_equal(ggl_map_open(paths[i], &map, &err), GGL_ERR_NOT_FOUND);
        assert_true(strlen(ggl_error_line(&err, line, sizeof(line))) > 10);
        assert_null(map.data);
    }
    assert_int_equal(ggl_map_open(gb_temp("absent"), &map, NULL), GGL_ERR_NOT_FOUND);
    assert_int_equal(mkfifo(gb_temp("fifo"), 0600), 0);
    alarm(5); /* a FIFO that nobody writes to must not make us wait */
    assert_int_equal(ggl_map_open(gb_temp("fifo"), &map, &err), GGL_ERR_NOT_FOUND);
    alarm(0);
    struct ggl_output *o;
    assert_int_equal(ggl_output_open(gb_temp("fifo"), true, &o, &err), GGL_ERR_CREATE);
    remove(gb_temp("fifo"));
}

static void expect_file(const char *name, const char *text)
{
    struct ggl_map map;
    assert_int_equal(ggl_map_open(gb_temp(name), &map, &err), GGL_OK);
    assert_int_equal(map.size, strlen(text));
    assert_memory_equal(map.data, text, map.size);
    ggl_map_close(&map);
}

static bool exists(const char *name)
{
    return access(gb_temp(name), F_OK) == 0;
}

static void output(void **state)
{
    (void)state;
    struct ggl_output *o;
    char temporary[64];
    snprintf(temporary, sizeof(temporary), "out.tmp.%ld", (long)getpid());
    gb_save(&(struct gguf_builder){.data = (uint8_t[]){1}, .n = 1}, gb_temp(temporary)); /* of a dead process */
    assert_int_equal(ggl_output_open(gb_temp("out"), false, &o, &err), GGL_OK);
    assert_false(exists("out"));
    assert_true(exists(temporary));
    assert_int_equal(ggl_output_write(o, "....world", 9, &err), GGL_OK);
    assert_int_equal(ggl_output_patch(o, 1, "abc", 3, &err), GGL_OK);
    assert_int_equal(ggl_output_patch(o, 7, "abc", 3, &err), GGL_ERR_ARGUMENT);
    assert_int_equal(ggl_output_write(o, "!", 1, &err), GGL_OK); /* after a patch: at the end */
    assert_int_equal(ggl_output_finish(o, &err), GGL_OK);
    assert_false(exists(temporary));
    expect_file("out", ".abcworld!");

    assert_int_equal(ggl_output_open(gb_temp("out"), false, &o, &err), GGL_ERR_ARGUMENT);
    assert_null(o);
    assert_int_equal(ggl_output_open(gb_temp("out"), true, &o, &err), GGL_OK);
    assert_int_equal(ggl_output_write(o, "new", 3, &err), GGL_OK);
    expect_file("out", ".abcworld!");
    ggl_output_abort(o);
    expect_file("out", ".abcworld!");
    assert_false(exists(temporary));
    ggl_output_abort(NULL);

    assert_int_equal(ggl_output_open(gb_temp("out"), true, &o, &err), GGL_OK);
    assert_int_equal(ggl_output_write(o, "new", 3, &err), GGL_OK);
    assert_int_equal(ggl_output_seal(o, &err), GGL_OK);
    assert_int_equal(ggl_output_write(o, "x", 1, &err), GGL_ERR_STATE);
    assert_int_equal(ggl_output_finish(o, &err), GGL_OK);
    expect_file("out", "new");
    remove(gb_temp("out"));
}

/* A file that appears while ours is written is not replaced either. */
static void late_rival(void **state)
{
    (void)state;
    struct ggl_output *o;
    assert_int_equal(ggl_output_open(gb_temp("out"), false, &o, &err), GGL_OK);
    assert_int_equal(ggl_output_write(o, "mine", 4, &err), GGL_OK);
    gb_save(&(struct gguf_builder){.data = (uint8_t *)(uintptr_t) "rival", .n = 5}, gb_temp("out"));
    assert_int_equal(ggl_output_finish(o, &err), GGL_ERR_ARGUMENT);
    expect_file("out", "rival");
    remove(gb_temp("out"));
}

static void large_writes(void **state)
{
    (void)state;
    struct ggl_output *o;
    struct ggl_map map;
    static uint8_t data[3 << 20];
    static const size_t pieces[] = {1, 1048575, 1, 1048576, 1048577, 5, 2097153, 0, 3 << 20};
    uint64_t n = 0, at = 0;
    for (size_t i = 0; i < sizeof(data); i++) data[i] = (uint8_t)(i * 2654435761u >> 13);
    assert_int_equal(ggl_output_open(gb_temp("out"), false, &o, &err), GGL_OK);
    for (size_t i = 0; i < 9; i++) {
        assert_int_equal(ggl_output_write(o, data, pieces[i], &err), GGL_OK);
        n += pieces[i];
    }
    assert_int_equal(ggl_output_finish(o, &err), GGL_OK);
    assert_int_equal(ggl_map_open(gb_temp("out"), &map, &err), GGL_OK);
    assert_int_equal(map.size, n);
    for (size_t i = 0; i < 9; at += pieces[i++]) assert_true(!pieces[i] || !memcmp(map.data + at, data, pieces[i]));
    ggl_map_close(&map);
    remove(gb_temp("out"));
}

static void room(void **state)
{
    (void)state;
    char line[GGL_ERROR_LINE];
    assert_int_equal(ggl_output_room(gb_temp("out"), 1, &err), GGL_OK);
    assert_int_equal(ggl_output_room("relative", 1, &err), GGL_OK);
    assert_int_equal(ggl_output_room("/out", 0, &err), GGL_OK);
    assert_int_equal(ggl_output_room(gb_temp("out"), UINT64_MAX, &err), GGL_ERR_IO);
    assert_non_null(strstr(ggl_error_line(&err, line, sizeof(line)), "18446744073709551615 bytes needed, "));
    assert_int_equal(ggl_output_room(gb_temp("no/such"), 1, &err), GGL_ERR_CREATE);
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
        cmocka_unit_test(mapping),    cmocka_unit_test(not_files),    cmocka_unit_test(output),
        cmocka_unit_test(late_rival), cmocka_unit_test(large_writes), cmocka_unit_test(room),
    };
    return cmocka_run_group_tests(tests, NULL, clean);
}
