/* cmd_receipts.c - leat ack, nack, extend: receipts from the command line, or from the lines that `leat take` printed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "limits.h"

enum { PATIENCE_S = 30 };

struct receipts {
    struct leat_receipt *all;
    size_t count, room;
};

static int add(struct receipts *r, const char *text, size_t line)
{
    if (r->count == r->room) {
        r->room = r->room ? 2 * r->room : 64;
        struct leat_receipt *larger = realloc(r->all, r->room * sizeof *larger);
        if (!larger)
            return report_status(LEAT_NO_MEMORY, "receipts");
        r->all = larger;
    }
    if (leat_receipt_parse(&r->all[r->count], text)) {
        r->count++;
        return EXIT_DONE;
    }
    if (line)
        return report_data(LEAT_BAD_RECEIPT, "standard input, line %zu: '%.60s' is no receipt", line, text);
    return report_data(LEAT_BAD_RECEIPT, "'%.60s' is no receipt", text);
}

static int add_lines(struct receipts *r)
{
    char *text = NULL;
    size_t room = 0, number = 0;
    ssize_t size;
    int code = EXIT_DONE;
    while (code == EXIT_DONE && (size = getline(&text, &room, stdin)) >= 0) {
        number++;
        if (strlen(text) < (size_t)size) {
            code = report_data(LEAT_BAD_RECEIPT, "standard input, line %zu: a zero byte is in no receipt", number);
            break;
        }
        text[strcspn(text, "\t \r\n")] = 0;
        if (*text)
            code = add(r, text, number);
    }
    free(text);
    return code == EXIT_DONE && ferror(stdin) ? report_io("standard input") : code;
}

static int read_receipts(struct receipts *r, const struct arguments *a)
{
    int code = EXIT_DONE;
    for (size_t i = 1; i < a->words_count && code == EXIT_DONE; i++)
        code = strcmp(a->words[i], "-") ? add(r, a->words[i], 0) : add_lines(r);
    return code;
}

typedef enum leat_status receipts_call(struct leat *l, const struct arguments *a, const struct receipts *r,
                                       struct leat_outcome *outcomes);

/* One line per receipt that was refused; the exit code of the first. */
static int run(const struct arguments *a, receipts_call *call)
{
    struct receipts r = {0};
    int code = read_receipts(&r, a);
    struct leat_outcome *outcomes = calloc(r.count + 1, sizeof *outcomes);
    struct leat *l = NULL;
    if (code == EXIT_DONE && outcomes && r.count)
        l = main_connect(a, PATIENCE_S * LEAT_SECOND, false, &code);
    enum leat_status status = l ? call(l, a, &r, outcomes) : LEAT_OK;
    if (status == LEAT_BAD_VALUE) {
        code = limits_report(a, status, leat_error(l)); /* the option's fault, not a receipt's */
    } else if (status != LEAT_OK) {
        for (size_t i = r.count; i-- > 0;)
            if (outcomes[i].status != LEAT_OK)
                code = report_code(outcomes[i].status);
        for (size_t i = 0; i < r.count; i++) {
            char text[LEAT_RECEIPT_TEXT];
            leat_receipt_text(&r.all[i], text);
            if (outcomes[i].status != LEAT_OK)
                fprintf(stderr, "leat: %s: %s: %s\n", leat_status_name(outcomes[i].status),
                        outcomes[i].status == LEAT_NO_QUEUE ? a->words[0] : text, leat_status_text(outcomes[i].status));
        }
    }
    leat_close(l);
    free(outcomes);
    free(r.all);
    return code;
}

static enum leat_status ack(struct leat *l, const struct arguments *a, const struct receipts *r,
                            struct leat_outcome *outcomes)
{
    return leat_ack(l, a->words[0], r->all, r->count, outcomes);
}

static enum leat_status nack(struct leat *l, const struct arguments *a, const struct receipts *r,
                             struct leat_outcome *outcomes)
{
    return leat_nack(l, a->words[0], r->all, r->count, a->number[OPTION_DELAY], outcomes);
}

static enum leat_status extend(struct leat *l, const struct arguments *a, const struct receipts *r,
                               struct leat_outcome *outcomes)
{
    return leat_extend(l, a->words[0], r->all, r->count, arguments_number(a, OPTION_LEASE, 30 * LEAT_SECOND), outcomes);
}

int cmd_receipts_ack(const struct arguments *a)
{
    return run(a, ack);
}

int cmd_receipts_nack(const struct arguments *a)
{
    return run(a, nack);
}

int cmd_receipts_extend(const struct arguments *a)
{
    return run(a, extend);
}
