/* ggl-chat: a conversation with a model on a terminal, one question, or a question a line from a pipe. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "chat.h"

static struct {
    const char *model, *prompt, *system, *think, *session, *history, *precision;
    double temperature, top_p, min_p;
    int64_t top_k, seed, n_predict, n_ctx, threads;
    bool keep_reasoning, no_pin, quiet;
} args = {.precision = "fast", .think = "high", .temperature = 1, .top_p = 1, .seed = -1};

static const struct cli_option options[] = {
    CLI_GROUP("Conversation"),
    {'m', "model", "MODEL", "GGUF file (the first part of a split one) or checkpoint directory", CLI_STR, &args.model},
    {'p', "prompt", "TEXT", "answer TEXT and exit", CLI_STR, &args.prompt},
    {0, "system", "TEXT", "system text", CLI_STR, &args.system},
    {0, "think", "none|high|max", "reasoning before the answer (default high)", CLI_STR, &args.think},
    CLI_GROUP("Answers"),
    {0, "temp", "T", "temperature, 0 is greedy (default 1)", CLI_FLOAT, &args.temperature},
    {0, "top-p", "P", "draw from the best tokens that together reach P (default 1: off)", CLI_FLOAT, &args.top_p},
    {0, "top-k", "K", "draw from the K best tokens (default 0: off)", CLI_INT, &args.top_k},
    {0, "min-p", "P", "drop tokens less likely than P times the best (default 0: off)", CLI_FLOAT, &args.min_p},
    {0, "seed", "N", "the same N draws the same answers (default: another every time)", CLI_INT, &args.seed},
    {'n', "predict", "N", "most new tokens of an answer (default 0: no limit)", CLI_INT, &args.n_predict},
    CLI_GROUP("Running"),
    {'c', "ctx", "N", "most tokens of the conversation (default: what the model was trained for)", CLI_INT, &args.n_ctx},
    {0, "session", "FILE", "continue the conversation in FILE, and save it there at the end", CLI_STR, &args.session},
    {0, "history", "FILE", "keep the lines typed in FILE, too", CLI_STR, &args.history},
    {0, "keep-reasoning", NULL, "keep the reasoning of earlier answers in the prompt: nothing is read twice, but it is\n"
                                "not how the model was trained", CLI_FLAG, &args.keep_reasoning},
    {0, "precision", "fast|f32", "fast: integer activations where the weights allow (default); f32: float everywhere",
     CLI_STR, &args.precision},
    {'t', "threads", "N", "worker threads (default: physical cores)", CLI_INT, &args.threads},
    {0, "no-pin", NULL, "let the system move worker threads between cores", CLI_FLAG, &args.no_pin},
    {'q', "quiet", NULL, "only the answer: no statistics, progress or, in a pipe, reasoning", CLI_FLAG, &args.quiet},
    {0},
};

const struct cli cli = {
    .name = "ggl-chat",
    .synopsis = "-m MODEL [-p TEXT] [options]",
    .summary = "Talk to a DeepSeek V4 model.",
    .details =
        "On a terminal /help lists the commands.  Ctrl-C stops an answer.\n"
        "With stdin not a terminal every line is a message.  The answers are on stdout; reasoning and statistics\n"
        "are on stderr.\n"
        "\n"
        "EXAMPLES\n"
        "  ggl-chat -m model.gguf\n"
        "  ggl-chat -m model.gguf --think none --temp 0 -p 'What is 2+2?'\n",
    .options = options,
};

bool parse_think(const char *text, struct ggl_chat_options *o)
{
    static const char *const names[] = {"none", "high", "max"};
    static const enum ggl_reasoning_effort efforts[] = {GGL_EFFORT_NONE, GGL_EFFORT_HIGH, GGL_EFFORT_MAX};
    for (int i = 0; i < 3; i++) {
        if (strcmp(text, names[i])) continue;
        o->thinking = i > 0;
        o->effort = efforts[i];
        return true;
    }
    return false;
}

/* Warnings wait until the model is loaded: a failure says one line. */
static void on_log(void *user, enum ggl_log_level level, const char *line)
{
    if (level != GGL_LOG_WARN) return;
    bytes_add(user, "ggl-chat: warning: ", 19);
    bytes_add(user, line, strlen(line));
    bytes_add(user, "\n", 1);
}

/* Before anything is loaded: a model takes minutes. */
static void check_args(struct chat *c)
{
    if (!args.model) cli_die(&cli, 2, "-m MODEL is missing");
    if (!parse_think(args.think, &c->options)) cli_die(&cli, 2, "--think %s: expected none, high or max", args.think);
    if (strcmp(args.precision, "fast") != 0 && strcmp(args.precision, "f32") != 0)
        cli_die(&cli, 2, "--precision %s: expected fast or f32", args.precision);
    if (args.threads < 0 || args.threads > 1024) cli_die(&cli, 2, "--threads: expected 0..1024");
    if (args.n_predict < 0) cli_die(&cli, 2, "-n: expected 0 or more");
    if (args.n_ctx < 0 || args.n_ctx > INT32_MAX) cli_die(&cli, 2, "--ctx: expected 1..%d", INT32_MAX);
    if (args.top_k < 0 || args.top_k > INT32_MAX) cli_die(&cli, 2, "--top-k: expected 0..%d", INT32_MAX);
    if (!(args.temperature >= 0 && args.temperature <= 100)) cli_die(&cli, 2, "--temp: expected 0..100");
    if (!(args.top_p >= 0 && args.top_p <= 1)) cli_die(&cli, 2, "--top-p: expected 0..1");
    if (!(args.min_p >= 0 && args.min_p <= 1)) cli_die(&cli, 2, "--min-p: expected 0..1");
    c->options.keep_reasoning = args.keep_reasoning;
    c->n_predict = args.n_predict;
    c->session_file = args.session;
}

static uint64_t seed(void)
{
    struct timespec t;
    if (args.seed >= 0) return (uint64_t)args.seed;
    clock_gettime(CLOCK_REALTIME, &t);
    return ((uint64_t)t.tv_sec * 1000000007u + (uint64_t)t.tv_nsec) ^ (uint64_t)getpid() << 32;
}

static void load(struct chat *c)
{
    struct ggl_error err = {0};
    struct ggl_model_params mp = ggl_model_defaults();
    struct ggl_session_params sp = ggl_session_defaults();
    struct ggl_sampler_params p = ggl_sampler_defaults();
    struct bytes warnings = {0};
    mp.n_threads = (int32_t)args.threads;
    mp.no_pin = args.no_pin;
    mp.precision = strcmp(args.precision, "fast") == 0 ? GGL_PRECISION_FAST : GGL_PRECISION_F32;
    mp.log = args.quiet ? NULL : on_log;
    mp.log_user = &warnings;
    if (ggl_model_load(args.model, &mp, &c->model, &err)) cli_die_error(&cli, &err);
    c->tokenizer = ggl_model_tokenizer(c->model);
    if (!c->tokenizer) cli_die(&cli, 65, "%s: has no tokenizer, so it cannot read or write text", args.model);
    if (warnings.size) fwrite(warnings.data, 1, warnings.size, stderr);
    bytes_free(&warnings);
    c->options.format = ggl_model_prompt_format(c->model);
    sp.n_ctx = (int32_t)args.n_ctx;
    if (ggl_session_new(c->model, &sp, &c->session, &err)) cli_die_error(&cli, &err);
    p.temperature = (float)args.temperature;
    p.top_p = (float)args.top_p;
    p.min_p = (float)args.min_p;
    p.top_k = (int32_t)args.top_k;
    p.seed = seed();
    if (ggl_sampler_new(&p, ggl_model_n_vocab(c->model), &c->sampler, &err)) cli_die_error(&cli, &err);
}

/* A session file that does not exist yet is a new conversation. */
static void restore(struct chat *c)
{
    struct ggl_error err = {0};
    if (c->session_file) {
        enum ggl_status s = chat_load(c, c->session_file, &err);
        if (s && s != GGL_ERR_NOT_FOUND) cli_die_error(&cli, &err);
        if (!s) screen_note(&c->screen, "%s: %lld tokens", c->session_file, (long long)ggl_session_n_past(c->session));
    }
    if (args.system) history_set_system(&c->history, args.system, strlen(args.system));
}

/* Exits on every failure but an interrupt: then true. */
static bool ask(struct chat *c, const char *text, size_t size)
{
    struct ggl_error err = {0};
    enum ggl_status s = chat_ask(c, text, size, &err);
    if (s && s != GGL_ERR_CANCELLED) cli_die_error(&cli, &err);
    return s == GGL_ERR_CANCELLED;
}

/* Every line is a message; an empty one asks nothing. */
static int run_pipe(struct chat *c)
{
    struct bytes line = {0};
    enum line_result result;
    bool stopped = false;
    while (!stopped && (result = plain_read(&line)) == LINE_OK) {
        if (line.size && line.data[line.size - 1] == '\r') line.data[--line.size] = 0;
        if (line.size) stopped = ask(c, line.data, line.size);
    }
    bytes_free(&line);
    return stopped || result == LINE_INTERRUPT ? 130 : 0;
}

int main(int argc, char **argv)
{
    struct chat c = {0};
    int code;
    cli_parse(&cli, argc, argv);
    check_args(&c);
    screen_init(&c.screen, args.quiet);
    load(&c);
    interrupt_install(c.session);
    restore(&c);
    if (args.prompt) code = ask(&c, args.prompt, strlen(args.prompt)) ? 130 : 0;
    else if (isatty(STDIN_FILENO)) code = repl_run(&c, args.history);
    else code = run_pipe(&c);
    struct ggl_error err = {0};
    if (c.session_file && ggl_session_n_past(c.session) && chat_save(&c, c.session_file, &err)) cli_die_error(&cli, &err);
    history_clear(&c.history);
    bytes_free(&c.screen.scratch);
    ggl_sampler_free(c.sampler);
    ggl_session_free(c.session);
    ggl_model_free(c.model);
    return code;
}
