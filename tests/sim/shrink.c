/* shrink.c - see shrink.h. Each try is a whole run in a child. Kinds of fault are dropped one after the other; then the
 * schedule is bisected: halves of the strikes are left out, then quarters, down to single ones; then operations are
 * halved, and taken away in smaller and smaller pieces; then the strikes once more. */
#include "shrink.h"

#include <stdio.h>
#include <string.h>

#include "runner.h"

enum { SHRINK_TRIES = 400 };

struct shrink {
    struct world_options best;
    char text[HISTORY_TEXT];
    unsigned tries;
    uint32_t strikes;
};

static bool still_fails(struct shrink *s, const struct world_options *o)
{
    char text[HISTORY_TEXT];
    uint32_t strikes;
    if (s->tries++ >= SHRINK_TRIES || !runner_fails(o, text, &strikes))
        return false;
    s->strikes = strikes;
    s->best = *o;
    memcpy(s->text, text, sizeof text);
    return true;
}

static void fewer_faults(struct shrink *s)
{
    for (unsigned f = 0; f < FAULTS; f++) {
        struct world_options o = s->best;
        o.allowed &= ~(1u << f);
        if (o.allowed != s->best.allowed && o.forced == 0)
            still_fails(s, &o);
    }
}

static void fewer_strikes(struct shrink *s)
{
    uint32_t n = s->strikes < STRIKES_MAX ? s->strikes : STRIKES_MAX, piece = 1;
    while (piece < n)
        piece *= 2;
    for (; piece > 0; piece /= 2)
        for (uint32_t from = 0; from < n; from += piece) {
            struct world_options o = s->best;
            for (uint32_t i = from; i < from + piece && i < n; i++)
                o.strikes.without[i / 64] |= 1ull << i % 64;
            if (memcmp(&o.strikes, &s->best.strikes, sizeof o.strikes) != 0)
                still_fails(s, &o);
        }
}

static void fewer_operations(struct shrink *s)
{
    for (uint32_t piece = s->best.operations / 2; piece >= 8; piece /= 2) {
        struct world_options o = s->best;
        o.operations -= piece;
        while (o.operations > piece && still_fails(s, &o))
            o.operations -= piece;
    }
}

void shrink_print(const struct world_options *o, uint64_t seed, const char *program)
{
    struct draw d;
    struct shrink s = {.best = *o};
    s.best.seed = seed;
    s.best.trace = false;
    draw_seed(&d, seed, o->operations, o->allowed, o->forced);
    s.best.operations = d.operations;
    s.best.allowed = d.faults;
    if (!runner_fails(&s.best, s.text, &s.strikes)) {
        printf("seed %llu did not fail again\n", (unsigned long long)seed);
        return;
    }
    fewer_faults(&s);
    fewer_strikes(&s);
    fewer_operations(&s);
    fewer_strikes(&s);
    char list[400], without[400];
    draw_fault_list(s.best.allowed & d.faults, list, sizeof list);
    strike_set_print(&s.best.strikes, s.strikes, without, sizeof without);
    printf("shrunk: %s --seed %llu --operations %u --fault %s%s%s --trace\n        %s\n", program,
           (unsigned long long)seed, s.best.operations, list, without[0] ? " --without " : "", without, s.text);
}
