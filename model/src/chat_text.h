/*
 * What the chat code builds with: an arena, and a growing text that remembers which of its bytes are the
 * prompt format's own control texts.
 *
 * A text's failure is sticky: after an allocation failed every append is a no-op and `failed` is set, so the
 * many small appends of a renderer are checked once, at the end.
 */
#ifndef GGL_CHAT_TEXT_H
#define GGL_CHAT_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#define GGL_CHAT_BOS "<｜begin▁of▁sentence｜>"
#define GGL_CHAT_EOS "<｜end▁of▁sentence｜>"
#define GGL_CHAT_USER "<｜User｜>"
#define GGL_CHAT_ASSISTANT "<｜Assistant｜>"
#define GGL_CHAT_REMINDER "<｜latest_reminder｜>"
#define GGL_CHAT_THINK "<think>"
#define GGL_CHAT_THINK_END "</think>"
#define GGL_CHAT_DSML "｜DSML｜"

/* Borrowed bytes, not terminated.  data may be NULL when size is 0. */
struct ggl_chat_span {
    const char *data;
    size_t size;
};

static inline struct ggl_chat_span ggl_chat_span_of(const char *data, size_t size)
{
    struct ggl_chat_span s = {data, size};
    return s;
}

struct ggl_chat_control {
    size_t offset, size;
};

struct ggl_chat_text {
    char *data;
    size_t size, cap;
    struct ggl_chat_control *controls; /* in order, not overlapping */
    size_t n_controls, cap_controls;
    bool failed;
};

void ggl_chat_text_free(struct ggl_chat_text *t);
void ggl_chat_text_add(struct ggl_chat_text *t, const char *data, size_t size);
void ggl_chat_text_str(struct ggl_chat_text *t, const char *s);
void ggl_chat_text_span(struct ggl_chat_text *t, struct ggl_chat_span s);
/* One control text, that is: a token of its own when the prompt is tokenised. */
void ggl_chat_text_control(struct ggl_chat_text *t, const char *s);
/* Text of ours in which every DSML mark and think tag is a control text. */
void ggl_chat_text_template(struct ggl_chat_text *t, const char *s);
/* Another text with its controls. */
void ggl_chat_text_append(struct ggl_chat_text *t, const struct ggl_chat_text *other);
/* Hand the bytes over, zero-terminated; the text is empty afterwards.  NULL after a failed allocation. */
char *ggl_chat_text_take(struct ggl_chat_text *t, size_t *size);

/* Memory that is freed at once.  Blocks are aligned for any type and zeroed. */
struct ggl_chat_arena_chunk;
struct ggl_chat_arena {
    struct ggl_chat_arena_chunk *chunks;
};
void *ggl_chat_arena_alloc(struct ggl_chat_arena *a, size_t size); /* NULL: out of memory */
void ggl_chat_arena_free(struct ggl_chat_arena *a);

/* The length of a valid UTF-8 sequence at s, of at most n bytes; 0 if there is none. */
int ggl_chat_utf8_length(const char *s, size_t n);

#endif
