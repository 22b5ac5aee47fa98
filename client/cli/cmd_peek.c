/* cmd_peek.c - leat peek. */
#include <stdio.h>
#include <stdlib.h>

#include "commands.h"
#include "message.h"

enum { PATIENCE_S = 30 };

int cmd_peek(const struct arguments *a)
{
    int code;
    size_t count = arguments_number(a, OPTION_NUMBER, 1);
    if (count < 1 || count > LEAT_BATCH_MAX)
        return report_usage("-n %zu: 1 to %d messages can be looked at at a time", count, LEAT_BATCH_MAX);
    struct leat_message *messages = calloc(count, sizeof *messages);
    if (!messages)
        return report_status(LEAT_NO_MEMORY, "messages");
    struct leat *l = main_connect(a, PATIENCE_S * LEAT_SECOND, false, &code);
    if (!l) {
        free(messages);
        return code;
    }
    enum leat_status status = leat_peek(l, a->words[0], messages, &count);
    if (status == LEAT_OK && count == 0)
        code = report_status(LEAT_EMPTY, leat_status_text(LEAT_EMPTY));
    else if (status != LEAT_OK)
        code = report_status(status, leat_error(l));
    else
        code = EXIT_DONE;
    for (size_t i = 0; i < count; i++)
        message_print(message_form(a), &messages[i], true, i == 0);
    leat_close(l);
    free(messages);
    return report_flush(code);
}
