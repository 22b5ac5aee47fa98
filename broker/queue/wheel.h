/* wheel.h - a hierarchical timing wheel: which lease or delay ends next, for millions of them.
 *
 * An entry is named by its slot, a small number of the caller's, and a slot has at most one entry. Cancelling costs
 * nothing: the caller lets the entry fire and sees that it no longer means anything. Arming a slot again for a later
 * time costs one comparison: the earlier entry stays, fires, and the caller arms it anew. So a lease that is taken and
 * acknowledged a million times a second touches the wheel about once per lease time.
 *
 * Six levels of 256 buckets, ticks of 1 ms; a word per 64 buckets says which are occupied, so that an idle wheel is
 * asked one question and an empty stretch of any length is skipped. Source of the idea: Varghese and Lauck, 1987.
 *
 * Units: struct instant; an entry never fires early, and at most one tick late. Memory: 21 bytes a slot of reserved
 * space. Failure: wheel_open() gives LEAT_NO_MEMORY. Thread: one owner. */
#ifndef LEAT_QUEUE_WHEEL_H
#define LEAT_QUEUE_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#include "slab.h"
#include "units.h"

enum { WHEEL_LEVELS = 6, WHEEL_BUCKETS = 256, WHEEL_TICK_NS = 1000000 };

struct wheel {
    struct slab nodes;  /* struct node of wheel.c, by slot */
    struct slab pieces; /* of buckets */
    uint64_t now;       /* in ticks: every entry of an earlier tick has fired */
    unsigned spreading; /* level whose bucket at `now` is being moved down, or 0 */
    uint64_t quiet;     /* nothing is to do before this tick: an idle wheel is asked one question */
    uint32_t heads[WHEEL_LEVELS][WHEEL_BUCKETS];
    uint64_t occupied[WHEEL_LEVELS][WHEEL_BUCKETS / 64];
};

/* wheel_open: for slots 0..slots-1; nothing fires before `start`. */
enum leat_status wheel_open(struct wheel *w, uint32_t slots, struct instant start);
void wheel_close(struct wheel *w);
/* wheel_clear: as wheel_open() left it, with another start. */
void wheel_clear(struct wheel *w, struct instant start);

/* wheel_arm: the slot fires at or after `due`, or earlier if it was already armed for an earlier time. INSTANT_NEVER:
 * nothing. */
void wheel_arm(struct wheel *w, uint32_t slot, struct instant due);

/* wheel_prefetch: this slot will be armed soon. */
static inline void wheel_prefetch(const struct wheel *w, uint32_t slot)
{
    __builtin_prefetch(slab_at(&w->nodes, slot), 1);
}

/* wheel_fire: takes out one entry whose time has come and gives its slot; SLAB_NONE when there is none, or when enough
 * was done for once: wheel_next_due() is then not behind `now`. The caller looks whether the slot's own due time has
 * come, and arms it again if not. */
uint32_t wheel_fire(struct wheel *w, struct instant now);

/* wheel_ahead: a slot that will probably fire a few calls of wheel_fire() later, or SLAB_NONE: to prefetch what belongs
 * to it. */
uint32_t wheel_ahead(const struct wheel *w);

/* wheel_next_due: no entry fires before this; INSTANT_NEVER for an empty wheel. */
struct instant wheel_next_due(const struct wheel *w);

#endif
