/*
 * ggl-eval: run given tokens through a model and write what comes out, or ask it prompts and count right answers.
 */
#include <stdlib.h>
#include <string.h>

#include "ggl-eval/eval.h"

enum { MAX_WARNINGS = 4, MAX_TOKENS = 256 };
#define NOT_GIVEN INT64_MIN

static struct {
    const char *model, *precision, *rounding;
    struct token_options tokens;
    struct suite_options suite;
    int64_t threads, chunk;
    bool no_pin, quiet;
} args = {.precision = "f32", .rounding = "on", .suite = {.limit = NOT_GIVEN, .max_tokens = NOT_GIVEN}};

static const struct cli_option options[] = {
    {'m', "model", "MODEL", "GGUF file (the first part of a split one) or checkpoint directory", CLI_STR, &args.model},
    CLI_GROUP("Tokens"),
    {0, "tokens", "FILE", "whitespace-separated token ids; - reads stdin", CLI_STR, &args.tokens.path},
    {0, "logits", "OUT.f32", "write [n_tokens, n_vocab] float32: row i are the logits after token i", CLI_STR, &args.tokens.logits},
    {0, "draft-logits", "OUT.f32", "the same of the multi-token-prediction block: [n_tokens - 1, n_vocab], row i from "
                                   "position i given token i + 1", CLI_STR, &args.tokens.draft},
    {0, "perplexity", NULL, "print the perplexity of the tokens", CLI_FLAG, &args.tokens.perplexity},
    {0, "kl-base", "BASE.f32", "compare with another model's --logits of the same tokens, as llama-perplexity --kl-divergence does", CLI_STR, &args.tokens.base},
    {0, "imatrix", "OUT.gguf", "write an importance matrix: sums of squares of the inputs of every matrix, as llama.cpp's", CLI_STR, &args.tokens.imatrix},
    {0, "dump", "NAME=FILE", "write an intermediate as float32 rows, e.g. L0.attn.in=x.f32; repeatable", CLI_LIST, &args.tokens.dumps},
    CLI_GROUP("Prompts"),
    {0, "suite", "FILE", "ask prompts with expected answers, greedily, and print accuracy by skill; - reads stdin", CLI_STR, &args.suite.path},
    {0, "skills", "A,B", "only prompts of these skills", CLI_STR, &args.suite.skills},
    {0, "suite-limit", "N", "at most N prompts of a skill, the first ones (default 0: all)", CLI_INT, &args.suite.limit},
    {'n', "max-tokens", "N", "most tokens of an answer (default 256; 0: no limit); one that is cut is wrong", CLI_INT, &args.suite.max_tokens},
    {0, "answers", "OUT.jsonl", "write every answer, a line of JSON each", CLI_STR, &args.suite.answers},
    CLI_GROUP("Running"),
    {0, "precision", "f32|fast", "f32: float activations everywhere (default); fast: integers where the weights allow", CLI_STR, &args.precision},
    {0, "chunk", "N", "tokens in one pass (default 256 to 4096, as memory allows; 1: token by token); never changes a result", CLI_INT, &args.chunk},
    {0, "cache-rounding", "on|off", "off: diagnostic, the cache keeps float rows (default on)", CLI_STR, &args.rounding},
    {'t', "threads", "N", "worker threads (default: physical cores)", CLI_INT, &args.threads},
    {0, "no-pin", NULL, "let the system move worker threads between cores", CLI_FLAG, &args.no_pin},
    {'q', "quiet", NULL, "no progress, no warnings", CLI_FLAG, &args.quiet},
    {0}};

const struct cli eval_cli = {
    "ggl-eval", "-m MODEL (--tokens FILE | --suite FILE) [options]",
    "Evaluate a file of tokens, or ask prompts with expected answers.\n"
    "Of tokens: logits, draft logits, perplexity, divergence from another model, intermediates, importance matrices.\n"
    "Of prompts: how many answers are right, by skill.",
    "EXAMPLES\n"
    "  ggl-eval -m model.gguf --tokens tokens.txt --logits logits.f32\n"
    "  ggl-eval -m checkpoint/ --tokens tokens.txt --chunk 1 --dump L2.attn.q=q.f32\n"
    "  ggl-eval -m big.gguf --tokens tokens.txt --logits base.f32\n"
    "  ggl-eval -m small.gguf --tokens tokens.txt --kl-base base.f32\n"
    "  ggl-eval -m big.gguf --tokens calibration.txt --imatrix imatrix.gguf\n"
    "  ggl-eval -m model.gguf --suite suite.jsonl --skills sum,recall --suite-limit 5 --answers answers.jsonl\n\n"
    "INTERMEDIATES\n"
    "  L<i>.attn.in, .attn.q, .attn.kv, .attn.compressed, .attn.index_keys, .attn.selected, .attn.out,\n"
    "  L<i>.ffn.in, .ffn.experts, .ffn.gains, .ffn.out, L<i>.h; M0.* for the multi-token-prediction block\n\n"
    "SUITES\n"
    "  A line of the file is {\"id\": \"sum-1\", \"skill\": \"sum\", \"thinking\": true, \"messages\": [...], \"expected\": \"42\",\n"
    "  \"match\": \"contains\"}. Messages are as in a chat request, tools and calls included (ggl-encode --help). The\n"
    "  prompt is ggl-chat's: with thinking, reasoning is \"high\". An answer is right when it ends, follows the format and\n"
    "    contains  its content has `expected` in it with no ASCII letter or digit directly beside it\n"
    "    calls     its tool calls are those of `expected`, [{\"name\": ..., \"arguments\": {...}}], in this order; arguments\n"
    "              are compared as JSON values\n"
    "  A model with a multi-token-prediction block drafts, too. From position i and token i + 1 the block guesses token\n"
    "  i + 2; the guess is accepted when the model then chooses that token, as in speculative decoding by one token.\n"
    "  All tokens of the answers but the first of each are counted, the end of sentence included.\n"
    "  --answers has id, skill, right, answer, reasoning, tool_calls (if any), error (if the answer breaks the format;\n"
    "  it is then given as it was written), n_prompt_tokens and n_answer_tokens (without the end of sentence).\n",
    options, 0, 0};

/* Warnings wait until nothing is left to be checked: a failure says one line. */
static struct {
    char lines[MAX_WARNINGS][GGL_ERROR_LINE];
    int n;
} warnings;

static void on_log(void *user, enum ggl_log_level level, const char *line)
{
    (void)user;
    if (level == GGL_LOG_WARN && warnings.n < MAX_WARNINGS) snprintf(warnings.lines[warnings.n++], GGL_ERROR_LINE, "%s", line);
}

void eval_print_warnings(void)
{
    for (int i = 0; i < warnings.n; i++) fprintf(stderr, "ggl-eval: warning: %s\n", warnings.lines[i]);
}

/* What goes with --tokens does nothing for --suite, and the other way round. */
static void check_suite_args(void)
{
    const char *of_tokens = args.tokens.path       ? "--tokens"
                            : args.tokens.logits     ? "--logits"
                            : args.tokens.draft      ? "--draft-logits"
                            : args.tokens.perplexity ? "--perplexity"
                            : args.tokens.base       ? "--kl-base"
                            : args.tokens.imatrix    ? "--imatrix"
                            : args.tokens.dumps.n    ? "--dump"
                                              : NULL;
    const char *of_suite = args.suite.skills                    ? "--skills"
                           : args.suite.answers                 ? "--answers"
                           : args.suite.limit != NOT_GIVEN      ? "--suite-limit"
                           : args.suite.max_tokens != NOT_GIVEN ? "--max-tokens"
                                                                : NULL;
    if (args.suite.path && of_tokens) cli_die(&eval_cli, 2, "%s does not go with --suite", of_tokens);
    if (!args.suite.path && of_suite) cli_die(&eval_cli, 2, "%s goes with --suite only", of_suite);
    if (args.suite.limit == NOT_GIVEN) args.suite.limit = 0;
    if (args.suite.max_tokens == NOT_GIVEN) args.suite.max_tokens = MAX_TOKENS;
    if (args.suite.limit < 0) cli_die(&eval_cli, 2, "--suite-limit: expected 0 or more");
    if (args.suite.max_tokens < 0) cli_die(&eval_cli, 2, "--max-tokens: expected 0 or more");
    args.suite.quiet = args.tokens.quiet = args.quiet;
}

static void check_args(void)
{
    if (!args.model) cli_die(&eval_cli, 2, "-m MODEL is missing");
    if (!args.tokens.path && !args.suite.path) cli_die(&eval_cli, 2, "--tokens FILE is missing, or --suite FILE");
    check_suite_args();
    if (strcmp(args.precision, "f32") != 0 && strcmp(args.precision, "fast") != 0)
        cli_die(&eval_cli, 2, "--precision %s: expected f32 or fast", args.precision);
    if (strcmp(args.rounding, "on") != 0 && strcmp(args.rounding, "off") != 0)
        cli_die(&eval_cli, 2, "--cache-rounding %s: expected on or off", args.rounding);
    if (args.tokens.imatrix && strcmp(args.precision, "f32") != 0) cli_die(&eval_cli, 2, "--imatrix: expected --precision f32");
    if (args.tokens.dumps.n > EVAL_MAX_DUMPS) cli_die(&eval_cli, 2, "--dump: at most %d", EVAL_MAX_DUMPS);
    if (args.threads < 0 || args.threads > 1024) cli_die(&eval_cli, 2, "--threads: expected 0..1024");
    if (args.chunk < 0 || args.chunk > 1 << 20) cli_die(&eval_cli, 2, "--chunk: expected 1..%d", 1 << 20);
}

/* Static, so that they stay reachable where the tool ends with an error: a leak checker has nothing to report. */
static struct ggl_model *model;
static struct ggl_session *session;

static void load(void)
{
    struct ggl_error err;
    struct ggl_model_params p = ggl_model_defaults();
    p.n_threads = (int32_t)args.threads;
    p.no_pin = args.no_pin;
    p.precision = strcmp(args.precision, "fast") == 0 ? GGL_PRECISION_FAST : GGL_PRECISION_F32;
    p.log = args.quiet ? NULL : on_log;
    if (ggl_model_load(args.model, &p, &model, &err)) cli_die_error(&eval_cli, &err);
}

struct ggl_session *eval_session(struct ggl_model *m, int64_t n_ctx, bool mtp)
{
    struct ggl_error err;
    struct ggl_session_params p = ggl_session_defaults();
    p.n_chunk = (int32_t)args.chunk;
    p.mtp = mtp;
    p.cache_rounding_off = strcmp(args.rounding, "off") == 0;
    p.n_ctx = n_ctx < ggl_model_n_ctx_train(m) ? (int32_t)n_ctx : ggl_model_n_ctx_train(m);
    if (ggl_session_new(m, &p, &session, &err)) cli_die_error(&eval_cli, &err);
    return session;
}

int main(int argc, char **argv)
{
    cli_parse(&eval_cli, argc, argv);
    check_args();
    load();
    if (args.suite.path && !ggl_model_tokenizer(model))
        cli_die(&eval_cli, 65, "%s: has no tokenizer, so it cannot read or write text", args.model);
    if (args.suite.path) suite_run(&args.suite, model);
    else tokens_run(&args.tokens, model);
    ggl_session_free(session);
    ggl_model_free(model);
    return 0;
}
