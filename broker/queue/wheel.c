/* wheel.c - levels of buckets; an entry moves down a level each time its bucket comes up, until it fires.
 *
 * Level L holds entries whose tick differs from `now` first in byte L (counted from the lowest). So the bucket of an
 * entry is byte L of its tick, and all entries of level 0 are due within the current 256 ticks. Time moves from
 * occupied bucket to occupied bucket: when level 0 is empty, the next occupied bucket of the lowest occupied level is
 * spread over the levels below.
 *
 * A bucket is an array of slots in pieces of 30, of which only the first may be less than full; a node knows where in
 * it its slot stands. So whole buckets are fired or spread with the next nodes on their way to the cache: with millions
 * of leases every node is a cache miss, and a list would have them one after the other. */
#include "wheel.h"

#include <string.h>

#include "mark.h"
#include "must.h"

struct node {
    uint64_t tick : 56;    /* 0: not armed */
    uint64_t level : 8;    /* of its bucket */
    uint32_t piece, index; /* where its slot stands */
};
MUST_BE_SIZE(struct node, 16);

enum { PIECE_SLOTS = 30, AHEAD = 8, SPREAD_PIECES = 16 };

struct piece {
    uint32_t next; /* full ones */
    uint32_t count;
    uint32_t slots[PIECE_SLOTS];
};
MUST_BE_SIZE(struct piece, 128);

static struct node *node_at(struct wheel *w, uint32_t slot)
{
    return slab_write(&w->nodes, slot);
}

static struct piece *piece_at(struct wheel *w, uint32_t piece)
{
    return slab_write(&w->pieces, piece);
}

static void empty(struct wheel *w, struct instant start)
{
    memset(w->heads, 0xff, sizeof w->heads);
    memset(w->occupied, 0, sizeof w->occupied);
    w->now = start.ns / WHEEL_TICK_NS;
    w->spreading = 0;
    w->quiet = UINT64_MAX;
}

enum leat_status wheel_open(struct wheel *w, uint32_t slots, struct instant start)
{
    memset(w, 0, sizeof *w);
    empty(w, start);
    enum leat_status status = slab_open(&w->nodes, slots, sizeof(struct node));
    if (status == LEAT_OK)
        status = slab_open(&w->pieces, slots / PIECE_SLOTS + WHEEL_LEVELS * WHEEL_BUCKETS, sizeof(struct piece));
    if (status != LEAT_OK)
        wheel_close(w);
    return status;
}

void wheel_clear(struct wheel *w, struct instant start)
{
    slab_clear(&w->nodes);
    slab_clear(&w->pieces);
    empty(w, start);
}

void wheel_close(struct wheel *w)
{
    slab_close(&w->nodes);
    slab_close(&w->pieces);
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
    uint32_t head = w->heads[level][bucket];
    if (head == SLAB_NONE || piece_at(w, head)->count == PIECE_SLOTS) {
        uint32_t fresh = slab_take(&w->pieces);
        must(fresh != SLAB_NONE); /* only one piece of a bucket is not full */
        piece_at(w, fresh)->next = head;
        piece_at(w, fresh)->count = 0;
        w->heads[level][bucket] = head = fresh;
        w->occupied[level][bucket / 64] |= 1ull << bucket % 64;
    }
    struct piece *p = piece_at(w, head);
    *node_at(w, slot) =
        (struct node){.tick = tick & ((1ull << 56) - 1), .level = level & 255, .piece = head, .index = p->count};
    p->slots[p->count++] = slot;
}

/* Takes the last slot out of the first piece of a bucket. */
static uint32_t pop(struct wheel *w, unsigned level, unsigned bucket)
{
    uint32_t head = w->heads[level][bucket];
    struct piece *p = piece_at(w, head);
    uint32_t slot = p->slots[--p->count];
    if (p->count == 0) {
        w->heads[level][bucket] = p->next;
        if (p->next == SLAB_NONE)
            w->occupied[level][bucket / 64] &= ~(1ull << bucket % 64);
        slab_give(&w->pieces, head);
    }
    return slot;
}

/* The last slot of the bucket takes the place of the one that goes. */
static void unlink_out(struct wheel *w, uint32_t slot)
{
    struct node *n = node_at(w, slot);
    unsigned level = n->level, bucket = n->tick >> 8 * level & 255;
    must(piece_at(w, n->piece)->slots[n->index] == slot);
    uint32_t last = pop(w, level, bucket);
    if (last != slot) {
        struct node *moved = node_at(w, last);
        moved->piece = n->piece;
        moved->index = n->index;
        piece_at(w, n->piece)->slots[n->index] = last;
    }
    n->tick = 0;
}

/* The tick at which `due` has passed for certain: rounded up, and never in the past of the wheel. */
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
    unsigned shift = 8 * level_of(w, tick);
    uint64_t start = tick >> shift << shift; /* of its bucket, which is to be spread then */
    if (start < w->quiet)
        w->quiet = start;
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

/* Moves some entries of the bucket at whose start the wheel stands to the levels below; the rest another time. */
static void spread(struct wheel *w)
{
    unsigned level = w->spreading, bucket = w->now >> 8 * level & 255;
    for (unsigned n = 0; n < SPREAD_PIECES && w->heads[level][bucket] != SLAB_NONE; n++) {
        uint32_t head = w->heads[level][bucket];
        struct piece p = *piece_at(w, head); /* its place may be the next piece that is needed below */
        w->heads[level][bucket] = p.next;
        slab_give(&w->pieces, head);
        for (uint32_t i = 0; i < p.count; i++)
            wheel_prefetch(w, p.slots[i]);
        for (uint32_t i = 0; i < p.count; i++)
            link_in(w, p.slots[i], node_at(w, p.slots[i])->tick);
    }
    mark(wheel_spread);
    if (w->heads[level][bucket] != SLAB_NONE) {
        mark(wheel_spread_in_part);
        return;
    }
    w->occupied[level][bucket / 64] &= ~(1ull << bucket % 64);
    w->spreading = 0;
}

uint32_t wheel_fire(struct wheel *w, struct instant now)
{
    uint64_t until = now.ns / WHEEL_TICK_NS;
    uint64_t tick;
    unsigned level;
    if (until < w->quiet && w->spreading == 0)
        return SLAB_NONE;
    if (w->spreading > 0)
        spread(w);
    while (w->spreading == 0 && next_tick(w, &tick, &level) && tick <= until) {
        w->now = tick;
        w->spreading = level;
        if (level > 0) {
            spread(w);
            continue;
        }
        uint32_t slot = pop(w, 0, tick & 255);
        node_at(w, slot)->tick = 0;
        uint32_t ahead = wheel_ahead(w);
        if (ahead != SLAB_NONE)
            wheel_prefetch(w, ahead);
        return slot;
    }
    if (w->spreading == 0)
        w->quiet = next_tick(w, &tick, &level) ? tick : UINT64_MAX;
    return SLAB_NONE;
}

uint32_t wheel_ahead(const struct wheel *w)
{
    uint32_t head = w->heads[0][w->now & 255];
    if (head == SLAB_NONE)
        return SLAB_NONE;
    const struct piece *p = slab_at(&w->pieces, head);
    if (p->count >= AHEAD)
        return p->slots[p->count - AHEAD];
    if (p->next == SLAB_NONE)
        return SLAB_NONE;
    const struct piece *then = slab_at(&w->pieces, p->next);
    return then->slots[then->count + p->count - AHEAD];
}

struct instant wheel_next_due(const struct wheel *w)
{
    uint64_t tick;
    unsigned level;
    if (w->spreading > 0)
        return (struct instant){w->now * WHEEL_TICK_NS};
    if (!next_tick(w, &tick, &level))
        return INSTANT_NEVER;
    return (struct instant){tick * WHEEL_TICK_NS};
}
