/* stage_replay.c - everything again: the newest image, then the facts behind it, through the same apply as ever.
 *
 * Sessions, leases of answered takes, and which segments hold live bodies are rebuilt on the way. Nothing is decided
 * here; what a fact does not say did not happen. */
#include "stages.h"

#include <stdio.h>

#include "mark.h"

static enum leat_status stage_replay_image(struct shard *s, char error[256])
{
    enum leat_status status = LEAT_OK;
    struct image_load load;
    bool any = false;
    for (;;) {
        uint32_t size = journal_replay_image(s->journal, s->image_chunk, STAGE_IMAGE_CHUNK, &status, error);
        if (status != LEAT_OK)
            return status;
        if (size == 0)
            break;
        if (!any)
            image_load_begin(&load, &s->engine, s->image_more, 1);
        any = true;
        status = image_load(&load, s->image_chunk, size, error);
        if (status != LEAT_OK)
            return status;
    }
    if (!any)
        return LEAT_OK;
    status = image_load_end(&load, error);
    if (status != LEAT_OK)
        return status;
    if (!session_sound(&s->sessions)) {
        snprintf(error, 256, "the checkpoint holds sessions that no log could have made");
        return LEAT_CORRUPT;
    }
#if LEAT_BUG == 25
    for (uint32_t i = 0; i < s->sessions.sessions.used * WINDOW_MAX; i++) {
        struct session *session = slab_write(&s->sessions.sessions, i / WINDOW_MAX);
        session->slots[i % WINDOW_MAX].number *= !session->slots[i % WINDOW_MAX].answered;
    }
#endif
    struct engine_walk walk = {0};
    struct message_body body;
    uint32_t count;
    while (engine_walk_run(&s->engine, &walk, &body, &count)) {
        uint64_t block = lsn_block(body.lsn);
        if (!journal_holds(s->journal, block)) {
            snprintf(error, 256, "the checkpoint names block %llu, and no segment holds it", (unsigned long long)block);
            return LEAT_CORRUPT;
        }
        journal_pin_many(s->journal, block, count, 8ull * body.where.size8 * count);
    }
    return LEAT_OK;
}

static uint8_t stage_replay_op(const struct fact *f)
{
    switch (f->kind) {
    case FACT_QUEUE_CREATED:
        return OP_QUEUE_CREATE;
    case FACT_QUEUE_DROPPED:
        return OP_QUEUE_DROP;
    case FACT_PUT:
        return OP_PUT;
    case FACT_LEASED:
        return OP_TAKE;
    case FACT_ACKED:
        return OP_ACK;
    case FACT_EXTENDED:
        return OP_EXTEND;
    default:
        return OP_NACK;
    }
}

/* What the fact's request was answered for this entry. */
static void stage_replay_note(struct shard *s, struct session *session, const struct fact *f)
{
    uint8_t op = stage_replay_op(f);
    uint32_t epoch = 0;
    struct lsn lsn = LSN_NONE;
    if (f->entry < session_done(session, f->number))
        return; /* the image knew it */
    if (op == OP_PUT) {
        epoch = f->put.epoch;
        lsn = f->lsn;
    } else if (op == OP_QUEUE_CREATE || op == OP_QUEUE_DROP) {
        epoch = engine_queue_at(&s->engine, f->queue.number)->incarnation;
        lsn.n = f->queue.number + 1ull;
    } else if (op == OP_TAKE) {
        uint64_t position = leases_add(&s->leases, f->leased.slot, f->leased.generation);
        if (f->entry == 0) {
            uint32_t index = desk_index(&s->desk, session->handle, f->number, session->window);
            desk_place(&s->desk, index)->number = f->number;
            desk_place(&s->desk, index)->leases = position;
        }
    }
    session_note(session, f->number, op, f->entry, LEAT_OK, epoch, lsn, 0);
}

static void stage_replay_refused(struct session *session, const struct fact *f)
{
    const uint8_t op = session_done(session, f->number) > 0 ? session_kept(session, f->number)->op : OP_PUT;
    for (uint16_t i = 0; i < f->refused.count; i++)
        if (f->entry + i >= session_done(session, f->number))
            session_note(session, f->number, op, (uint16_t)(f->entry + i), (enum leat_status)f->refused.status, 0,
                         LSN_NONE, 0);
}

static void stage_replay_fact(struct shard *s, const struct fact *f)
{
    struct session *session = f->session ? session_write(&s->sessions, f->session) : NULL;
    switch (f->kind) {
    case FACT_SESSION_OPENED:
        session_open(&s->sessions, f->client.handle, f->client.window, f->client.secret);
        return;
    case FACT_SESSION_ENDED:
        session_end(&s->sessions, f->client.handle);
        return;
    case FACT_REFUSED:
        if (session)
            stage_replay_refused(session, f);
        return;
    default:
        apply_fact(&s->engine, f, &s->effect);
        stage_request_effect(s, f);
        if (session)
            stage_replay_note(s, session, f);
    }
}

static enum leat_status stage_replay_block(struct shard *s, const struct journal_block *block, char error[256])
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < block->facts; i++) {
        struct fact f;
        struct lsn lsn = lsn_make(block->number, i);
        enum leat_status status = fact_decode(&f, block->payload + at, block->payload_size - at, lsn, false);
        if (status != LEAT_OK) {
            snprintf(error, 256, "fact %u of block %llu: %s", i, (unsigned long long)block->number,
                     status_text(status));
            return status;
        }
        f.place = block->payload_place + at;
        stage_replay_fact(s, &f);
        s->counters.replayed_facts++;
        at += fact_size(&f);
    }
    return LEAT_OK;
}

enum leat_status stage_replay_run(struct shard *s, char error[256])
{
    struct journal_block block;
    enum leat_status status = stage_replay_image(s, error);
    while (status == LEAT_OK && journal_replay_block(s->journal, &block, &status, error))
        status = stage_replay_block(s, &block, error);
    if (status != LEAT_OK)
        return status;
    session_restarted(&s->sessions);
    s->dropped = 1; /* look once */
    mark(replayed);
    return LEAT_OK;
}
