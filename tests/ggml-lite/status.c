/*
 * Status names, exit codes, and the one line that an error becomes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "ggml-lite/status.h"

static void names_and_codes(void **state)
{
    (void)state;
    static const int codes[] = {0, 70, 74, 65, 65, 2, 70, 130, 70, 75, 66, 73};
    for (unsigned i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        assert_int_equal(ggl_status_exit_code((enum ggl_status)i), codes[i]);
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(ggl_status_name((enum ggl_status)i), ggl_status_name((enum ggl_status)k));
    }
    assert_int_equal(ggl_status_exit_code((enum ggl_status)12), 70);
    assert_int_equal(ggl_status_exit_code((enum ggl_status)-1), 70);
    assert_string_equal(ggl_status_name((enum ggl_status)-1), "unknown status");
}

static void lines(void **state)
{
    (void)state;
    struct ggl_error e;
    char line[GGL_ERROR_LINE];
    assert_int_equal(ggl_fail(&e, GGL_ERR_FORMAT, "m.gguf", GGL_NO_OFFSET, "1536", "1024", "%s: dim %d", "blk.3.attn_q_a.weight", 1),
                     GGL_ERR_FORMAT);
    assert_string_equal(ggl_error_line(&e, line, sizeof(line)),
                        "m.gguf: blk.3.attn_q_a.weight: dim 1 is 1536, expected 1024");
    ggl_fail(&e, GGL_ERR_FORMAT, NULL, 24, NULL, NULL, "%s", "bad");
    assert_string_equal(ggl_error_line(&e, line, sizeof(line)), "bad (at byte 24)");
    ggl_fail(&e, GGL_ERR_IO, "f", GGL_NO_OFFSET, "No space left", NULL, "cannot write");
    assert_string_equal(ggl_error_line(&e, line, sizeof(line)), "f: cannot write: No space left");
    ggl_fail(&e, GGL_ERR_NOMEM, NULL, GGL_NO_OFFSET, NULL, NULL, "%s", "");
    assert_string_equal(ggl_error_line(&e, line, sizeof(line)), "out of memory");
    assert_int_equal(ggl_fail(NULL, GGL_ERR_STATE, NULL, 0, NULL, NULL, "x"), GGL_ERR_STATE);
    /* Text from files must not reach the terminal as commands. */
    ggl_fail(&e, GGL_ERR_FORMAT, "a\nb", GGL_NO_OFFSET, "\x1b[2J", "\x7f", "%s", "\r\t");
    assert_string_equal(ggl_error_line(&e, line, sizeof(line)), "a?b: ?? is ?[2J, expected ?");
}

static void long_texts(void **state)
{
    (void)state;
    struct ggl_error e;
    char text[2000], line[GGL_ERROR_LINE], small[10];
    memset(text, 'x', sizeof(text));
    memcpy(text + sizeof(text) - 6, ".gguf", 6);
    ggl_fail(&e, GGL_ERR_FORMAT, text, UINT64_MAX - 1, text, text, "%s", text);
    assert_int_equal(strlen(e.path), sizeof(e.path) - 1);
    assert_string_equal(e.path + strlen(e.path) - 5, ".gguf"); /* the end of a path says most */
    assert_true(strlen(ggl_error_line(&e, line, sizeof(line))) < sizeof(line));
    assert_non_null(strstr(line, "(at byte 18446744073709551614)"));
    assert_int_equal(strlen(ggl_error_line(&e, small, sizeof(small))), 9);
    small[0] = 'q';
    ggl_error_line(&e, small, 0);
    assert_int_equal(small[0], 'q');
    /* The arguments may be parts of the error that is filled in. */
    ggl_fail(&e, GGL_ERR_FORMAT, "p", GGL_NO_OFFSET, "f", NULL, "one");
    ggl_fail(&e, e.status, e.path, e.offset, e.found, "more", "%s two", e.what);
    assert_string_equal(ggl_error_line(&e, line, sizeof(line)), "p: one two is f, expected more");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_codes),
        cmocka_unit_test(lines),
        cmocka_unit_test(long_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
