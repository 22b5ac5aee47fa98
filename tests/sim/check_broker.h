/* check_broker.h - promises that are watched from inside: the engine of the running broker beside the history.
 * Failure: history_fail(). Thread: one. */
#ifndef LEAT_SIM_CHECK_BROKER_H
#define LEAT_SIM_CHECK_BROKER_H

#include "engine.h"
#include "history.h"
#include "journal.h"

struct seen_start {
    uint64_t world, log, boot; /* the time of three clocks when the broker was up */
    uint8_t boot_id[16];
};

/* P6: log time of a start beside what the start before it lets expect. */
void check_log_time(struct history *h, const struct seen_start *before, const struct seen_start *now);
/* I17: the counters of every queue equal a recount, and add up. O(messages). */
void check_counters(struct history *h, const struct engine *e);
/* S2: what recovery found holds every message that must be there. O(messages). */
void check_recovered(struct history *h, const struct engine *e);
/* D4: after the cleaner has found nothing more to do, old segments are not more than what lives in them explains. */
void check_disk(struct history *h, const struct journal_config *config, const struct journal_counters *c);
/* L: at the end nothing is ready, leased or delayed; dead messages are told to the history. */
void check_drained(struct history *h, const struct engine *e);

#endif
