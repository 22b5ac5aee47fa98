/* message.h - messages on standard output: as lines, as JSON, or as they are.
 *
 * Units: bytes. Memory: none kept. Failure: seen by report_flush(). Thread: one. */
#ifndef LEAT_CLI_MESSAGE_H
#define LEAT_CLI_MESSAGE_H

#include "arguments.h"
#include "leat.h"

enum message_form { MESSAGE_LINE, MESSAGE_JSON, MESSAGE_RAW };

/* What the options ask for. */
enum message_form message_form(const struct arguments *a);

/* Prints a message; `first`: of this command. Peeked ones have no receipt. */
void message_print(enum message_form form, const struct leat_message *m, bool peeked, bool first);

#endif
