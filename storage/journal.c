/* journal.c - the journal's door: the open block, the step, the watermarks.
 *
 * A fact is reserved, written in place by the caller and committed; it never moves again: the open block lies where it
 * will be written from and read back from (hot.c). Only journal_step() hears completions, so that between two steps
 * nothing disappears and watermarks stand still. */
#include <stdlib.h>
#include <string.h>

#include "chunk.h"
#include "log.h"
#include "mark.h"
#include "must.h"
#include "recover.h"

enum { JOURNAL_MAGIC = 0x6c6e726a, JOURNAL_FACTS_MAX = 65535, JOURNAL_REAP = 4, JOURNAL_TOGETHER_MAX = 4096 };

void journal_fail(struct journal *j, enum leat_status status)
{
    if (j->error == LEAT_OK)
        j->error = status;
}

/* -- appending -- */

static uint8_t *journal_refuse(struct journal *j, enum leat_status status)
{
    j->refusal = status;
    return NULL;
}

/* Whether `need` more bytes, in so many facts, fit into the open block. */
static bool journal_fits(const struct journal *j, uint32_t need, uint32_t facts, uint32_t kept)
{
    const struct open_block *o = &j->open;
    return o->facts + facts <= JOURNAL_FACTS_MAX && (uint64_t)RECORD_HEADER + o->payload + need + kept <= j->block_max;
}

/* A block as large as the open one would become must have a place, so that it can be sealed at any time. */
static bool journal_has_place(struct journal *j, enum journal_purpose purpose, uint32_t need)
{
    uint32_t size = record_disk_size(j->open.payload + need);
    bool last = purpose != JOURNAL_START && segment_free(j) == 0;
    if (segment_room(j, last ? size + LOG_START_BYTES : size))
        return true;
    mark(journal_without_segment);
    return false;
}

uint8_t *journal_reserve(struct journal *j, enum journal_purpose purpose, uint32_t size, uint32_t together,
                         struct lsn *lsn, uint32_t *place)
{
    struct open_block *o = &j->open;
    uint32_t need = together > size ? together : size;
    uint32_t kept = purpose >= JOURNAL_ACK ? 0 : j->config.ack_reserve;
    must(j->life == JOURNAL_RUNNING);
    must(size > 0 && size % 8 == 0);
    if (j->error != LEAT_OK)
        return journal_refuse(j, j->error);
    if ((uint64_t)RECORD_HEADER + need + kept > j->block_max)
        return journal_refuse(j, LEAT_TOO_LARGE);
    if (segment_refuses(j, purpose)) {
        mark(journal_no_space);
        return journal_refuse(j, LEAT_NO_SPACE);
    }
    if (o->number != 0 && !journal_fits(j, need, together > size ? JOURNAL_TOGETHER_MAX : 1, kept)) {
        o->full = true;
        if (!flight_launch(j))
            return journal_refuse(j, LEAT_OVERLOADED);
        if (segment_refuses(j, purpose))
            return journal_refuse(j, LEAT_NO_SPACE); /* that block has taken the room */
    }
    if (o->number == 0 && !hot_open(j))
        return journal_refuse(j, LEAT_OVERLOADED);
    if (!journal_has_place(j, purpose, need))
        return journal_refuse(j, segment_coming(j) || (purpose == JOURNAL_ACK && segment_dying(j)) ? LEAT_OVERLOADED
                                                                                                   : LEAT_NO_SPACE);
    o->reserved = size;
    *lsn = lsn_make(o->number, o->facts);
    *place = RECORD_HEADER + o->payload;
    return o->bytes + *place;
}

enum leat_status journal_refusal(const struct journal *j)
{
    return j->refusal;
}

void journal_commit(struct journal *j, uint32_t size, bool waited, struct instant now)
{
    struct open_block *o = &j->open;
    must(size > 0 && size % 8 == 0);
    must(size <= o->reserved);
    if (o->facts == 0)
        o->since = now;
    o->payload += size;
    o->facts++;
    o->reserved = 0;
    o->waited |= waited;
}

/* -- the step -- */

static void journal_completed(struct journal *j, const struct disk_done *done)
{
    enum log_tag kind = (enum log_tag)(done->tag >> 56);
    uint32_t index = (uint32_t)done->tag;
    switch (kind) {
    case LOG_WRITE:
        flight_written(j, index, done->result);
        break;
    case LOG_FLUSH:
        flight_flushed(j, index, done->result);
        break;
    case LOG_MANIFEST:
    case LOG_MANIFEST_FLUSH:
        ledger_completed(j, kind, done->result);
        break;
    case LOG_READ:
        fetch_completed(j, index, done->result);
        break;
    case LOG_CHUNK_WRITE:
    case LOG_CHUNK_FLUSH:
        checkpoint_completed(j, kind, index, done->result);
        break;
    case LOG_CREATE:
        if (j->segments.creating == CREATING_AREA)
            checkpoint_grown(j, done->result);
        else
            segment_created(j, done->result);
        break;
    case LOG_ERASE:
    case LOG_ERASE_FLUSH:
        segment_erased(j, kind, done->result);
        break;
    case LOG_BACKUP_READ:
        backup_completed(j, index, done->result);
        break;
    case LOG_CLEAN:
        clean_completed(j, done->result);
        break;
    case LOG_BLOCKING:
        must(false);
        break;
    }
}

static unsigned journal_reap(struct journal *j)
{
    struct disk_done done[JOURNAL_REAP]; /* few: the compiler clears them on every idle step */
    unsigned n, sum = 0;
    do {
        n = disk_reap(j->disk, done, JOURNAL_REAP);
        for (unsigned i = 0; i < n; i++)
            journal_completed(j, &done[i]);
        sum += n;
    } while (n == JOURNAL_REAP);
    return sum;
}

unsigned journal_step(struct journal *j, struct instant now)
{
    must(j->magic == JOURNAL_MAGIC);
    must(j->life == JOURNAL_RUNNING);
    j->now = now;
    unsigned n = journal_reap(j);
    if (j->error == LEAT_OK) {
        n += flight_step(j);
        n += checkpoint_step(j);
        n += fetch_step(j);
        n += clean_step(j);
        n += segment_step(j);
        n += ledger_step(j);
        n += backup_step(j);
    }
    hot_step(j);
    return n;
}

struct instant journal_next_due(const struct journal *j)
{
    if (j->error != LEAT_OK)
        return INSTANT_NEVER;
    struct instant due = instant_min(flight_next_due(j), instant_min(segment_next_due(j), clean_next_due(j)));
    due = instant_min(due, backup_next_due(j));
    /* A checkpoint that had to be given up is asked for again then. */
    return instant_before(j->now, j->checkpoint.retry) ? instant_min(due, j->checkpoint.retry) : due;
}

/* -- what is known -- */

uint64_t journal_appended(const struct journal *j)
{
    return j->open.facts > 0 ? j->open.number : j->sealed;
}

uint64_t journal_durable(const struct journal *j)
{
#if LEAT_BUG == 10
    return j->durable + (j->flying > 0);
#endif
    return j->durable;
}

enum leat_status journal_error(const struct journal *j)
{
    return j->error;
}

uint32_t journal_epoch(const struct journal *j)
{
    return j->epoch;
}

uint64_t journal_tail_bytes(const struct journal *j)
{
    return j->tail_bytes;
}

uint32_t journal_blob(const struct journal *j, uint8_t blob[JOURNAL_BLOB])
{
    memcpy(blob, j->ledger.m.blob, j->ledger.m.blob_size);
    return j->ledger.m.blob_size;
}

void journal_set_blob(struct journal *j, const uint8_t *blob, uint32_t size)
{
    must(size <= JOURNAL_BLOB);
    memcpy(j->ledger.m.blob, blob, size);
    j->ledger.m.blob_size = size;
    if (j->life == JOURNAL_RUNNING)
        ledger_change(j);
}

struct journal_counters journal_counters(const struct journal *j)
{
    struct journal_counters c = j->counters;
    c.segments = segment_count(j);
    c.segment_bytes = j->segments.bytes;
    c.free_segments = segment_free(j);
    c.disk_bytes =
        c.segments * j->segments.bytes + j->checkpoint.sizes[0] + j->checkpoint.sizes[1] + 2 * MANIFEST_BYTES;
    c.live = j->open.pins;
    c.live_bytes = j->open.live;
    for (uint32_t i = 0; i < j->segments.log_count; i++) {
        const struct segment *s = segment_at(j, i);
        c.keep_segments += s->keep;
        c.live += s->pins;
        c.live_bytes += s->live;
        bool settled = i + 1 < j->segments.log_count && segment_last(s) < j->ledger.m.checkpoint_block && s->pins > 0;
        c.settled += settled;
        c.settled_live += settled ? s->pins : 0;
        c.settled_bytes += settled ? s->live : 0;
    }
    return c;
}

bool journal_idle(const struct journal *j)
{
    return j->flying == 0 && j->open.facts == 0 && j->checkpoint.state == CHECKPOINT_IDLE && ledger_idle(j) &&
           j->segments.creating == CREATING_NOTHING && j->segments.trim == TRIM_NOTHING &&
           j->reads.unused_count + j->reads.done_count == LOG_READS && j->clean.op == CLEAN_NOTHING &&
           j->clean.state != CLEAN_PUBLISHING && backup_idle(j);
}

/* -- memory -- */

uint32_t journal_fact_max(const struct journal *j)
{
    return (j->block_max - RECORD_HEADER - j->config.ack_reserve) & ~7u;
}

uint64_t journal_memory(const struct journal_config *c)
{
    uint64_t segments = c->disk_max / c->segment_bytes + 1;
    if (segments > MANIFEST_SEGMENTS_MAX + 1)
        segments = MANIFEST_SEGMENTS_MAX + 1;
    return c->hot_bytes +                                                  /* the newest blocks */
           2 * c->hot_bytes / DISK_BLOCK * sizeof(struct hot_slot) +       /* found by number */
           segments * (sizeof(struct segment) + 3 * sizeof(uint16_t)) +    /* the list */
           segments * (c->segment_bytes / DISK_BLOCK) * sizeof(uint16_t) + /* where each block begins */
           LOG_CHUNKS * CHUNK_BYTES +                                      /* a checkpoint on its way */
           2 * LOG_CLEAN_BYTES(c->block_bytes_max) +                       /* what the cleaner reads and writes */
           (LOG_READS + 1) * DISK_BLOCK +                                  /* pages of directories */
           3 * MANIFEST_BYTES + DISK_BLOCK + sizeof(struct journal);
}

static bool journal_config_adds_up(const struct journal_config *c, char error[256])
{
    uint64_t block = c->block_bytes_max;
    if (block % DISK_BLOCK != 0 || block < DISK_BLOCK || block > RECORD_MAX)
        recover_say(LEAT_BAD_VALUE, error, "block_bytes_max is %u: a multiple of 4096 up to 4 MiB is needed",
                    c->block_bytes_max);
    else if (c->segment_bytes % DISK_BLOCK != 0 || c->segment_bytes < block || c->segment_bytes > LOG_SEGMENT_MAX)
        recover_say(LEAT_BAD_VALUE, error,
                    "segment_bytes is %llu: a multiple of 4096 from a block up to 256 MiB is needed",
                    (unsigned long long)c->segment_bytes);
    else if (c->depth < 1 || c->depth > LOG_DEPTH_MAX)
        recover_say(LEAT_BAD_VALUE, error, "depth is %u: 1 to 8 blocks may be in flight", c->depth);
    else if (c->hot_bytes % DISK_BLOCK != 0 || c->hot_bytes < (c->depth + 2) * block)
        recover_say(LEAT_BAD_VALUE, error, "hot_bytes is %llu: at least (depth + 2) * block_bytes_max is needed, %llu",
                    (unsigned long long)c->hot_bytes, (unsigned long long)((c->depth + 2) * block));
    else if ((uint64_t)RECORD_HEADER + c->ack_reserve >= block)
        recover_say(LEAT_BAD_VALUE, error, "ack_reserve is %u: it must be smaller than a block", c->ack_reserve);
    else
        return true;
    return false;
}

static void *journal_aligned(uint64_t size)
{
    return aligned_alloc(DISK_BLOCK, size);
}

static bool journal_allocate(struct journal *j)
{
    const struct journal_config *c = &j->config;
    j->hot.bytes = c->hot_bytes;
    j->hot.mask = 1;
    while (j->hot.mask < c->hot_bytes / DISK_BLOCK)
        j->hot.mask *= 2;
    j->hot.slots = calloc(j->hot.mask, sizeof j->hot.slots[0]);
    j->hot.mask--;
    j->hot.ring = disk_memory(j->disk, c->hot_bytes);
    j->ledger.buffer = journal_aligned(2 * MANIFEST_BYTES);
    j->segments.zeros = journal_aligned(DISK_BLOCK);
    j->backup.manifest = journal_aligned(MANIFEST_BYTES);
    j->reads.pages = journal_aligned(LOG_READS * DISK_BLOCK);
    j->clean.page = journal_aligned(DISK_BLOCK);
    j->clean.window = journal_aligned(LOG_CLEAN_BYTES(c->block_bytes_max));
    j->clean.out = journal_aligned(LOG_CLEAN_BYTES(c->block_bytes_max));
    bool all = j->hot.slots && j->hot.ring && j->ledger.buffer && j->segments.zeros && j->reads.pages &&
               j->clean.page && j->clean.window && j->clean.out && j->backup.manifest;
    for (unsigned i = 0; i < LOG_CHUNKS; i++) {
        j->checkpoint.chunks[i].bytes = journal_aligned(CHUNK_BYTES);
        all = all && j->checkpoint.chunks[i].bytes;
    }
    if (all)
        memset(j->segments.zeros, 0, DISK_BLOCK);
    for (unsigned i = 0; i < LOG_READS; i++)
        j->reads.unused[j->reads.unused_count++] = (uint8_t)i;
    return all;
}

enum leat_status journal_open(struct journal **out, struct disk *d, const struct journal_config *config,
                              char error[256])
{
    if (!journal_config_adds_up(config, error))
        return LEAT_BAD_VALUE;
    struct journal *j = calloc(1, sizeof *j);
    if (!j)
        return recover_say(LEAT_NO_MEMORY, error, "no memory for the journal");
    j->magic = JOURNAL_MAGIC;
    j->disk = d;
    j->config = *config;
    j->block_max = config->block_bytes_max;
    j->durable_writes = disk_facts(d).durable_writes;
    enum leat_status status = LEAT_OK;
    if (!journal_allocate(j))
        status = recover_say(LEAT_NO_MEMORY, error, "no memory for the journal: hot_bytes is %llu",
                             (unsigned long long)config->hot_bytes);
    if (status == LEAT_OK)
        status = recover_directory(j, error);
    if (status == LEAT_OK)
        status = replay_open(j, error);
    if (status != LEAT_OK) {
        journal_close(j);
        return status;
    }
    *out = j;
    return LEAT_OK;
}

void journal_close(struct journal *j)
{
    must(j->magic == JOURNAL_MAGIC);
    replay_close(j);
    for (unsigned i = 0; i < LOG_CHUNKS; i++)
        free(j->checkpoint.chunks[i].bytes);
    free(j->segments.zeros);
    free(j->reads.pages);
    free(j->clean.page);
    free(j->clean.window);
    free(j->clean.out);
    free(j->segments.pool);
    free(j->segments.order);
    free(j->segments.unused);
    free(j->segments.indices);
    free(j->backup.slots);
    free(j->backup.manifest);
    free(j->ledger.buffer);
    free(j->hot.slots);
    j->magic = 0;
    free(j);
}
