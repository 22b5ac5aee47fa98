/* flight.c - blocks on their way to the disk.
 *
 *   open --launch--> WRITING --whole--> SAFE                       a write that is durable by itself
 *                       |               ^
 *                       +--> WRITTEN --> FLUSHING                  else: one flush covers all that were written before
 *
 * Completions come in any order; the durable watermark moves over SAFE blocks from the oldest on, so that it is always
 * a prefix. While a flush runs, later blocks are written.
 *
 * When does the open block leave? Group commit by back-pressure: at once when no write is under way; behind `n` writes
 * when it has grown to n * 16 KiB, or when it is full. So a lone request never waits, a device with many hands gets
 * them used when there is enough to carry, and no block of one small fact is sent beside seven others. Facts that
 * nobody waits for leave after 5 ms.
 *
 * What can go wrong: a failed write or flush ends the journal; nothing is tried again, because nothing is known of what
 * is on the disk. A short write is continued, and the block counts when it is whole. */
#include "buggify.h"
#include "log.h"
#include "mark.h"
#include "must.h"

enum { FLIGHT_WORTH = 16 * 1024, FLIGHT_UNWAITED_MS = 5, FLIGHT_WATERMARK_MS = 10, FLIGHT_TRIES = 1000 };

static void flight_submit(struct journal *j, struct flight *f)
{
    struct disk_op op = {.kind = DISK_WRITE,
                         .durable = j->durable_writes,
                         .file = f->file,
                         .offset = f->offset + f->done,
                         .data = f->bytes + f->done,
                         .size = f->size - f->done,
                         .tag = log_tag(LOG_WRITE, f->number % LOG_DEPTH_MAX)};
    f->state = disk_submit(j->disk, &op) ? FLIGHT_WRITING : FLIGHT_QUEUED;
}

bool flight_launch(struct journal *j)
{
    struct open_block *o = &j->open;
    uint32_t size = record_disk_size(o->payload);
    must(o->number == j->sealed + 1);
    if (j->flying == j->config.depth || !segment_room(j, size) || j->error != LEAT_OK)
        return false;
    struct flight *f = &j->flights[o->number % LOG_DEPTH_MAX];
    must(f->state == FLIGHT_NONE);
    *f = (struct flight){.number = o->number, .bytes = o->bytes, .size = size, .proves = j->durable};
    struct segment *s = segment_place(j, o->number, size, &f->offset);
    f->file = s->file;
    s->pins += o->pins;
    s->live += o->live;
    struct record r = {.cluster = j->ledger.m.cluster,
                       .incarnation = s->incarnation,
                       .epoch = j->epoch,
                       .number = o->number,
                       .durable = j->durable,
                       .previous = j->previous,
                       .facts = o->facts,
                       .payload_size = o->payload};
    record_seal(o->bytes, &r);
    j->previous = record_hash(o->bytes);
    hot_seal(j, size);
    j->sealed = o->number;
    if (o->facts > 0)
        j->last_full = o->number;
    j->counters.blocks++;
    j->counters.bytes += size;
    j->counters.payload_bytes += o->payload;
    j->tail_bytes += size;
    *o = (struct open_block){0};
    j->flying++;
    j->writes++;
    flight_submit(j, f);
    return true;
}

/* -- completions -- */

/* After a failure nothing is durable that was not so before, whatever still completes. */
static void flight_safe(struct journal *j)
{
    while (j->flying > 0 && j->error == LEAT_OK) {
        struct flight *f = &j->flights[(j->durable + 1) % LOG_DEPTH_MAX];
        if (f->state != FLIGHT_SAFE)
            return;
        must(f->number == j->durable + 1);
        j->durable = f->number;
        j->durable_at = j->now;
        j->proven = f->proves > j->proven ? f->proves : j->proven;
        j->flying--;
        f->state = FLIGHT_NONE;
    }
}

void flight_written(struct journal *j, uint32_t slot, int32_t result)
{
    must(slot < LOG_DEPTH_MAX);
    struct flight *f = &j->flights[slot];
    must(f->state == FLIGHT_WRITING);
#if LEAT_BUG == 2
    result = result < 0 ? (int32_t)(f->size - f->done) : result;
#endif
    if (result <= 0 || f->tries++ == FLIGHT_TRIES) {
        mark(write_failed);
        journal_fail(j, LEAT_DISK_ERROR);
        return;
    }
#if LEAT_BUG == 8
    result = (int32_t)(f->size - f->done);
#endif
    must((uint32_t)result <= f->size - f->done);
    f->done += (uint32_t)result;
    if (f->done < f->size) {
        mark(write_short);
        f->done -= f->done % DISK_BLOCK;
        flight_submit(j, f);
        return;
    }
    if (f->number != j->durable + 1)
        mark(write_out_of_order);
    j->writes--;
    f->state = j->durable_writes ? FLIGHT_SAFE : FLIGHT_WRITTEN;
    flight_safe(j);
}

void flight_flushed(struct journal *j, uint32_t slot, int32_t result)
{
    must(slot < LOG_DEPTH_MAX);
    j->counters.flushes++;
#if LEAT_BUG == 2
    result = 0;
#endif
#if LEAT_BUG == 3
    if (result < 0) {
        struct disk_op again = {.kind = DISK_FLUSH, .file = j->flights[slot].file, .tag = log_tag(LOG_FLUSH, slot)};
        must(disk_submit(j->disk, &again));
        return;
    }
#endif
    if (result < 0) {
        mark(flush_failed);
        journal_fail(j, LEAT_DISK_ERROR);
        return;
    }
    for (uint32_t i = 0; i < LOG_DEPTH_MAX; i++)
        if (j->flights[i].state == FLIGHT_FLUSHING && j->flights[i].leader == slot)
            j->flights[i].state = FLIGHT_SAFE;
    flight_safe(j);
}

/* -- what to do next -- */

static bool flight_flush_runs(const struct journal *j, uint32_t file)
{
    for (uint32_t i = 0; i < LOG_DEPTH_MAX; i++)
        if (j->flights[i].state == FLIGHT_FLUSHING && j->flights[i].file == file)
            return true;
    return false;
}

/* One flush at a time for each file; it covers what has been written to it by now. */
static unsigned flight_flush(struct journal *j)
{
    unsigned n = 0;
    for (uint64_t b = j->durable + 1; b <= j->sealed; b++) {
        uint32_t leader = (uint32_t)(b % LOG_DEPTH_MAX);
        const struct flight *f = &j->flights[leader];
        if (f->state != FLIGHT_WRITTEN || flight_flush_runs(j, f->file))
            continue;
        struct disk_op op = {.kind = DISK_FLUSH, .file = f->file, .tag = log_tag(LOG_FLUSH, leader)};
        if (!disk_submit(j->disk, &op))
            return n;
        for (uint32_t i = 0; i < LOG_DEPTH_MAX; i++) {
            struct flight *other = &j->flights[i];
            if (other->state == FLIGHT_WRITTEN && other->file == f->file) {
                other->state = FLIGHT_FLUSHING;
                other->leader = (uint8_t)leader;
            }
        }
        n++;
    }
    return n;
}

static struct instant flight_unwaited_due(const struct journal *j)
{
    return instant_add(j->open.since, duration_ms(FLIGHT_UNWAITED_MS));
}

static bool flight_due(const struct journal *j)
{
    const struct open_block *o = &j->open;
    if (o->facts == 0)
        return false;
    if (!o->waited && !o->full && instant_before(j->now, flight_unwaited_due(j)))
        return false;
    return j->writes == 0 || o->full || o->payload >= j->writes * FLIGHT_WORTH;
}

/* Is there a block with facts of which no block on the disk says that it is durable? */
static bool flight_unproven(const struct journal *j)
{
    return j->flying == 0 && j->open.facts == 0 && j->last_full > j->proven;
}

static struct instant flight_watermark_due(const struct journal *j)
{
    return instant_add(j->durable_at, duration_ms(FLIGHT_WATERMARK_MS));
}

static bool flight_watermark(struct journal *j)
{
    if (!flight_unproven(j) || instant_before(j->now, flight_watermark_due(j)))
        return false;
    if (j->open.number == 0 && !hot_open(j))
        return false;
    mark(watermark_block);
    return flight_launch(j);
}

unsigned flight_step(struct journal *j)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < LOG_DEPTH_MAX; i++)
        if (j->flights[i].state == FLIGHT_QUEUED) {
            flight_submit(j, &j->flights[i]);
            n += j->flights[i].state == FLIGHT_WRITING;
        }
    n += flight_flush(j);
    if (flight_due(j) && !buggify(block_leaves_late))
        n += flight_launch(j);
    n += flight_watermark(j);
    return n;
}

struct instant flight_next_due(const struct journal *j)
{
    if (j->open.facts > 0 && j->flying < j->config.depth && segment_room(j, record_disk_size(j->open.payload))) {
        if (j->writes > 0)
            return INSTANT_NEVER; /* its completion wakes us */
        return j->open.waited || j->open.full ? j->now : flight_unwaited_due(j);
    }
    if (flight_unproven(j) && segment_room(j, DISK_BLOCK))
        return flight_watermark_due(j);
    return INSTANT_NEVER;
}
