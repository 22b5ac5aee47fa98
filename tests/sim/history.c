/* history.c - the tables, and who is shown each event. */
#include "history.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "must.h"

enum { TABLE_QUEUES, TABLE_PUTS, TABLE_MESSAGES, TABLE_LEASES, TABLE_FINISHES, TABLE_SESSIONS, FIRST_ROOM = 256 };

static void (*const checkers[])(struct history *h, const struct event *e) = {
#define CHECK(name, invariants, text) check_##name,
#include "check_table.h"
#undef CHECK
};

static void show(struct history *h, const struct event *e)
{
    for (unsigned i = 0; i < sizeof checkers / sizeof checkers[0] && !h->failed; i++)
        checkers[i](h, e);
}

void history_fail(struct history *h, const char *format, ...)
{
    if (h->failed)
        return;
    h->failed = true;
    va_list args;
    va_start(args, format);
    vsnprintf(h->text, sizeof h->text, format, args);
    va_end(args);
}

void history_open(struct history *h)
{
    memset(h, 0, sizeof *h);
}

void history_reset(struct history *h)
{
    h->n_queues = h->n_puts = h->n_messages = h->n_leases = h->n_finishes = h->n_sessions = 0;
    if (h->by_id)
        memset(h->by_id, 0xff, (h->ids_mask + 1ul) * sizeof *h->by_id);
    h->proven = 0;
    h->n_crashes = h->n_restarts = 0;
    h->unknown = 0;
    h->files_refused = false;
    h->failed = false;
    h->text[0] = 0;
}

void history_close(struct history *h)
{
    free(h->queues);
    free(h->puts);
    free(h->messages);
    free(h->leases);
    free(h->finishes);
    free(h->sessions);
    free(h->by_id);
    history_open(h);
}

/* One more item at the end of a table, all zero. */
static uint32_t add(struct history *h, unsigned table, void *items, uint32_t *n, size_t item_bytes)
{
    void *at;
    memcpy(&at, items, sizeof at);
    if (*n == h->room[table]) {
        h->room[table] = h->room[table] ? 2 * h->room[table] : FIRST_ROOM;
        at = realloc(at, h->room[table] * item_bytes);
        must(at != NULL);
        memcpy(items, &at, sizeof at);
    }
    memset((char *)at + *n * item_bytes, 0, item_bytes);
    return (*n)++;
}

static uint32_t cell_of(const struct history *h, const struct message_id *id)
{
    uint64_t x = (id->lsn.n ^ (uint64_t)id->epoch << 48) * 0x9e3779b97f4a7c15ull;
    return (uint32_t)(x >> 32) & h->ids_mask;
}

static bool same_id(const struct message_id *a, const struct message_id *b)
{
    return a->lsn.n == b->lsn.n && a->epoch == b->epoch && a->shard == b->shard && a->cell == b->cell;
}

uint32_t history_find(const struct history *h, const struct message_id *id)
{
    if (!h->by_id)
        return HISTORY_NONE;
    for (uint32_t c = cell_of(h, id);; c = (c + 1) & h->ids_mask) {
        uint32_t i = h->by_id[c];
        if (i == HISTORY_NONE || same_id(&h->messages[i].id, id))
            return i;
    }
}

static void enter(struct history *h, uint32_t message)
{
    uint32_t c = cell_of(h, &h->messages[message].id);
    while (h->by_id[c] != HISTORY_NONE)
        c = (c + 1) & h->ids_mask;
    h->by_id[c] = message;
}

static uint32_t find_or_add(struct history *h, const struct message_id *id)
{
    uint32_t i = history_find(h, id);
    if (i != HISTORY_NONE)
        return i;
    i = add(h, TABLE_MESSAGES, &h->messages, &h->n_messages, sizeof *h->messages);
    struct seen_message *m = &h->messages[i];
    m->id = *id;
    m->put = m->body = m->lease = m->acked = HISTORY_NONE;
    if (h->n_messages * 2 <= h->ids_mask) {
        enter(h, i);
        return i;
    }
    h->ids_mask = h->ids_mask ? 2 * h->ids_mask + 1 : 4 * FIRST_ROOM - 1;
    h->by_id = realloc(h->by_id, (h->ids_mask + 1ul) * sizeof *h->by_id);
    must(h->by_id != NULL);
    memset(h->by_id, 0xff, (h->ids_mask + 1ul) * sizeof *h->by_id);
    for (uint32_t k = 0; k < h->n_messages; k++)
        enter(h, k);
    return i;
}

uint32_t history_queue(struct history *h, const struct name *name, struct queue_ref ref,
                       const struct queue_attributes *a)
{
    for (uint32_t i = 0; i < h->n_queues; i++)
        if (h->queues[i].ref.incarnation == ref.incarnation && h->queues[i].ref.number == ref.number)
            return i;
    uint32_t i = add(h, TABLE_QUEUES, &h->queues, &h->n_queues, sizeof *h->queues);
    struct seen_queue *q = &h->queues[i];
    *q = (struct seen_queue){.name = *name, .ref = ref, .attributes = *a, .dead_letter = HISTORY_NONE};
    /* The newest of that name that was not certainly dropped is the one that its creation found. */
    for (uint32_t k = i; a->dead_letter.size > 0 && q->dead_letter == HISTORY_NONE && k-- > 0;)
        if (name_equal(&h->queues[k].name, &a->dead_letter) && h->queues[k].dropped != YES)
            q->dead_letter = k;
    return i;
}

void history_drop(struct history *h, uint32_t queue)
{
    if (h->queues[queue].dropped == NO)
        h->queues[queue].dropped = MAYBE;
}

void history_dropped(struct history *h, uint32_t queue, enum certainty how, struct stamp now)
{
    struct seen_queue *q = &h->queues[queue];
    if (q->dropped == YES)
        return;
    q->dropped = (uint8_t)how;
    q->drop_ended = now;
}

uint32_t history_put(struct history *h, const struct seen_put *p)
{
    uint32_t i = add(h, TABLE_PUTS, &h->puts, &h->n_puts, sizeof *h->puts);
    h->puts[i] = *p;
    h->puts[i].outcome = OUTCOME_PENDING;
    h->puts[i].message = h->puts[i].shown = h->puts[i].shown_too = HISTORY_NONE;
    return i;
}

static void prove(struct history *h, struct stamp invoked)
{
    if (invoked.world > h->proven)
        h->proven = invoked.world;
}

void history_put_done(struct history *h, uint32_t put, enum outcome o, enum leat_status status,
                      const struct message_id *id, struct stamp now)
{
    struct seen_put *p = &h->puts[put];
    must(p->outcome == OUTCOME_PENDING);
    p->outcome = (uint8_t)o;
    p->status = (uint16_t)status;
    p->ended = now;
    h->unknown += o == OUTCOME_UNKNOWN;
    if (o == OUTCOME_OK) {
        p->message = find_or_add(h, id);
        if (h->messages[p->message].put == HISTORY_NONE)
            h->messages[p->message].put = put;
        if (p->durability == CLASS_DISK)
            prove(h, p->invoked);
    }
    show(h, &(struct event){.kind = EVENT_PUT_DONE, .index = put, .now = now});
}

/* A message was seen with the body of `put`. */
static void see_body(struct history *h, uint32_t message, uint32_t put)
{
    if (put == HISTORY_NONE)
        return;
    struct seen_message *m = &h->messages[message];
    struct seen_put *p = &h->puts[put];
    if (m->body == HISTORY_NONE)
        m->body = put;
    if (p->shown == HISTORY_NONE)
        p->shown = message;
    else if (p->shown != message)
        p->shown_too = message;
}

static uint32_t find_lease(const struct history *h, uint32_t message, const uint8_t *receipt)
{
    uint32_t i = h->messages[message].lease;
    while (i != HISTORY_NONE && memcmp(h->leases[i].receipt, receipt, RECEIPT_BYTES) != 0)
        i = h->leases[i].older;
    return i;
}

/* A lease of this epoch, asked for at `asked`, was not given before. */
static uint64_t begun(const struct history *h, uint32_t epoch, uint64_t asked)
{
    for (uint32_t i = 0; i < h->n_restarts; i++)
        if (h->restarts[i].epoch == epoch && h->restarts[i].at.world > asked)
            return h->restarts[i].at.world;
    return asked;
}

/* The most that log time can have been at any moment since `asked`. */
static uint64_t ceiling(const struct history *h, uint64_t asked, uint64_t log)
{
    for (uint32_t i = 0; i < h->n_crashes; i++)
        if (h->crashes[i].world >= asked && h->crashes[i].log > log)
            log = h->crashes[i].log;
    return log;
}

uint32_t history_deliver(struct history *h, const struct delivery *d, struct stamp now)
{
    struct receipt r;
    if (!receipt_decode(&r, d->receipt)) {
        history_fail(h, "I4: a delivered receipt has no valid id");
        return HISTORY_NONE;
    }
    uint32_t message = find_or_add(h, &r.id);
    see_body(h, message, d->put);
    uint32_t i = find_lease(h, message, d->receipt);
    bool again = i != HISTORY_NONE;
    if (!again) {
        i = add(h, TABLE_LEASES, &h->leases, &h->n_leases, sizeof *h->leases);
        struct seen_lease *l = &h->leases[i];
        uint64_t floor = history_floor(h, d->asked);
        *l = (struct seen_lease){.message = message,
                                 .queue = d->queue,
                                 .client = d->client,
                                 .take = d->take,
                                 .older = h->messages[message].lease,
                                 .slot = r.slot,
                                 .generation = r.generation,
                                 .epoch = r.epoch,
                                 .attempts = d->attempts,
                                 .length = d->length,
                                 .asked = d->asked,
                                 .got = now,
                                 .from = begun(h, r.epoch, d->asked.world),
                                 .start = d->start > floor ? d->start : floor,
                                 .latest = d->start ? d->start : ceiling(h, d->asked.world, now.log)};
        l->due = instant_add((struct instant){l->start}, l->length).ns;
        memcpy(l->receipt, d->receipt, RECEIPT_BYTES);
        h->messages[message].lease = i;
    }
    show(h, &(struct event){.kind = EVENT_DELIVERED,
                            .again = again,
                            .index = i,
                            .queue = d->queue,
                            .take = d->take,
                            .put = d->put,
                            .now = now});
    return i;
}

void history_show(struct history *h, uint32_t queue, const uint8_t *receipt, uint32_t put, struct stamp now)
{
    struct receipt r;
    if (!receipt_decode(&r, receipt))
        return history_fail(h, "I4: a peeked message has no valid id");
    uint32_t message = find_or_add(h, &r.id);
    see_body(h, message, put);
    show(h, &(struct event){.kind = EVENT_SHOWN, .index = message, .queue = queue, .put = put, .now = now});
}

uint32_t history_finish(struct history *h, const struct seen_finish *f)
{
    uint32_t i = add(h, TABLE_FINISHES, &h->finishes, &h->n_finishes, sizeof *h->finishes);
    h->finishes[i] = *f;
    h->finishes[i].outcome = OUTCOME_PENDING;
    struct seen_lease *l = &h->leases[f->lease];
    if (f->op == OP_ACK) {
        h->messages[l->message].ack_maybe++;
    } else if (f->op == OP_NACK) {
        l->given_back = true;
    } else {
        uint64_t due = instant_add((struct instant){f->invoked.log}, f->time).ns;
        l->due = due < l->due ? due : l->due;
        l->vague |= l->extending++ > 0;
    }
    show(h, &(struct event){.kind = EVENT_FINISH, .index = i, .now = f->invoked});
    return i;
}

/* An extend was done: the lease ends no earlier than this, unless another extend may have come after it. */
static void extended(struct history *h, struct seen_lease *l, const struct seen_finish *f)
{
    uint64_t due = instant_add((struct instant){history_floor(h, f->invoked)}, f->time).ns;
    bool sure = !l->vague && history_is_disk(h, l->message); /* else a crash may take the extension away */
    l->due = sure || due < l->due ? due : l->due;
}

static void returned(struct history *h, struct seen_lease *l, const struct seen_finish *f)
{
    l->back = true;
    l->back_invoked = f->invoked.world;
    l->back_ended = f->ended.world;
    l->back_until = instant_add((struct instant){history_floor(h, f->invoked)}, f->time).ns;
}

static void ack_done(struct history *h, struct seen_message *m, const struct seen_finish *f)
{
    bool disk = history_is_disk(h, (uint32_t)(m - h->messages));
    if (!disk && history_may_be_lost(h, f->invoked.world, f->ended.world)) {
        m->ack_maybe++; /* its answer was late: a crash may have undone it before we heard of it */
        return;
    }
    bool gone = m->acks > 0 && !disk && history_may_be_lost(h, m->ack_invoked.world, m->ack_ended.world);
    m->acks = (uint16_t)(gone ? 1 : m->acks + 1);
    if (m->acks == 1) {
        m->acked = f->lease;
        m->ack_invoked = f->invoked;
        m->ack_ended = f->ended;
    }
}

void history_finish_done(struct history *h, uint32_t finish, enum outcome o, enum leat_status status, struct stamp now)
{
    struct seen_finish *f = &h->finishes[finish];
    must(f->outcome == OUTCOME_PENDING);
    f->outcome = (uint8_t)o;
    f->status = (uint16_t)status;
    f->ended = now;
    h->unknown += o == OUTCOME_UNKNOWN;
    struct seen_lease *l = &h->leases[f->lease];
    struct seen_message *m = &h->messages[l->message];
    if (f->op == OP_ACK && o != OUTCOME_UNKNOWN)
        m->ack_maybe--;
    if (f->op == OP_ACK && o == OUTCOME_OK)
        ack_done(h, m, f);
    if (f->op == OP_NACK && o == OUTCOME_OK)
        returned(h, l, f);
    if (f->op == OP_EXTEND && o == OUTCOME_OK)
        extended(h, l, f);
    if (f->op == OP_EXTEND && o != OUTCOME_UNKNOWN)
        l->extending--;
    if (o == OUTCOME_OK && history_is_disk(h, l->message))
        prove(h, f->invoked);
    show(h, &(struct event){.kind = EVENT_FINISH_DONE, .index = finish, .now = now});
}

void history_crash(struct history *h, struct stamp now)
{
    must(h->n_crashes < HISTORY_CRASHES_MAX);
    h->crashes[h->n_crashes++] = (struct crash){now.world, h->proven, now.log};
}

void history_restarted(struct history *h, uint32_t epoch, struct stamp now)
{
    must(h->n_restarts < HISTORY_CRASHES_MAX);
    h->restarts[h->n_restarts++] = (struct restart){now, epoch};
    show(h, &(struct event){.kind = EVENT_RESTARTED, .now = now});
}

void history_session(struct history *h, const struct seen_session *s, struct stamp now)
{
    uint32_t i = add(h, TABLE_SESSIONS, &h->sessions, &h->n_sessions, sizeof h->sessions[0]);
    h->sessions[i] = *s;
    show(h, &(struct event){.kind = EVENT_SESSION, .index = i, .now = now});
}

void history_found_dead(struct history *h, struct lsn lsn)
{
    for (uint32_t i = 0; i < h->n_messages; i++)
        if (h->messages[i].id.lsn.n == lsn.n)
            h->messages[i].found_dead = true;
}

void history_end(struct history *h, struct stamp now)
{
    show(h, &(struct event){.kind = EVENT_END, .now = now});
}

bool history_may_be_lost(const struct history *h, uint64_t from, uint64_t to)
{
    for (uint32_t i = 0; i < h->n_crashes; i++)
        if (h->crashes[i].world >= from && h->crashes[i].proven < to)
            return true;
    return false;
}

bool history_is_disk(const struct history *h, uint32_t message)
{
    const struct seen_message *m = &h->messages[message];
    uint32_t put = m->put != HISTORY_NONE ? m->put : m->body;
    return put != HISTORY_NONE && h->puts[put].durability == CLASS_DISK;
}

uint64_t history_floor(const struct history *h, struct stamp s)
{
    for (uint32_t i = 0; i < h->n_restarts; i++)
        if (h->restarts[i].at.world >= s.world && h->restarts[i].at.log < s.log)
            s.log = h->restarts[i].at.log;
    return s.log;
}

bool history_needs(const struct history *h, uint32_t put)
{
    const struct seen_put *p = &h->puts[put];
    if (p->outcome != OUTCOME_OK)
        return false;
    const struct seen_message *m = &h->messages[p->message];
    if (m->acks > 0 || m->ack_maybe > 0 || m->found_dead)
        return false;
    uint32_t q = p->queue;
    for (uint32_t steps = 0; q != HISTORY_NONE && steps <= h->n_queues; steps++, q = h->queues[q].dead_letter)
        if (h->queues[q].dropped != NO)
            return false;
    return p->durability == CLASS_DISK || !history_may_be_lost(h, p->invoked.world, p->ended.world);
}

bool history_leads_to(const struct history *h, uint32_t from, uint32_t to)
{
    for (unsigned steps = 0; from != HISTORY_NONE && steps <= h->n_queues; steps++) {
        if (from == to)
            return true;
        from = h->queues[from].dead_letter;
    }
    return false;
}

bool history_later(const struct seen_lease *a, const struct seen_lease *b)
{
    return a->epoch != b->epoch ? a->epoch > b->epoch : a->generation > b->generation;
}
