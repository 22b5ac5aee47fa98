/* backup.c - the log as of one durable position, read while it goes on.
 *
 *   NONE --begin--> WANTED --all that was appended is durable, nobody rearranges segments--> RUNNING --end--> NONE
 *                                                                                                   |
 *                          a minute without a read, or segments get short --> LOST --end--> NONE <--+
 *
 * What is copied: the checkpoint that the manifest names, the segments of the log up to the position, and a manifest
 * made for the copy. All of it stands still: blocks up to the position are durable, and nothing behind the last of them
 * is copied, for a later block would say that more was durable than the copy has. The manifest proves the position, so
 * that a copy which was cut is refused.
 *
 * Meanwhile: a segment that has not been read is held, which keeps it where it would be recycled or cleaned; it counts
 * as used. The area of the checkpoint is held until it was read; the other one takes the next checkpoint, and the one
 * after that waits. A backup begins between two checkpoints and two runs of the cleaner, because who is under way has
 * already decided which segments he will set free. Where the log runs short of segments that a backup holds, the backup
 * is given up; the next one begins behind the checkpoint that sets them free. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "mark.h"
#include "must.h"

enum { BACKUP_PATIENCE_S = 60, BACKUP_AREAS = 2, BACKUP_AREA_LEAST = 128 * 1024 };
enum backup_read_state { BACKUP_READ_FREE, BACKUP_READING, BACKUP_READ_DONE };

/* Files: the two areas, the held one first; the segments; the manifest. */
static uint32_t backup_manifest_file(const struct journal *j)
{
    return BACKUP_AREAS + j->backup.segments;
}

static void backup_let_go(struct journal *j, uint16_t slot)
{
    j->segments.pool[slot].held = false;
    j->backup.let_go |= j->backup.in_the_way;
    j->clean.look = true; /* the cleaner has passed it by */
}

static void backup_release(struct journal *j, uint8_t state)
{
    struct backup *b = &j->backup;
    for (uint32_t i = 0; i < b->segments; i++)
        backup_let_go(j, b->slots[i]);
    b->segments = b->passed = 0;
    b->in_the_way = false;
    b->state = state;
}

bool backup_holds_area(const struct journal *j, uint32_t area)
{
    const struct backup *b = &j->backup;
    return b->state == BACKUP_RUNNING && b->area_bytes > 0 && b->passed == 0 && area == b->area;
}

/* Space is short, and the next checkpoint frees what an earlier backup held: it comes first, or a client that asks
 * again at once would keep it for ever. */
static bool backup_yields(const struct journal *j)
{
    return j->backup.let_go && journal_short(j);
}

bool backup_waits(const struct journal *j)
{
    return j->backup.state == BACKUP_WANTED && !backup_yields(j);
}

/* -- beginning -- */

/* Whoever changes which segments there are, and has decided how: a checkpoint, the cleaner. */
static bool backup_must_wait(const struct journal *j)
{
    uint8_t checkpoint = j->checkpoint.state, clean = j->clean.state;
    if (checkpoint != CHECKPOINT_IDLE && checkpoint != CHECKPOINT_PUBLISHING) {
        mark(backup_waits_for_checkpoint);
        return true;
    }
    if (clean != CLEAN_IDLE && clean != CLEAN_PUBLISHING) {
        mark(backup_waits_for_cleaner);
        return true;
    }
    return false;
}

/* Where the block behind the position begins, or would. */
static uint64_t backup_tail(const struct journal *j, uint32_t order)
{
    const struct segment *s = segment_at(j, order);
    uint64_t behind = j->backup.position + 1 - s->first;
    must(behind <= s->blocks);
#if LEAT_BUG == 60
    return j->segments.tail;
#endif
    if (behind < s->blocks)
        return s->index[behind] * (uint64_t)DISK_BLOCK;
    return order + 1 == j->segments.log_count ? j->segments.tail : j->segments.bytes;
}

static void backup_hold(struct journal *j)
{
    struct backup *b = &j->backup;
    uint32_t order = segment_find(j, b->position);
    must(order != SEGMENT_NONE);
    b->segments = order + 1;
    b->tail = backup_tail(j, order);
    for (uint32_t i = 0; i <= order; i++) {
        b->slots[i] = j->segments.order[i];
#if LEAT_BUG != 61
        segment_at(j, i)->held = true;
#endif
    }
}

static void backup_encode(struct journal *j)
{
    struct backup *b = &j->backup;
    struct manifest *m = &j->ledger.m; /* whose list is made anew for each version */
    uint64_t proven = m->proven;
    m->segments = b->segments;
    for (uint32_t i = 0; i < b->segments; i++) {
        const struct segment *s = &j->segments.pool[b->slots[i]];
        m->segment[i] = (struct manifest_segment){s->name, s->incarnation, s->first, s->keep};
    }
    m->proven = b->position;
    m->copied = 1;
    manifest_encode(b->manifest, m);
    m->proven = proven;
    m->copied = 0;
}

bool journal_backup_begin(struct journal *j)
{
    struct backup *b = &j->backup;
    must(j->life == JOURNAL_RUNNING);
    must(b->state == BACKUP_NONE || b->state == BACKUP_WANTED);
    if (b->state == BACKUP_NONE) {
        b->wanted = journal_appended(j);
        b->state = BACKUP_WANTED;
    }
    if (j->durable < b->wanted || j->durable == 0 || backup_yields(j) || backup_must_wait(j))
        return false;
    b->state = BACKUP_RUNNING;
    b->serial++;
    b->position = j->durable;
    b->area = j->ledger.m.checkpoint_area;
    b->area_bytes = j->ledger.m.checkpoint_block > 0 ? j->ledger.m.checkpoint_bytes : 0;
    b->heard = j->now;
    backup_hold(j);
    backup_encode(j);
    j->counters.backups++;
    return true;
}

bool journal_backup_running(const struct journal *j)
{
    return j->backup.state == BACKUP_RUNNING;
}

struct journal_backup journal_backup(const struct journal *j)
{
    const struct backup *b = &j->backup;
    must(b->state == BACKUP_RUNNING);
    struct journal_backup out = {.cluster = j->ledger.m.cluster,
                                 .epoch = j->epoch,
                                 .position = b->position,
                                 .files = backup_manifest_file(j) + 1};
    for (uint32_t i = 0; i < out.files; i++)
        out.bytes += journal_backup_file(j, i).bytes;
    return out;
}

struct journal_backup_file journal_backup_file(const struct journal *j, uint32_t i)
{
    const struct backup *b = &j->backup;
    struct journal_backup_file f = {0};
    must(i <= backup_manifest_file(j));
    if (i == backup_manifest_file(j)) {
        snprintf(f.name, sizeof f.name, "manifest");
        f.bytes = f.size = 2 * MANIFEST_BYTES;
    } else if (i < BACKUP_AREAS) {
        snprintf(f.name, sizeof f.name, "checkpoint-%u", i == 0 ? b->area : 1 - b->area);
        f.bytes = i == 0 ? b->area_bytes : 0;
        f.size = f.bytes > BACKUP_AREA_LEAST ? f.bytes : BACKUP_AREA_LEAST;
    } else {
        segment_name(f.name, j->segments.pool[b->slots[i - BACKUP_AREAS]].name);
        f.bytes = i + 1 == backup_manifest_file(j) ? b->tail : j->segments.bytes;
        f.size = j->segments.bytes;
    }
    return f;
}

/* -- reading -- */

/* All before this one are let go. */
static void backup_pass(struct journal *j, uint32_t file)
{
    struct backup *b = &j->backup;
    for (; b->passed < file; b->passed++) {
        if (b->passed >= BACKUP_AREAS)
            backup_let_go(j, b->slots[b->passed - BACKUP_AREAS]);
        b->in_the_way = false; /* until it is noticed again */
    }
}

static struct backup_read *backup_free_read(struct journal *j)
{
    for (uint32_t i = 0; i < LOG_BACKUP_READS; i++)
        if (j->backup.reads[i].state == BACKUP_READ_FREE)
            return &j->backup.reads[i];
    return NULL;
}

/* The manifest is in memory: both copies are the same. */
static void backup_read_manifest(const struct journal *j, uint64_t offset, uint32_t size, uint8_t *data)
{
    for (uint32_t at = 0; at < size; at += DISK_BLOCK)
        memcpy(data + at, j->backup.manifest + (offset + at) % MANIFEST_BYTES, DISK_BLOCK);
}

static bool backup_start_read(struct journal *j, const struct backup_read *r, uint64_t offset, uint8_t *data)
{
    const struct backup *b = &j->backup;
    struct disk_op op = {.kind = DISK_READ, .offset = offset, .data = data, .size = r->size};
    op.file =
        r->file < BACKUP_AREAS ? j->checkpoint.files[b->area] : j->segments.pool[b->slots[r->file - BACKUP_AREAS]].file;
    op.tag = log_tag(LOG_BACKUP_READ, (uint64_t)(r - b->reads));
    return disk_submit(j->disk, &op);
}

enum leat_status journal_backup_read(struct journal *j, uint32_t file, uint64_t offset, uint32_t size, uint8_t *data,
                                     uint64_t tag)
{
    struct backup *b = &j->backup;
    if (b->state != BACKUP_RUNNING)
        return LEAT_BACKUP_LOST;
    if (file < b->passed || file > backup_manifest_file(j) || size == 0 || size > JOURNAL_BACKUP_READ ||
        size % DISK_BLOCK != 0 || offset % DISK_BLOCK != 0)
        return LEAT_BAD_VALUE;
    uint64_t bytes = journal_backup_file(j, file).bytes;
    if (offset > bytes || size > bytes - offset)
        return LEAT_BAD_VALUE;
    struct backup_read *r = backup_free_read(j);
    if (!r)
        return LEAT_OVERLOADED;
    *r = (struct backup_read){.file = file, .size = size, .tag = tag, .serial = b->serial};
    if (file == backup_manifest_file(j)) {
        backup_read_manifest(j, offset, size, data);
        r->state = BACKUP_READ_DONE;
    } else if (backup_start_read(j, r, offset, data)) {
        r->state = BACKUP_READING;
    } else {
        return LEAT_OVERLOADED;
    }
    backup_pass(j, file);
    b->heard = j->now;
    j->counters.backup_bytes += size;
    return LEAT_OK;
}

/* Bytes of a file that was let go meanwhile may be of another life of it. */
void backup_completed(struct journal *j, uint32_t slot, int32_t result)
{
    struct backup *b = &j->backup;
    must(slot < LOG_BACKUP_READS);
    struct backup_read *r = &b->reads[slot];
    must(r->state == BACKUP_READING);
    r->state = BACKUP_READ_DONE;
    if (b->state != BACKUP_RUNNING || r->serial != b->serial || r->file < b->passed)
        r->status = LEAT_BACKUP_LOST;
    else if (result != (int32_t)r->size)
        r->status = LEAT_DISK_ERROR;
}

bool journal_backup_read_done(struct journal *j, uint64_t *tag, enum leat_status *status)
{
    for (uint32_t i = 0; i < LOG_BACKUP_READS; i++) {
        struct backup_read *r = &j->backup.reads[i];
        if (r->state != BACKUP_READ_DONE)
            continue;
        *tag = r->tag;
        *status = (enum leat_status)r->status;
        r->state = BACKUP_READ_FREE;
        return true;
    }
    return false;
}

bool backup_idle(const struct journal *j)
{
    for (uint32_t i = 0; i < LOG_BACKUP_READS; i++)
        if (j->backup.reads[i].state == BACKUP_READING)
            return false;
    return true;
}

/* -- the end -- */

void journal_backup_end(struct journal *j)
{
    backup_release(j, BACKUP_NONE);
}

static struct instant backup_due(const struct journal *j)
{
    return instant_add(j->backup.heard, duration_s(BACKUP_PATIENCE_S));
}

/* A segment could be recycled without it, or a checkpoint be taken that might set some free. */
static bool backup_in_the_way(const struct journal *j)
{
    return j->backup.in_the_way || (j->tail_bytes > 0 && backup_holds_area(j, checkpoint_next_area(j)));
}

unsigned backup_step(struct journal *j)
{
    struct backup *b = &j->backup;
    if (b->state != BACKUP_RUNNING)
        return 0;
    if (backup_in_the_way(j) && journal_short(j))
        mark(backup_gives_way);
    else if (!instant_before(j->now, backup_due(j)))
        mark(backup_stalled);
    else
        return 0;
    backup_release(j, BACKUP_LOST);
    j->counters.backups_lost++;
    return 1;
}

struct instant backup_next_due(const struct journal *j)
{
    return j->backup.state == BACKUP_RUNNING ? backup_due(j) : INSTANT_NEVER;
}
