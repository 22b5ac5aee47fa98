/* stage_request.c - one request, entry by entry: plan, make room in the log, write the fact, make it true, note the
 * outcome.
 *
 * Entries see each other: each is planned after the one before it is true. When the log has no room the request stops
 * between two entries and goes on in a later iteration; nothing has happened to the entry that waits. An answer has
 * room for RUNS_MAX runs of outcomes: a batch that needs one more is cut, and the client sends the rest again.
 *
 * A refused entry leaves no trace in the log unless an accepted one follows it: then a fact says so first, so that
 * after a crash the batch goes on where it stood. */
#include "stages.h"

#include "mark.h"

enum { ENTRY_DONE, ENTRY_STALLED, ENTRY_CUT };
enum { REQUEST_AHEAD = 32 };

static bool stage_request_engine(uint8_t kind)
{
    return kind != FACT_SESSION_OPENED && kind != FACT_SESSION_ENDED && kind != FACT_REFUSED;
}

static uint8_t *stage_request_room(struct shard *s, struct fact *f, enum journal_purpose purpose)
{
    uint32_t size = fact_size(f);
    return replica_reserve(s->replica, purpose, size, size, &f->lsn, &f->place);
}

static void stage_request_commit(struct shard *s, struct fact *f, uint8_t *room, bool waited)
{
    fact_encode(room, f);
    replica_commit(s->replica, fact_size(f), waited, s->boot_now);
    if (waited || f->kind == FACT_MOVED) /* takes and peeks wait for a move */
        s->waited = lsn_block(f->lsn);
    if (!stage_request_engine(f->kind))
        return;
    apply_fact(&s->engine, f, &s->effect);
    stage_request_effect(s, f);
}

enum leat_status stage_request_log(struct shard *s, struct fact *f, enum journal_purpose purpose, bool waited)
{
    uint8_t *room = stage_request_room(s, f, purpose);
    if (!room)
        return journal_refusal(s->journal);
    stage_request_commit(s, f, room, waited);
    return LEAT_OK;
}

void stage_request_effect(struct shard *s, const struct fact *f)
{
    for (uint32_t i = 0; i < s->effect.gone_count; i++)
        journal_unpin(s->journal, lsn_block(s->effect.gone[i].lsn), s->effect.gone[i].where.size8 * 8);
    switch (f->kind) {
    case FACT_PUT:
        journal_pin(s->journal, lsn_block(f->lsn), fact_size(f));
        if (f->put.slot == SLAB_NONE)
            stage_take_want(s, f->put.queue);
        break;
    case FACT_RETURNED:
    case FACT_EXPIRED:
    case FACT_RIPENED:
    case FACT_MOVED: /* a slot that was freed just now still names its queue */
        stage_take_want(s, engine_message_at(&s->engine, f->slot.slot)->queue);
        break;
    case FACT_QUEUE_DROPPED:
        s->dropped++;
        break;
    default:
        break;
    }
}

void stage_request_refuse(struct shard *s, struct session *session, uint64_t number, uint8_t op,
                          enum leat_status status)
{
    session_begin(session, number, op);
    session_finish(session, number, status);
    s->counters.refused++;
    uint32_t index = desk_index(&s->desk, session->handle, number, session->window);
    stage_reply_drop(s, index);
    desk_place(&s->desk, index)->number = number;
    desk_place(&s->desk, index)->again = false;
    stage_reply_ready(s, session, number, 0);
}

/* Entries that are in the log already, from before a crash. */
static void stage_request_skip(struct stage_batch *b, uint16_t done)
{
    struct request_put_entry put;
    const uint8_t *receipt;
    for (; b->entry < done && b->entry < b->r.count; b->entry++) {
        if (b->r.op == OP_PUT)
            must(request_next_put(&b->r, &b->offset, &put));
        else
            must(request_next_receipt(&b->r, &b->offset, &receipt));
    }
}

void stage_request_start(struct shard *s, struct session *session, uint8_t *owned, uint32_t owned_size)
{
    struct stage_batch *b = &s->batch;
    const struct request *r = &b->r;
    must(!b->running);
    uint16_t done = session_done(session, r->number);
    session_begin(session, r->number, r->op);
    uint32_t index = desk_index(&s->desk, session->handle, r->number, session->window);
    stage_reply_drop(s, index);
    struct desk_place *p = desk_place(&s->desk, index);
    if (p->number != r->number)
        p->leases = UINT64_MAX;
    p->number = r->number;
    p->again = false;
    p->op = r->op;
    s->counters.requests[r->op & 63]++;
    b->running = true;
    b->session = session->handle;
    b->offset = 0;
    b->entry = 0;
    b->block = 0;
    b->refused = 0;
    b->owned = owned;
    b->owned_size = owned_size;
    if (r->count == 0)
        b->entry = done;
    else if (done > 0)
        stage_request_skip(b, done);
}

static void stage_request_end(struct shard *s, struct session *session, enum leat_status status)
{
    struct stage_batch *b = &s->batch;
    session_finish(session, b->r.number, status);
    if (status != LEAT_OK)
        s->counters.refused++;
    b->running = false;
    buffers_give(&s->buffers, b->owned, b->owned_size);
    b->owned = NULL;
    stage_reply_ready(s, session, b->r.number, b->block);
}

static enum leat_status stage_request_plan(struct shard *s, const struct request *r, uint32_t *offset, struct fact *f)
{
    if (r->op == OP_PUT) {
        struct request_put_entry entry;
        must(request_next_put(r, offset, &entry));
        return plan_put(&s->engine, &s->limits, r->queue, &entry, s->log_now, f);
    }
    const uint8_t *receipt;
    must(request_next_receipt(r, offset, &receipt));
    return plan_finish(&s->engine, &s->limits, r->op, r->queue, receipt, r->time, s->log_now, f);
}

/* The refused entries before this one get their fact. */
static enum leat_status stage_request_log_refused(struct shard *s, enum journal_purpose purpose)
{
    struct stage_batch *b = &s->batch;
    if (b->refused == 0)
        return LEAT_OK;
    struct fact f = {.kind = FACT_REFUSED,
                     .session = b->session,
                     .number = b->r.number,
                     .entry = (uint16_t)(b->entry - b->refused),
                     .at = s->log_now,
                     .refused = {.status = b->refused_status, .count = b->refused}};
    enum leat_status status = stage_request_log(s, &f, purpose, false);
    if (status == LEAT_OK)
        b->refused = 0;
    mark(batch_refusal_logged);
    return status;
}

static enum journal_purpose stage_request_purpose(uint8_t op)
{
    return op == OP_ACK ? JOURNAL_ACK : op == OP_PUT ? JOURNAL_PUT : JOURNAL_TAKE;
}

/* What the answer must wait for, in the class of the fact's message. */
static bool stage_request_waited(const struct shard *s, const struct fact *f)
{
    uint8_t class = f->kind == FACT_PUT ? f->put.durability : engine_message_at(&s->engine, f->slot.slot)->durability;
    return class == CLASS_DISK;
}

static int stage_request_note_refused(struct shard *s, struct session *session, enum leat_status status)
{
    struct stage_batch *b = &s->batch;
    if (!session_fits(session, b->r.number, status, 0, LSN_NONE))
        return ENTRY_CUT;
    if (b->refused > 0 && b->refused_status != status && stage_request_log_refused(s, JOURNAL_ACK) == LEAT_OVERLOADED)
        return ENTRY_STALLED;
    if (b->refused > 0 && b->refused_status != status)
        return ENTRY_CUT; /* no space even for a note: the rest is asked for again */
    session_note(session, b->r.number, b->r.op, b->entry, status, 0, LSN_NONE, 0);
    if (status == LEAT_NO_QUEUE)
        b->block = s->waited; /* it may tell of a drop */
    b->refused++;
    b->refused_status = (uint8_t)status;
    s->counters.refused++;
    return ENTRY_DONE;
}

static int stage_request_accept(struct shard *s, struct session *session, struct fact *f)
{
    struct stage_batch *b = &s->batch;
    enum journal_purpose purpose = stage_request_purpose(b->r.op);
    f->session = b->session;
    f->number = b->r.number;
    f->entry = b->entry;
    enum leat_status status = stage_request_log_refused(s, purpose);
    uint8_t *room = status == LEAT_OK ? stage_request_room(s, f, purpose) : NULL;
    if (!room) {
        status = journal_refusal(s->journal);
        return status == LEAT_OVERLOADED ? ENTRY_STALLED : stage_request_note_refused(s, session, status);
    }
    bool put = b->r.op == OP_PUT;
    uint32_t epoch = put ? s->limits.epoch : 0;
    struct lsn lsn = put ? f->lsn : LSN_NONE;
    if (!session_fits(session, b->r.number, LEAT_OK, epoch, lsn))
        return ENTRY_CUT;
    bool waited = stage_request_waited(s, f);
    stage_request_commit(s, f, room, waited);
    uint64_t block = waited ? lsn_block(f->lsn) : 0;
    session_note(session, b->r.number, b->r.op, b->entry, LEAT_OK, epoch, lsn, block);
    if (block > b->block)
        b->block = block;
    return ENTRY_DONE;
}

/* A burst of receipts: their slots come to the cache side by side. */
static void stage_request_ahead(const struct shard *s, const struct stage_batch *b)
{
    const uint8_t *receipts[REQUEST_AHEAD];
    uint32_t n = 0;
    for (; n < REQUEST_AHEAD && b->entry + n < b->r.count; n++)
        receipts[n] = b->r.entries + (size_t)(b->entry + n) * RECEIPT_BYTES;
    plan_ahead(&s->engine, receipts, n);
}

static bool stage_request_entries(struct shard *s, struct session *session)
{
    struct stage_batch *b = &s->batch;
    while (b->entry < b->r.count) {
        if (b->r.op != OP_PUT && b->r.count > 1 && b->entry % REQUEST_AHEAD == 0)
            stage_request_ahead(s, b);
        struct fact f;
        uint32_t offset = b->offset;
        enum leat_status status = stage_request_plan(s, &b->r, &offset, &f);
        if (status == LEAT_STALE_RECEIPT && plan_lost(&s->engine, &s->limits, b->r.entries + b->offset))
            s->counters.leases_lost++;
        int done =
            status == LEAT_OK ? stage_request_accept(s, session, &f) : stage_request_note_refused(s, session, status);
        if (done == ENTRY_STALLED)
            return false;
        if (done == ENTRY_CUT) {
            mark(batch_cut);
            break;
        }
        b->offset = offset;
        b->entry++;
    }
    stage_request_end(s, session, LEAT_OK);
    return true;
}

/* A queue is made or dropped: one fact. The answer to `create` tells of the queue, so its number and incarnation are
 * noted in the place of an id. */
static bool stage_request_admin(struct shard *s, struct session *session)
{
    struct stage_batch *b = &s->batch;
    bool create = b->r.op == OP_QUEUE_CREATE;
    if (b->entry > 0) { /* done before a crash */
        stage_request_end(s, session, LEAT_OK);
        return true;
    }
    struct fact f;
    enum leat_status status =
        create ? plan_queue_create(&s->engine, &s->limits, &b->r, &f) : plan_queue_drop(&s->engine, &b->r, &f);
    b->block = s->waited; /* of an existing queue: it may be younger than what is durable */
    if (status == LEAT_OK && f.kind != 0) {
        f.at = s->log_now;
        f.session = b->session;
        f.number = b->r.number;
        status = stage_request_log(s, &f, create ? JOURNAL_PUT : JOURNAL_ACK, true);
        if (status == LEAT_OVERLOADED)
            return false;
        b->block = lsn_block(f.lsn);
    }
    if (status == LEAT_OK) {
        uint32_t number = create ? engine_find(&s->engine, &b->r.name) : f.queue.number;
        uint32_t incarnation = engine_queue_at(&s->engine, number)->incarnation;
        session_note(session, b->r.number, b->r.op, 0, LEAT_OK, incarnation, (struct lsn){number + 1ull}, b->block);
        if (!create)
            stage_take_no_queue(s, number);
    }
    stage_request_end(s, session, status);
    return true;
}

bool stage_request_run(struct shard *s)
{
    struct session *session = session_write(&s->sessions, s->batch.session);
    must(session != NULL);
    switch (s->batch.r.op) {
    case OP_PUT:
    case OP_ACK:
    case OP_NACK:
    case OP_EXTEND:
        return stage_request_entries(s, session);
    case OP_TAKE:
        return stage_take_run(s);
    default:
        return stage_request_admin(s, session);
    }
}
