/*
 * The --help page of a tool, in the order of a man page, made from the option table.
 */
#include <string.h>
#include "common/cli.h"

enum { INDENT = 4, HELP_COLUMN = 30, MARGIN = 110 };

/* Words, from column `at` on, broken before the margin and indented; an empty line stays. */
static void print_words(FILE *f, const char *text, size_t n, size_t at, int indent)
{
    size_t i = 0, left = (size_t)indent;
    while (i < n) {
        size_t word = strcspn(text + i, " \n"), gap;
        if (word > n - i) word = n - i;
        if (at > left && at + 1 + word > MARGIN) {
            fprintf(f, "\n%*s", indent, "");
            at = left;
        } else if (at > left) {
            fputc(' ', f);
            at++;
        }
        fwrite(text + i, 1, word, f);
        at += word;
        i += word;
        gap = strspn(text + i, " \n");
        if (gap > 1 && i + gap < n && text[i] == '\n' && text[i + 1] == '\n') {
            fprintf(f, "\n\n%*s", indent, "");
            at = left;
        }
        i += gap;
    }
    fputc('\n', f);
}

/* Where the first sentence of a summary ends. */
static size_t first_sentence(const char *text)
{
    for (size_t i = 0; text[i]; i++)
        if (text[i] == '.' && (text[i + 1] == ' ' || text[i + 1] == '\n' || !text[i + 1])) return i + 1;
    return strlen(text);
}

static void print_option(FILE *f, char shortname, const char *longname, const char *arg, const char *help)
{
    char left[96];
    int n;
    if (shortname)
        n = snprintf(left, sizeof(left), "    -%c, --%s%s%s", shortname, longname, arg ? " " : "", arg ? arg : "");
    else
        n = snprintf(left, sizeof(left), "        --%s%s%s", longname, arg ? " " : "", arg ? arg : "");
    if (n > HELP_COLUMN - 2)
        fprintf(f, "%s\n%*s", left, HELP_COLUMN, "");
    else
        fprintf(f, "%-*s", HELP_COLUMN, left);
    print_words(f, help ? help : "", help ? strlen(help) : 0, HELP_COLUMN, HELP_COLUMN);
}

static void print_options(FILE *f, const struct cli *cli)
{
    bool grouped = false, short_h = false;
    fputs("\nOPTIONS\n", f);
    for (const struct cli_option *o = cli->options; o->longname; o++) {
        if (!*o->longname) {
            fprintf(f, "%s  %s\n", o == cli->options ? "" : "\n", o->help);
            grouped = true;
            continue;
        }
        short_h |= o->shortname == 'h';
        print_option(f, o->shortname, o->longname, o->arg, o->help);
    }
    if (grouped) fputs("\n  Other\n", f);
    print_option(f, short_h ? 0 : 'h', "help", NULL, "show this page and exit");
    print_option(f, 0, "version", NULL, "show the version and exit");
}

void cli_help(const struct cli *cli, FILE *f)
{
    size_t name_end = first_sentence(cli->summary);
    bool dot = name_end && cli->summary[name_end - 1] == '.';
    int n = fprintf(f, "NAME\n    %s -", cli->name);
    print_words(f, cli->summary, name_end - dot, n > 5 ? (size_t)n - 5 : 0, INDENT);
    fprintf(f, "\nSYNOPSIS\n    %s %s\n", cli->name, cli->synopsis);
    const char *rest = cli->summary + name_end + strspn(cli->summary + name_end, " \n");
    if (*rest) {
        fputs("\nDESCRIPTION\n    ", f);
        print_words(f, rest, strlen(rest), INDENT, INDENT);
    }
    print_options(f, cli);
    if (cli->details && *cli->details) {
        fputc('\n', f);
        fputs(cli->details, f);
        if (cli->details[strlen(cli->details) - 1] != '\n') fputc('\n', f);
    }
    if (!cli->details || !strstr(cli->details, "EXIT STATUS"))
        fputs("\nEXIT STATUS\n"
              "    0    success\n"
              "    2    wrong usage: an unknown option, a missing or impossible value\n"
              "    65   a file or its contents are broken or do not fit\n"
              "    66   an input cannot be opened\n"
              "    70   an internal failure, such as not enough memory\n"
              "    73   an output cannot be created\n"
              "    74   reading or writing failed\n"
              "    75   a temporary failure; trying again may help\n"
              "    130  interrupted\n",
              f);
}
