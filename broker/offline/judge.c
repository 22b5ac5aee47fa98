/* judge.c - first the segments whose first block the manifest knows, each against what should be in it; then the tail,
 * as a start reads it; then what stands behind the tail. */
#include "judge.h"

#include <stdlib.h>

#include "mark.h"

enum { JUDGE_DEPTH = 8 }; /* the most blocks in flight */

struct judging {
    struct judge *j;
    const struct scan *s;
    const struct point *p;
    uint64_t index_at;
    uint64_t number, previous; /* of the next block, and the hash that it should name; 0: not known */
    uint64_t offset;           /* in its segment */
};

const char *judge_words(uint8_t what)
{
    static const char *const words[] = {
        [JUDGE_DAMAGED] = "damaged",
        [JUDGE_UNCHAINED] = "out of the chain",
        [JUDGE_MISSING] = "missing",
        [JUDGE_CUT] = "cut short",
        [JUDGE_UNREADABLE] = "unreadable",
        [JUDGE_EXTRA] = "where the log has none",
        [JUDGE_LIST] = "listed in an order that cannot be",
        [JUDGE_NEWER] = "of a later life of this file than the manifest knows: the manifest is old",
        [JUDGE_KEPT] = "damaged where survivors are kept",
    };
    return words[what];
}

static uint64_t max64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void judge_add(struct judge *j, struct judge_gap gap)
{
    if (j->count == j->room) {
        uint32_t room = j->room ? j->room * 2 : 32;
        struct judge_gap *more = room <= 2 * JUDGE_GAPS ? realloc(j->gaps, room * sizeof *more) : NULL;
        j->more |= !more;
        if (!more)
            return;
        j->gaps = more;
        j->room = room;
    }
    j->gaps[j->count++] = gap;
}

/* -- files -- */

/* The file itself: there, long enough, readable. */
static void judge_file(struct judge *j, const struct scan *s, uint32_t i)
{
    const struct scan_segment *g = &s->segments[i];
    uint64_t bytes = s->source->m.segment_bytes;
    if (g->size < 0)
        judge_add(j, (struct judge_gap){.what = JUDGE_MISSING, .segment = i, .end = bytes, .first = g->listed_first});
    else if ((uint64_t)g->size < bytes)
        judge_add(
            j, (struct judge_gap){
                   .what = JUDGE_CUT, .segment = i, .from = (uint64_t)g->size / DISK_BLOCK * DISK_BLOCK, .end = bytes});
    if (g->newer)
        judge_add(j, (struct judge_gap){.what = JUDGE_NEWER, .segment = i, .end = DISK_BLOCK});
    if (g->kept_bad > 0)
        judge_add(j, (struct judge_gap){.what = JUDGE_KEPT, .segment = i, .from = g->kept_from, .end = g->kept_end});
    if (g->bad_end > 0)
        judge_add(j,
                  (struct judge_gap){.what = JUDGE_UNREADABLE, .segment = i, .from = g->bad_from, .end = g->bad_end});
}

/* -- segments with a known first block -- */

/* The log behind the checkpoint goes no further than here. */
static void judge_broken(struct judging *x, uint32_t segment)
{
    struct judge *j = x->j;
    if (j->rotten || (x->p->loaded && x->number <= x->p->block))
        return;
    mark(offline_rot);
    j->rotten = true;
    j->next = x->number;
    j->previous = x->previous;
    j->segment = segment;
    j->offset = x->offset;
}

static void judge_hole(struct judging *x, uint32_t segment, uint64_t end, uint64_t last)
{
    judge_broken(x, segment);
    judge_add(x->j, (struct judge_gap){.what = JUDGE_DAMAGED,
                                       .segment = segment,
                                       .from = x->offset,
                                       .end = end,
                                       .first = x->number,
                                       .last = last});
}

/* Only what is in the log can prove anything. */
static void judge_take(struct judging *x, struct scan_run *r)
{
    r->taken = true;
    x->number = r->first + r->count;
    x->previous = r->hash;
    x->offset = r->end;
    x->j->known = max64(x->j->known, r->durable);
}

/* One run where block x->number is due: what is between, and whether it follows. */
static void judge_run(struct judging *x, struct scan_run *r)
{
    struct judge_gap gap = {.segment = r->segment, .from = r->from, .end = r->end, .first = r->first};
    if (r->first < x->number) {
        gap.what = JUDGE_EXTRA;
        judge_add(x->j, gap);
        return;
    }
    if (r->first > x->number || r->from > x->offset) {
        judge_hole(x, r->segment, r->from, r->first - 1);
    } else if (x->previous != 0 && r->previous != x->previous) {
        judge_broken(x, r->segment);
        gap.what = JUDGE_UNCHAINED;
        gap.end = r->from + DISK_BLOCK;
        gap.last = r->first;
        judge_add(x->j, gap);
    }
    judge_take(x, r);
}

/* The runs of segment `i` from here on, of blocks below `end` (0: all). */
static void judge_part(struct judging *x, uint32_t i, uint64_t end)
{
    const struct scan_segment *g = &x->s->segments[i];
    for (uint32_t k = 0; k < g->runs; k++) {
        struct scan_run *r = &x->s->runs[g->runs_from + k];
        if (r->end > x->offset && (end == 0 || r->first < end))
            judge_run(x, r);
    }
}

/* `end` is due behind the last one. */
static void judge_end(struct judging *x, uint32_t i, uint64_t offset, uint64_t end)
{
    if (end <= x->number)
        return;
    if (x->s->segments[i].size >= 0)
        judge_hole(x, i, offset > x->offset ? offset : x->s->source->m.segment_bytes, end - 1);
    else
        judge_broken(x, i);
    x->number = end;
    x->previous = 0;
    x->offset = offset;
}

/* The next entry of the index that counts: those whose blocks survive in a keep segment were replaced. */
static bool judge_index_next(struct judging *x, struct point_segment *index)
{
    while (point_index_next(x->p, &x->index_at, index)) {
        bool kept = false;
        for (uint32_t i = 0; i < x->s->segments_count && !kept; i++) {
            const struct scan_segment *g = &x->s->segments[i];
            kept = g->keep && index->first >= g->listed_first && index->first <= g->kept_last;
        }
        if (!kept)
            return true;
    }
    return false;
}

/* A state from before a keep segment cannot be replayed over it: what has ended in between stands nowhere. One from
 * the midst of it has lost its position. */
static void judge_keep(struct judging *x, uint32_t i)
{
    const struct scan_segment *g = &x->s->segments[i];
    x->offset = 0;
    if (g->listed_first > x->p->block) {
        mark(judge_keep_behind);
        judge_broken(x, i);
    } else if (g->kept_last > x->p->block) {
        mark(judge_keep_over_position);
        judge_add(x->j, (struct judge_gap){.what = JUDGE_LIST, .segment = i, .first = g->listed_first});
    }
    x->number = x->previous = 0;
}

static void judge_listed(struct judging *x, uint32_t i, uint32_t listed)
{
    const struct scan_segment *g = &x->s->segments[i];
    const struct point *p = x->p;
    struct point_segment index = {0};
    uint64_t next = i + 1 < listed ? x->s->segments[i + 1].listed_first : 0;
    if (g->keep) {
        judge_keep(x, i);
        return;
    }
    x->previous = x->number == g->listed_first ? x->previous : 0;
    x->number = g->listed_first;
    x->offset = 0;
    if (p->loaded && g->listed_first <= p->block) {
        if (!judge_index_next(x, &index) || index.number != g->number || index.incarnation != g->incarnation ||
            index.first != g->listed_first)
            judge_add(x->j, (struct judge_gap){.what = JUDGE_LIST, .segment = i, .first = g->listed_first});
        uint64_t end = index.first + index.blocks;
        judge_part(x, i, end);
        bool position = end == p->block + 1;
        judge_end(x, i, position ? p->position_tail : 0, end);
        if (!position)
            return;
        x->previous = p->position_hash; /* from here a start reads, whatever stands before */
        x->offset = p->position_tail;
    }
    if (next == 0)
        return; /* the tail begins in this one */
    bool adjacent = next > p->block;
    judge_part(x, i, adjacent ? next : 0);
    if (adjacent)
        judge_end(x, i, 0, next);
}

/* -- the tail -- */

static struct scan_run *judge_run_at(const struct scan *s, uint32_t i, uint64_t offset)
{
    const struct scan_segment *g = &s->segments[i];
    for (uint32_t k = 0; k < g->runs; k++)
        if (s->runs[g->runs_from + k].from == offset)
            return &s->runs[g->runs_from + k];
    return NULL;
}

static bool judge_follows(const struct judging *x, const struct scan_run *r)
{
    return r && r->first == x->number && (x->previous == 0 || r->previous == x->previous);
}

/* The next block stands at the start of the next segment although it had room in this one: the disk has led it astray.
 * Its own place is damaged, and the log goes on behind that. */
static void judge_astray(struct judging *x, uint32_t segment, struct scan_run *r)
{
    struct judge_gap gap = {
        .what = JUDGE_EXTRA, .segment = r->segment, .end = r->size, .first = r->first, .last = r->first};
    mark(judge_astray);
    judge_hole(x, segment, x->offset + r->size, r->first);
    judge_add(x->j, gap);
    x->j->astray = (uint32_t)(r - x->s->runs) + 1;
    r->taken = true;
    x->number = r->first + 1;
    x->previous = r->count == 1 ? r->hash : 0;
    x->offset += r->size;
}

/* Block after block, and on into segments whose first block is not listed. */
static void judge_tail(struct judging *x, uint32_t *segment)
{
    while (*segment < x->s->segments_count) {
        struct scan_run *r = judge_run_at(x->s, *segment, x->offset);
        uint32_t next = *segment + 1;
        if (!judge_follows(x, r) && next < x->s->segments_count && x->s->segments[next].listed_first == 0) {
            struct scan_run *entered = judge_run_at(x->s, next, 0);
            if (judge_follows(x, entered) && entered->size <= x->s->source->m.segment_bytes - x->offset) {
                judge_astray(x, *segment, entered);
                return;
            }
            if (judge_follows(x, entered)) {
                r = entered;
                ++*segment;
            }
        }
        if (!judge_follows(x, r))
            return;
        judge_take(x, r);
    }
}

bool judge_is_astray(const struct judge *j, const struct scan *s, const struct scan_run *r)
{
    return j->astray > 0 && r == &s->runs[j->astray - 1];
}

/* Runs behind the end: in flight and dropped, or proof that the log went on. `tell`: each with the hole before it. */
static uint64_t judge_behind(struct judging *x, uint32_t segment, bool tell, uint64_t *highest)
{
    uint64_t blocks = 0, missing = x->number, end = x->offset;
    for (uint32_t i = segment; i < x->s->segments_count; i++) {
        const struct scan_segment *g = &x->s->segments[i];
        x->offset = i == segment ? end : 0;
        for (uint32_t k = 0; k < g->runs; k++) {
            struct scan_run *r = &x->s->runs[g->runs_from + k];
            if (scan_last(r) < missing || (i == segment && r->from < end) || judge_is_astray(x->j, x->s, r))
                continue;
            *highest = max64(*highest, scan_last(r));
            x->j->known = max64(x->j->known, r->durable);
            blocks += r->count;
            if (tell)
                judge_run(x, r);
        }
    }
    x->offset = tell ? x->offset : end;
    return blocks;
}

/* Nothing stands behind the end, and yet the log went on. */
static void judge_hole_at_end(struct judging *x, uint32_t segment)
{
    if (x->offset == x->s->source->m.segment_bytes && segment + 1 < x->s->segments_count) {
        segment++;
        x->offset = 0;
    }
    judge_hole(x, segment, x->offset + DISK_BLOCK, x->j->known);
}

/* What cannot be read is never taken for an end. */
static bool judge_unreadable(const struct judging *x, uint32_t segment)
{
    for (uint32_t i = segment; i < x->s->segments_count; i++)
        if (x->s->segments[i].bad_last > (i == segment ? x->offset : 0))
            return true;
    return false;
}

static void judge_end_of_log(struct judging *x, uint32_t segment)
{
    struct judge *j = x->j;
    uint64_t highest = 0;
    if (!j->rotten) {
        j->next = x->number;
        j->previous = x->previous;
        j->segment = segment;
        j->offset = x->offset;
    }
    uint64_t blocks = judge_behind(x, segment, false, &highest);
    bool unreadable = judge_unreadable(x, segment);
    if (j->astray == 0 && j->known < x->number && highest <= j->known + JUDGE_DEPTH && !unreadable) {
        j->torn = blocks > 0;
        j->dropped = blocks;
        return;
    }
    judge_broken(x, segment);
    if (blocks > 0)
        judge_behind(x, segment, true, &highest);
    else if (segment < x->s->segments_count && j->known >= x->number)
        judge_hole_at_end(x, segment);
}

void judge_log(struct judge *j, const struct scan *s, const struct point *p)
{
    struct judging x = {.j = j, .s = s, .p = p, .number = 1, .previous = s->source->m.tail_hash};
    uint32_t listed = 0;
    *j = (struct judge){.known = max64(s->source->m.checkpoint_block, s->source->m.proven)};
    for (uint32_t i = 0; i < s->runs_count; i++)
        s->runs[i].taken = false;
    for (uint32_t i = 0; i < s->segments_count; i++) {
        judge_file(j, s, i);
        listed = s->segments[i].listed_first > 0 ? i + 1 : listed;
        j->known = max64(j->known, s->segments[i].listed_first);
    }
    for (uint32_t i = 0; i < s->runs_count; i++)
        j->epoch = s->runs[i].epoch > j->epoch ? s->runs[i].epoch : j->epoch;
    if (s->source->m.checkpoint_block > 0)
        x.number = x.previous = 0;
    for (uint32_t i = 0; i < listed; i++)
        judge_listed(&x, i, listed);
    struct point_segment left;
    if (p->loaded && p->block > 0 && (listed == 0 || judge_index_next(&x, &left)))
        judge_add(j, (struct judge_gap){.what = JUDGE_LIST});
    uint32_t segment = listed > 0 ? listed - 1 : 0;
    judge_tail(&x, &segment);
    judge_end_of_log(&x, segment);
}

void judge_close(struct judge *j)
{
    free(j->gaps);
    *j = (struct judge){0};
}
