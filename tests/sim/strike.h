/* strike.h - when faults strike. What is on was drawn; here each kind has its dice, thrown once for every operation
 * that clients ask for, so that a run of any length in time gets its share. Crashes come after drawn numbers of
 * operations, as soon as the disk has writes in flight. Units: world nanoseconds. Failure: none. Thread: one. */
#ifndef LEAT_SIM_STRIKE_H
#define LEAT_SIM_STRIKE_H

#include "broker.h"
#include "prng.h"

struct world;

struct strike {
    struct world *w;
    struct prng prng;
    uint32_t thrown; /* operations so far */
    bool armed;      /* a crash waits for writes in flight ... */
    uint64_t latest; /* ... until then */
};

void strike_open(struct strike *s, struct world *w);
void strike_dice(struct strike *s);
/* strike_last: before the faults end, some clients die. strike_heal: nothing goes wrong any more. */
void strike_last(struct strike *s);
void strike_heal(struct strike *s);
/* strike_idle: every crash that was drawn has happened, and the broker is back. */
bool strike_idle(const struct strike *s);

#endif
