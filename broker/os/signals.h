/* signals.h - SIGTERM, SIGINT and SIGHUP as completions in a ring: nothing runs in a signal handler.
 *
 * signals_block() comes first in main(), before any thread exists, so that all inherit it; SIGPIPE is ignored from then
 * on. signals_open() then lets one ring receive them: a signal wakes ring_wait(), and the next ring_reap() sets what
 * the questions below answer. Failure: LEAT_NO_MEMORY (out of descriptors). Thread: open, questions and close on the
 * ring's thread. */
#ifndef LEAT_OS_SIGNALS_H
#define LEAT_OS_SIGNALS_H

#include <stdbool.h>

#include "ring.h"
#include "status.h"

struct signals;

void signals_block(void);
enum leat_status signals_open(struct signals **s, struct ring *r);
void signals_close(struct signals *s); /* before its ring */

/* SIGTERM or SIGINT has come: drain and exit. A second one says: at once. */
unsigned signals_stop(const struct signals *s);

/* SIGHUP has come since the last question. */
bool signals_reload(struct signals *s);

#endif
