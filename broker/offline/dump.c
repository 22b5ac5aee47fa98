/* dump.c - one pass over the segments; a look at the whole at the end. */
#include "dump.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "judge.h"
#include "tell.h"

struct dump {
    const struct dump_options *o;
    struct source source;
    struct point point;
    struct scan scan;
    struct judge judge;
    struct follow follow;
    struct tell tell;
    uint64_t next; /* block that is due, or 0 */
    bool behind;   /* the checkpoint's position was passed */
    bool named;    /* a queue of the name that is asked for was met */
};

static bool dump_is_named(const struct dump *d, uint32_t queue)
{
    return strcmp(follow_name(&d->follow, queue), d->o->queue) == 0;
}

/* The names that the checkpoint knows: for facts before it, and for a queue that no fact of the log is about. */
static void dump_names(struct dump *d)
{
    const struct engine *e = &d->point.engine;
    follow_names(&d->follow, e);
    for (uint32_t i = 0; i < e->queues.used && d->o->queue && !d->named; i++)
        d->named = engine_queue_at(e, i)->state != QUEUE_FREE && dump_is_named(d, i);
}

static void dump_fact(struct dump *d, const struct scan_block *b, const struct fact *fact)
{
    struct tell_place place = {.epoch = b->kept ? fact->put.epoch : b->r.epoch, .cell = d->o->cell};
    place.message = follow_fact(&d->follow, fact, &place.queue);
    bool inside = b->r.number >= d->o->from && (d->o->to == 0 || b->r.number <= d->o->to);
    bool named = d->o->queue && place.queue != SLAB_NONE && dump_is_named(d, place.queue);
    d->named |= named;
    if (inside && (named || !d->o->queue))
        tell_fact(&d->tell, fact, &place);
}

static void dump_block(void *context, const struct scan_block *b)
{
    struct dump *d = context;
    uint32_t at = 0;
    if (d->next != 0 && !b->kept && b->r.number != d->next)
        fprintf(d->o->notes, "# blocks %" PRIu64 "..%" PRIu64 " are not there\n", d->next, b->r.number - 1);
    d->next = b->kept ? 0 : b->r.number + 1;
    if (!d->behind && d->point.loaded && b->r.number > d->point.block) {
        d->behind = true;
        follow_point(&d->follow, &d->point.engine);
    }
    for (uint32_t i = 0; i < b->r.facts; i++) {
        struct fact fact;
        struct lsn lsn = lsn_make(b->r.number, b->index + i);
        if (fact_decode(&fact, b->payload + at, b->r.payload_size - at, lsn, false) != LEAT_OK) {
            fprintf(d->o->notes, "# fact %" PRIu64 ".%u and those behind it in its block cannot be read\n", b->r.number,
                    i);
            return;
        }
        dump_fact(d, b, &fact);
        at += fact_size(&fact);
    }
}

static void dump_notes(struct dump *d)
{
    const struct judge *j = &d->judge;
    judge_log(&d->judge, &d->scan, &d->point);
    for (uint32_t i = 0; i < j->count; i++) {
        const struct judge_gap *g = &j->gaps[i];
        fprintf(d->o->notes, "# log-%08u, bytes %" PRIu64 "..%" PRIu64 ": %s (leat fsck says more)\n",
                g->segment < d->scan.segments_count ? d->scan.segments[g->segment].number : 0, g->from,
                g->end ? g->end - 1 : 0, judge_words(g->what));
    }
    if (j->torn)
        fprintf(d->o->notes,
                "# the tail is torn: the log ends before block %" PRIu64 "; what stands behind is dropped\n", j->next);
    else
        fprintf(d->o->notes, "# the log ends before block %" PRIu64 "\n", j->next);
}

static enum leat_status dump_all(struct dump *d, char error[SOURCE_ERROR])
{
    struct engine_capacity capacity;
    uint32_t sessions;
    enum leat_status status = point_load(&d->point, &d->source, error);
    bool whole = status == LEAT_OK;
    if (status == LEAT_CORRUPT)
        fprintf(d->o->notes, "# the checkpoint cannot be read: %s\n", error);
    else if (status != LEAT_OK)
        return status;
    status = point_capacity(&d->source, &capacity, &sessions, error);
    if (status == LEAT_OK && follow_open(&d->follow, &capacity) != LEAT_OK)
        status = source_say(LEAT_NO_MEMORY, error, "no memory for the capacities that the manifest names");
    if (status != LEAT_OK)
        return status;
    if (d->point.loaded)
        dump_names(d);
    status = scan_open(&d->scan, &d->source, error);
    for (uint32_t i = 0; i < d->scan.segments_count && status == LEAT_OK && !ferror(d->o->out); i++)
        status = scan_read(&d->scan, i, dump_block, d, error);
    if (status != LEAT_OK)
        return status;
    dump_notes(d);
    if (!whole || d->judge.count > 0)
        return source_say(LEAT_CORRUPT, error, "what is damaged is left out (leat fsck says more)");
    return LEAT_OK;
}

/* An empty directory has no queue, either. */
static enum leat_status dump_queue(const struct dump *d, char error[SOURCE_ERROR])
{
    if (!d->o->queue || d->named || ferror(d->o->out))
        return LEAT_OK;
    return source_say(LEAT_NO_QUEUE, error, "neither log nor checkpoint know a queue '%.80s'", d->o->queue);
}

enum leat_status dump_run(struct disk *disk, const struct dump_options *o, char error[SOURCE_ERROR])
{
    struct dump *d = calloc(1, sizeof *d);
    if (!d)
        return source_say(LEAT_NO_MEMORY, error, "no memory");
    d->o = o;
    d->tell = (struct tell){.out = o->out, .json = o->json, .bodies = o->bodies, .follow = &d->follow};
    enum leat_status status = source_open(&d->source, disk, error);
    if (status == LEAT_OK) {
        status = source_needs_manifest(&d->source, error);
        if (status == LEAT_OK)
            status = dump_all(d, error);
        else if (status == LEAT_EMPTY)
            fprintf(o->notes, "# %s\n", error);
    }
    if (status == LEAT_OK || status == LEAT_EMPTY)
        status = dump_queue(d, error);
    judge_close(&d->judge);
    scan_close(&d->scan);
    follow_close(&d->follow);
    point_close(&d->point);
    source_close(&d->source);
    free(d);
    return status;
}
