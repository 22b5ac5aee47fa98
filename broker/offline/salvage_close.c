/* salvage_close.c - the facts that close the gap, each planned on the state as the ones before have left it.
 *
 * Sessions end, so that a client's retry is told that its outcome is unknown. Leases end, so that no receipt of before
 * can act on a message that somebody else was given in the hole. Messages that must not live on (acknowledged behind
 * the hole, or with damaged bodies) are taken and acknowledged; what a queue delivers before them is taken too, as it
 * must have been, and given back. Queues made or dropped behind the hole are made or dropped; the puts follow. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "crc32c.h"
#include "mark.h"
#include "must.h"
#include "peek.h"
#include "plan.h"
#include "receipt.h"
#include "salvage_state.h"
#include "tell.h"

enum { CLOSE_TOLD = 1000 };

static bool close_must_go(const struct salvage *s, struct lsn lsn)
{
    return salvage_gather_has(&s->gone, lsn) || salvage_gather_has(&s->lost, lsn);
}

static enum leat_status close_fact(struct salvage *s, struct fact *f, char error[SOURCE_ERROR])
{
    f->at = s->now;
    return salvage_write_fact(s, f, error);
}

static enum leat_status close_slot(struct salvage *s, uint8_t kind, uint32_t slot, char error[SOURCE_ERROR])
{
    struct fact f = {.kind = kind,
                     .slot = {.slot = slot, .generation = engine_message_at(s->engine, slot)->generation}};
    return close_fact(s, &f, error);
}

static enum leat_status close_ack(struct salvage *s, uint32_t slot, char error[SOURCE_ERROR])
{
    if (!salvage_gather_has(&s->lost, engine_message_at(s->engine, slot)->lsn))
        s->count.acks_kept++;
    return close_slot(s, FACT_ACKED, slot, error);
}

/* -- clocks and sessions -- */

/* From nothing, the newest clock that is known lets log time go on. */
static enum leat_status close_clock(struct salvage *s, char error[SOURCE_ERROR])
{
    if (s->engine->epoch.epoch != 0 || !s->known_clock)
        return LEAT_OK;
    struct fact f = {.kind = FACT_EPOCH, .epoch = s->clock.epoch};
    f.epoch.wall_ns += instant_since(s->now, s->clock.at).ns;
    f.epoch.boot = instant_add(f.epoch.boot, instant_since(s->now, s->clock.at));
    f.epoch.same_boot = true;
    return close_fact(s, &f, error);
}

static enum leat_status close_sessions(struct salvage *s, char error[SOURCE_ERROR])
{
    enum leat_status status = LEAT_OK;
    for (uint32_t i = 0; i < s->point.sessions.sessions.used && status == LEAT_OK; i++) {
        const struct session *session = slab_at(&s->point.sessions.sessions, i);
        if (!session->live)
            continue;
        struct fact f = {.kind = FACT_SESSION_ENDED, .client = {.handle = session->handle}};
        status = close_fact(s, &f, error);
        s->count.sessions++;
    }
    return status;
}

/* -- messages in slots -- */

static enum leat_status close_slots(struct salvage *s, char error[SOURCE_ERROR])
{
    enum leat_status status = LEAT_OK;
    for (uint32_t i = 0; i < s->engine->slots.used && status == LEAT_OK; i++) {
        const struct message *m = engine_message_at(s->engine, i);
        bool dropped = m->state != MESSAGE_FREE && engine_queue_at(s->engine, m->queue)->state != QUEUE_LIVE;
        if (dropped || m->state == MESSAGE_FREE)
            continue;
        bool go = close_must_go(s, m->lsn);
        if (go && (m->state == MESSAGE_LEASED || m->state == MESSAGE_READY)) {
            status = close_ack(s, i, error);
        } else if (m->state == MESSAGE_LEASED) {
            status = close_slot(s, FACT_RETURNED, i, error);
            s->count.leases++;
        } else if (go && m->state == MESSAGE_DELAYED) {
            status = close_slot(s, FACT_RIPENED, i, error); /* ready now; the next step takes it */
        } else if (go) {
            s->count.lost_stay++;
        }
    }
    return status;
}

/* -- messages that are ready -- */

/* How many of a queue's ready messages must go. */
static enum leat_status close_count(struct salvage *s, uint32_t queue, uint64_t *count, char error[SOURCE_ERROR])
{
    uint64_t ready = engine_queue_at(s->engine, queue)->counters.ready;
    *count = 0;
    if (ready == 0 || s->gone.count + s->lost.count == 0)
        return LEAT_OK;
    if (ready > UINT32_MAX)
        ready = UINT32_MAX;
    struct peek_message *messages = calloc(ready, sizeof *messages);
    if (!messages)
        return source_say(LEAT_NO_MEMORY, error, "no memory for a list of the ready messages");
    unsigned n = peek_queue(s->engine, queue, messages, (unsigned)ready);
    for (unsigned i = 0; i < n; i++)
        *count += messages[i].state == MESSAGE_READY && close_must_go(s, messages[i].lsn);
    free(messages);
    return LEAT_OK;
}

static enum leat_status close_take(struct salvage *s, uint32_t queue, uint64_t *left, char error[SOURCE_ERROR])
{
    const struct plan_limits limits = {.lease_min = {1}, .lease_max = {UINT64_MAX}, .epoch = s->epoch};
    struct queue_ref ref = {queue, engine_queue_at(s->engine, queue)->incarnation};
    struct fact f;
    memset(&f, 0, sizeof f);
    enum leat_status status = plan_take(s->engine, &limits, ref, duration_s(1), s->now, &f);
    if (status != LEAT_OK) {
        s->count.acks_forgotten += *left; /* no slot is free, and nothing else can come */
        *left = 0;
        return LEAT_OK;
    }
    status = close_fact(s, &f, error);
    if (status == LEAT_OK && close_must_go(s, f.leased.message)) {
        status = close_ack(s, f.leased.slot, error);
        (*left)--;
    }
    return status;
}

static enum leat_status close_give_back(struct salvage *s, uint32_t queue, char error[SOURCE_ERROR])
{
    enum leat_status status = LEAT_OK;
    while (status == LEAT_OK && engine_queue_at(s->engine, queue)->leased.head != SLAB_NONE)
        status = close_slot(s, FACT_RETURNED, engine_queue_at(s->engine, queue)->leased.head, error);
    return status;
}

static enum leat_status close_ready(struct salvage *s, char error[SOURCE_ERROR])
{
    enum leat_status status = LEAT_OK;
    for (uint32_t i = 0; i < s->engine->queues.used && status == LEAT_OK; i++) {
        uint64_t left;
        if (engine_queue_at(s->engine, i)->state != QUEUE_LIVE)
            continue;
        status = close_count(s, i, &left, error);
        while (status == LEAT_OK && left > 0)
            status = close_take(s, i, &left, error);
        if (status == LEAT_OK)
            status = close_give_back(s, i, error);
    }
    return status;
}

/* -- queues -- */

/* Dead-letter queues go after those that point to them; what is left is still pointed to. */
static enum leat_status close_drops(struct salvage *s, char error[SOURCE_ERROR])
{
    bool again = true;
    enum leat_status status = LEAT_OK;
    while (again && status == LEAT_OK) {
        again = false;
        for (uint32_t i = 0; i < s->queues_count && status == LEAT_OK; i++) {
            struct salvage_queue *q = &s->queues[i];
            if (!q->dropped || q->number == SLAB_NONE || engine_queue_at(s->engine, q->number)->sources > 0)
                continue;
            struct fact f = {.kind = FACT_QUEUE_DROPPED, .queue = {.number = q->number}};
            status = close_fact(s, &f, error);
            q->number = SLAB_NONE;
            s->count.queues_dropped++;
            again = true;
        }
    }
    for (uint32_t i = 0; i < s->queues_count; i++)
        s->count.queues_kept += s->queues[i].dropped && s->queues[i].number != SLAB_NONE;
    return status;
}

static enum leat_status close_make(struct salvage *s, struct salvage_queue *q, char error[SOURCE_ERROR])
{
    const struct plan_limits limits = {
        .body_max = BODY_MAX, .lease_max = {UINT64_MAX}, .delay_max = {UINT64_MAX}, .durability = CLASS_DISK};
    struct request r = {.op = OP_QUEUE_CREATE, .name = q->name, .attributes = q->attributes};
    struct fact f;
    memset(&f, 0, sizeof f);
    enum leat_status status = plan_queue_create(s->engine, &limits, &r, &f);
    if (status == LEAT_NO_QUEUE) { /* its dead-letter queue is not known any more */
        r.attributes.dead_letter.size = 0;
        status = plan_queue_create(s->engine, &limits, &r, &f);
    }
    if (status == LEAT_QUEUES_FULL)
        return source_say(LEAT_BAD_VALUE, error, "queues_max is too small for the queues of the log");
    q->number = engine_find(s->engine, &q->name);
    if (status != LEAT_OK || f.kind != FACT_QUEUE_CREATED)
        return LEAT_OK; /* a queue of that name is there: the puts go to it */
    q->number = f.queue.number;
    s->count.queues_made++;
    fprintf(s->o->out, "queue %.*s: made %s\n", (int)q->name.size, q->name.text,
            q->nameless ? "for messages of a queue of which only the number is known" : "anew, as the log says");
    return close_fact(s, &f, error);
}

/* A nameless one only if it has a message. */
static enum leat_status close_queues(struct salvage *s, char error[SOURCE_ERROR])
{
    enum leat_status status = close_drops(s, error);
    bool *used = calloc(s->queues_count + 1u, sizeof *used);
    if (!used)
        return source_say(LEAT_NO_MEMORY, error, "no memory for the list of queues");
    for (uint64_t i = 0; i < s->puts_count; i++)
        used[s->puts[i].queue] |= !s->puts[i].gone;
    for (uint32_t i = 0; i < s->queues_count && status == LEAT_OK; i++)
        if (!s->queues[i].dropped && s->queues[i].number == SLAB_NONE && (used[i] || !s->queues[i].nameless))
            status = close_make(s, &s->queues[i], error);
    free(used);
    return status;
}

/* -- puts -- */

static enum leat_status close_put_fact(struct salvage *s, const struct salvage_put *p, const struct fact *old,
                                       char error[SOURCE_ERROR])
{
    const struct plan_limits limits = {.body_max = BODY_MAX, .delay_max = {UINT64_MAX}, .epoch = s->epoch};
    uint32_t number = s->queues[p->queue].number;
    struct queue_ref ref = {number, engine_queue_at(s->engine, number)->incarnation};
    struct request_put_entry entry = {.delay = instant_since(p->due, s->now),
                                      .body = old->put.body,
                                      .attrs = old->put.attrs,
                                      .body_size = old->put.body_size,
                                      .body_crc = old->put.body_crc,
                                      .attrs_size = old->put.attrs_size,
                                      .durability = old->put.durability};
    struct fact f;
    memset(&f, 0, sizeof f);
    enum leat_status status = plan_put(s->engine, &limits, ref, &entry, s->now, &f);
    if (status == LEAT_READY_FULL || status == LEAT_LEASES_FULL)
        return source_say(LEAT_BAD_VALUE, error, "%s is too small for the messages of the log",
                          status == LEAT_READY_FULL ? "ready_max" : "leases_max");
    if (status != LEAT_OK) {
        s->count.puts_damaged++;
        return LEAT_OK;
    }
    return close_fact(s, &f, error);
}

static enum leat_status close_put(struct salvage *s, const struct salvage_put *p, char error[SOURCE_ERROR])
{
    char name[DISK_NAME_MAX], id[MESSAGE_ID_TEXT];
    const struct scan_segment *g = &s->scan.segments[p->segment];
    uint64_t offset = (uint64_t)p->where8 * 8, page = offset / DISK_BLOCK * DISK_BLOCK, available;
    enum leat_status status = LEAT_OK;
    if (s->source.file < 0 || s->reading != g) {
        source_segment_name(name, g->number);
        status = source_file(&s->source, name, error);
        s->reading = g;
    }
    if (status != LEAT_OK)
        return status;
    struct fact old;
    const uint8_t *bytes = source_at(&s->source, page, RECORD_MAX + DISK_BLOCK, &available);
    if (fact_decode(&old, bytes + (offset - page), (uint32_t)(available - (offset - page)), p->lsn, true) == LEAT_OK)
        return close_put_fact(s, p, &old, error);
    tell_id(id, s->o->cell, old.put.epoch, p->lsn);
    if (s->count.puts_damaged++ < CLOSE_TOLD)
        fprintf(s->o->out, "lost: message %s, block %" PRIu64 ", fact %u: its body is damaged\n", id, lsn_block(p->lsn),
                lsn_index(p->lsn));
    return LEAT_OK;
}

static enum leat_status close_puts(struct salvage *s, char error[SOURCE_ERROR])
{
    enum leat_status status = LEAT_OK;
    for (uint64_t i = 0; i < s->puts_count && status == LEAT_OK; i++)
        if (!s->puts[i].gone)
            status = close_put(s, &s->puts[i], error);
    source_leave(&s->source);
    return status;
}

enum leat_status salvage_close_gap(struct salvage *s, char error[SOURCE_ERROR])
{
    enum leat_status status = close_clock(s, error);
    if (status == LEAT_OK)
        status = close_sessions(s, error);
    if (status == LEAT_OK)
        status = close_slots(s, error);
    if (status == LEAT_OK)
        status = close_ready(s, error);
    if (status == LEAT_OK)
        status = close_queues(s, error);
    return status == LEAT_OK ? close_puts(s, error) : status;
}
