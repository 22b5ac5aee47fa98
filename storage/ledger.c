/* ledger.c - writes the manifest while the log runs.
 *
 * Whoever changes what the manifest says calls ledger_change() and gets the version that will say so; ledger.durable
 * tells when it is on stable storage. Changes that come while a version is being written share the next one. Each
 * change is written twice, into both copies one after the other, so that the rot of one copy loses nothing. */
#include "log.h"
#include "mark.h"
#include "must.h"
#include "recover.h"

enum ledger_state { LEDGER_IDLE, LEDGER_QUEUED, LEDGER_WRITING, LEDGER_WRITTEN, LEDGER_FLUSHING };

uint64_t ledger_change(struct journal *j)
{
    j->ledger.owed = 2;
    return j->ledger.started + 1;
}

/* A segment's first block is listed once it is durable: recovery may rely on it. */
static void ledger_encode(struct journal *j)
{
    struct ledger *l = &j->ledger;
    const struct segments *t = &j->segments;
    l->m.sequence = ++l->started;
    l->m.segments = segment_count(j);
    for (uint32_t i = 0; i < t->total; i++) {
        const struct segment *s = segment_at(j, i);
        bool known = i < t->log_count && s->first <= j->durable;
        l->m.segment[i] = (struct manifest_segment){s->name, s->incarnation, known ? s->first : 0, s->keep};
    }
    if (t->borrowed != SEGMENT_NONE) {
        const struct segment *s = &t->pool[t->borrowed];
        l->m.segment[t->total] = (struct manifest_segment){s->name, s->incarnation, 0, 0};
    }
    manifest_encode(l->buffer, &l->m);
    l->owed--;
    l->done = 0;
}

static struct disk_op ledger_write_op(struct journal *j)
{
    struct ledger *l = &j->ledger;
    return (struct disk_op){.kind = DISK_WRITE,
                            .durable = j->durable_writes,
                            .file = l->file,
                            .offset = l->m.sequence % 2 * MANIFEST_BYTES + l->done,
                            .data = l->buffer + l->done,
                            .size = MANIFEST_BYTES - l->done,
                            .tag = log_tag(LOG_MANIFEST, 0)};
}

unsigned ledger_step(struct journal *j)
{
    struct ledger *l = &j->ledger;
    if (l->writing == LEDGER_IDLE && l->owed > 0) {
        ledger_encode(j);
        l->writing = LEDGER_QUEUED;
    }
    if (l->writing == LEDGER_QUEUED) {
        struct disk_op op = ledger_write_op(j);
        if (!disk_submit(j->disk, &op))
            return 0;
        l->writing = LEDGER_WRITING;
        return 1;
    }
    if (l->writing == LEDGER_WRITTEN) {
        struct disk_op op = {.kind = DISK_FLUSH, .file = l->file, .tag = log_tag(LOG_MANIFEST_FLUSH, 0)};
        if (!disk_submit(j->disk, &op))
            return 0;
        l->writing = LEDGER_FLUSHING;
        return 1;
    }
    return 0;
}

bool ledger_idle(const struct journal *j)
{
    return j->ledger.writing == LEDGER_IDLE && j->ledger.owed == 0;
}

void ledger_completed(struct journal *j, enum log_tag kind, int32_t result)
{
    struct ledger *l = &j->ledger;
    if (result < 0 || (kind == LOG_MANIFEST && result == 0)) {
        mark(manifest_write_failed);
        journal_fail(j, LEAT_DISK_ERROR);
        return;
    }
    if (kind == LOG_MANIFEST) {
        must(l->writing == LEDGER_WRITING);
        l->done += (uint32_t)result;
        if (l->done < MANIFEST_BYTES) {
            l->done -= l->done % DISK_BLOCK;
            l->writing = LEDGER_QUEUED;
            return;
        }
        if (!j->durable_writes) {
            l->writing = LEDGER_WRITTEN;
            return;
        }
    }
    l->writing = LEDGER_IDLE;
    l->durable = l->m.sequence;
}

enum leat_status ledger_write_now(struct journal *j)
{
    struct ledger *l = &j->ledger;
    must(l->writing == LEDGER_IDLE);
    l->owed = 2;
    while (l->owed > 0) {
        ledger_encode(j);
        if (!recover_write(j, l->file, l->m.sequence % 2 * MANIFEST_BYTES, l->buffer, MANIFEST_BYTES))
            return LEAT_DISK_ERROR;
        l->durable = l->m.sequence;
    }
    return LEAT_OK;
}
