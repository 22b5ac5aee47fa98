/* commands.h - the commands, one function each: words in, exit code out.
 *
 * Units: none. Memory: theirs. Failure: a line on standard error and an exit code (report.h). Thread: one. */
#ifndef LEAT_CLI_COMMANDS_H
#define LEAT_CLI_COMMANDS_H

#include "arguments.h"
#include "leat.h"
#include "report.h"

#define COMMAND(function, name, wanted, min, max, options, summary, details) int function(const struct arguments *a);
#include "commands_table.h"
#undef COMMAND

/* main_connect (main.c): a handle to the broker that the words name, or NULL with *code set and the reason told: no
 * broker, or an option beyond its limits. `timeout_ns`: for --timeout when it is not given. */
struct leat *main_connect(const struct arguments *a, uint64_t timeout_ns, bool retry_refused, int *code);

#endif
