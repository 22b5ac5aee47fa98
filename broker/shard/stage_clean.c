/* stage_clean.c - cleaning, a slice at a time: the journal knows which old stretch of the log is sparse, we know who
 * still lives there and what a right fact looks like.
 *
 *   IDLE -> SWEEPING the engine -> HEAPING and SORTING what was found -> MERGING doubles -> COPYING, fact by fact
 *
 * A slice takes about 20 us, and there is one an iteration. The list is in memory of its own, sorted in place; it holds
 * as many facts as a keep segment can, and a few more, since a message that is taken during the sweep may be met twice.
 * When even that is not enough, so much is happening that the stretch will be sparser soon: the run is given up until
 * the next checkpoint. A message that ends after it was listed is copied all the same, and does no harm.
 *
 * A fact is copied when its own checksums, seeded by its position, say that it is the right one. */
#include "stages.h"

#include <stdlib.h>

#include "mark.h"

enum {
    CLEANER_PLACES = 512, /* of the engine, a slice */
    CLEANER_FOUND = 4 * CLEANER_PLACES,
    CLEANER_SIFTS = 256,
    CLEANER_MERGES = 4096,
    CLEANER_FACTS = 256,
};

enum cleaner_state {
    CLEANER_IDLE,
    CLEANER_SWEEPING,
    CLEANER_HEAPING,
    CLEANER_SORTING,
    CLEANER_MERGING,
    CLEANER_COPYING
};

struct cleaner {
    uint8_t state; /* enum cleaner_state */
    uint32_t most; /* facts of a run */
    uint32_t room, count;
    uint32_t at, unique;
    struct engine_sweep sweep;
    struct journal_survivor *list;
    struct message_body found[CLEANER_FOUND];
};

static uint32_t stage_clean_most(const struct journal_config *c)
{
    return journal_clean_most(c, FACT_PUT_FIXED);
}

static uint32_t stage_clean_room(const struct journal_config *c)
{
    return stage_clean_most(c) + stage_clean_most(c) / 8 + 2 * CLEANER_FOUND;
}

uint64_t stage_clean_memory(const struct journal_config *c)
{
    return sizeof(struct cleaner) + stage_clean_room(c) * (uint64_t)sizeof(struct journal_survivor);
}

enum leat_status stage_clean_open(struct shard *s)
{
    struct cleaner *c = s->cleaner = calloc(1, sizeof *c);
    if (!c)
        return LEAT_NO_MEMORY;
    c->most = stage_clean_most(&s->config.journal);
    c->room = stage_clean_room(&s->config.journal);
    c->list = malloc(c->room * sizeof *c->list);
    return c->list ? LEAT_OK : LEAT_NO_MEMORY;
}

void stage_clean_close(struct shard *s)
{
    if (s->cleaner)
        free(s->cleaner->list);
    free(s->cleaner);
}

/* -- who lives -- */

static void stage_clean_give_up(struct shard *s)
{
    journal_clean_give_up(s->journal);
    s->cleaner->state = CLEANER_IDLE;
}

static void stage_clean_sweep(struct shard *s)
{
    struct cleaner *c = s->cleaner;
    uint32_t n;
    if (c->count + CLEANER_FOUND > c->room) {
        mark(clean_restless);
        stage_clean_give_up(s);
        return;
    }
    if (!engine_sweep(&s->engine, &c->sweep, CLEANER_PLACES, c->found, &n)) {
        c->state = CLEANER_HEAPING;
        c->at = c->count / 2;
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        const struct message_body *b = &c->found[i];
        c->list[c->count++] = (struct journal_survivor){b->lsn, b->where.place8, b->where.size8};
    }
}

/* -- sorted: a heap sort, since it can stop after any sift -- */

static void stage_clean_sift(struct journal_survivor *list, uint32_t at, uint32_t count)
{
    struct journal_survivor moved = list[at];
    for (uint32_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && list[child].lsn.n < list[child + 1].lsn.n)
            child++;
        if (list[child].lsn.n <= moved.lsn.n)
            break;
        list[at] = list[child];
    }
    list[at] = moved;
}

/* Every parent from the last one down to the root. */
static void stage_clean_heap(struct cleaner *c)
{
    for (unsigned i = 0; i < CLEANER_SIFTS && c->at > 0; i++)
        stage_clean_sift(c->list, --c->at, c->count);
    if (c->at == 0) {
        c->state = CLEANER_SORTING;
        c->at = c->count;
    }
}

/* The largest goes to the end, again and again: [at, count) is sorted. */
static void stage_clean_sort(struct cleaner *c)
{
    for (unsigned i = 0; i < CLEANER_SIFTS && c->at > 1; i++) {
        struct journal_survivor largest = c->list[0];
        c->list[0] = c->list[--c->at];
        c->list[c->at] = largest;
        stage_clean_sift(c->list, 0, c->at);
    }
    if (c->at <= 1) {
        c->state = CLEANER_MERGING;
        c->at = c->unique = 0;
    }
}

static void stage_clean_merge(struct shard *s)
{
    struct cleaner *c = s->cleaner;
    for (unsigned i = 0; i < CLEANER_MERGES && c->at < c->count; i++, c->at++) {
        if (c->unique == 0 || c->list[c->unique - 1].lsn.n != c->list[c->at].lsn.n)
            c->list[c->unique++] = c->list[c->at];
        else
            mark(clean_met_twice);
    }
    if (c->at < c->count)
        return;
    must(c->unique <= c->most);
    c->state = CLEANER_COPYING;
    journal_clean_list(s->journal, c->list, c->unique);
}

/* -- copied -- */

static unsigned stage_clean_copy(struct shard *s)
{
    struct journal_survivor k;
    const uint8_t *bytes;
    unsigned n = 0;
    while (n < CLEANER_FACTS && (bytes = journal_clean_next(s->journal, &k)) != NULL) {
        struct fact f;
        bool right = fact_decode(&f, bytes, k.size8 * 8, k.lsn, true) == LEAT_OK && f.kind == FACT_PUT &&
                     fact_size(&f) == k.size8 * 8;
        journal_clean_judge(s->journal, right);
        n++;
    }
    if (!journal_clean_running(s->journal))
        s->cleaner->state = CLEANER_IDLE;
    return n;
}

static unsigned stage_clean_begin(struct shard *s)
{
    struct cleaner *c = s->cleaner;
    c->sweep = (struct engine_sweep){0};
    if (s->stopping || !journal_clean_begin(s->journal, c->most, &c->sweep.first, &c->sweep.last))
        return 0;
    c->count = 0;
    c->state = CLEANER_SWEEPING;
    return 1;
}

unsigned stage_clean_run(struct shard *s)
{
    struct cleaner *c = s->cleaner;
    if (s->stopping && c->state != CLEANER_IDLE && journal_error(s->journal) == LEAT_OK)
        stage_clean_give_up(s);
    switch (c->state) {
    case CLEANER_IDLE:
        return stage_clean_begin(s);
    case CLEANER_SWEEPING:
        stage_clean_sweep(s);
        return 1;
    case CLEANER_HEAPING:
        stage_clean_heap(c);
        return 1;
    case CLEANER_SORTING:
        stage_clean_sort(c);
        return 1;
    case CLEANER_MERGING:
        stage_clean_merge(s);
        return 1;
    default:
        return stage_clean_copy(s);
    }
}
