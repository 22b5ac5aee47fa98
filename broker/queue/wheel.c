/* wheel.c - levels of buckets; an entry moves down a level each time its bucket comes up, until it fires.
 *
 * Level L holds entries whose tick differs from `now` first in byte L (counted from the lowest). So the bucket of an
 * entry is byte L of its tick, and all entries of level 0 are due within the current 256 ticks. Time moves from
 * occupied bucket to occupied bucket: when level 0 is empty, the next occupied bucket of the lowest occupied level is
 * spread over the levels below. */
#include "wheel.h"

#include <string.h>

#include "mark.h"
#include "must.h"

struct node {
    uint64_t tick; /* 0: not armed */
    uint32_t next, previous;
};
MUST_BE_SIZE(struct node, 16);

static struct node *node_at(struct wheel *w, uint32_t slot)
{
    return slab_write(&w->nodes, slot);
}

static void empty(struct wheel *w, struct instant start)
{
    memset(w->heads, 0xff, sizeof w->heads);
    memset(w->occupied, 0, sizeof w->occupied);
    w->now = start.ns / WHEEL_TICK_NS;
}

enum leat_status wheel_open(struct wheel *w, uint32_t slots, struct instant start)
{
    memset(w, 0, sizeof *w);
    empty(w, start);
    return slab_open(&w->nodes, slots, sizeof(struct node));
}

void wheel_clear(struct wheel *w, struct instant start)
{
    slab_clear(&w->nodes);
    empty(w, start);
}

void wheel_close(struct wheel *w)
{
    slab_close(&w->nodes);
}

static unsigned level_of(const struct wheel *w, uint64_t tick)
{
    uint64_t differs = tick ^ w->now;
    return differs == 0 ? 0 : (63 - (unsigned)__builtin_clzll(differs)) / 8;
}

static void link_in(struct wheel *w, uint32_t slot, uint64_t tick)
{
    unsigned level = level_of(w, tick);
    unsigned bucket = tick >> 8 * level & 255;
    must(level < WHEEL_LEVELS);
    struct node *n = node_at(w, slot);
    n->tick = tick;
    n->previous = SLAB_NONE;
    n->next = w->heads[level][bucket];
    if (n->next != SLAB_NONE)
        node_at(w, n->next)->previous = slot;
    w->heads[level][bucket] = slot;
    w->occupied[level][bucket / 64] |= 1ull << bucket % 64;
}

static void unlink_out(struct wheel *w, uint32_t slot)
{
    struct node *n = node_at(w, slot);
    if (n->next != SLAB_NONE)
        node_at(w, n->next)->previous = n->previous;
    if (n->previous != SLAB_NONE) {
        node_at(w, n->previous)->next = n->next;
    } else {
        unsigned level = level_of(w, n->tick), bucket = n->tick >> 8 * level & 255;
        must(w->heads[level][bucket] == slot);
        w->heads[level][bucket] = n->next;
        if (n->next == SLAB_NONE)
            w->occupied[level][bucket / 64] &= ~(1ull << bucket % 64);
    }
    n->tick = 0;
}

/* The tick at which `due` has passed for certain: rounded up, and never in the past of the wheel.
 */
static uint64_t tick_of(const struct wheel *w, struct instant due)
{
    uint64_t tick = due.ns / WHEEL_TICK_NS + (due.ns % WHEEL_TICK_NS != 0);
    return tick > w->now ? tick : w->now + 1;
}

void wheel_arm(struct wheel *w, uint32_t slot, struct instant due)
{
    must(slot < w->nodes.capacity);
    if (due.ns == UINT64_MAX)
        return;
    uint64_t tick = tick_of(w, due);
    struct node *n = node_at(w, slot);
    if (n->tick != 0) {
        if (n->tick <= tick)
            return;
        mark(wheel_armed_earlier);
        unlink_out(w, slot);
    }
    link_in(w, slot, tick);
}

/* The first occupied bucket of a level behind the one where the wheel stands (level 0: from where it stands), or -1. */
static int next_bucket(const struct wheel *w, unsigned level)
{
    unsigned from = (unsigned)(w->now >> 8 * level & 255) + (level != 0);
    for (unsigned word = from / 64; word < WHEEL_BUCKETS / 64; word++) {
        uint64_t bits = w->occupied[level][word];
        if (word == from / 64)
            bits &= ~0ull << from % 64;
        if (bits)
            return (int)(word * 64 + (unsigned)__builtin_ctzll(bits));
    }
    return -1;
}

/* The first tick of the lowest occupied bucket, and its level; false for an empty wheel. */
static bool next_tick(const struct wheel *w, uint64_t *tick, unsigned *level)
{
    for (unsigned l = 0; l < WHEEL_LEVELS; l++) {
        int bucket = next_bucket(w, l);
        if (bucket < 0)
            continue;
        uint64_t above = w->now >> 8 * (l + 1) << 8 * (l + 1);
        *tick = above | (uint64_t)bucket << 8 * l;
        *level = l;
        return true;
    }
    return false;
}

/* Moves to the start of a bucket of a higher level and spreads its entries over the levels below. */
static void spread(struct wheel *w, unsigned level, uint64_t tick)
{
    unsigned bucket = tick >> 8 * level & 255;
    uint32_t slot = w->heads[level][bucket];
    w->heads[level][bucket] = SLAB_NONE;
    w->occupied[level][bucket / 64] &= ~(1ull << bucket % 64);
    w->now = tick;
    while (slot != SLAB_NONE) {
        uint32_t next = node_at(w, slot)->next;
        link_in(w, slot, node_at(w, slot)->tick);
        slot = next;
    }
    mark(wheel_spread);
}

uint32_t wheel_fire(struct wheel *w, struct instant now)
{
    uint64_t until = now.ns / WHEEL_TICK_NS;
    uint64_t tick;
    unsigned level;
    while (next_tick(w, &tick, &level) && tick <= until) {
        if (level > 0) {
            spread(w, level, tick);
            continue;
        }
        w->now = tick;
        uint32_t slot = w->heads[0][tick & 255];
        unlink_out(w, slot);
        return slot;
    }
    return SLAB_NONE;
}

struct instant wheel_next_due(const struct wheel *w)
{
    uint64_t tick;
    unsigned level;
    if (!next_tick(w, &tick, &level))
        return INSTANT_NEVER;
    return (struct instant){tick * WHEEL_TICK_NS};
}
