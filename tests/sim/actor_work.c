/* actor_work.c - what an actor asks next, and what it makes of the answers.
 *
 * A message in its hands is acted on when it was held long enough: acked, given back, extended first, acked twice, late
 * (after its lease, or after twice its lease: then somebody else has had it), or never. */
#include <string.h>

#include "actor.h"
#include "body.h"
#include "byteorder.h"
#include "mark.h"
#include "must.h"
#include "world.h"

#define PICK(prng, ...)                                                                                                \
    ((const uint64_t[]){__VA_ARGS__}[prng_below((prng), sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))])

enum { WORK_BYTES_MAX = 256 * 1024, BATCH_ROOM = BATCH_MAX + 1 };

static uint8_t bytes[WORK_BYTES_MAX + 2 * FRAME_MAX];
static struct request_put_entry entries[BATCH_ROOM];
static uint8_t receipts[BATCH_ROOM][RECEIPT_BYTES];

static uint32_t free_call(struct actor *a)
{
    uint32_t i = 0;
    while (i < ACTOR_CALLS && a->call[i].open)
        i++;
    return i;
}

/* A queue that clients know of, as a number of the history, or HISTORY_NONE. */
static uint32_t some_queue(struct actor *a)
{
    struct world *w = a->w;
    uint64_t from = prng_below(&a->prng, w->draw.queues);
    for (unsigned i = 0; i < w->draw.queues; i++) {
        const struct known_queue *q = &w->queue[(from + i) % w->draw.queues];
        if (q->number != HISTORY_NONE)
            return q->number;
    }
    return HISTORY_NONE;
}

static void name_queue(const struct actor *a, struct request *r, uint32_t queue)
{
    const struct seen_queue *q = &a->w->history.queues[queue];
    if (a->w->draw.by_name)
        r->name = q->name;
    else
        r->queue = q->ref;
}

static bool is_backup(uint8_t op)
{
    return op == OP_BACKUP_BEGIN || op == OP_BACKUP_READ || op == OP_BACKUP_END;
}

bool actor_ask(struct actor *a, const struct client_op *op, const struct call *c)
{
    uint32_t slot = free_call(a);
    must(slot < ACTOR_CALLS);
    enum leat_status status = client_submit(a->client, op, slot);
    bool backup = is_backup(c->op);
    const char *name = backup ? "" : c->op >= OP_PUT ? a->w->history.queues[c->queue].name.text : op->request.name.text;
    world_trace(a->w, "c%u %s %s x%u%s%s", a->number, frame_op_name(c->op), name, c->count,
                status == LEAT_OK ? "" : ": ", status == LEAT_OK ? "" : status_name(status));
    if (!backup) /* faults come with the work, not with the copying */
        a->w->operations += c->count ? c->count : 1;
    if (status != LEAT_OK)
        return false;
    a->call[slot] = *c;
    a->call[slot].open = true;
    a->w->stats.overlaps += a->w->calls++ > 0;
    return true;
}

/* ---- puts ---- */

static uint32_t body_size(struct actor *a, uint32_t body_max)
{
    if (prng_chance(&a->prng, a->manners.over))
        return body_max + 1;
    switch (prng_below(&a->prng, 8)) {
    case 0:
        return 0;
    case 1:
        return body_max;
    case 2:
        return (uint32_t)prng_below(&a->prng, body_max + 1ul);
    default:
        return (uint32_t)prng_below(&a->prng, body_max < 64 ? body_max + 1ul : 64);
    }
}

static struct duration put_delay(struct actor *a)
{
    if (prng_chance(&a->prng, a->manners.delayed))
        return duration_us(PICK(&a->prng, 1000, 5000, 50000, 1000000, 3600000000, 2592000000000));
    return (struct duration){prng_chance(&a->prng, 50) ? UINT64_MAX : 0};
}

/* One entry of a put batch at bytes + *used; its token is its number in the history. */
static uint32_t add_put(struct actor *a, uint32_t queue, struct request_put_entry *e, uint32_t *used)
{
    struct history *h = &a->w->history;
    const struct queue_attributes *q = &h->queues[queue].attributes;
    uint32_t body_max = q->body_max ? q->body_max : (uint32_t)a->w->draw.body_max;
    *e = (struct request_put_entry){.delay = put_delay(a), .body_size = body_size(a, body_max)};
    e->attrs_size = (uint16_t)(e->body_size < BODY_TOKEN ? 8 : PICK(&a->prng, 0, 0, 8, 13, 40));
    if (prng_chance(&a->prng, a->manners.memory))
        e->durability = CLASS_MEMORY;
    else if (prng_chance(&a->prng, 10))
        e->durability = CLASS_DISK;
    struct seen_put p = {.queue = queue,
                         .client = a->number,
                         .body_size = e->body_size,
                         .attrs_size = e->attrs_size,
                         .durability = e->durability ? e->durability : q->durability,
                         .delay = e->delay.ns == UINT64_MAX ? q->delay : e->delay,
                         .invoked = world_stamp(a->w)};
    uint32_t token = history_put(h, &p);
    body_fill(bytes + *used, e->body_size, token, 0);
    e->body = bytes + *used;
    *used += (uint32_t)round_up(e->body_size, 8);
    body_fill(bytes + *used, e->attrs_size, token, 1);
    e->attrs = bytes + *used;
    *used += (uint32_t)round_up(e->attrs_size, 8);
    return token;
}

static bool ask_put(struct actor *a)
{
    uint32_t queue = some_queue(a);
    if (queue == HISTORY_NONE)
        return false;
    struct client_op op = {.request = {.op = OP_PUT}, .puts = entries};
    name_queue(a, &op.request, queue);
    unsigned want = 1 + (unsigned)prng_below(&a->prng, a->manners.put_batch);
    if (prng_chance(&a->prng, a->manners.over) && a->w->draw.body_max <= 100)
        want = BATCH_MAX + (unsigned)prng_below(&a->prng, 2);
    uint32_t used = 0, most = a->manners.link == LINK_STREAM ? WORK_BYTES_MAX : 3 * a->w->draw.datagram_max;
    if (most > WORK_BYTES_MAX)
        most = WORK_BYTES_MAX;
    struct call c = {.op = OP_PUT, .queue = queue, .first = a->w->history.n_puts, .asked = world_stamp(a->w)};
    for (; op.count < want && used < most; op.count++)
        add_put(a, queue, &entries[op.count], &used);
    c.count = op.count;
    if (actor_ask(a, &op, &c))
        return true;
    for (uint16_t i = 0; i < c.count; i++)
        history_put_done(&a->w->history, c.first + i, OUTCOME_FAIL, LEAT_OVERLOADED, NULL, world_stamp(a->w));
    return true;
}

static void put_result(struct actor *a, const struct call *c, const struct client_result *r)
{
    for (uint16_t i = 0; i < c->count; i++) {
        struct message_id id;
        enum leat_status status = client_result_entry(a->client, r, i, &id);
        enum outcome o = status == LEAT_OK                ? OUTCOME_OK
                         : status == LEAT_UNKNOWN_OUTCOME ? OUTCOME_UNKNOWN
                                                          : OUTCOME_FAIL;
        history_put_done(&a->w->history, c->first + i, o, status, &id, world_stamp(a->w));
        const struct seen_put *p = &a->w->history.puts[c->first + i];
        world_trace(a->w, "c%u   put %u (%s): %s", a->number, c->first + i,
                    p->durability == CLASS_DISK ? "disk" : "memory", status_name(status));
        world_status(a->w, a->number, c->op, c->queue, status);
    }
}

/* ---- takes ---- */

static bool ask_take(struct actor *a)
{
    uint32_t queue = some_queue(a);
    if (queue == HISTORY_NONE || a->held_count >= ACTOR_HELD / 2)
        return false;
    struct client_op op = {
        .request = {.op = OP_TAKE, .max = (uint16_t)(1 + prng_below(&a->prng, a->manners.take_batch))}};
    name_queue(a, &op.request, queue);
    if (prng_chance(&a->prng, a->manners.waits))
        op.request.wait = duration_us(PICK(&a->prng, 1000, 50000, 2000000, 20000000));
    if (prng_chance(&a->prng, 30))
        op.request.time = duration_us(PICK(&a->prng, 1000, 3000, 20000, 500000, 30000000, 43200000000));
    struct call c = {.op = OP_TAKE, .queue = queue, .first = a->w->operations, .asked = world_stamp(a->w)};
    c.length = op.request.time.ns ? op.request.time : a->w->history.queues[queue].attributes.lease;
    return actor_ask(a, &op, &c);
}

bool actor_take(struct actor *a, uint32_t queue, uint16_t max)
{
    struct client_op op = {.request = {.op = OP_TAKE, .max = max, .time = duration_s(30)}};
    op.request.queue = a->w->history.queues[queue].ref;
    return actor_ask(
        a, &op, &(struct call){.op = OP_TAKE, .queue = queue, .asked = world_stamp(a->w), .length = duration_s(30)});
}

/* Which put these bytes are of, or HISTORY_NONE. */
static uint32_t put_of(const struct history *h, const struct reply_message *m)
{
    uint32_t token;
    if (!body_token(m->body, m->body_size, &token) && !body_token(m->attrs, m->attrs_size, &token))
        return HISTORY_NONE;
    if (token >= h->n_puts || h->puts[token].body_size != m->body_size || h->puts[token].attrs_size != m->attrs_size)
        return HISTORY_NONE;
    bool same = body_is(m->body, m->body_size, token, 0) && body_is(m->attrs, m->attrs_size, token, 1);
    return same ? token : HISTORY_NONE;
}

static void hold(struct actor *a, uint32_t lease, uint32_t queue, struct duration length)
{
    const struct draw_actor *m = &a->manners;
    if (a->held_count == ACTOR_HELD || prng_chance(&a->prng, m->forget)) {
        mark(sim_message_forgotten);
        return;
    }
    struct held *x = &a->held[a->held_count++];
    *x = (struct held){.lease = lease, .queue = queue, .intent = INTEND_ACK};
    x->act_at = a->w->now + prng_below(&a->prng, m->hold_us * 1500ull + 1);
    if (prng_chance(&a->prng, m->nack))
        x->intent = INTEND_NACK;
    else if (prng_chance(&a->prng, m->extend))
        x->intent = INTEND_EXTEND;
    else if (prng_chance(&a->prng, m->twice))
        x->intent = INTEND_ACK_TWICE;
    if (prng_chance(&a->prng, m->late) && length.ns <= 5000000000) {
        mark(sim_message_held_too_long);
        x->act_at = a->w->now + length.ns + prng_below(&a->prng, 2 * length.ns + 1);
    }
}

static void take_result(struct actor *a, const struct call *c, const struct client_result *r)
{
    world_status(a->w, a->number, c->op, c->queue, r->status);
    if (a->number == DRAIN_LINK)
        drain_took(&a->w->drain, r->status);
    if (r->status == LEAT_EMPTY)
        a->think_until = a->w->now + 1000000 + prng_below(&a->prng, 20000000);
    if (r->status != LEAT_OK)
        return;
    struct history *h = &a->w->history;
    struct reply_message m;
    for (uint32_t offset = 0; reply_next_message(&r->reply, &offset, &m);) {
        struct delivery d = {.queue = c->queue,
                             .client = a->number,
                             .put = put_of(h, &m),
                             .attempts = m.attempts,
                             .take = c->first,
                             .receipt = m.receipt,
                             .length = c->length,
                             .asked = c->asked};
        d.start = broker_lease_start(&a->w->broker, m.receipt);
        if (m.lease_left.ns > c->length.ns)
            history_fail(h, "I8: c%u asked for %.3f s and is told that %.3f s are left", a->number,
                         (double)c->length.ns / 1e9, (double)m.lease_left.ns / 1e9);
        uint32_t lease = history_deliver(h, &d, world_stamp(a->w));
        a->w->stats.deliveries++;
        world_trace(a->w, "c%u has message %u of put %u, attempt %u", a->number,
                    h->failed ? 0 : h->leases[lease].message, d.put, d.attempts);
        if (h->failed)
            return;
        hold(a, lease, c->queue, c->length);
    }
}

/* ---- acks, nacks, extends ---- */

static uint8_t op_of(uint8_t intent)
{
    return intent == INTEND_NACK ? OP_NACK : intent == INTEND_EXTEND ? OP_EXTEND : OP_ACK;
}

/* What becomes of a message after it was acted on; false: nothing more. */
static bool goes_on(struct actor *a, struct held *x)
{
    if (x->intent != INTEND_EXTEND && x->intent != INTEND_ACK_TWICE)
        return false;
    x->intent = INTEND_ACK;
    x->act_at = a->w->now + prng_below(&a->prng, a->manners.hold_us * 1500ull + 1000);
    return true;
}

/* Acts on messages whose time has come, as many as share a queue and an operation. */
static bool ask_finish(struct actor *a)
{
    struct history *h = &a->w->history;
    struct client_op op = {.receipts = (const uint8_t(*)[RECEIPT_BYTES])receipts};
    struct call c = {.asked = world_stamp(a->w), .first = h->n_finishes};
    struct duration time = duration_us(PICK(&a->prng, 1000, 20000, 500000));
    uint32_t kept = 0;
    for (uint32_t i = 0; i < a->held_count; i++) {
        struct held x = a->held[i];
        bool first = op.count == 0;
        bool fits = x.act_at <= a->w->now && op.count < a->manners.finish_batch &&
                    (first || (op_of(x.intent) == c.op && x.queue == c.queue));
        if (fits && first) {
            c.op = op.request.op = op_of(x.intent);
            c.queue = x.queue;
            if (c.op == OP_NACK && prng_chance(&a->prng, 50))
                time.ns = 0;
            op.request.time.ns = c.op == OP_ACK ? 0 : time.ns;
        }
        if (fits) {
            memcpy(receipts[op.count++], h->leases[x.lease].receipt, RECEIPT_BYTES);
            history_finish(
                h, &(struct seen_finish){
                       .op = c.op, .lease = x.lease, .client = a->number, .time = op.request.time, .invoked = c.asked});
        }
        if (!fits || goes_on(a, &x))
            a->held[kept++] = x;
    }
    a->held_count = kept;
    if (op.count == 0)
        return false;
    name_queue(a, &op.request, c.queue);
    c.count = op.count;
    if (!actor_ask(a, &op, &c))
        for (uint16_t i = 0; i < c.count; i++)
            history_finish_done(h, c.first + i, OUTCOME_FAIL, LEAT_OVERLOADED, world_stamp(a->w));
    return true;
}

static void finish_result(struct actor *a, const struct call *c, const struct client_result *r)
{
    for (uint16_t i = 0; i < c->count; i++) {
        struct message_id id;
        enum leat_status status = client_result_entry(a->client, r, i, &id);
        enum outcome o = status == LEAT_OK                ? OUTCOME_OK
                         : status == LEAT_UNKNOWN_OUTCOME ? OUTCOME_UNKNOWN
                                                          : OUTCOME_FAIL;
        history_finish_done(&a->w->history, c->first + i, o, status, world_stamp(a->w));
        world_trace(a->w, "c%u   %s of message %u: %s", a->number, frame_op_name(c->op),
                    a->w->history.leases[a->w->history.finishes[c->first + i].lease].message, status_name(status));
        world_status(a->w, a->number, c->op, c->queue, status);
    }
}

/* ---- questions ---- */

static bool ask_look(struct actor *a)
{
    uint32_t queue = some_queue(a);
    if (queue == HISTORY_NONE)
        return false;
    struct client_op op = {.request = {.max = 10}};
    op.request.op = (uint8_t)PICK(&a->prng, OP_PEEK, OP_PEEK, OP_QUEUE_STAT, OP_QUEUE_LIST);
    struct call c = {.op = op.request.op, .queue = queue, .asked = world_stamp(a->w)};
    if (op.request.op == OP_PEEK)
        name_queue(a, &op.request, queue);
    else if (op.request.op == OP_QUEUE_STAT)
        op.request.name = a->w->history.queues[queue].name;
    return actor_ask(a, &op, &c);
}

static void look_result(struct actor *a, const struct call *c, const struct client_result *r)
{
    world_status(a->w, a->number, c->op, c->queue, r->status);
    struct history *h = &a->w->history;
    struct reply_message m;
    struct reply_stat s;
    uint32_t offset = 0;
    if (r->status != LEAT_OK)
        return;
    while (c->op == OP_PEEK && reply_next_message(&r->reply, &offset, &m))
        history_show(h, c->queue, m.receipt, put_of(h, &m), world_stamp(a->w));
    while (c->op != OP_PEEK && reply_next_stat(&r->reply, &offset, &s))
        if (s.puts != s.acks + s.dead_letters + s.ready + s.leased + s.delayed)
            history_fail(h, "I17: the counters of %s do not add up", s.name.text);
}

/* ---- queues: the first actor makes them, and drops them now and then ---- */

static bool ask_create(struct actor *a)
{
    struct world *w = a->w;
    for (uint32_t i = 0; i < w->draw.queues; i++) {
        struct known_queue *q = &w->queue[i];
        if (q->number != HISTORY_NONE)
            continue;
        if (q->asked)
            return false; /* one after the other: dead-letter queues first */
        struct client_op op = {.request = {.op = OP_QUEUE_CREATE}};
        op.request.name = w->draw.queue[i].name;
        op.request.attributes = w->draw.queue[i].attributes;
        q->asked = actor_ask(a, &op, &(struct call){.op = OP_QUEUE_CREATE, .queue = i, .asked = world_stamp(w)});
        return true;
    }
    return false;
}

static bool ask_drop(struct actor *a)
{
    struct world *w = a->w;
    uint32_t i = (uint32_t)prng_below(&a->prng, w->draw.queues);
    struct known_queue *q = &w->queue[i];
    if (q->number == HISTORY_NONE || q->asked)
        return false;
    struct client_op op = {.request = {.op = OP_QUEUE_DROP}};
    op.request.name = w->draw.queue[i].name;
    history_drop(&w->history, q->number);
    q->asked =
        actor_ask(a, &op, &(struct call){.op = OP_QUEUE_DROP, .queue = i, .first = q->number, .asked = world_stamp(w)});
    return true;
}

static void queue_result(struct actor *a, const struct call *c, const struct client_result *r)
{
    struct world *w = a->w;
    struct known_queue *q = &w->queue[c->queue];
    q->asked = false;
    world_status(w, a->number, c->op, HISTORY_NONE, r->status);
    if (c->op == OP_QUEUE_DROP) {
        /* no_queue: an earlier drop of which nobody heard did it */
        bool gone = r->status == LEAT_OK || r->status == LEAT_NO_QUEUE;
        enum certainty how = gone ? YES : r->status == LEAT_UNKNOWN_OUTCOME ? MAYBE : NO;
        history_dropped(&w->history, c->first, how, world_stamp(w));
        if (gone || r->status == LEAT_UNKNOWN_OUTCOME)
            q->number = HISTORY_NONE;
        return;
    }
    struct reply_stat s;
    uint32_t offset = 0;
    if (r->status == LEAT_OK && reply_next_stat(&r->reply, &offset, &s))
        q->number = history_queue(&w->history, &s.name, s.queue, &s.attributes);
}

/* ---- together ---- */

static bool ask_something(struct actor *a)
{
    const struct draw_actor *m = &a->manners;
    if (a->number == ACTOR_ADMIN && a->w->draw.drops && prng_chance(&a->prng, 1) && ask_drop(a))
        return true;
    uint64_t pick = prng_below(&a->prng, (uint64_t)m->puts + m->takes + m->looks);
    if (pick < m->puts)
        return ask_put(a);
    return pick < (uint64_t)m->puts + m->takes ? ask_take(a) : ask_look(a);
}

bool actor_work(struct actor *a)
{
    if (client_room(a->client) == 0 || free_call(a) == ACTOR_CALLS)
        return false;
    if (ask_finish(a))
        return true;
    if (a->number == DRAIN_LINK)
        return drain_work(&a->w->drain);
    if (a->number == COPY_LINK)
        return copyist_work(&a->w->copyist);
    if (a->quiet || a->w->now < a->think_until || a->w->history.failed)
        return false;
    if (a->number == ACTOR_ADMIN && ask_create(a))
        return true;
    bool asked = ask_something(a);
    a->think_until = a->w->now + prng_below(&a->prng, a->manners.think_us * 2000ull + 1);
    if (!asked)
        a->think_until += 1000000;
    return asked;
}

uint64_t actor_work_due(const struct actor *a)
{
    if (client_room(a->client) == 0)
        return UINT64_MAX;
    bool waits = a->quiet || a->leaving ||
                 ((a->number == DRAIN_LINK || a->number == COPY_LINK) && client_pending(a->client) > 0);
    uint64_t due = waits ? UINT64_MAX : a->think_until;
    for (uint32_t i = 0; i < a->held_count; i++)
        due = a->held[i].act_at < due ? a->held[i].act_at : due;
    return due;
}

void actor_work_result(struct actor *a, const struct client_result *r)
{
    struct call *c = &a->call[r->user];
    must(r->user < ACTOR_CALLS && c->open);
    c->open = false;
    a->w->calls--;
    world_trace(a->w, "c%u < %s %s", a->number, frame_op_name(c->op), status_name(r->status));
    switch (c->op) {
    case OP_PUT:
        return put_result(a, c, r);
    case OP_TAKE:
        return take_result(a, c, r);
    case OP_PEEK:
    case OP_QUEUE_STAT:
    case OP_QUEUE_LIST:
        return look_result(a, c, r);
    case OP_QUEUE_CREATE:
    case OP_QUEUE_DROP:
        return queue_result(a, c, r);
    case OP_BACKUP_BEGIN:
    case OP_BACKUP_READ:
    case OP_BACKUP_END:
        return copyist_result(&a->w->copyist, c, r);
    default:
        return finish_result(a, c, r);
    }
}
