/* strike.h - when faults strike. What is on was drawn; here each kind has its dice, thrown once for every operation
 * that clients ask for, so that a run of any length in time gets its share. Crashes come after drawn numbers of
 * operations, as soon as the disk has writes in flight. Each strike has a number and draws from a stream of its own, so
 * that one can be left out and the others stay as they were. Units: world nanoseconds. Failure: none. Thread: one. */
#ifndef LEAT_SIM_STRIKE_H
#define LEAT_SIM_STRIKE_H

#include "broker.h"
#include "prng.h"

struct world;

enum { STRIKES_MAX = 1024 };

/* Which strikes of a run happen; all, unless a failing seed is being shrunk. */
struct strike_set {
    uint64_t without[STRIKES_MAX / 64];
};

/* strike_set_text: numbers and ranges with commas between, of those that are left out: "3,7-9"; false if it is none.
 * strike_set_print: the same as text, of the first `n`. */
bool strike_set_text(struct strike_set *s, const char *text);
void strike_set_print(const struct strike_set *s, uint32_t n, char *out, unsigned size);

static inline bool strike_set_has(const struct strike_set *s, uint32_t number)
{
    return number >= STRIKES_MAX || !(s->without[number / 64] >> number % 64 & 1);
}

struct strike {
    struct world *w;
    struct prng prng;
    struct strike_set set;
    uint32_t thrown;  /* operations so far */
    uint32_t struck;  /* strikes so far, those that were left out included */
    bool armed;       /* a crash waits for writes in flight ... */
    uint64_t latest;  /* ... until then */
    uint64_t room_at; /* the file system is full until then */
};

void strike_open(struct strike *s, struct world *w, const struct strike_set *set);
void strike_dice(struct strike *s);
/* strike_last: before the faults end, some clients die. strike_heal: nothing goes wrong any more. */
void strike_last(struct strike *s);
void strike_heal(struct strike *s);
/* strike_idle: every crash that was drawn has happened, and the broker is back. */
bool strike_idle(const struct strike *s);

#endif
