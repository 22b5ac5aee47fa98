/* shrink.c - see shrink.h. Each try is a whole run in a child; kinds of fault are dropped one after the other, then
 * operations are halved, then taken away in smaller and smaller pieces. */
#include "shrink.h"

#include <stdio.h>
#include <string.h>

#include "runner.h"

enum { SHRINK_TRIES = 80 };

struct shrink {
    struct world_options best;
    char text[HISTORY_TEXT];
    unsigned tries;
};

static bool still_fails(struct shrink *s, const struct world_options *o)
{
    char text[HISTORY_TEXT];
    if (s->tries++ >= SHRINK_TRIES || !runner_fails(o, text))
        return false;
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
    if (!runner_fails(&s.best, s.text)) {
        printf("seed %llu did not fail again\n", (unsigned long long)seed);
        return;
    }
    fewer_faults(&s);
    fewer_operations(&s);
    char list[400];
    draw_fault_list(s.best.allowed & d.faults, list, sizeof list);
    printf("shrunk: %s --seed %llu --operations %u --fault %s --trace\n        %s\n", program, (unsigned long long)seed,
           s.best.operations, list, s.text);
}
