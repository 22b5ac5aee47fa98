/* runs.c - see runs.h. A step is written and read in one place each, step_write() and step_read(); taking, walking and
 * checking all go through the same reader. */
#include "runs.h"

#include <string.h>

#include "byteorder.h"

enum {
    STEP = 0x80,
    STEP_BLOCK_SHIFT = 4,
    STEP_BLOCK_FAR = 6,
    STEP_PLACE = 8,
    STEP_SIZE = 4,
    STEP_TIME = 3, /* its bits, and the value that says that a number follows */
    STEP_WHOLE = STEP | 7 << STEP_BLOCK_SHIFT,
    RUN_MAX = 128,
    NUMBER_BYTES = 3,
    NUMBER_FAR = 1 << (7 * NUMBER_BYTES - 1), /* what is nearer than this fits a number */
    TIME_BITS = 19,                           /* of a distance in a whole step */
    PLACE_BITS = 19,
};
#define MS_MAX (UINT64_MAX / 1000000)

static uint8_t *number_write(uint8_t *p, int64_t value)
{
    uint64_t n = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
    for (; n >= 0x80; n >>= 7)
        *p++ = (uint8_t)(n | 0x80);
    *p++ = (uint8_t)n;
    return p;
}

static const uint8_t *number_read(const uint8_t *p, int64_t *value)
{
    uint64_t n = 0;
    for (unsigned shift = 0; shift < 7 * NUMBER_BYTES; shift += 7) {
        uint8_t byte = *p++;
        n |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            break;
    }
    *value = (int64_t)(n >> 1) ^ -(int64_t)(n & 1);
    return p;
}

/* Where a message would lie if all between it and `a` were as large as `a`. */
static uint32_t expected_place(const struct runs_point *a, struct lsn lsn)
{
    return a->where.place8 + (lsn_index(lsn) - lsn_index(a->lsn)) * a->where.size8;
}

/* A distance in time: sign:1, shift:5, and 19 bits of it. What is lost brings `b` nearer to `a`. */
static uint32_t time_pack(int64_t ms)
{
    uint64_t far = ms < 0 ? -(uint64_t)ms : (uint64_t)ms;
    uint32_t shift = far >> TIME_BITS ? 64 - TIME_BITS - (uint32_t)__builtin_clzll(far) : 0;
    return (uint32_t)(ms < 0) << 24 | shift << TIME_BITS | (uint32_t)(far >> shift);
}

static int64_t time_unpack(uint32_t packed)
{
    int64_t far = (int64_t)((uint64_t)(packed & ((1u << TIME_BITS) - 1)) << (packed >> TIME_BITS & 31));
    return packed >> 24 ? -far : far;
}

static uint8_t *whole_write(uint8_t *p, const struct runs_point *a, struct runs_point *b, uint8_t durability)
{
    uint32_t t = time_pack((int64_t)(b->ms - a->ms));
    b->ms = a->ms + (uint64_t)time_unpack(t);
    le64_put(p + 8,
             ((uint64_t)b->where.place8 << 37 | (uint64_t)b->where.size8 << TIME_BITS | (t & ((1u << TIME_BITS) - 1)))
                 << 8);
    le64_put(p + 1, b->lsn.n << 4 | (t >> TIME_BITS & 15)); /* the last byte of it is the first of that */
    *p = (uint8_t)(STEP_WHOLE | (uint32_t)durability << 2 | t >> (TIME_BITS + 4));
    return p + RUNS_STEP_MAX;
}

static const uint8_t *whole_read(const uint8_t *p, struct runs_point *b, uint8_t *durability)
{
    uint64_t first = le64_get(p + 1), second = le64_get(p + 8) >> 8;
    uint32_t t = (uint32_t)(*p & 3) << (TIME_BITS + 4) | (uint32_t)(first & 15) << TIME_BITS |
                 (uint32_t)(second & ((1u << TIME_BITS) - 1));
    b->lsn.n = first >> 4;
    *durability = *p >> 2 & 3;
    b->where = (struct message_where){(uint32_t)(second >> 37), (uint32_t)(second >> TIME_BITS) & RUNS_SIZE8_MAX};
    b->ms += (uint64_t)time_unpack(t);
    return p + RUNS_STEP_MAX;
}

/* The step from `a` to `b`, of the same durability, both less than NUMBER_FAR blocks and milliseconds apart. */
static uint8_t *step_write(uint8_t *p, const struct runs_point *a, const struct runs_point *b)
{
    int64_t blocks = (int64_t)(lsn_block(b->lsn) - lsn_block(a->lsn)), ms = (int64_t)(b->ms - a->ms);
    uint32_t off = b->where.place8 - expected_place(a, b->lsn); /* modulo 2^19, as a place is */
    int32_t place = (int32_t)(off << (32 - PLACE_BITS)) >> (32 - PLACE_BITS);
    int64_t size = (int64_t)b->where.size8 - a->where.size8;
    bool near = blocks >= 0 && blocks < STEP_BLOCK_FAR, soon = ms >= 0 && ms < STEP_TIME;
    uint8_t *tag = p++;
    *tag = (uint8_t)(STEP | (near ? (unsigned)blocks : STEP_BLOCK_FAR) << STEP_BLOCK_SHIFT |
                     (soon ? (unsigned)ms : STEP_TIME));
    if (!near)
        p = number_write(p, blocks);
    p = number_write(p, (int64_t)lsn_index(b->lsn) - lsn_index(a->lsn));
    if (place != 0) {
        *tag |= STEP_PLACE;
        p = number_write(p, place);
    }
    if (size != 0) {
        *tag |= STEP_SIZE;
        p = number_write(p, size);
    }
    return soon ? p : number_write(p, ms);
}

/* `a` becomes the message behind it. Looks at RUNS_STEP_MAX bytes at most. */
static const uint8_t *step_read(const uint8_t *p, struct runs_point *a, uint8_t *durability)
{
    uint8_t tag = *p;
    if (tag >= STEP_WHOLE)
        return whole_read(p, a, durability);
    int64_t blocks = tag >> STEP_BLOCK_SHIFT & 7, ms = tag & STEP_TIME, index, number;
    p++;
    if (blocks == STEP_BLOCK_FAR)
        p = number_read(p, &blocks);
    p = number_read(p, &index);
    struct lsn lsn = lsn_make(lsn_block(a->lsn) + (uint64_t)blocks, lsn_index(a->lsn) + (uint32_t)index);
    uint32_t place = expected_place(a, lsn);
    if (tag & STEP_PLACE) {
        p = number_read(p, &number);
        place += (uint32_t)number;
    }
    if (tag & STEP_SIZE) {
        p = number_read(p, &number);
        a->where.size8 += (uint32_t)number;
    }
    if (ms == STEP_TIME)
        p = number_read(p, &ms);
    a->lsn = lsn;
    a->where.place8 = place & RUNS_PLACE8_MAX;
    a->ms += (uint64_t)ms;
    return p;
}

static struct runs_point point_of(const struct ready_entry *e)
{
    return (struct runs_point){e->lsn, e->where, e->sent.ns / 1000000};
}

void runs_begin(struct runs *r, const struct ready_entry *e)
{
    r->at = r->end = 0;
    r->left = r->open = 0;
    r->head_durability = r->last_durability = e->durability;
    r->zero = 0;
    r->head = r->last = point_of(e);
}

static bool is_neighbour(const struct runs_point *a, const struct runs_point *b)
{
    return b->lsn.n == a->lsn.n + 1 && lsn_index(b->lsn) != 0 && b->where.place8 == a->where.place8 + a->where.size8 &&
           b->where.size8 == a->where.size8 && b->ms == a->ms;
}

static bool is_near(const struct runs_point *a, const struct runs_point *b)
{
    return lsn_block(b->lsn) - lsn_block(a->lsn) + NUMBER_FAR < 2u * NUMBER_FAR &&
           b->ms - a->ms + NUMBER_FAR < 2u * NUMBER_FAR;
}

bool runs_push(struct runs *r, const struct ready_entry *e)
{
    struct runs_point b = point_of(e);
    bool same = e->durability == r->last_durability, neighbour = same && is_neighbour(&r->last, &b);
    if (r->at == r->end)
        r->at = r->end = r->open = 0; /* all steps are gone: their room is free again */
    if (neighbour && r->open && r->steps[r->end - 1] < RUN_MAX - 1) {
        r->steps[r->end - 1]++;
        r->last = b;
        return true;
    }
    if (!runs_has_room(r))
        return false;
    uint8_t *p = r->steps + r->end;
    if (neighbour)
        *p++ = 0;
    else if (same && is_near(&r->last, &b))
        p = step_write(p, &r->last, &b);
    else
        p = whole_write(p, &r->last, &b, e->durability);
    r->open = neighbour;
    r->end = (uint16_t)(p - r->steps);
    r->last = b;
    r->last_durability = e->durability;
    return true;
}

/* `count` neighbours further. */
static void go_on(struct runs_point *p, uint32_t count)
{
    p->lsn.n += count;
    p->where.place8 += count * p->where.size8;
}

bool runs_pop(struct runs *r)
{
    if (r->left > 0) {
        r->left--;
        go_on(&r->head, 1);
        return true;
    }
    if (r->at == r->end) {
        r->head.lsn = LSN_NONE;
        return false;
    }
    const uint8_t *p = r->steps + r->at;
    if (*p < STEP) {
        r->left = *p++;
        go_on(&r->head, 1);
    } else {
        p = step_read(p, &r->head, &r->head_durability);
    }
    r->at = (uint16_t)(p - r->steps);
    return true;
}

static void tell(const struct runs_point *p, uint8_t durability, struct ready_entry *e)
{
    e->lsn = p->lsn;
    e->where = p->where;
    e->sent.ns = p->ms * 1000000;
    e->durability = durability;
}

bool runs_walk_begin(const struct runs *r, struct runs_walk *w, struct ready_entry *e, uint32_t *count)
{
    *w = (struct runs_walk){.point = r->head, .at = r->at, .durability = r->head_durability};
    tell(&w->point, w->durability, e);
    *count = 1u + r->left;
    go_on(&w->point, r->left);
    return r->head.lsn.n != 0;
}

bool runs_walk_next(const struct runs *r, struct runs_walk *w, struct ready_entry *e, uint32_t *count)
{
    if (w->at == r->end)
        return false;
    const uint8_t *p = r->steps + w->at;
    *count = 1;
    if (*p < STEP) {
        *count = 1u + *p++;
        go_on(&w->point, 1);
        tell(&w->point, w->durability, e);
        go_on(&w->point, *count - 1);
    } else {
        p = step_read(p, &w->point, &w->durability);
        tell(&w->point, w->durability, e);
    }
    w->at = (uint16_t)(p - r->steps);
    return true;
}

/* `count` neighbours further, in the same block. */
static bool run_sound(struct runs_point *p, uint32_t count)
{
    uint64_t block = lsn_block(p->lsn);
    go_on(p, count);
    return lsn_block(p->lsn) == block;
}

/* Where a run ends, every field is at its largest. */
static bool point_sound(const struct runs_point *p, uint8_t durability)
{
    return p->lsn.n != 0 && lsn_block(p->lsn) <= RUNS_BLOCK_MAX && p->where.place8 <= RUNS_PLACE8_MAX &&
           p->where.size8 <= RUNS_SIZE8_MAX && p->ms <= MS_MAX && durability <= 3;
}

bool runs_sound(const struct runs *r)
{
    if (r->end > RUNS_STEPS || r->at > r->end || r->left >= RUN_MAX || r->open > 1 ||
        !point_sound(&r->head, r->head_durability))
        return false;
    uint8_t steps[RUNS_STEPS + RUNS_STEP_MAX] = {0}; /* the last step may look behind the end */
    memcpy(steps, r->steps, r->end);
    struct runs_point p = r->head;
    uint8_t durability = r->head_durability;
    bool run = false;
    if (!run_sound(&p, r->left))
        return false;
    for (uint32_t at = r->at; at < r->end;) {
        if (!point_sound(&p, durability))
            return false;
        run = steps[at] < STEP;
        if (run && !run_sound(&p, 1u + steps[at++]))
            return false;
        if (!run)
            at = (uint32_t)(step_read(steps + at, &p, &durability) - steps);
        if (at > r->end)
            return false;
    }
    return point_sound(&p, durability) && (r->at == r->end || r->open == run) && durability == r->last_durability &&
           memcmp(&p, &r->last, sizeof p) == 0;
}
