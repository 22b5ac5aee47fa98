/* put_lines.h - a stream of lines into a queue. Units: as options. Memory: at most 64 batches of 256 KiB (or one line).
 * Failure: told on standard error, with an exit code. Thread: one. */
#ifndef LEAT_CLI_PUT_LINES_H
#define LEAT_CLI_PUT_LINES_H

#include "commands.h"

int put_lines(struct leat *l, const struct arguments *a, uint64_t patience_ns);

#endif
