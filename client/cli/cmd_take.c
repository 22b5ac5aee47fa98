/* cmd_take.c - leat take. */
#include <stdio.h>
#include <stdlib.h>

#include "commands.h"
#include "damaged.h"
#include "limits.h"
#include "message.h"

enum { PATIENCE_S = 30 };

/* Acknowledges what standard output has taken. */
static int acknowledge(struct leat *l, const char *queue, const struct leat_message *messages, size_t count)
{
    struct leat_receipt *receipts = calloc(count, sizeof *receipts);
    if (!receipts)
        return report_status(LEAT_NO_MEMORY, "receipts");
    for (size_t i = 0; i < count; i++)
        receipts[i] = messages[i].receipt;
    enum leat_status status = leat_ack(l, queue, receipts, count, NULL);
    free(receipts);
    return status == LEAT_OK ? EXIT_DONE : report_status(status, leat_error(l));
}

int cmd_take(const struct arguments *a)
{
    int code;
    size_t count = arguments_number(a, OPTION_NUMBER, 1);
    if (count < 1 || count > LEAT_BATCH_MAX)
        return report_usage("-n %zu: 1 to %d messages can be taken at a time", count, LEAT_BATCH_MAX);
    struct leat_message *messages = calloc(count, sizeof *messages);
    if (!messages)
        return report_status(LEAT_NO_MEMORY, "messages");
    struct leat *l = main_connect(a, PATIENCE_S * LEAT_SECOND, false, &code);
    if (!l) {
        free(messages);
        return code;
    }
    enum leat_status status =
        leat_take(l, a->words[0], a->number[OPTION_WAIT], a->number[OPTION_LEASE], messages, &count);
    if (status == LEAT_CORRUPT && count > 0) {
        for (size_t i = 0; i < count; i++)
            damaged_say(a->words[0], &messages[i]);
        code = report_code(status);
    } else if (status != LEAT_OK) {
        code = limits_report(a, status, leat_error(l));
    } else {
        for (size_t i = 0; i < count; i++)
            message_print(message_form(a), &messages[i], false, i == 0);
        code = report_flush(EXIT_DONE);
        if (code == EXIT_DONE && arguments_given(a, OPTION_ACK))
            code = acknowledge(l, a->words[0], messages, count);
    }
    leat_close(l);
    free(messages);
    return code;
}
