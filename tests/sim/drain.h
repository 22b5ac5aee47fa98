/* drain.h - the end of a run: one client takes and acks whatever the broker still has, queue by queue, until only dead
 * messages are left. What is leased or delayed is waited for, without a client that would keep its session alive.
 * Failure: history_fail(). Thread: one. */
#ifndef LEAT_SIM_DRAIN_H
#define LEAT_SIM_DRAIN_H

#include "actor.h"

enum { DRAIN_LINK = DRAW_ACTORS_MAX, DRAIN_ROUNDS_MAX = 50, DRAIN_REFUSALS_MAX = 1000 };

struct drain {
    struct actor actor;
    uint32_t at;       /* queue of the engine that is being emptied */
    bool asked, found; /* a take is under way; one of this round found something */
    bool over;
    unsigned rounds, refusals;
};

void drain_open(struct drain *d, struct world *w);
void drain_close(struct drain *d);
/* drain_work: as actor_work(). drain_took: what a take was answered. drain_over: nothing is left. */
bool drain_work(struct drain *d);
void drain_took(struct drain *d, enum leat_status status);
bool drain_over(const struct drain *d);

#endif
