/* prog_null.c - a broker without a queue: it answers at once that all went well, and makes up what is taken.
 *
 *     prog_null SOCKET [CPU]
 *
 * The local port, frames and replies are real; there is no session, no engine, no log. So it shows what leat-bench can
 * send and receive by itself, and lets its workloads be tested without a broker. It believes its clients, and
 * drops a request that comes again: between two processes on one machine the first answer is never lost, only late. */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crc32c.h"
#include "eal.h"
#include "local.h"
#include "must.h"
#include "reply.h"
#include "tally.h"

enum { PARKED = 256, FRAME = 8960, BODY = 128, DRY = 4096 };

struct parked {
    uint32_t peer;
    uint64_t number;
    uint16_t max;
};

static struct local_port *port;
static struct transport *t;
static uint64_t put, taken; /* of the one queue that there is: the last that was made */
static struct name queue;
static uint32_t body_size = BODY;
static struct parked parked[PARKED];
static unsigned parks;
static uint16_t fragment_count;
static uint64_t last[1024]; /* request number, per place of a peer */
static volatile sig_atomic_t stopping;

static void on_signal(int number)
{
    (void)number;
    stopping = 1;
}

/* One frame with one or more replies. */
static void send_frame(uint32_t peer, uint8_t *frame, uint32_t size)
{
    if (size == FRAME_HEADER)
        return;
    uint8_t *to;
    while (!(to = t->ops->reserve(t, peer, size)) && !stopping)
        t->ops->flush(t);
    if (!to)
        return;
    frame_begin(frame, FRAME_REPLY, 1);
    frame_end(frame, size);
    memcpy(to, frame, size);
    t->ops->commit(t, peer, size);
}

static uint32_t answer_take(uint8_t *out, uint64_t number, uint16_t max)
{
    static uint8_t body[DRY];
    uint32_t size = FRAME_OP_HEADER;
    uint16_t n = 0;
    for (; n < max && taken < put && size + reply_message_size(0, body_size) < FRAME / 2; n++) {
        struct reply_message m = {.lease_left = duration_s(30), .attempts = 1, .body_size = body_size, .body = body};
        struct receipt r = {.id = {.epoch = 1, .lsn = {taken}}, .slot = (uint32_t)taken, .generation = 1};
        tally_stamp(body, body_size, taken++);
        m.body_crc = crc32c(0, body, body_size);
        receipt_encode(m.receipt, &r);
        size += reply_add_message(out + size, &m);
    }
    frame_op_encode(out, OP_TAKE, LEAT_OK, n, size - FRAME_OP_HEADER, number);
    return size;
}

static void serve_parked(void)
{
    _Alignas(8) static uint8_t frame[FRAME];
    while (parks > 0 && taken < put) {
        struct parked p = parked[0];
        memmove(parked, parked + 1, --parks * sizeof parked[0]);
        send_frame(p.peer, frame, FRAME_HEADER + answer_take(frame + FRAME_HEADER, p.number, p.max));
    }
}

static uint32_t answer_runs(uint8_t *out, uint8_t op, uint64_t number, uint16_t count)
{
    struct reply_run run = {.count = count, .epoch = op == OP_PUT ? 1 : 0, .lsn = {op == OP_PUT ? put + 1 : 0}};
    return reply_runs(out, op, number, &run, 1);
}

static const struct reply_hello hello = {.version = PROTOCOL_VERSION,
                                         .window = WINDOW_MAX,
                                         .session = 1,
                                         .secret = 1,
                                         .next = 1,
                                         .epoch = 1,
                                         .shards = 1,
                                         .body_max = BODY_MAX,
                                         .batch_max = BATCH_MAX,
                                         .frame_max = FRAME,
                                         .session_timeout = {60000000000},
                                         .lease_max = {60000000000},
                                         .delay_max = {60000000000},
                                         .wait_max = {60000000000}};

static uint32_t answer(uint8_t *out, uint32_t peer, const struct frame_op *op)
{
    struct request r;
    static struct reply_stat stat = {.queue = {1, 1}, .attributes = {.lease = {30}, .durability = CLASS_MEMORY}};
    struct request_put_entry e;
    uint32_t at = 0;
    if (request_decode(&r, op) != LEAT_OK)
        return reply_status(out, op->op, op->number, LEAT_BAD_REQUEST);
    uint64_t *before = &last[peer % 1024];
    if (r.op >= OP_QUEUE_CREATE && r.number <= *before)
        return 0;
    *before = r.op == OP_HELLO ? 0 : r.op >= OP_QUEUE_CREATE ? r.number : *before;
    switch (r.op) {
    case OP_HELLO:
        return reply_hello(out, r.number, &hello);
    case OP_QUEUE_CREATE:
        if (!name_equal(&r.name, &queue)) {
            put = taken = 0;
            parks = 0;
            queue = r.name;
        }
        __attribute__((fallthrough));
    case OP_QUEUE_STAT:
        stat.name = r.name;
        return reply_stat(out, r.op, r.number, &stat);
    case OP_PUT:
        while (request_next_put(&r, &at, &e))
            body_size = e.body_size < DRY ? e.body_size : DRY;
        put += r.count;
        return answer_runs(out, OP_PUT, r.number, r.count);
    case OP_ACK:
        return answer_runs(out, OP_ACK, r.number, r.count);
    case OP_TAKE:
        if (taken < put)
            return answer_take(out, r.number, r.max);
        if (r.wait.ns == 0)
            return reply_status(out, OP_TAKE, r.number, LEAT_EMPTY);
        must(parks < PARKED);
        parked[parks++] = (struct parked){peer, r.number, r.max};
        return reply_status(out, OP_TAKE, r.number, LEAT_PARKED);
    default:
        return reply_status(out, r.op, r.number, LEAT_OK);
    }
}

/* A large batch comes in pieces: the first tells how many entries, the last is answered. */
static uint32_t answer_fragment(uint8_t *out, uint32_t peer, const struct frame *f)
{
    struct frame_fragment piece;
    must(frame_fragment_decode(&piece, f) == LEAT_OK);
    if (piece.offset == 0)
        memcpy(&fragment_count, piece.piece + 2, sizeof fragment_count);
    if (piece.offset + piece.piece_size < piece.total || piece.number <= last[peer % 1024])
        return 0;
    last[peer % 1024] = piece.number;
    put += fragment_count;
    return answer_runs(out, OP_PUT, piece.number, fragment_count);
}

static void packet(const struct transport_packet *p)
{
    _Alignas(8) static uint8_t out[FRAME];
    uint32_t size = FRAME_HEADER;
    for (uint32_t at = 0; at < p->size;) {
        struct frame f;
        struct frame_op op;
        enum leat_status status = LEAT_OK;
        int32_t n = frame_size(p->data + at, p->size - at);
        must(n > 0);
        must(frame_decode(&f, p->data + at, (size_t)n) == LEAT_OK);
        if (f.flags & FRAME_FRAGMENT)
            size += answer_fragment(out + size, p->peer, &f);
        else
            for (uint32_t walk = 0; frame_next_op(&f, &walk, &op, &status);) {
                if (size > FRAME / 2) {
                    send_frame(p->peer, out, size);
                    size = FRAME_HEADER;
                }
                size += answer(out + size, p->peer, &op);
            }
        must(status == LEAT_OK);
        at += (uint32_t)n;
    }
    send_frame(p->peer, out, size);
    serve_parked();
}

int main(int argc, char **argv)
{
    char why[256];
    enum leat_status status;
    struct eal_options eal = {.name = "null", .memory_mb = 128};
    if (argc < 2 || argc > 3 || !eal_start(&eal, why, sizeof why) ||
        !(port = local_open(argv[1], &status, why, sizeof why))) {
        fprintf(stderr, "prog_null: %s\n", argc < 2 || argc > 3 ? "usage: prog_null SOCKET [CPU]" : why);
        return 1;
    }
    if (argc == 3) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((unsigned)atoi(argv[2]), &set);
        must(sched_setaffinity(0, sizeof set, &set) == 0);
    }
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    t = local_transport(port);
    puts("ready");
    fflush(stdout);
    while (!stopping) {
        struct transport_packet in[TRANSPORT_BURST];
        unsigned n = t->ops->receive(t, in, TRANSPORT_BURST);
        for (unsigned i = 0; i < n; i++)
            packet(&in[i]);
        t->ops->done(t, in, n);
        t->ops->flush(t);
    }
    local_close(port);
    return 0;
}
