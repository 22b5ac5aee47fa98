/* limits.h - options beside what the broker allows, so that a refusal names the option, the value and the limit.
 *
 * The broker tells its limits at the start of a session; only lease_min is not among them. Units: nanoseconds, bytes.
 * Memory: none. Failure: a line on standard error and an exit code. Thread: any. */
#ifndef LEAT_CLI_LIMITS_H
#define LEAT_CLI_LIMITS_H

#include "arguments.h"
#include "leat.h"
#include "report.h"

/* limits_check: EXIT_DONE when each option that was given is within the limits of l's broker. */
int limits_check(struct leat *l, const struct arguments *a);

/* limits_report: report_status() of what the broker refused; a bad value that limits_check() let pass is a short lease.
 */
int limits_report(const struct arguments *a, enum leat_status status, const char *sentence);

#endif
