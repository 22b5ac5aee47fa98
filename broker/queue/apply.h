/* apply.h - the only code that changes the engine.
 *
 * Deterministic: equal engines given equal facts are equal, on any machine, in any year. It never reads a clock,
 * allocates, fails or decides; a fact that does not fit the engine is a bug (must), since plan.c made it from the same
 * state.
 *
 * Thread: owned by one shard. */
#ifndef LEAT_QUEUE_APPLY_H
#define LEAT_QUEUE_APPLY_H

#include "engine.h"
#include "fact.h"

enum { APPLY_REAP_MAX = 64 }; /* messages that one `reaped` fact may end */

/* What the caller must know: whose bodies are not needed any more. */
struct apply_effect {
    uint32_t gone_count;
    struct message_body gone[APPLY_REAP_MAX];
};

/* apply_fact: makes one fact true; f->lsn and f->place say where it stands. Facts of sessions and `refused` are not the
 * engine's: the caller keeps them from here. */
void apply_fact(struct engine *e, const struct fact *f, struct apply_effect *effect);

/* apply_derive: builds wheel and names anew from the slabs, after they were loaded; the wheel starts at e->latest. */
void apply_derive(struct engine *e);

#endif
