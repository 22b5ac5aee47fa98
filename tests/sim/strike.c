/* strike.c - see strike.h. */
#include "strike.h"

#include "mark.h"
#include "world.h"

#define PICK(prng, ...)                                                                                                \
    ((const uint64_t[]){__VA_ARGS__}[prng_below((prng), sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))])

void strike_open(struct strike *s, struct world *w)
{
    *s = (struct strike){.w = w, .prng = prng_seed(w->draw.seed, STREAM_FAULTS)};
}

static uint32_t some_actor(struct strike *s)
{
    return (uint32_t)prng_below(&s->prng, s->w->draw.actors);
}

static void strike_one(struct strike *s, enum fault f)
{
    struct world *w = s->w;
    struct broker *b = &w->broker;
    switch (f) {
    case FAULT_STOP:
        return broker_stop(b);
    case FAULT_PAUSE:
        mark(sim_broker_paused);
        return broker_pause(b, w->now + PICK(&s->prng, 1000000, 100000000, 3000000000));
    case FAULT_CLOCK:
        return broker_step_wall(
            b, (int64_t)PICK(&s->prng, 1000000000, (uint64_t)-1000000000, 3600000000000, (uint64_t)-3600000000000));
    case FAULT_CUT:
        return net_cut(&w->net, some_actor(s));
    case FAULT_CLOG:
        return net_clog(&w->net, some_actor(s), PICK(&s->prng, 1000000, 50000000, 2000000000));
    case FAULT_GONE:
        return actor_die(&w->actor[some_actor(s)], prng_chance(&s->prng, 50),
                         w->now + PICK(&s->prng, 1000, 10000000, 100000000, 1000000000));
    case FAULT_WRITE_ERROR:
        return broker_fail_disk(b, DISK_WRITE, 1 + (uint32_t)prng_below(&s->prng, 10));
    case FAULT_FLUSH_ERROR:
        return broker_fail_disk(b, DISK_FLUSH, 1 + (uint32_t)prng_below(&s->prng, 5));
    case FAULT_NO_SPACE:
        return fake_disk_create_fail(b->disk, (uint32_t)PICK(&s->prng, 1, 3, 20));
    default:
        return;
    }
}

enum { ODDS_SUM = 200 }; /* no more than all together */

/* Out of ten thousand operations. */
static uint32_t odds(enum fault f)
{
    switch (f) {
    case FAULT_CUT:
    case FAULT_CLOG:
        return 40;
    case FAULT_GONE:
        return 60;
    case FAULT_PAUSE:
    case FAULT_CLOCK:
    case FAULT_NO_SPACE:
        return 15;
    case FAULT_FLUSH_ERROR:
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
    bool power = draw_has(&w->draw, FAULT_POWER) && (!draw_has(&w->draw, FAULT_CRASH) || prng_chance(&s->prng, 50));
    uint64_t pause = prng_chance(&s->prng, 4) ? 70000000000 : PICK(&s->prng, 100000, 1000000, 50000000, 1000000000);
    broker_end(&w->broker, power ? END_POWER : END_CRASH, w->now + pause);
}

void strike_dice(struct strike *s)
{
    struct world *w = s->w;
    if (w->phase != PHASE_SAFETY)
        return;
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
    b->failing = b->flush_failed = false;
    fake_disk_fail(b->disk, DISK_WRITE, 0, 0);
    fake_disk_fail(b->disk, DISK_FLUSH, 0, 0);
    fake_disk_create_fail(b->disk, 0);
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
