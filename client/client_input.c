/* client_input.c - what the broker said: bytes to frames, frames to answers, answers to calls.
 *
 * On a stream a wrong byte is the end of the connection, since nothing behind it can be trusted. On datagrams garbage
 * is dropped and counted, because anybody may send it. Answers to numbers that are not waited for are repetitions. */
#include "client_state.h"

#include <string.h>

#include "mark.h"
#include "must.h"

enum { BEHIND_SENDS = 4 };

static enum leat_status hello_refused(struct client *c, enum leat_status status, struct instant now)
{
    if (c->session_open && !status_retry(status) && status != LEAT_BAD_VERSION) { /* it cannot be resumed */
        client_expire(c);
        client_say_hello(c);
        return LEAT_OK;
    }
    mark(client_hello_refused);
    c->refusal = status;
    c->hello_failed = true;
    c->hello_due = instant_add(now, client_backoff(c, ++c->failures));
    c->due = instant_min(c->due, c->hello_due);
    return LEAT_OK;
}

static enum leat_status hello_answered(struct client *c, const struct frame_op *op, struct instant now)
{
    if (op->number != c->hello_number || c->link != LINK_HELLO || c->hello_failed) {
        c->counters.duplicate++;
        return LEAT_OK;
    }
    if (op->status != LEAT_OK)
        return hello_refused(c, op->status, now);
    struct reply_hello hello;
    if (!reply_hello_decode(op, &hello) || hello.session == 0)
        return LEAT_BAD_FRAME;
    if (c->session_open && hello.session == c->session) {
        mark(client_session_resumed);
        c->counters.resumes++;
        window_resend_from(&c->window, c->window.oldest);
    } else {
        if (c->session_open)
            return LEAT_BAD_FRAME; /* we asked for ours */
        window_reset(&c->window, hello.window < c->config.window ? hello.window : c->config.window);
        c->counters.sessions++;
    }
    c->hello = hello;
    c->told = true;
    c->session = hello.session;
    c->secret = hello.secret;
    c->session_open = true;
    c->refusal = LEAT_OK;
    c->link = LINK_READY;
    c->hello_now = false;
    uint32_t most = c->config.datagrams ? c->config.datagram_max : FRAME_MAX;
    c->frame_max = hello.frame_max < most ? hello.frame_max & ~7u : most;
    client_pump(c);
    return LEAT_OK;
}

/* The broker does not know our session on this connection: the next one will ask for it. (Before hello is answered,
 * this is said to what we sent in an earlier connection.) */
static void lose_session(struct client *c)
{
    c->broken = c->broken || c->link == LINK_READY;
}

/* The broker asks for a number that it has answered: an old gap, late on its way, or a broker that has forgotten and
 * believed an old hello. If nothing helps, a new hello tells it where we are. */
static void behind(struct client *c)
{
    const struct window_slot *oldest = window_find(&c->window, c->window.oldest);
    if (!oldest || oldest->sends < BEHIND_SENDS)
        return;
    mark(client_broker_behind);
    c->broken = true;
}

static enum leat_status pong(struct client *c, const struct frame_op *op, struct instant now)
{
    if (op->status == LEAT_NO_SESSION || op->status == LEAT_SESSION_EXPIRED)
        lose_session(c);
    if (op->status != LEAT_GAP)
        return LEAT_OK;
    struct window_slot *slot = window_find(&c->window, op->number);
    if (!slot) {
        behind(c);
        return LEAT_OK;
    }
    if (c->window.to_send & 1ull << (slot - c->window.slots))
        return LEAT_OK; /* about to be sent */
    /* a full window behind each gap would drown the net */
    unsigned doubling = slot->sends < 10 ? slot->sends : 10;
    uint64_t trip = c->window.smoothed.ns;
    if (trip == 0) /* none has been measured yet */
        trip = window_retry_after(&c->window).ns / 10;
    if (slot->sends > 1 && instant_since(now, slot->sent).ns < trip << (doubling - 1))
        return LEAT_OK; /* on its way: this gap was seen by a request that had left before it */
    mark(client_gap);
    c->counters.gaps++;
    window_resend_from(&c->window, op->number);
    c->piece_number = 0;
    return LEAT_OK;
}

static enum leat_status parked(struct client *c, struct window_slot *slot, struct instant now)
{
    struct call *call = client_call_of(c, slot);
    if (call->op != OP_TAKE || call->looking_up)
        return LEAT_BAD_FRAME;
    mark(client_take_parked);
    struct instant due = instant_add(now, duration_s(PARKED_ASK_S)); /* the answer itself may get lost */
    if (!c->config.datagrams) {
        struct frame_op op;
        struct request take;
        must(frame_op_decode(&op, call->request.bytes, call->request_size) == LEAT_OK);
        must(request_decode(&take, &op) == LEAT_OK);
        due = instant_add(instant_add(now, take.wait), duration_s(PARKED_GRACE_S));
    }
    window_parked(&c->window, slot, now, due);
    c->due = instant_min(c->due, due);
    return LEAT_OK;
}

/* The queue's number has come: now the call itself may go. */
static enum leat_status looked_up(struct client *c, struct call *call, const struct frame_op *op)
{
    uint32_t offset = 0;
    struct reply_stat stat;
    if (op->status != LEAT_OK) {
        call->looking_up = false;
        call_refuse(call, op->status);
        client_finish(c, call);
        return LEAT_OK;
    }
    if (!reply_next_stat(op, &offset, &stat) || !name_equal(&stat.name, &call->name))
        return LEAT_BAD_FRAME;
    refs_put(&c->refs, &call->name, stat.queue);
    call->looked_up = true;
    client_requeue(c, call);
    return LEAT_OK;
}

/* Runs: what they cover has its outcome; the rest of a batch goes on under a new number. */
static enum leat_status batch_answered(struct client *c, struct call *call, const struct frame_op *op)
{
    uint32_t offset = 0, total = 0;
    struct reply_run run;
    uint16_t covered = call->covered;
    while (reply_next_run(op, &offset, &run)) {
        if (run.count == 0)
            return LEAT_BAD_FRAME;
        total += run.count;
    }
    if (total == 0 || total > (uint32_t)(call->entries - covered) || offset != op->body_size)
        return LEAT_BAD_FRAME;
    offset = 0;
    while (reply_next_run(op, &offset, &run))
        call_add_run(call, &run);
    if (call->covered == call->entries) {
        client_finish(c, call);
        return LEAT_OK;
    }
    mark(client_batch_continued);
    c->counters.cut++;
    call_shift(call, covered);
    client_requeue(c, call);
    return LEAT_OK;
}

/* Messages and stats are kept whole; in_place: the bytes are in the call's buffer already. */
static enum leat_status content_answered(struct client *c, struct call *call, const struct frame_op *op, bool in_place)
{
    uint32_t size = FRAME_OP_HEADER + op->body_size;
    call->pieces.total = 0;
    if (!client_reserve(c, &call->reply, size)) {
        call_refuse(call, LEAT_NO_MEMORY);
        client_finish(c, call);
        return LEAT_OK;
    }
    if (!in_place)
        memcpy(call->reply.bytes, op->body - FRAME_OP_HEADER, size);
    call->reply_size = size;
    if (!call_read_answer(call))
        return LEAT_BAD_FRAME;
    client_finish(c, call);
    return LEAT_OK;
}

/* The number has its answer: the window may move on. */
static void settle(struct client *c, struct window_slot *slot, struct instant now)
{
    window_answered(&c->window, slot, now);
    if (c->window.open == 0)
        c->waiting = false;
    client_pump(c);
}

static enum leat_status answered(struct client *c, const struct frame_op *op, struct instant now, bool in_place)
{
    struct window_slot *slot = window_find(&c->window, op->number);
    if (!slot) {
        c->counters.duplicate++;
        return LEAT_OK;
    }
    struct call *call = client_call_of(c, slot);
    if (op->op != (call->looking_up ? OP_QUEUE_STAT : call->op))
        return LEAT_BAD_FRAME;
    if (op->status == LEAT_PARKED)
        return parked(c, slot, now);
    if (op->status == LEAT_NO_SESSION || op->status == LEAT_SESSION_EXPIRED) {
        lose_session(c);
        return LEAT_OK;
    }
    bool cached = call->by_name && !call->looking_up && !call->looked_up;
    enum leat_status status = LEAT_OK;
    if (op->status == LEAT_NO_QUEUE && cached) {
        mark(client_queue_made_anew);
        refs_drop(&c->refs, &call->name);
        client_requeue(c, call);
    } else if (call->looking_up) {
        status = looked_up(c, call, op);
    } else if (!call_is_batch(call->op)) {
        status = content_answered(c, call, op, in_place);
    } else if (op->status == LEAT_OK) {
        status = batch_answered(c, call, op);
    } else {
        call_refuse(call, op->status);
        client_finish(c, call);
    }
    if (status != LEAT_OK)
        return status; /* still waited for: a better answer may come */
    c->failures = 0;   /* the broker works: after a break the next connection may be tried at once */
    settle(c, slot, now);
    return LEAT_OK;
}

static enum leat_status operation(struct client *c, const struct frame *f, const struct frame_op *op,
                                  struct instant now)
{
    if (op->op == OP_HELLO)
        return hello_answered(c, op, now);
    if (!c->session_open || f->session != c->session) {
        c->counters.duplicate++; /* of an earlier session */
        return LEAT_OK;
    }
    if (op->op == OP_PING)
        return pong(c, op, now);
    if (op->op == OP_BYE) {
        c->bye_answered = true;
        return LEAT_OK;
    }
    return answered(c, op, now, false);
}

/* Only answers with messages, stats, or a part of a backup can be larger than a frame. */
static enum leat_status piece_of_answer(struct client *c, const struct frame *f, struct instant now)
{
    struct frame_fragment piece;
    if (frame_fragment_decode(&piece, f) != LEAT_OK)
        return LEAT_BAD_FRAME;
    struct window_slot *slot = window_find(&c->window, piece.number);
    if (!c->session_open || f->session != c->session || !slot) {
        c->counters.duplicate++;
        return LEAT_OK;
    }
    struct call *call = client_call_of(c, slot);
    if (call_is_batch(call->op) || call->looking_up)
        return LEAT_BAD_FRAME;
    if (call->pieces.total == 0) /* at the cost of idle calls, if need be; a piece is at least 8 bytes */
        client_reserve(c, &call->reply, piece.total + piece.total / 64 + 1);
    enum leat_status status = call_add_piece(call, &c->memory, &piece);
    if (status == LEAT_PARKED)
        return LEAT_OK;
    if (status == LEAT_NO_MEMORY) {
        call_refuse(call, LEAT_NO_MEMORY);
        client_finish(c, call);
        settle(c, slot, now);
        return LEAT_OK;
    }
    struct frame_op op;
    if (status != LEAT_OK || frame_op_decode(&op, call->reply.bytes, call->reply_size) != LEAT_OK)
        return LEAT_BAD_FRAME;
    return op.number == piece.number ? answered(c, &op, now, true) : LEAT_BAD_FRAME;
}

static enum leat_status whole_frame(struct client *c, const uint8_t *bytes, size_t size, struct instant now)
{
    struct frame f;
    enum leat_status status = frame_decode(&f, bytes, size);
    if (status != LEAT_OK)
        return status;
    bool unchecked = c->config.checksums && !(f.flags & FRAME_CRC); /* a bit that changed on its way, or a stranger */
    if (!(f.flags & FRAME_REPLY) || unchecked)
        return LEAT_BAD_FRAME;
    if (c->config.checksums && !(f.flags & FRAME_CRC))
        return LEAT_BAD_FRAME; /* the wrong bit may be the one that says that there is a checksum */
    c->quiet = now;
    c->pings = 0;
    if (f.flags & FRAME_FRAGMENT)
        return piece_of_answer(c, &f, now);
    uint32_t offset = 0;
    struct frame_op op;
    while (frame_next_op(&f, &offset, &op, &status)) {
        status = operation(c, &f, &op, now);
        if (status != LEAT_OK)
            return status;
    }
    return status;
}

/* One datagram: frames until the first that is none. */
static void datagram(struct client *c, const uint8_t *bytes, size_t size, struct instant now)
{
    while (size) {
        int32_t whole = frame_size(bytes, size);
        if (whole <= 0 || (size_t)whole > size || whole_frame(c, bytes, (size_t)whole, now) != LEAT_OK) {
            mark(client_datagram_of_garbage);
            c->counters.garbage++;
            return;
        }
        bytes += whole;
        size -= (size_t)whole;
    }
}

/* Adds to the frame that has not come whole; how many of the bytes were used. *status when it is whole, or is none. */
static size_t complete_partial(struct client *c, const uint8_t *bytes, size_t size, struct instant now,
                               enum leat_status *status)
{
    size_t used = 0;
    *status = LEAT_OK;
    size_t need = FRAME_HEADER;
    for (;;) {
        if (c->partial_size >= FRAME_HEADER) {
            int32_t whole = frame_size(c->partial, c->partial_size);
            if (whole < 0) {
                *status = LEAT_BAD_FRAME;
                return used;
            }
            need = (size_t)whole;
        }
        size_t missing = need - c->partial_size, more = missing < size - used ? missing : size - used;
        memcpy(c->partial + c->partial_size, bytes + used, more);
        c->partial_size += (uint32_t)more;
        used += more;
        if (c->partial_size < need)
            return used;
        if (c->partial_size > FRAME_HEADER || frame_size(c->partial, c->partial_size) == FRAME_HEADER)
            break;
    }
    *status = whole_frame(c, c->partial, c->partial_size, now);
    c->partial_size = 0;
    return used;
}

enum leat_status client_input(struct client *c, const uint8_t *bytes, size_t size, struct instant now)
{
    must(c->link != LINK_DOWN);
    if (c->config.datagrams) {
        datagram(c, bytes, size, now);
        return LEAT_OK;
    }
    enum leat_status status = LEAT_OK;
    while (size && status == LEAT_OK) {
        int32_t whole = c->partial_size ? 0 : frame_size(bytes, size);
        size_t used;
        if (whole < 0)
            return LEAT_BAD_FRAME;
        if (whole == 0 || (size_t)whole > size) {
            used = complete_partial(c, bytes, size, now, &status);
        } else {
            status = whole_frame(c, bytes, (size_t)whole, now);
            used = (size_t)whole;
        }
        bytes += used;
        size -= used;
    }
    return status;
}
