/*
 * ggl-encode: chat requests as JSON lines -> prompts as JSON strings, and completions -> messages.
 * Both directions are the official encoder's, byte for byte.
 */
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "model/chat.h"
#include "model/src/chat_json.h"

static bool parse_mode;

static const struct cli_option options[] = {
    {0, "parse", NULL, "parse completions instead of writing prompts", CLI_FLAG, &parse_mode},
    {0},
};

static const struct cli cli = {
    .name = "ggl-encode",
    .synopsis = "[--parse] < REQUESTS.jsonl",
    .summary = "Reads one JSON object a line and prints the DeepSeek V4 prompt as one JSON string a line.",
    .details =
        "A line is {\"messages\": [...], \"thinking_mode\": \"chat\" or \"thinking\", \"reasoning_effort\": null, \"high\"\n"
        "or \"max\", \"drop_thinking\": true or false, \"prompt_format\": \"dsv4-preview\" (default) or \"dsv4-0731\"};\n"
        "all but the first two may be left out.\n"
        "With --parse a line is {\"completion\": \"...\", \"thinking_mode\": \"...\"}, and the answer is\n"
        "{\"ok\": true, \"parsed\": {role, content, reasoning_content, tool_calls}} or {\"ok\": false, \"error\": \"...\"}.\n",
    .options = options,
};

static void put(const char *text, size_t size)
{
    if (fwrite(text, 1, size, stdout) != size) cli_die(&cli, 74, "standard output: write error");
}

/* Control characters are gone from an error's line; what was quoted of the input may be cut inside a character. */
static void write_error(struct ggl_chat_text *out, const struct ggl_error *err)
{
    char line[GGL_ERROR_LINE];
    size_t kept = 0;
    ggl_error_line(err, line, sizeof(line));
    for (size_t i = 0, size = strlen(line); i < size; i++) {
        int n = ggl_chat_utf8_length(line + i, size - i);
        if (!n) continue;
        memmove(line + kept, line + i, (size_t)n);
        kept += (size_t)n;
        i += (size_t)n - 1;
    }
    ggl_chat_text_str(out, "{\"ok\": false, \"error\": ");
    ggl_pyjson_write_string(out, ggl_chat_span_of(line, kept));
    ggl_chat_text_str(out, "}\n");
}

static enum ggl_status parse_line(struct ggl_chat_arena *arena, const char *line, size_t size, struct ggl_chat_text *out,
                                  struct ggl_error *err)
{
    struct ggl_pyjson *root;
    char *parsed;
    size_t parsed_size;
    enum ggl_status s = ggl_pyjson_read(arena, ggl_chat_span_of(line, size), "line", &root, err);
    if (s) return s;
    const struct ggl_pyjson *completion = ggl_pyjson_get(root, "completion"), *mode = ggl_pyjson_get(root, "thinking_mode");
    bool thinking = ggl_pyjson_equals(mode, "thinking");
    if (!completion || completion->kind != GGL_PYJSON_STRING)
        return ggl_fail(err, GGL_ERR_FORMAT, NULL, GGL_NO_OFFSET, NULL, "a string", "completion");
    if (!thinking && !ggl_pyjson_equals(mode, "chat"))
        return ggl_fail(err, GGL_ERR_FORMAT, NULL, GGL_NO_OFFSET, NULL, "\"chat\" or \"thinking\"", "thinking_mode");
    s = ggl_chat_parse_json(completion->text.data, completion->text.size, thinking, &parsed, &parsed_size, err);
    if (s) return s;
    ggl_chat_text_str(out, "{\"ok\": true, \"parsed\": ");
    ggl_chat_text_add(out, parsed, parsed_size);
    ggl_chat_text_str(out, "}\n");
    ggl_chat_free(parsed);
    return GGL_OK;
}

static enum ggl_status encode_line(const char *line, size_t size, struct ggl_chat_text *out, struct ggl_error *err)
{
    char *prompt;
    size_t prompt_size;
    enum ggl_status s = ggl_chat_encode_json(line, size, &prompt, &prompt_size, err);
    if (s) return s;
    ggl_pyjson_write_string(out, ggl_chat_span_of(prompt, prompt_size));
    ggl_chat_text_str(out, "\n");
    ggl_chat_free(prompt);
    return GGL_OK;
}

int main(int argc, char **argv)
{
    char *line = NULL;
    size_t cap = 0, size;
    struct ggl_chat_text out = {0};
    cli_parse(&cli, argc, argv);
    for (long n = 1; cli_read_line(stdin, &line, &cap, &size); n++) {
        struct ggl_chat_arena arena = {NULL};
        struct ggl_error err = {0};
        char text[GGL_ERROR_LINE];
        out.size = 0;
        enum ggl_status s = parse_mode ? parse_line(&arena, line, size, &out, &err) : encode_line(line, size, &out, &err);
        ggl_chat_arena_free(&arena);
        if (s == GGL_ERR_NOMEM || out.failed) cli_die(&cli, 70, "line %ld: out of memory", n);
        if (s && !parse_mode) {
            fflush(stdout);
            cli_die(&cli, 65, "line %ld: %s", n, ggl_error_line(&err, text, sizeof(text)));
        }
        if (s) write_error(&out, &err);
        put(out.data, out.size);
    }
    ggl_chat_text_free(&out);
    free(line);
    return 0;
}
