/* salvage.c - the order of the steps, and the report.
 *
 *   base, prefix, what is behind, what is lost  --> only reading
 *   marker, new blocks                          --> beside the old directory
 *   the manifest                                --> true from here on
 *   old files aside, marker removed             --> done again when it was cut short
 *
 * The marker is a file named "salvaging" with the number of the first new segment and the start whose blocks they hold:
 * what a salvage that was cut short has made from there on, and no manifest lists, is removed first. Without a manifest
 * nothing is: blocks of that start are put aside, and whatever else is there may be all that is left of the log. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "byteorder.h"
#include "mark.h"
#include "salvage_state.h"

enum { SALVAGE_TOLD = 1000 };
static const char salvage_marker[] = MANIFEST_SALVAGING;

/* -- the marker -- */

static enum leat_status salvage_mark(struct salvage *s, char error[SOURCE_ERROR])
{
    uint8_t *page = aligned_alloc(DISK_BLOCK, DISK_BLOCK);
    int file = page ? disk_create(s->disk, salvage_marker, DISK_BLOCK) : -ENOMEM;
    bool written = false;
    if (file >= 0) {
        memset(page, 0, DISK_BLOCK);
        memcpy(page, "leat slv", 8);
        le32_put(page + 8, s->first_new);
        le32_put(page + 12, s->epoch);
        struct disk_op write = {.kind = DISK_WRITE, .file = (uint32_t)file, .data = page, .size = DISK_BLOCK};
        struct disk_op flush = {.kind = DISK_FLUSH, .file = (uint32_t)file};
        written = source_do(s->disk, &write) == DISK_BLOCK && source_do(s->disk, &flush) == 0 &&
                  disk_sync_directory(s->disk) == 0;
        disk_close(s->disk, (uint32_t)file);
    }
    free(page);
    if (written)
        return LEAT_OK;
    return source_say(file == -ENOSPC ? LEAT_NO_SPACE : LEAT_DISK_ERROR, error, "cannot write the file %s: %s",
                      salvage_marker, file < 0 ? strerror(-file) : "the disk has failed");
}

struct salvage_marked {
    uint32_t first, epoch;
};

/* False: there is no marker. One that is not whole was never followed by a segment. */
static bool salvage_marked(struct salvage *s, struct salvage_marked *m)
{
    char error[SOURCE_ERROR];
    uint64_t available;
    *m = (struct salvage_marked){.first = UINT32_MAX};
    if (source_file(&s->source, salvage_marker, error) != LEAT_OK)
        return false;
    if (s->source.size >= DISK_BLOCK) {
        const uint8_t *p = source_at(&s->source, 0, DISK_BLOCK, &available);
        if (memcmp(p, "leat slv", 8) == 0)
            *m = (struct salvage_marked){.first = le32_get(p + 8), .epoch = le32_get(p + 12)};
    }
    source_leave(&s->source);
    return true;
}

/* Whether an earlier salvage has made the segment, and no manifest lists it. */
static bool salvage_is_left(struct salvage *s, const struct salvage_marked *m, const char *name)
{
    char error[SOURCE_ERROR];
    uint64_t available;
    uint32_t number = source_segment_number(name);
    if (number == 0 || number < m->first)
        return false;
    for (uint32_t k = 0; k < s->source.m.segments && s->source.manifest == LEAT_OK; k++)
        if (s->source.m.segment[k].file == number)
            return false;
    if (s->source.manifest == LEAT_OK)
        return true;
    bool ours = false;
    if (source_file(&s->source, name, error) == LEAT_OK && s->source.size >= DISK_BLOCK) {
        const uint8_t *p = source_at(&s->source, 0, DISK_BLOCK, &available);
        ours = memcmp(p, "leat blk", 8) == 0 && le32_get(p + 48) == m->epoch;
    }
    source_leave(&s->source);
    return ours;
}

/* What an earlier salvage has begun and not made true goes out of the way. */
static enum leat_status salvage_sweep(struct salvage *s, char error[SOURCE_ERROR])
{
    char name[DISK_NAME_MAX];
    struct salvage_marked m;
    if (s->source.manifest == LEAT_TOO_NEW || s->source.unfinished || !salvage_marked(s, &m))
        return LEAT_OK;
    mark(salvage_again);
    s->epoch = m.epoch; /* in the names of files put aside */
    for (bool moved = true; moved;) {
        moved = false;
        for (unsigned i = 0; !moved && disk_list(s->disk, i, name); i++)
            moved = salvage_is_left(s, &m, name);
        int rc = !moved ? 0 : s->source.manifest == LEAT_OK ? disk_remove(s->disk, name) : salvage_write_aside(s, name);
        if (rc < 0)
            return source_say(LEAT_DISK_ERROR, error, "cannot remove %s: %s", name, strerror(-rc));
    }
    s->files = true;
    return LEAT_OK;
}

/* -- is there anything to do? -- */

static bool salvage_extra_files(struct salvage *s)
{
    char name[DISK_NAME_MAX];
    for (unsigned i = 0; disk_list(s->disk, i, name); i++) {
        uint32_t number = source_segment_number(name);
        bool listed = number == 0;
        for (uint32_t k = 0; k < s->scan.segments_count && !listed; k++)
            listed = s->scan.segments[k].number == number;
        if (!listed && !source_blank(&s->source, name))
            return true; /* an empty one was made ahead: a start removes it */
    }
    return false;
}

static bool salvage_missing_area(struct salvage *s)
{
    for (unsigned i = 0; i < 2; i++) {
        char name[DISK_NAME_MAX], why[SOURCE_ERROR];
        snprintf(name, sizeof name, "checkpoint-%u", i);
        enum leat_status status = source_file(&s->source, name, why);
        source_leave(&s->source);
        if (status != LEAT_OK)
            return true;
    }
    return false;
}

/* A dead message cannot be taken out of its queue: it stays, unreadable, until the queue is dropped. */
static uint64_t salvage_lost_and_dead(const struct salvage *s)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < s->engine->slots.used; i++) {
        const struct message *m = engine_message_at(s->engine, i);
        count += m->state == MESSAGE_DEAD && salvage_gather_has(&s->lost, m->lsn);
    }
    return count;
}

static bool salvage_needed(struct salvage *s)
{
    const struct judge *j = &s->judge;
    bool needed = s->manifest_made || s->base_changed || j->rotten || s->files ||
                  s->lost.count > salvage_lost_and_dead(s) || s->source.manifest_bytes < 2 * MANIFEST_BYTES;
    for (uint32_t i = 0; i < s->scan.segments_count; i++)
        needed |= s->scan.segments[i].kept_broken || s->scan.segments[i].newer || scan_headless(&s->scan, i);
    for (uint32_t i = 0; i < j->count; i++)
        needed |= j->gaps[i].what == JUDGE_MISSING || j->gaps[i].what == JUDGE_CUT || j->gaps[i].what == JUDGE_LIST;
    return salvage_extra_files(s) || salvage_missing_area(s) || needed;
}

/* -- the report -- */

static void salvage_say_damage(struct salvage *s)
{
    FILE *out = s->o->out;
    const struct judge *j = &s->judge;
    if (s->manifest_made)
        fputs("given up: the manifest. A new one was made from what segments and checkpoints say of themselves; the "
              "key of "
              "receipts is lost, so every receipt of before is refused\n",
              out);
    if (s->base_changed && s->source.m.checkpoint_block == 0 && j->next == 1)
        fputs(
            "given up: the state of the queues. No checkpoint is whole: every whole message that the log does not show "
            "to be acknowledged comes again\n",
            out);
    for (uint32_t i = 0; i < j->count; i++) {
        const struct judge_gap *g = &j->gaps[i];
        if (g->segment >= s->scan.segments_count)
            continue;
        fprintf(out, "given up: log-%08u, bytes %" PRIu64 "..%" PRIu64, s->scan.segments[g->segment].number, g->from,
                g->end ? g->end - 1 : 0);
        if (g->last > 0)
            fprintf(out, ": blocks %" PRIu64 "..%" PRIu64 " are %s\n", g->first, g->last, judge_words(g->what));
        else
            fprintf(out, ": %s\n", judge_words(g->what));
    }
}

static void salvage_say_lost(struct salvage *s, const struct salvage_lsns *l, const char *why)
{
    for (uint64_t i = 0; i < l->count && i < SALVAGE_TOLD; i++) {
        struct lsn lsn = {l->n[i]};
        fprintf(s->o->out, "lost: the message of block %" PRIu64 ", fact %u: %s\n", lsn_block(lsn), lsn_index(lsn),
                why);
    }
    if (l->count > SALVAGE_TOLD)
        fprintf(s->o->out, "lost: and %" PRIu64 " messages more\n", l->count - SALVAGE_TOLD);
}

static void salvage_say_counts(const struct salvage *s)
{
    FILE *out = s->o->out;
    const struct salvage_counts *c = &s->count;
    fprintf(out, "kept: the state from %s, and %" PRIu64 " blocks behind it: %" PRIu64 " messages\n", s->base,
            c->prefix_blocks, c->prefix_messages - c->lost);
    if (s->judge.rotten)
        fprintf(out,
                "saved behind the damage: %" PRIu64 " blocks; of %" PRIu64 " messages put there, %" PRIu64
                " were gone already, %" PRIu64 " come anew with new ids\n",
                c->behind_blocks, c->puts, c->puts_gone, c->puts - c->puts_gone - c->puts_damaged);
    if (c->acks_kept > 0)
        fprintf(out, "%" PRIu64 " messages were acknowledged behind the damage: they stay gone\n", c->acks_kept);
    if (c->acks_unknown > 0)
        fprintf(out,
                "given up: %" PRIu64
                " acknowledgements behind the damage are of messages that were taken inside it: those "
                "messages may come again\n",
                c->acks_unknown);
    if (c->acks_forgotten > 0)
        fprintf(out,
                "given up: %" PRIu64
                " acknowledgements could not be repeated, for leases_max is too small: those messages "
                "come again\n",
                c->acks_forgotten);
    if (s->judge.rotten)
        fputs("given up: what else stood in the damaged blocks. Messages put there are lost, and messages acknowledged "
              "there may come again\n",
              out);
    if (c->leases > 0)
        fprintf(out, "%" PRIu64 " leases ended: their messages are ready again, their receipts are stale\n", c->leases);
    if (c->sessions > 0)
        fprintf(out, "%" PRIu64 " sessions ended: what their clients ask again has an unknown outcome\n", c->sessions);
    if (c->queues_dropped > 0)
        fprintf(out, "%" PRIu64 " queues were dropped behind the damage, and are\n", c->queues_dropped);
    if (c->queues_kept > 0)
        fprintf(out, "%" PRIu64 " queues that were dropped stay: they are dead-letter queues of others\n",
                c->queues_kept);
    if (c->lost_stay > 0)
        fprintf(out, "%" PRIu64 " dead messages cannot be read; they stay until their queue is dropped\n",
                c->lost_stay);
}

/* -- all of it -- */

static enum leat_status salvage_write(struct salvage *s, char error[SOURCE_ERROR])
{
    enum leat_status status = salvage_write_begin(s, error);
    if (status == LEAT_OK)
        status = salvage_mark(s, error);
    if (status == LEAT_OK)
        status = salvage_keep_again(s, error);
    if (status == LEAT_OK)
        status = salvage_close_gap(s, error);
    if (status == LEAT_OK)
        status = salvage_write_end(s, error);
    if (status == LEAT_OK)
        status = salvage_write_tidy(s, error);
    if (status == LEAT_OK && (disk_remove(s->disk, salvage_marker) < 0 || disk_sync_directory(s->disk) < 0))
        status = source_say(LEAT_DISK_ERROR, error, "cannot remove the file %s", salvage_marker);
    return status;
}

/* As at a start (shard.c). */
static enum leat_status salvage_capacities(const struct salvage *s, char error[SOURCE_ERROR])
{
    struct engine_capacity was;
    uint32_t sessions;
    if (s->source.manifest != LEAT_OK || s->source.m.blob_size == 0)
        return LEAT_OK;
    enum leat_status status = point_capacity(&s->source, &was, &sessions, error);
    if (status == LEAT_OK)
        status = engine_capacity_holds(&was, &s->o->engine, error);
    if (status == LEAT_OK && s->o->sessions < sessions)
        status = engine_capacity_say("sessions_max", sessions, error);
    return status;
}

static enum leat_status salvage_all(struct salvage *s, char error[SOURCE_ERROR])
{
    enum leat_status status = salvage_capacities(s, error);
    if (status == LEAT_OK)
        status = salvage_sweep(s, error);
    if (status == LEAT_OK)
        status = salvage_base_find(s, error);
    if (status == LEAT_OK)
        status = salvage_base_replay(s, error);
    if (status == LEAT_OK)
        status = salvage_gather_behind(s, error);
    if (status == LEAT_OK)
        status = salvage_gather_lost(s, error);
    if (status != LEAT_OK)
        return status;
    if (!salvage_needed(s))
        return source_say(LEAT_EMPTY, error, "there is nothing to salvage in %s: a start needs no help", s->o->path);
    s->epoch = (s->source.m.epoch > s->judge.epoch ? s->source.m.epoch : s->judge.epoch) + 1;
    salvage_say_damage(s);
    salvage_say_lost(s, &s->lost, "its block is damaged");
    salvage_say_lost(s, &s->hole, "it was put in a damaged block, and not acknowledged behind it");
    status = salvage_write(s, error);
    if (status != LEAT_OK)
        return status;
    salvage_say_counts(s);
    mark(salvaged);
    return LEAT_OK;
}

/* -- opening and closing -- */

static enum leat_status salvage_make(struct salvage **out, struct disk *d, const struct salvage_options *o,
                                     char error[SOURCE_ERROR])
{
    struct salvage *s = calloc(1, sizeof *s);
    if (!s)
        return source_say(LEAT_NO_MEMORY, error, "no memory");
    s->o = o;
    s->disk = d;
    s->file = -1;
    enum leat_status status = source_open(&s->source, d, error);
    if (status == LEAT_OK)
        *out = s;
    else
        free(s);
    return status;
}

static void salvage_free(struct salvage *s)
{
    source_close(&s->source);
    if (s->file >= 0)
        disk_close(s->disk, (uint32_t)s->file);
    judge_close(&s->judge);
    scan_close(&s->scan);
    follow_close(&s->follow);
    point_close(&s->point);
    free(s->found);
    free(s->puts);
    free(s->queues);
    free(s->current);
    free(s->gone.n);
    free(s->hole.n);
    free(s->lost.n);
    free(s->next);
    free(s->block);
    free(s);
}

/* What was written, read again as if it came from elsewhere: is anything left to salvage? */
static enum leat_status salvage_prove(struct disk *d, const struct salvage_options *o, char error[SOURCE_ERROR])
{
    struct salvage *s;
    enum leat_status status = salvage_make(&s, d, o, error);
    if (status != LEAT_OK)
        return status;
    status = salvage_base_find(s, error);
    if (status == LEAT_OK)
        status = salvage_base_replay(s, error);
    if (status == LEAT_OK && salvage_needed(s))
        status = source_say(LEAT_CORRUPT, error,
                            "what the salvage has written is not sound: the files put aside hold "
                            "all that there was before");
    salvage_free(s);
    return status;
}

enum leat_status salvage_run(struct disk *d, const struct salvage_options *o, char error[SOURCE_ERROR])
{
    struct salvage *s;
    enum leat_status status = salvage_make(&s, d, o, error);
    if (status != LEAT_OK)
        return status;
    status = salvage_all(s, error);
    salvage_free(s);
    if (status == LEAT_OK)
        status = salvage_prove(d, o, error);
    if (status == LEAT_OK)
        fprintf(o->out, "%s starts again\n", o->path);
    return status;
}
