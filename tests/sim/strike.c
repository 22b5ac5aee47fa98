/* strike.c - see strike.h. */
#include "strike.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "buggify.h"
#include "mark.h"
#include "world.h"

#define PICK(prng, ...)                                                                                                \
    ((const uint64_t[]){__VA_ARGS__}[prng_below((prng), sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))])

bool strike_set_text(struct strike_set *s, const char *text)
{
    while (*text) {
        char *end;
        unsigned long from = strtoul(text, &end, 10), last = from;
        if (end == text)
            return false;
        if (*end == '-')
            last = strtoul(end + 1, &end, 10);
        for (unsigned long i = from; i <= last && i < STRIKES_MAX; i++)
            s->without[i / 64] |= 1ull << i % 64;
        if (*end && *end != ',')
            return false;
        text = end + (*end == ',');
    }
    return true;
}

void strike_set_print(const struct strike_set *s, uint32_t n, char *out, unsigned size)
{
    unsigned at = 0;
    out[0] = 0;
    for (uint32_t i = 0; i < n && i < STRIKES_MAX && at < size; i++) {
        uint32_t last = i;
        if (strike_set_has(s, i))
            continue;
        while (last + 1 < n && !strike_set_has(s, last + 1))
            last++;
        at += (unsigned)snprintf(out + at, size - at, "%s%u", at ? "," : "", i);
        if (last > i && at < size)
            at += (unsigned)snprintf(out + at, size - at, "-%u", last);
        i = last;
    }
}

void strike_open(struct strike *s, struct world *w, const struct strike_set *set)
{
    *s = (struct strike){.w = w, .prng = prng_seed(w->draw.seed, STREAM_FAULTS), .set = *set, .room_at = UINT64_MAX};
}

/* The next strike's own stream; false: it is left out. */
static bool next_strike(struct strike *s, struct prng *p)
{
    uint32_t number = s->struck++;
    *p = prng_seed(s->w->draw.seed, STREAM_STRIKE + number);
    return strike_set_has(&s->set, number);
}

static void strike_net(struct world *w, enum fault f, struct prng *p)
{
    uint32_t link = (uint32_t)prng_below(p, w->draw.actors);
    if (f == FAULT_CUT)
        net_cut(&w->net, link);
    else if (f == FAULT_CLOG)
        net_clog(&w->net, link, PICK(p, 1000000, 50000000, 2000000000));
    else
        net_deafen(&w->net, link, prng_chance(p, 50), PICK(p, 1000000, 50000000, 2000000000, 20000000000));
}

static void strike_disk(struct world *w, enum fault f, struct prng *p)
{
    struct broker *b = &w->broker;
    uint64_t segment = w->draw.broker.journal.segment_bytes;
    switch (f) {
    case FAULT_WRITE_ERROR:
        return broker_fail_disk(b, DISK_WRITE, 1 + (uint32_t)prng_below(p, 10));
    case FAULT_FLUSH_ERROR:
        return broker_fail_disk(b, DISK_FLUSH, 1 + (uint32_t)prng_below(p, 5));
    case FAULT_READ_ERROR:
        world_trace(w, "a read will fail");
        b->unsure = w->rotten = true;
        return fake_disk_fail(b->disk, DISK_READ, 1 + (uint32_t)prng_below(p, 10), -EIO);
    case FAULT_LIE:
        world_trace(w, "a write will land in the wrong place");
        b->unsure = w->rotten = true;
        return fake_disk_misdirect(b->disk, 1 + (uint32_t)prng_below(p, 20));
    case FAULT_NO_SPACE:
        return fake_disk_create_fail(b->disk, (uint32_t)PICK(p, 1, 3, 20));
    case FAULT_FULL:
        world_trace(w, "the file system fills up");
        w->strike.room_at = w->now + PICK(p, 10000000, 1000000000, 60000000000);
        return fake_disk_resize(b->disk, fake_disk_bytes(b->disk) + segment * PICK(p, 0, 1, 3));
    default:
        return;
    }
}

static void strike_one(struct strike *s, enum fault f)
{
    struct world *w = s->w;
    struct broker *b = &w->broker;
    struct prng p;
    if (!next_strike(s, &p))
        return;
    switch (f) {
    case FAULT_STOP:
        return broker_stop(b);
    case FAULT_PAUSE:
        mark(sim_broker_paused);
        return broker_pause(b, w->now + PICK(&p, 1000000, 100000000, 3000000000, 40000000000));
    case FAULT_CLOCK:
        return broker_step_wall(
            b, (int64_t)PICK(&p, 1000000000, (uint64_t)-1000000000, 3600000000000, (uint64_t)-3600000000000));
    case FAULT_CUT:
    case FAULT_CLOG:
    case FAULT_ONEWAY:
        return strike_net(w, f, &p);
    case FAULT_GONE:
        return actor_die(&w->actor[prng_below(&p, w->draw.actors)], prng_chance(&p, 50),
                         w->now + PICK(&p, 1000, 10000000, 100000000, 1000000000));
    default:
        return strike_disk(w, f, &p);
    }
}

enum { ODDS_SUM = 400 }; /* no more than all together */

/* Out of ten thousand operations. */
static uint32_t odds(enum fault f)
{
    switch (f) {
    case FAULT_CUT:
    case FAULT_CLOG:
        return 40;
    case FAULT_ONEWAY:
        return 20;
    case FAULT_GONE:
        return 60;
    case FAULT_PAUSE:
    case FAULT_CLOCK:
    case FAULT_NO_SPACE:
    case FAULT_FULL:
    case FAULT_FLUSH_ERROR:
    case FAULT_READ_ERROR:
    case FAULT_LIE:
        return 15;
    case FAULT_STOP:
    case FAULT_WRITE_ERROR:
        return 8;
    default:
        return 0;
    }
}

static void arm(struct strike *s)
{
    struct world *w = s->w;
    bool crashes = draw_has(&w->draw, FAULT_CRASH) || draw_has(&w->draw, FAULT_POWER);
    if (s->armed || w->next_crash == w->draw.crashes || w->operations < w->draw.crash_at[w->next_crash])
        return;
    w->next_crash++;
    s->armed = crashes;
    s->latest = w->now + PICK(&s->prng, 1000000, 20000000, 200000000);
}

static void crash(struct strike *s)
{
    struct world *w = s->w;
    if (!broker_up(&w->broker))
        return;
    if (w->now < s->latest && !(broker_writes_in_flight(&w->broker) && prng_chance(&s->prng, 10)))
        return;
    s->armed = false;
    struct prng p;
    if (!next_strike(s, &p))
        return;
    bool power = draw_has(&w->draw, FAULT_POWER) && (!draw_has(&w->draw, FAULT_CRASH) || prng_chance(&p, 50));
    uint64_t pause = prng_chance(&p, 4) ? 70000000000 : PICK(&p, 100000, 1000000, 50000000, 1000000000);
    broker_end(&w->broker, power ? END_POWER : END_CRASH, w->now + pause);
}

void strike_dice(struct strike *s)
{
    struct world *w = s->w;
    if (w->phase != PHASE_SAFETY)
        return;
    if (w->now >= s->room_at) { /* the operator has made room */
        s->room_at = UINT64_MAX;
        fake_disk_resize(w->broker.disk, 0);
    }
    arm(s);
    if (s->armed)
        crash(s);
    for (; s->thrown < w->operations; s->thrown++) {
        uint64_t roll = prng_below(&s->prng, 10000), sum = 0;
        for (unsigned f = 0; f < FAULTS && roll < ODDS_SUM; f++) {
            uint32_t share = draw_has(&w->draw, (enum fault)f) ? odds((enum fault)f) : 0;
            if (roll >= sum && roll < sum + share)
                strike_one(s, (enum fault)f);
            sum += share;
        }
    }
}

void strike_heal(struct strike *s)
{
    struct broker *b = &s->w->broker;
    s->armed = false;
    b->paused_until = 0;
    b->failing = b->flush_failed = b->unsure = false;
    fake_disk_fail(b->disk, DISK_WRITE, 0, 0);
    fake_disk_fail(b->disk, DISK_FLUSH, 0, 0);
    fake_disk_fail(b->disk, DISK_READ, 0, 0);
    fake_disk_create_fail(b->disk, 0);
    fake_disk_resize(b->disk, 0);
    fake_disk_misdirect(b->disk, 0);
    fake_disk_lie_reads(b->disk, 0);
    fake_disk_show(b->disk, true);
    fake_disk_forget_lies(b->disk);
    buggify_off();
    broker_wake(b, s->w->now);
}

void strike_last(struct strike *s)
{
    struct world *w = s->w;
    for (unsigned i = 0; i < w->draw.actors; i++)
        if (draw_has(&w->draw, FAULT_GONE) && prng_chance(&s->prng, 50))
            actor_die(&w->actor[i], false, UINT64_MAX);
}

bool strike_idle(const struct strike *s)
{
    return s->w->next_crash == s->w->draw.crashes && !s->armed;
}
