/* pipeline.c - submit and call back: the calls of leat.h that do not wait.
 *
 * A waiter is a place in a small table; its index goes through the core as the call's `user` and comes back with the
 * result (loop.c), which looks the callback up. */
#include "pipeline.h"

#include <stdio.h>
#include <string.h>

#include "loop.h"
#include "must.h"

enum leat_status pipeline_fail(struct leat *l, enum leat_status status, const char *about)
{
    if (status == LEAT_OK)
        return status;
    snprintf(l->error, sizeof l->error, "%s%s%s", about ? about : "", about ? ": " : "", status_text(status));
    return status;
}

enum leat_status pipeline_op(struct leat *l, struct client_op *op, uint8_t code, const char *queue)
{
    *op = (struct client_op){.request = {.op = code}};
    if (!queue || !name_set(&op->request.name, queue, strlen(queue)))
        return pipeline_fail(l, LEAT_BAD_NAME, queue && strlen(queue) <= 100 ? queue : NULL);
    return LEAT_OK;
}

enum leat_status pipeline_submit(struct leat *l, const struct client_op *op, leat_callback *callback, void *user,
                                 uint64_t *waiter)
{
    uint64_t i = 0;
    while (i < WAITERS_MAX && l->waiters[i].used)
        i++;
    if (i == WAITERS_MAX)
        return LEAT_OVERLOADED;
    enum leat_status status = client_submit(l->core, op, i);
    if (status != LEAT_OK)
        return pipeline_fail(l, status, NULL);
    l->waiters[i] = (struct waiter){true, callback, user};
    l->pending++;
    if (waiter)
        *waiter = i;
    return LEAT_OK;
}

bool pipeline_forget(struct leat *l, uint64_t waiter)
{
    bool sent = client_was_sent(l->core, waiter);
    must(client_forget(l->core, waiter));
    l->waiters[waiter].used = false;
    l->pending--;
    return sent;
}

enum leat_status pipeline_put(struct leat *l, const char *queue, const struct leat_put_entry *entries, size_t count,
                              leat_callback *callback, void *user, uint64_t *waiter)
{
    struct client_op op;
    struct request_put_entry *puts = l->puts;
    if (count == 0 || count > LEAT_BATCH_MAX)
        return pipeline_fail(l, count ? LEAT_BATCH_TOO_LARGE : LEAT_BAD_REQUEST, NULL);
    enum leat_status status = pipeline_op(l, &op, OP_PUT, queue);
    if (status != LEAT_OK)
        return status;
    for (size_t i = 0; i < count; i++) {
        const struct leat_put_entry *e = &entries[i];
        puts[i] = (struct request_put_entry){
            .delay = {e->delay_ns},
            .body = e->body,
            .body_size = e->body_size > UINT32_MAX ? UINT32_MAX : (uint32_t)e->body_size, /* refused as too large */
            .durability = (uint8_t)e->durability,
        };
    }
    op.count = (uint16_t)count;
    op.puts = puts;
    return pipeline_submit(l, &op, callback, user, waiter);
}

enum leat_status pipeline_receipts(struct leat *l, uint8_t code, const char *queue, const struct leat_receipt *receipts,
                                   size_t count, uint64_t time_ns, leat_callback *callback, void *user,
                                   uint64_t *waiter)
{
    struct client_op op;
    if (count == 0 || count > LEAT_BATCH_MAX)
        return pipeline_fail(l, count ? LEAT_BATCH_TOO_LARGE : LEAT_BAD_REQUEST, NULL);
    enum leat_status status = pipeline_op(l, &op, code, queue);
    if (status != LEAT_OK)
        return status;
    _Static_assert(sizeof(struct leat_receipt) == RECEIPT_BYTES, "receipts are passed on in place");
    op.request.time.ns = time_ns;
    op.count = (uint16_t)count;
    op.receipts = (const uint8_t(*)[RECEIPT_BYTES])(const void *)receipts;
    return pipeline_submit(l, &op, callback, user, waiter);
}

enum leat_status leat_submit_put(struct leat *l, const char *queue, const struct leat_put_entry *entries, size_t count,
                                 leat_callback *callback, void *user)
{
    return pipeline_put(l, queue, entries, count, callback, user, NULL);
}

enum leat_status leat_submit_take(struct leat *l, const char *queue, uint64_t wait_ns, uint64_t lease_ns, size_t max,
                                  leat_callback *callback, void *user)
{
    struct client_op op;
    enum leat_status status = pipeline_op(l, &op, OP_TAKE, queue);
    if (status != LEAT_OK)
        return status;
    op.request.max = max > BATCH_MAX ? UINT16_MAX : (uint16_t)max;
    op.request.wait.ns = wait_ns;
    op.request.time.ns = lease_ns;
    return pipeline_submit(l, &op, callback, user, NULL);
}

enum leat_status leat_submit_ack(struct leat *l, const char *queue, const struct leat_receipt *receipts, size_t count,
                                 leat_callback *callback, void *user)
{
    return pipeline_receipts(l, OP_ACK, queue, receipts, count, 0, callback, user, NULL);
}

enum leat_status leat_submit_nack(struct leat *l, const char *queue, const struct leat_receipt *receipts, size_t count,
                                  uint64_t delay_ns, leat_callback *callback, void *user)
{
    return pipeline_receipts(l, OP_NACK, queue, receipts, count, delay_ns, callback, user, NULL);
}

enum leat_status leat_submit_extend(struct leat *l, const char *queue, const struct leat_receipt *receipts,
                                    size_t count, uint64_t lease_ns, leat_callback *callback, void *user)
{
    return pipeline_receipts(l, OP_EXTEND, queue, receipts, count, lease_ns, callback, user, NULL);
}

enum leat_status leat_result_status(const struct leat_result *r)
{
    return r->core.status;
}

size_t leat_result_count(const struct leat_result *r)
{
    return r->core.count;
}

void leat_result_outcome(const struct leat_result *r, size_t i, struct leat_outcome *outcome)
{
    struct message_id id;
    outcome->status = client_result_entry(r->leat->core, &r->core, (unsigned)i, &id);
    outcome->id[0] = 0;
    if (r->core.op == OP_PUT && outcome->status == LEAT_OK)
        receipt_id_text(outcome->id, &id);
}

bool leat_result_message(struct leat_result *r, struct leat_message *message)
{
    struct reply_message m;
    if (r->core.reply.body == NULL || !reply_next_message(&r->core.reply, &r->offset, &m))
        return false;
    struct message_id id;
    memset(message, 0, sizeof *message);
    if (receipt_id_decode(&id, m.receipt) && id.epoch != 0)
        receipt_id_text(message->id, &id);
    memcpy(message->receipt.bytes, m.receipt, RECEIPT_BYTES);
    message->attempts = m.attempts;
    message->sent_ns = m.sent_wall_ns;
    message->lease_left_ns = m.lease_left.ns;
    message->state = m.state;
    message->body = m.body;
    message->body_size = m.body_size;
    return true;
}

size_t leat_poll(struct leat *l, uint64_t timeout_ns)
{
    size_t before = l->called;
    struct instant until = instant_add(loop_now(), (struct duration){timeout_ns});
    do {
        if (loop_turn(l, until) == IO_SIGNAL)
            break;
    } while (l->called == before && instant_before(loop_now(), until));
    return l->called - before;
}

size_t leat_pending(const struct leat *l)
{
    return l->pending;
}

size_t leat_room(const struct leat *l)
{
    return client_room(l->core);
}
