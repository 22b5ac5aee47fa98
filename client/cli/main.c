/* main.c - `leat`: puts messages into a broker, takes them out, and runs commands for them.
 *
 * The words name a command (commands_table.h), its options are read by one table (options_table.h), and both tables are
 * the help. The commands are in cmd_*.c; each gives an exit code (report.h). */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "limits.h"
#include "standard.h"

#define O(NAME) (1u << OPTION_##NAME)
enum { EVERYWHERE = O(SERVER) | O(TIMEOUT) | O(HELP) };

static const struct command {
    int (*run)(const struct arguments *a);
    const char *name, *arguments;
    size_t min, max;
    uint32_t options;
    const char *summary, *details;
} commands[] = {
#define COMMAND(function, name, wanted, min, max, options, summary, details)                                           \
    {function, name, wanted, min, max, (uint32_t)(options) | EVERYWHERE, summary, details},
#include "commands_table.h"
#undef COMMAND
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

/* What other versions of the protocol may know, and this one does not. */
static const char *const not_known[] = {"queue alter", "queue purge", "queue pause", "queue resume", "move"};

static void help_all(FILE *out)
{
    fprintf(out, "leat " LEAT_VERSION ": a client of Leat, a durable work queue\n\n"
                 "usage: leat [-s ADDRESS] COMMAND ...\n\n");
    for (unsigned i = 0; i < COMMANDS; i++) {
        char left[64];
        snprintf(left, sizeof left, "%s %s", commands[i].name, commands[i].arguments);
        fprintf(out, "  %-30s %s\n", left, commands[i].summary);
    }
    fprintf(
        out,
        "\n`leat COMMAND --help` tells more. Times: 500ms, 5s, 2m, 1h, 1d. Sizes: 1024, 64k, 1m.\n"
        "ADDRESS: tcp://HOST:PORT, HOST:PORT or vhost://PATH; else $LEAT_ADDRESS; else tcp://127.0.0.1:7400.\n\n"
        "Errors go to standard error as `leat: STATUS: sentence`. Exit codes: 0 done; 1 refused by the broker, or\n"
        "nothing there; 64 usage; 65 input that can not be sent, damaged messages, a corrupt data directory;\n"
        "66 no data directory; 69 broker unreachable; 71 no memory or no descriptors here; 73 a broker uses the data\n"
        "directory; 74 input or output failed; 75 no answer: it may have happened; 76 of a newer version;\n"
        "77 permission.\n");
}

static void help_one(FILE *out, const struct command *c)
{
    fprintf(out, "usage: leat %s %s%s\n\n%s%s%s\n\n", c->name, c->options & ~(uint32_t)EVERYWHERE ? "[OPTIONS] " : "",
            c->arguments, c->summary, *c->details ? "\n\n" : "", c->details);
    arguments_help(out, c->options);
}

/* The command that the first words name; *used: how many words that are. */
static const struct command *find_command(const char *first, const char *second, int *used)
{
    for (unsigned i = 0; i < COMMANDS; i++) {
        const char *space = strchr(commands[i].name, ' ');
        size_t size = space ? (size_t)(space - commands[i].name) : strlen(commands[i].name);
        if (strlen(first) != size || strncmp(first, commands[i].name, size) != 0)
            continue;
        if (space && (!second || strcmp(second, space + 1) != 0))
            continue;
        *used = space ? 2 : 1;
        return &commands[i];
    }
    return NULL;
}

static int no_command(const char *first, const char *second)
{
    char two[128];
    bool queue = !strcmp(first, "queue");
    snprintf(two, sizeof two, "%.50s%s%.50s", first, queue && second ? " " : "", queue && second ? second : "");
    for (unsigned i = 0; i < sizeof not_known / sizeof not_known[0]; i++)
        if (!strcmp(two, not_known[i]))
            return report_usage("'%s' is not known by this broker", two);
    if (queue && second && (!strcmp(second, "--help") || !strcmp(second, "-h"))) {
        for (unsigned i = 0; i < COMMANDS; i++)
            if (!strncmp(commands[i].name, "queue ", 6))
                help_one(stdout, &commands[i]);
        return report_flush(EXIT_DONE);
    }
    if (queue && !second)
        return report_usage("queue create, drop, list or stat? (leat --help)");
    return report_usage("there is no command '%s' (leat --help)", two);
}

struct leat *main_connect(const struct arguments *a, uint64_t timeout_ns, bool retry_refused, int *code)
{
    char why[LEAT_ERROR_MAX];
    leat_vhost_register();
    uint64_t timeout = arguments_number(a, OPTION_TIMEOUT, timeout_ns);
    struct leat_options options = {.timeout_ns = timeout ? timeout : 1, .retry_refused = retry_refused};
    options.open_timeout_ns = arguments_given(a, OPTION_TIMEOUT) ? options.timeout_ns : 5 * LEAT_SECOND;
    struct leat *l = leat_open(a->text[OPTION_SERVER], &options, why);
    if (!l)
        *code = report_status(leat_open_status(), why);
    else if ((*code = limits_check(l, a)) != EXIT_DONE) {
        leat_close(l);
        l = NULL;
    }
    return l;
}

static int run(const struct command *c, struct arguments *a)
{
    if (arguments_given(a, OPTION_HELP)) {
        help_one(stdout, c);
        return report_flush(EXIT_DONE);
    }
    bool for_command = c->run == cmd_work;
    if (a->rest && !for_command) /* only `work` has a use for it: else words that look like options */
        while (*a->rest)
            a->words[a->words_count++] = *a->rest++;
    if (for_command && (!a->rest || !*a->rest))
        return report_usage("leat work QUEUE -- COMMAND...: the command is missing");
    if (a->words_count < c->min || a->words_count > c->max)
        return report_usage("leat %s%s%s: %s words (leat %s --help)", c->name, *c->arguments ? " " : "", c->arguments,
                            a->words_count < c->min ? "too few" : "too many", c->name);
    if (arguments_given(a, OPTION_RAW) && arguments_given(a, OPTION_JSON))
        return report_usage("--raw and --json: one form or the other");
    return c->run(a);
}

/* An option before the command whose value is the next word. */
static bool takes_value(const char *word)
{
    return !strcmp(word, "-s") || !strcmp(word, "--server") || !strcmp(word, "--timeout");
}

/* The words of the command line; `words` has room for all of them. */
static int dispatch(int argc, char **argv, const char **words)
{
    struct arguments a = {0};
    char why[ARGUMENTS_WHY];
    int at = 1, used = 0;
    if (argc > 1 && (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V"))) {
        printf("leat " LEAT_VERSION "\n");
        return report_flush(EXIT_DONE);
    }
    while (at < argc && argv[at][0] == '-' && strcmp(argv[at], "--help") && strcmp(argv[at], "-h")) {
        int n = takes_value(argv[at]) && at + 1 < argc ? 2 : 1;
        if (!arguments_read(&a, words, n, argv + at, EVERYWHERE, why))
            return report_usage("%s (leat --help)", why);
        at += n;
    }
    if (at >= argc || !strcmp(argv[at], "--help") || !strcmp(argv[at], "-h") || !strcmp(argv[at], "help")) {
        help_all(at >= argc ? stderr : stdout);
        return at >= argc ? EXIT_USAGE : report_flush(EXIT_DONE);
    }
    const char *second = at + 1 < argc ? argv[at + 1] : NULL;
    const struct command *c = find_command(argv[at], second, &used);
    if (!c)
        return no_command(argv[at], second);
    if (!arguments_read(&a, words, argc - at - used, argv + at + used, c->options, why))
        return report_usage("%s (leat %s --help)", why, c->name);
    return run(c, &a);
}

int main(int argc, char **argv)
{
    if (!standard_streams())
        return EXIT_BUG;
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of a write, told as such ... */
    signal(SIGXFSZ, SIG_IGN); /* ... and so is a limit on files */
    const char **words = calloc((size_t)argc + 1, sizeof *words);
    int code = words ? dispatch(argc, argv, words) : report_status(LEAT_NO_MEMORY, "words");
    free(words);
    return code;
}
