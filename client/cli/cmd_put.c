/* cmd_put.c - leat put: one message; its many lines are put_lines.c's. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "put_lines.h"

enum { PATIENCE_S = 30, LINES_PATIENCE_S = 60 };

/* All of standard input, at most `limit` bytes. */
static int read_body(char **body, size_t *size, size_t limit)
{
    size_t room = 4096;
    *size = 0;
    *body = NULL;
    for (;;) {
        char *larger = realloc(*body, room);
        if (!larger)
            return report_status(LEAT_NO_MEMORY, "the body");
        *body = larger;
        ssize_t n = read(STDIN_FILENO, *body + *size, room - *size);
        if (n < 0)
            return report_io("standard input");
        *size += (size_t)n;
        if (*size > limit)
            return report_data(LEAT_TOO_LARGE, "the body is larger than the limit body_max of %zu bytes", limit);
        if (n == 0)
            return EXIT_DONE;
        if (*size == room)
            room *= 2;
    }
}

static int put_one(struct leat *l, const struct arguments *a)
{
    const char *queue = a->words[0], *word = a->words_count > 1 ? a->words[1] : "-";
    struct leat_put_options o = {.delay_ns = arguments_number(a, OPTION_DELAY, LEAT_DEFAULT),
                                 .durability = (enum leat_durability)a->number[OPTION_CLASS]};
    struct leat_limits limits;
    char id[LEAT_ID_TEXT], *body = NULL;
    size_t size = strlen(word);
    int code = EXIT_DONE;
    leat_limits(l, &limits);
    if (!strcmp(word, "-"))
        code = read_body(&body, &size, limits.body_max);
    if (code == EXIT_DONE) {
        enum leat_status status = leat_put(l, queue, body ? body : word, size, &o, id);
        if (status != LEAT_OK)
            code = report_status(status, leat_error(l));
        else
            printf(arguments_given(a, OPTION_JSON) ? "{\"id\":\"%s\"}\n" : "%s\n", id);
    }
    free(body);
    return code;
}

int cmd_put(const struct arguments *a)
{
    bool lines = arguments_given(a, OPTION_LINES);
    uint64_t batch = arguments_number(a, OPTION_BATCH, 1);
    if (batch < 1 || batch > LEAT_BATCH_MAX)
        return report_usage("--batch %llu: 1 to %d messages can travel together", (unsigned long long)batch,
                            LEAT_BATCH_MAX);
    if (arguments_given(a, OPTION_BATCH) && !lines)
        return report_usage("--batch makes sense with --lines only");
    if (lines && a->words_count > 1 && strcmp(a->words[1], "-"))
        return report_usage("--lines reads standard input: no BODY beside it");
    uint64_t patience = (lines ? LINES_PATIENCE_S : PATIENCE_S) * LEAT_SECOND;
    int code;
    struct leat *l = main_connect(a, patience, true, &code);
    if (!l)
        return code;
    code = lines ? put_lines(l, a, arguments_number(a, OPTION_TIMEOUT, patience)) : put_one(l, a);
    leat_close(l);
    return report_flush(code);
}
