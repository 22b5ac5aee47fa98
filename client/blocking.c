/* blocking.c - submit and wait: the calls of leat.h that come back with the outcome of one request.
 *
 * Each submits through pipeline.c with a callback that writes the outcome where the caller waits, and turns the loop
 * until that has happened or the time is over. (Batches: batch.c.) */
#include "blocking.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "must.h"
#include "pipeline.h"

struct instant blocking_deadline(const struct leat *l)
{
    return instant_add(loop_now(), (struct duration){l->options.timeout_ns});
}

enum leat_status blocking_late(struct leat *l, bool sent, const char *queue)
{
    if (sent)
        return pipeline_fail(l, LEAT_TIMED_OUT, queue);
    if (client_ready(l->core))
        return pipeline_fail(l, LEAT_OVERLOADED, queue);
    enum leat_status refusal = client_refusal(l->core);
    return pipeline_fail(l, refusal != LEAT_OK ? refusal : LEAT_UNREACHABLE, l->trouble[0] ? l->trouble : NULL);
}

/* --- one call --- */

/* One call that is waited for; `take_over` looks at the result while it lives. */
struct one {
    bool done;
    enum leat_status status;
    enum leat_status (*take_over)(struct leat_result *r, struct one *one);
    struct leat_queue_stat *stats;
    struct leat_message *messages;
    size_t count;
    char *id;
    blocking_look *look;
    void *user;
};

static void one_done(struct leat *l, struct leat_result *r, void *user)
{
    (void)l;
    struct one *one = user;
    one->done = true;
    one->status = r->core.status;
    bool damaged = one->status == LEAT_CORRUPT && one->messages; /* their receipts are told */
    if (one->take_over && (one->status == LEAT_OK || damaged)) {
        enum leat_status status = one->take_over(r, one);
        one->status = status == LEAT_OK ? one->status : status;
    }
    if (one->look && one->status == LEAT_OK)
        one->status = one->look(&r->core, one->user);
}

/* Until there is room for one more call: pipelined ones may be under way. */
static enum leat_status submit_when_room(struct leat *l, const struct client_op *op, struct one *one, uint64_t *waiter,
                                         struct instant deadline)
{
    for (;;) {
        enum leat_status status = pipeline_submit(l, op, one_done, one, waiter);
        if (status != LEAT_OVERLOADED || !instant_before(loop_now(), deadline))
            return status;
        loop_turn(l, deadline);
    }
}

static enum leat_status call_once(struct leat *l, const struct client_op *op, struct one *one, const char *queue,
                                  struct instant deadline)
{
    uint64_t waiter;
    one->done = false;
    enum leat_status status = submit_when_room(l, op, one, &waiter, deadline);
    if (status != LEAT_OK)
        return status;
    while (!one->done) {
        loop_turn(l, deadline);
        if (!one->done && !instant_before(loop_now(), deadline))
            return blocking_late(l, pipeline_forget(l, waiter), queue);
    }
    return pipeline_fail(l, one->status, queue);
}

bool blocking_may_ask_again(const struct leat *l, enum leat_status status)
{
    return l->options.retry_refused && status_retry(status) && status != LEAT_EMPTY && status != LEAT_TIMED_OUT &&
           status != LEAT_UNREACHABLE;
}

bool blocking_pause(struct leat *l, unsigned tries, struct instant deadline)
{
    struct instant until = instant_add(loop_now(), duration_ms(tries < 7 ? 10u << tries : 1000));
    if (!instant_before(until, deadline))
        return false;
    while (instant_before(loop_now(), until))
        loop_turn(l, until);
    return true;
}

static enum leat_status call(struct leat *l, const struct client_op *op, struct one *one, const char *queue)
{
    struct instant deadline = blocking_deadline(l);
    for (unsigned tries = 0;; tries++) {
        enum leat_status status = call_once(l, op, one, queue, deadline);
        if (!blocking_may_ask_again(l, status) || !blocking_pause(l, tries, deadline))
            return status;
    }
}

enum leat_status blocking_ask(struct leat *l, const struct client_op *op, blocking_look *look, void *user)
{
    struct one one = {.look = look, .user = user};
    return call(l, op, &one, NULL);
}

/* --- queues --- */

static void copy_name(char *out, const struct name *name)
{
    memcpy(out, name->text, name->size);
    out[name->size] = 0;
}

static enum leat_status take_over_stats(struct leat_result *r, struct one *one)
{
    struct reply_stat s;
    uint32_t offset = 0;
    size_t n = 0;
    while (n < one->count && r->core.reply.body && reply_next_stat(&r->core.reply, &offset, &s)) {
        struct leat_queue_stat *out = &one->stats[n++];
        *out = (struct leat_queue_stat){.lease_ns = s.attributes.lease.ns,
                                        .delay_ns = s.attributes.delay.ns,
                                        .max_attempts = s.attributes.max_attempts,
                                        .body_max = s.attributes.body_max,
                                        .durability = (enum leat_durability)s.attributes.durability,
                                        .ready = s.ready,
                                        .leased = s.leased,
                                        .delayed = s.delayed,
                                        .dead = s.dead,
                                        .bytes = s.bytes,
                                        .puts = s.puts,
                                        .takes = s.takes,
                                        .acks = s.acks,
                                        .nacks = s.nacks,
                                        .expiries = s.expiries,
                                        .dead_letters = s.dead_letters,
                                        .oldest_ready_ns = s.oldest_ready.ns,
                                        .oldest_leased_ns = s.oldest_leased.ns,
                                        .oldest_delayed_ns = s.oldest_delayed.ns,
                                        .parked = s.parked};
        copy_name(out->name, &s.name);
        copy_name(out->dead_letter, &s.attributes.dead_letter);
    }
    one->count = n;
    return LEAT_OK;
}

enum leat_status leat_queue_create(struct leat *l, const char *queue, const struct leat_queue_options *options)
{
    struct client_op op;
    struct one one = {0};
    enum leat_status status = pipeline_op(l, &op, OP_QUEUE_CREATE, queue);
    if (status != LEAT_OK)
        return status;
    static const struct leat_queue_options plain;
    const struct leat_queue_options *o = options ? options : &plain;
    op.request.attributes = (struct queue_attributes){
        .lease = {o->lease_ns ? o->lease_ns : 30 * LEAT_SECOND},
        .delay = {o->delay_ns},
        .max_attempts = o->max_attempts,
        .body_max = o->body_max,
        .durability = (uint8_t)o->durability,
    };
    if (o->dead_letter && !name_set(&op.request.attributes.dead_letter, o->dead_letter, strlen(o->dead_letter)))
        return pipeline_fail(l, LEAT_BAD_NAME, "dead letter");
    return call(l, &op, &one, queue);
}

enum leat_status leat_queue_drop(struct leat *l, const char *queue)
{
    struct client_op op;
    struct one one = {0};
    enum leat_status status = pipeline_op(l, &op, OP_QUEUE_DROP, queue);
    return status == LEAT_OK ? call(l, &op, &one, queue) : status;
}

enum leat_status leat_queue_stat(struct leat *l, const char *queue, struct leat_queue_stat *stat)
{
    struct client_op op;
    struct one one = {.take_over = take_over_stats, .stats = stat, .count = 1};
    enum leat_status status = pipeline_op(l, &op, OP_QUEUE_STAT, queue);
    return status == LEAT_OK ? call(l, &op, &one, queue) : status;
}

enum leat_status leat_queue_list(struct leat *l, const char *after, struct leat_queue_stat *stats, size_t *count)
{
    struct client_op op = {.request = {.op = OP_QUEUE_LIST}};
    size_t wanted = *count, got = 0;
    *count = 0;
    if (after && *after && !name_set(&op.request.name, after, strlen(after)))
        return pipeline_fail(l, LEAT_BAD_NAME, after);
    while (got < wanted) {
        op.request.max = wanted - got > BATCH_MAX ? BATCH_MAX : (uint16_t)(wanted - got);
        struct one one = {.take_over = take_over_stats, .stats = stats + got, .count = op.request.max};
        enum leat_status status = call(l, &op, &one, NULL);
        if (status != LEAT_OK)
            return status;
        got += one.count;
        *count = got;
        if (one.count == 0)
            break; /* an answer may hold fewer than were asked for: only an empty one is the end */
        must(name_set(&op.request.name, stats[got - 1].name, strlen(stats[got - 1].name)));
    }
    return LEAT_OK;
}

/* --- messages --- */

static enum leat_status take_over_id(struct leat_result *r, struct one *one)
{
    struct leat_outcome outcome;
    leat_result_outcome(r, 0, &outcome);
    memcpy(one->id, outcome.id, sizeof outcome.id);
    return outcome.status;
}

enum leat_status leat_put(struct leat *l, const char *queue, const void *body, size_t body_size,
                          const struct leat_put_options *options, char id[LEAT_ID_TEXT])
{
    struct client_op op;
    struct one one = {.take_over = id ? take_over_id : NULL, .id = id};
    if (id)
        id[0] = 0;
    enum leat_status status = pipeline_op(l, &op, OP_PUT, queue);
    if (status != LEAT_OK)
        return status;
    if (body_size > UINT32_MAX)
        return pipeline_fail(l, LEAT_TOO_LARGE, queue);
    struct request_put_entry put = {.delay = {options ? options->delay_ns : LEAT_DEFAULT},
                                    .body = body,
                                    .body_size = (uint32_t)body_size,
                                    .durability = options ? (uint8_t)options->durability : 0};
    op.count = 1;
    op.puts = &put;
    return call(l, &op, &one, queue);
}

/* Copies bodies behind each other, each with a zero behind it: they outlive the result. */
static enum leat_status take_over_messages(struct leat_result *r, struct one *one)
{
    struct leat *l = r->leat;
    size_t need = r->core.reply.body_size + r->core.count, at = 0, n = 0;
    if (need > l->bodies_room) {
        uint8_t *larger = malloc(need);
        if (!larger)
            return LEAT_NO_MEMORY;
        free(l->bodies);
        l->bodies = larger;
        l->bodies_room = need;
    }
    struct leat_message m;
    while (n < one->count && leat_result_message(r, &m)) {
        memcpy(l->bodies + at, m.body, m.body_size);
        m.body = l->bodies + at;
        at += m.body_size;
        l->bodies[at++] = 0;
        one->messages[n++] = m;
    }
    one->count = n;
    return LEAT_OK;
}

static enum leat_status check_count(struct leat *l, size_t count)
{
    if (count >= 1 && count <= BATCH_MAX)
        return LEAT_OK;
    return pipeline_fail(l, LEAT_BAD_VALUE, "1 to 1000 messages can be taken at a time");
}

enum leat_status leat_take(struct leat *l, const char *queue, uint64_t wait_ns, uint64_t lease_ns,
                           struct leat_message *messages, size_t *count)
{
    struct client_op op;
    size_t wanted = *count;
    *count = 0;
    enum leat_status status = pipeline_op(l, &op, OP_TAKE, queue);
    if (status == LEAT_OK)
        status = check_count(l, wanted);
    if (status != LEAT_OK)
        return status;
    op.request.max = (uint16_t)wanted;
    op.request.time.ns = lease_ns;
    struct instant end = instant_add(loop_now(), (struct duration){wait_ns});
    for (unsigned tries = 0;; tries++) {
        const struct reply_hello *hello = client_hello(l->core);
        uint64_t left = instant_since(end, loop_now()).ns;
        op.request.wait.ns = hello && hello->wait_max.ns && left > hello->wait_max.ns ? hello->wait_max.ns : left;
        struct one one = {.take_over = take_over_messages, .messages = messages, .count = wanted};
        struct instant deadline = instant_add(blocking_deadline(l), op.request.wait);
        status = call_once(l, &op, &one, queue, deadline);
        if (status == LEAT_OK || status == LEAT_CORRUPT)
            *count = one.count;
        bool over = !instant_before(loop_now(), end);
        if (status == LEAT_LEASE_LOST || (status == LEAT_EMPTY && !over))
            continue; /* the lease that answered us was lost; or the broker's longest wait was shorter */
        if (!blocking_may_ask_again(l, status) || over || !blocking_pause(l, tries, end))
            return status;
    }
}

enum leat_status leat_peek(struct leat *l, const char *queue, struct leat_message *messages, size_t *count)
{
    struct client_op op;
    struct one one = {.take_over = take_over_messages, .messages = messages, .count = *count};
    *count = 0;
    enum leat_status status = pipeline_op(l, &op, OP_PEEK, queue);
    if (status == LEAT_OK)
        status = check_count(l, one.count);
    if (status != LEAT_OK)
        return status;
    op.request.max = (uint16_t)one.count;
    status = call(l, &op, &one, queue);
    *count = status == LEAT_OK ? one.count : 0;
    return status;
}
