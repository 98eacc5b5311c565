/*
 * DeepSeek V4's prompt format: messages -> prompt text, completion text -> message.
 *
 * Two formats exist: the preview checkpoints' (dsv4-preview) and the refresh's (dsv4-0731); they differ in the
 * text that a reasoning effort adds.  Both are byte-exact to the official encoder.
 *
 * Tool schemas, tool arguments and response formats are JSON, read and written as Python's json module does
 * (key order kept, shortest floats, integers of any size).  No library is needed: every call works in every build.
 *
 * Thread-safety: pure functions; a ggl_chat_stream belongs to one completion.
 * Owner: strings returned through `out` are malloc'ed, free() them with ggl_chat_free.
 */
#ifndef GGL_CHAT_H
#define GGL_CHAT_H

#include <stddef.h>
#include "ggml-lite/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ggl_prompt_format { GGL_PROMPT_DSV4_PREVIEW = 0, GGL_PROMPT_DSV4_0731 = 1 };
enum ggl_reasoning_effort { GGL_EFFORT_NONE = 0, GGL_EFFORT_LOW, GGL_EFFORT_HIGH, GGL_EFFORT_MAX };

/* "dsv4-preview" or "dsv4-0731" (the values of the GGUF key ggl.prompt_format). */
GGL_API bool ggl_prompt_format_from_name(const char *name, enum ggl_prompt_format *format);

struct ggl_chat_message {
    const char *role; /* "system", "user", "assistant", "developer", "latest_reminder" */
    const char *content;
    const char *reasoning; /* assistant only; may be NULL */
};

struct ggl_chat_options {
    enum ggl_prompt_format format;
    bool thinking;
    enum ggl_reasoning_effort effort; /* used only when thinking */
    bool keep_reasoning;              /* true: earlier turns keep their reasoning (drop_thinking = false) */
};

/* The prompt for plain messages (no tools). */
GGL_API enum ggl_status ggl_chat_encode(const struct ggl_chat_message *messages, size_t n,
                                        const struct ggl_chat_options *options, char **out, size_t *out_size,
                                        struct ggl_error *err);

/* The same prompt as tokens, safe against injection: only the format's own control texts become control tokens;
 * a control token's text inside a message is plain text.  The prompt's first `from` bytes, which a session may have
 * read already, are left out.  *ids is malloc'ed: free it with free(). */
struct ggl_tokenizer;
GGL_API enum ggl_status ggl_chat_tokenize(const struct ggl_tokenizer *t, const struct ggl_chat_message *messages,
                                          size_t n, const struct ggl_chat_options *options, size_t from, int32_t **ids,
                                          int64_t *n_ids, struct ggl_error *err);

/* The prompt for one JSON request {messages, thinking_mode, reasoning_effort, drop_thinking, prompt_format}:
 * tools, tool calls and results, tasks, response_format, developer messages: all of the official encoder.  A
 * "context" array holds messages that the model has read already.  Other keys are ignored.  FORMAT: the request
 * breaks a rule (`what` names the place); UNSUPPORTED: lone surrogates, JSON deeper than 512 levels. */
GGL_API enum ggl_status ggl_chat_encode_json(const char *request, size_t size, char **out, size_t *out_size,
                                             struct ggl_error *err);

/* The same prompt as tokens, as safe as ggl_chat_tokenize's.  *ids is malloc'ed: free it with free(). */
GGL_API enum ggl_status ggl_chat_tokenize_json(const struct ggl_tokenizer *t, const char *request, size_t size, int32_t **ids,
                                               int64_t *n_ids, struct ggl_error *err);

/* Strict parse of a finished completion, as the official parser does it.  *out is a JSON object
 * {role, content, reasoning_content, tool_calls}.  FORMAT: the completion breaks a rule. */
GGL_API enum ggl_status ggl_chat_parse_json(const char *completion, size_t size, bool thinking, char **out,
                                            size_t *out_size, struct ggl_error *err);

/* ---- tolerant streaming parse, for showing a completion while it is written.
 * Splits text into reasoning, content and tool calls; accepts what models really write (a call inside an
 * unfinished think block, spaces or doubled bars around DSML, missing blank line before the block). */
enum ggl_chat_part { GGL_PART_REASONING, GGL_PART_CONTENT, GGL_PART_TOOL_NAME, GGL_PART_TOOL_ARGUMENTS, GGL_PART_TOOL_END };
typedef void ggl_chat_part_fn(void *user, enum ggl_chat_part part, const char *text, size_t size);

struct ggl_chat_stream;
GGL_API struct ggl_chat_stream *ggl_chat_stream_new(bool thinking, ggl_chat_part_fn *fn, void *user); /* NULL: NOMEM */
GGL_API enum ggl_status ggl_chat_stream_feed(struct ggl_chat_stream *s, const char *text, size_t size);
GGL_API enum ggl_status ggl_chat_stream_end(struct ggl_chat_stream *s); /* flushes what was held back */
GGL_API void ggl_chat_stream_free(struct ggl_chat_stream *s);

GGL_API void ggl_chat_free(char *text);

#ifdef __cplusplus
}
#endif
#endif
