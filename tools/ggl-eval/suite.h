/*
 * The parts of ggl-eval --suite: suite_read.c (the file: checked and encoded before anything is evaluated), suite.c
 * (asks, counts, prints), suite_match.c (is an answer right?).
 */
#ifndef GGL_EVAL_SUITE_H
#define GGL_EVAL_SUITE_H

#include "ggl-eval/eval.h"
#include "model/src/chat_json.h"

enum suite_match { SUITE_CONTAINS, SUITE_CALLS };

struct suite_skill {
    struct ggl_chat_span name;
    int64_t n, right; /* of the prompts that are asked */
};

struct suite_prompt {
    struct ggl_chat_span id;
    size_t skill; /* an index */
    bool thinking;
    enum suite_match match;
    const struct ggl_pyjson *expected; /* a string, or an array of {name, arguments} */
    int32_t *ids;
    int64_t n_ids;
};

struct suite {
    char *text; /* the file; what was read of it lies in the arena and may point there */
    struct ggl_chat_arena arena;
    struct suite_prompt *prompts;
    size_t n, cap;
    struct suite_skill *skills; /* in the order of the file */
    size_t n_skills, cap_skills;
};

/* ---- suite_read.c */

/* Exits where something is wrong, and says where. */
void suite_read(struct suite *u, const struct suite_options *o, const struct ggl_model *m);
void suite_free(struct suite *u);

/* ---- suite_match.c */

/* `expected` stands in content with no ASCII letter or digit directly beside it. */
bool suite_contains(struct ggl_chat_span content, struct ggl_chat_span expected);
/* As JSON values: members in any order, numbers by value. */
bool suite_json_equal(const struct ggl_pyjson *a, const struct ggl_pyjson *b);
/* tool_calls of a parsed message are those of `expected`, in this order. */
bool suite_calls_equal(struct ggl_chat_arena *arena, const struct ggl_pyjson *calls, const struct ggl_pyjson *expected);

#endif
