/* Reads tests/vectors/encoding for the chat tests; every function fails the test by itself. */
#ifndef TESTS_CHAT_VECTORS_H
#define TESTS_CHAT_VECTORS_H

#include "model/src/chat_json.h"

/* A file of the folder, zero-terminated; free() it. */
char *chat_vector_file(const char *name, size_t *size);
/* A JSON file's root. */
struct ggl_pyjson *chat_vector_json(struct ggl_chat_arena *arena, const char *name);
/* A JSON text, which must be valid. */
struct ggl_pyjson *chat_json(struct ggl_chat_arena *arena, const char *text, size_t size);
/* Two values are equal as Python compares them: the order of keys does not matter. */
bool chat_json_same(const struct ggl_pyjson *a, const struct ggl_pyjson *b);
/* The first n bytes are equal; on a difference prints where, with some context. */
bool chat_same_text(const char *name, const char *found, size_t n_found, const char *expected, size_t n_expected);

#endif
