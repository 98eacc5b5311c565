/*
 * --suite: the file of prompts.  Every line is checked and every prompt that is asked is encoded before the first
 * evaluation: an answer takes seconds to minutes, and a broken line must not end hours of them.
 */
#include <stdlib.h>
#include <string.h>

#include "ggl-eval/suite.h"

enum { MAX_SKILL = 64 };

struct line {
    const char *path, *start; /* the file, and where its text begins */
    long long number;
    struct ggl_chat_span text;
};

/* "suite.jsonl: line 7: skill is a number, expected a string" */
static _Noreturn void wrong(const struct line *l, const char *field, const struct ggl_pyjson *found, const char *expected)
{
    struct ggl_error err;
    char buf[GGL_PYJSON_DESCRIBE];
    ggl_fail(&err, GGL_ERR_FORMAT, l->path, GGL_NO_OFFSET, ggl_pyjson_describe(found, buf), expected, "line %lld: %s", l->number,
             field);
    cli_die_error(&eval_cli, &err);
}

/* An error of the library, inside the line. */
static _Noreturn void fail_in(const struct line *l, const struct ggl_error *inner)
{
    struct ggl_error err;
    ggl_fail(&err, inner->status, l->path, inner->offset, inner->found, inner->expected, "line %lld: %s", l->number, inner->what);
    cli_die_error(&eval_cli, &err);
}

static void *grow(void *items, size_t n, size_t *cap, size_t size)
{
    if (n < *cap) return items;
    *cap = *cap ? 2 * *cap : 64;
    void *p = *cap <= SIZE_MAX / size ? realloc(items, *cap * size) : NULL;
    if (!p) cli_die(&eval_cli, 70, "out of memory");
    return p;
}

/* ---- fields */

static const struct ggl_pyjson *take(const struct line *l, const struct ggl_pyjson *root, const char *name,
                                     enum ggl_pyjson_kind kind, const char *expected)
{
    const struct ggl_pyjson *v = ggl_pyjson_get(root, name);
    if (!v || v->kind != kind || (kind == GGL_PYJSON_STRING && !v->text.size)) wrong(l, name, v, expected);
    return v;
}

/* A skill is a word of --skills and of the table: no comma, no blank, nothing that moves a cursor. */
static struct ggl_chat_span take_skill(const struct line *l, const struct ggl_pyjson *root)
{
    static const char expected[] = "1 to 64 letters, digits, '.', '_' and '-'";
    const struct ggl_pyjson *v = take(l, root, "skill", GGL_PYJSON_STRING, expected);
    for (size_t i = 0; i < v->text.size; i++) {
        char c = v->text.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != '-') wrong(l, "skill", v, expected);
    }
    if (v->text.size > MAX_SKILL) wrong(l, "skill", v, expected);
    return v->text;
}

/* The last message is one that the model answers. */
static const struct ggl_pyjson *take_messages(const struct line *l, const struct ggl_pyjson *root)
{
    const struct ggl_pyjson *list = take(l, root, "messages", GGL_PYJSON_ARRAY, "an array"), *last = list->child;
    while (last && last->next) last = last->next;
    const struct ggl_pyjson *role = ggl_pyjson_get(last, "role");
    if (!ggl_pyjson_equals(role, "user") && !ggl_pyjson_equals(role, "tool") && !ggl_pyjson_equals(role, "developer"))
        wrong(l, "messages: the role of the last one", role, "user, tool or developer");
    return list;
}

static void check_calls(const struct line *l, const struct ggl_pyjson *expected)
{
    for (const struct ggl_pyjson *c = expected->child; c; c = c->next) {
        const struct ggl_pyjson *name = ggl_pyjson_get(c, "name"), *arguments = ggl_pyjson_get(c, "arguments");
        if (c->kind != GGL_PYJSON_OBJECT) wrong(l, "expected[]", c, "an object");
        if (!name || name->kind != GGL_PYJSON_STRING) wrong(l, "expected[].name", name, "a string");
        if (!arguments || arguments->kind != GGL_PYJSON_OBJECT) wrong(l, "expected[].arguments", arguments, "an object");
    }
}

static void take_expected(const struct line *l, const struct ggl_pyjson *root, struct suite_prompt *p)
{
    const struct ggl_pyjson *match = ggl_pyjson_get(root, "match");
    bool calls = ggl_pyjson_equals(match, "calls");
    if (!calls && !ggl_pyjson_equals(match, "contains")) wrong(l, "match", match, "contains or calls");
    p->match = calls ? SUITE_CALLS : SUITE_CONTAINS;
    p->expected = calls ? take(l, root, "expected", GGL_PYJSON_ARRAY, "an array of {name, arguments}, as match is calls")
                        : take(l, root, "expected", GGL_PYJSON_STRING, "a string that is not empty, as match is contains");
    if (calls) check_calls(l, p->expected);
}

/* ---- what is asked */

/* text is one of the words of a comma-separated list. */
static bool listed(const char *list, struct ggl_chat_span text)
{
    for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
        if (strcspn(p, ",") == text.size && !memcmp(p, text.data, text.size)) return true;
    return false;
}

static size_t find_skill(const struct suite *u, struct ggl_chat_span name)
{
    size_t i = 0;
    while (i < u->n_skills && (u->skills[i].name.size != name.size || memcmp(u->skills[i].name.data, name.data, name.size))) i++;
    return i;
}

/* The index of a skill, which is new at its first prompt. */
static size_t add_skill(struct suite *u, struct ggl_chat_span name)
{
    size_t i = find_skill(u, name);
    if (i == u->n_skills) {
        u->skills = grow(u->skills, u->n_skills, &u->cap_skills, sizeof(*u->skills));
        u->skills[u->n_skills++] = (struct suite_skill){.name = name};
    }
    return i;
}

/* A misspelt name must not look like a skill without prompts. */
static void check_listed(const struct suite *u, const struct suite_options *o)
{
    for (const char *p = o->skills; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
        struct ggl_chat_span name = ggl_chat_span_of(p, strcspn(p, ","));
        if (find_skill(u, name) == u->n_skills)
            cli_die(&eval_cli, 2, "--skills: no prompt of %s has the skill \"%.*s\"", o->path, (int)name.size, name.data);
    }
}

/* The request that ggl-chat's options make: reasoning is "high", earlier reasoning is dropped. */
static void encode(const struct line *l, const struct ggl_model *m, const struct ggl_pyjson *messages, struct suite_prompt *p)
{
    static const char *const formats[] = {"dsv4-preview", "dsv4-0731"};
    struct ggl_chat_text request = {0};
    struct ggl_error err = {0};
    ggl_chat_text_str(&request, "{\"prompt_format\": \"");
    ggl_chat_text_str(&request, formats[ggl_model_prompt_format(m)]);
    ggl_chat_text_str(&request, p->thinking ? "\", \"thinking_mode\": \"thinking\", \"reasoning_effort\": \"high\", \"messages\": "
                                            : "\", \"thinking_mode\": \"chat\", \"messages\": ");
    ggl_pyjson_write(&request, messages);
    ggl_chat_text_str(&request, "}");
    if (request.failed) cli_die(&eval_cli, 70, "out of memory");
    if (ggl_chat_tokenize_json(ggl_model_tokenizer(m), request.data, request.size, &p->ids, &p->n_ids, &err)) fail_in(l, &err);
    ggl_chat_text_free(&request);
    if (p->n_ids > ggl_model_n_ctx_train(m))
        cli_die(&eval_cli, 75, "%s: line %lld: the prompt has %lld tokens, the model's context is %d", l->path, l->number,
                (long long)p->n_ids, ggl_model_n_ctx_train(m));
    for (int64_t i = 0; i < p->n_ids; i++)
        if (p->ids[i] >= ggl_model_n_vocab(m)) /* of a tokenizer that is larger than the embedding */
            cli_die(&eval_cli, 65, "%s: line %lld: the prompt has token %d, expected 0..%d", l->path, l->number, p->ids[i],
                    ggl_model_n_vocab(m) - 1);
}

static void add_line(struct suite *u, const struct suite_options *o, const struct ggl_model *m, const struct line *l)
{
    struct ggl_pyjson *root;
    struct ggl_error err = {0};
    struct suite_prompt p = {0};
    if (ggl_pyjson_read(&u->arena, l->text, "the line", &root, &err)) {
        if (err.offset != GGL_NO_OFFSET) err.offset += (uint64_t)(l->text.data - l->start);
        fail_in(l, &err);
    }
    if (root->kind != GGL_PYJSON_OBJECT) wrong(l, "the line", root, "an object");
    p.id = take(l, root, "id", GGL_PYJSON_STRING, "a string that is not empty")->text;
    p.skill = add_skill(u, take_skill(l, root));
    const struct ggl_pyjson *thinking = ggl_pyjson_get(root, "thinking"), *messages = take_messages(l, root);
    p.thinking = thinking && thinking->kind == GGL_PYJSON_TRUE;
    if (!p.thinking && (!thinking || thinking->kind != GGL_PYJSON_FALSE)) wrong(l, "thinking", thinking, "true or false");
    take_expected(l, root, &p);
    struct suite_skill *skill = &u->skills[p.skill];
    if ((o->skills && !listed(o->skills, skill->name)) || (o->limit && skill->n == o->limit)) return;
    encode(l, m, messages, &p);
    skill->n++;
    u->prompts = grow(u->prompts, u->n, &u->cap, sizeof(*u->prompts));
    u->prompts[u->n++] = p;
}

/* ---- the file */

static bool blank(struct ggl_chat_span s)
{
    size_t i = 0;
    while (i < s.size && (s.data[i] == ' ' || s.data[i] == '\t' || s.data[i] == '\r')) i++;
    return i == s.size;
}

void suite_read(struct suite *u, const struct suite_options *o, const struct ggl_model *m)
{
    size_t size;
    u->text = cli_read_file(&eval_cli, o->path, &size);
    struct line l = {.path = strcmp(o->path, "-") ? o->path : "standard input", .start = u->text};
    for (const char *p = u->text, *end = u->text + size; p < end; p += l.text.size + 1) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        l.text = ggl_chat_span_of(p, (size_t)((newline ? newline : end) - p));
        l.number++;
        if (!blank(l.text)) add_line(u, o, m, &l);
    }
    if (!u->n_skills) cli_die(&eval_cli, 65, "%s: holds no prompts", l.path);
    check_listed(u, o);
}

void suite_free(struct suite *u)
{
    for (size_t i = 0; i < u->n; i++) free(u->prompts[i].ids);
    free(u->prompts);
    free(u->skills);
    ggl_chat_arena_free(&u->arena);
    free(u->text);
}
