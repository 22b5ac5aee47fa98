/* check.h - one small checker per promise: it sees each event after the tables know of it, and calls history_fail().
 * Failure: history_fail(). Thread: one. */
#ifndef LEAT_SIM_CHECK_H
#define LEAT_SIM_CHECK_H

#include "history.h"

#define CHECK(name, invariants, text) void check_##name(struct history *h, const struct event *e);
#include "check_table.h"
#undef CHECK

#endif
