/*
 * --suite: asks every prompt as ggl-chat would at temperature 0, counts the right answers by skill, and the tokens
 * that the draft block foresaw.
 *
 * A draft is made from the streams at one token and the id of the next, and proposes the one behind that.  One-token
 * speculative decoding would accept it where it is what the model then chooses.  The first token of an answer is
 * chosen before there is a draft; all others count, the end of sentence included.
 */
#include <stdlib.h>
#include <string.h>

#include "ggl-eval/suite.h"

struct asking {
    const struct suite_options *o;
    const struct ggl_model *m;
    struct ggl_session *s;
    struct ggl_sampler *sampler;
    FILE *answers;
    bool mtp;
    int32_t draft; /* what the block proposes for the next token; -1: nothing yet */
    int64_t n_drafts, n_accepted;
};

struct answer {
    struct ggl_chat_text text;        /* as it was written, its end of sentence included */
    int64_t n_tokens;                 /* without it */
    bool ended;
    const struct ggl_pyjson *message; /* NULL: the text breaks the format, `err` says how */
    struct ggl_error err;
    bool right;
};

/* ---- writing an answer */

static void on_logits(void *user, int64_t pos, const float *logits, bool draft)
{
    struct asking *a = user;
    int32_t best = 0;
    (void)pos;
    if (!draft) return;
    for (int32_t i = 1; i < ggl_model_n_vocab(a->m); i++)
        if (logits[i] > logits[best]) best = i;
    a->draft = best;
}

static void count_draft(struct asking *a, int32_t chosen)
{
    if (a->draft < 0) return;
    a->n_drafts++;
    a->n_accepted += a->draft == chosen;
}

/* Nobody looks while the prompt is read, so only the last row of its logits is computed. */
static void read_prompt(struct asking *a, const struct suite_prompt *p)
{
    struct ggl_error err = {0};
    a->draft = -1;
    ggl_session_clear(a->s);
    ggl_session_set_logits_fn(a->s, NULL, NULL);
    if (ggl_session_eval(a->s, p->ids, p->n_ids, &err)) cli_die_error(&eval_cli, &err);
    if (a->mtp) ggl_session_set_logits_fn(a->s, on_logits, a);
}

/* ggl-chat's loop: the end of sentence ends an answer, and so does a user's token, which a model writes that forgot
 * to stop.  An answer that is cut has no end, so it will not parse. */
static void write_answer(struct asking *a, struct answer *answer)
{
    const struct ggl_tokenizer *t = ggl_model_tokenizer(a->m);
    int32_t eos = ggl_tokenizer_eos(t), user = ggl_token_find(t, GGL_CHAT_USER), id;
    struct ggl_error err = {0};
    while (!a->o->max_tokens || answer->n_tokens < a->o->max_tokens) {
        size_t size = 0;
        if (ggl_sample(a->sampler, ggl_session_logits(a->s), &id, &err)) cli_die_error(&eval_cli, &err);
        count_draft(a, id);
        if (id == eos || id == user) {
            ggl_chat_text_str(&answer->text, GGL_CHAT_EOS);
            answer->ended = true;
            break;
        }
        const char *text = ggl_token_bytes(t, id, &size);
        if (text) ggl_chat_text_add(&answer->text, text, size);
        answer->n_tokens++;
        enum ggl_status s = ggl_session_eval(a->s, &id, 1, &err);
        if (s == GGL_ERR_LIMIT) break; /* the context is full */
        if (s) cli_die_error(&eval_cli, &err);
    }
    if (answer->text.failed) cli_die(&eval_cli, 70, "out of memory");
}

/* ---- judging it */

static void judge(const struct suite_prompt *p, struct ggl_chat_arena *arena, struct answer *answer)
{
    char *json;
    size_t size;
    struct ggl_pyjson *message;
    if (ggl_chat_parse_json(answer->text.data ? answer->text.data : "", answer->text.size, p->thinking, &json, &size, &answer->err))
        return;
    /* Read from a copy in the arena: numbers of a tree point into its text. */
    char *copy = ggl_chat_arena_alloc(arena, size);
    if (!copy) cli_die(&eval_cli, 70, "out of memory");
    memcpy(copy, json, size);
    ggl_chat_free(json);
    if (ggl_pyjson_read(arena, ggl_chat_span_of(copy, size), "answer", &message, &answer->err)) return;
    answer->message = message;
    answer->right = p->match == SUITE_CALLS ? suite_calls_equal(arena, ggl_pyjson_get(message, "tool_calls"), p->expected)
                                            : suite_contains(ggl_pyjson_get(message, "content")->text, p->expected->text);
}

/* ---- what is written */

static void put(FILE *f, const char *before, struct ggl_chat_span text)
{
    fputs(before, f);
    cli_json_text(f, text.data, text.size);
}

/* Of an answer that does not parse, everything is its text. */
static void write_line(struct asking *a, const struct suite *u, const struct suite_prompt *p, const struct answer *answer)
{
    FILE *f = a->answers;
    const struct ggl_pyjson *m = answer->message, *calls = ggl_pyjson_get(m, "tool_calls");
    char why[GGL_ERROR_LINE];
    if (!f) return;
    put(f, "{\"id\": ", p->id);
    put(f, ", \"skill\": ", u->skills[p->skill].name);
    fputs(answer->right ? ", \"right\": true" : ", \"right\": false", f);
    put(f, ", \"answer\": ", m ? ggl_pyjson_get(m, "content")->text : ggl_chat_span_of(answer->text.data, answer->text.size));
    put(f, ", \"reasoning\": ", m ? ggl_pyjson_get(m, "reasoning_content")->text : ggl_chat_span_of("", 0));
    if (calls && calls->n) {
        struct ggl_chat_text text = {0};
        ggl_pyjson_write(&text, calls);
        if (text.failed) cli_die(&eval_cli, 70, "out of memory");
        fputs(", \"tool_calls\": ", f);
        fwrite(text.data, 1, text.size, f);
        ggl_chat_text_free(&text);
    }
    if (answer->ended) ggl_error_line(&answer->err, why, sizeof(why));
    else snprintf(why, sizeof(why), "cut after %lld tokens", (long long)answer->n_tokens);
    if (!m) put(f, ", \"error\": ", ggl_chat_span_of(why, strlen(why)));
    fprintf(f, ", \"n_prompt_tokens\": %lld, \"n_answer_tokens\": %lld}\n", (long long)p->n_ids, (long long)answer->n_tokens);
    if (ferror(f)) cli_die(&eval_cli, 74, "%s: cannot be written", a->o->answers);
}

static double percent(int64_t part, int64_t whole)
{
    return whole ? 100 * (double)part / (double)whole : 0;
}

static void print_row(int width, struct ggl_chat_span name, int64_t n, int64_t right)
{
    printf("%-*.*s  %7lld  %6lld  %5.1f\n", width, (int)name.size, name.data, (long long)n, (long long)right, percent(right, n));
}

static void print_table(const struct asking *a, const struct suite *u)
{
    struct suite_skill total = {.name = {"total", 5}};
    int width = (int)total.name.size;
    for (size_t i = 0; i < u->n_skills; i++)
        if (u->skills[i].n && (int)u->skills[i].name.size > width) width = (int)u->skills[i].name.size;
    printf("%-*s  %7s  %6s  %5s\n", width, "skill", "prompts", "right", "%");
    for (size_t i = 0; i < u->n_skills; i++) {
        if (!u->skills[i].n) continue;
        print_row(width, u->skills[i].name, u->skills[i].n, u->skills[i].right);
        total.n += u->skills[i].n;
        total.right += u->skills[i].right;
    }
    print_row(width, total.name, total.n, total.right);
    if (a->mtp)
        printf("\ndraft tokens accepted: %.1f %% (%lld of %lld)\n", percent(a->n_accepted, a->n_drafts), (long long)a->n_accepted,
               (long long)a->n_drafts);
}

/* ---- all prompts */

static void ask(struct asking *a, struct suite *u, const struct suite_prompt *p)
{
    struct answer answer = {.n_tokens = 0};
    struct ggl_chat_arena arena = {NULL};
    read_prompt(a, p);
    write_answer(a, &answer);
    judge(p, &arena, &answer);
    u->skills[p->skill].right += answer.right;
    write_line(a, u, p, &answer);
    ggl_chat_text_free(&answer.text);
    ggl_chat_arena_free(&arena);
}

static struct ggl_sampler *greedy(const struct ggl_model *m)
{
    struct ggl_error err = {0};
    struct ggl_sampler_params p = ggl_sampler_defaults();
    struct ggl_sampler *s;
    p.temperature = 0;
    if (ggl_sampler_new(&p, ggl_model_n_vocab(m), &s, &err)) cli_die_error(&eval_cli, &err);
    return s;
}

static void ask_all(struct asking *a, struct suite *u)
{
    struct cli_progress progress;
    cli_progress_begin(&progress, "answering", "prompts", (uint64_t)u->n, a->o->quiet);
    for (size_t i = 0; i < u->n; i++) {
        ask(a, u, &u->prompts[i]);
        cli_progress_update(&progress, (uint64_t)i + 1);
    }
    cli_progress_end(&progress, (uint64_t)u->n);
}

void suite_run(const struct suite_options *o, struct ggl_model *m)
{
    struct suite u = {.n = 0};
    struct asking a = {.o = o, .m = m, .mtp = ggl_model_has_mtp(m)};
    suite_read(&u, o, m);
    a.s = eval_session(m, ggl_model_n_ctx_train(m), a.mtp);
    a.sampler = greedy(m);
    if (o->answers && !(a.answers = fopen(o->answers, "wb"))) cli_die(&eval_cli, 73, "%s: cannot be created", o->answers);
    eval_print_warnings();
    ask_all(&a, &u);
    if (a.answers && fclose(a.answers)) cli_die(&eval_cli, 74, "%s: cannot be written", o->answers);
    print_table(&a, &u);
    ggl_sampler_free(a.sampler);
    suite_free(&u);
}
