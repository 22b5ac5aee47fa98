/* test_shard_wild.c - whatever clients say, and in whatever order, the shard goes on: random requests under random
 * numbers, hellos that claim anything, moves between connections, pieces, full ports, kills and restarts. Nothing is
 * judged here but that no must() fails, that memory comes back, and that a client who behaves is served in the end. */
#include <stdlib.h>

#include "prng.h"
#include "shard_stage.h"

enum { PEERS = 4, KNOWN = 6, RUNS = 40, ACTS = 400 };

/* Little blocks and segments, few of them, and checkpoints all the time: the log has no room at every turn. */
static void cramped(struct shard_config *c)
{
    c->journal.block_bytes_max = 16384;
    c->journal.segment_bytes = 65536;
    c->journal.ack_reserve = 4096;
    c->journal.depth = 1 + (uint32_t)(stage->now.ns / 1000 % 8);
    c->journal.hot_bytes = 16384 * 10;
    c->journal.disk_max = 65536 * 24;
    c->checkpoint_bytes = 40000;
    c->body_max = 8192;
}

static struct prng prng;
static struct {
    uint32_t session;
    uint64_t secret, number;
    bool lost; /* the shard does not know it on that connection */
} known[KNOWN];
static uint8_t receipts[64][RECEIPT_BYTES];
static uint32_t peer, restarts;

static uint64_t below(uint64_t n)
{
    return prng_below(&prng, n);
}

static void push(uint8_t flags, uint32_t session, const uint8_t *body, uint32_t size)
{
    static uint8_t frame[FRAME_MAX];
    frame_begin(frame, flags, session);
    memcpy(frame + FRAME_HEADER, body, size);
    frame_end(frame, FRAME_HEADER + size);
    script_port_push(stage->port, peer, frame, FRAME_HEADER + size);
}

/* A queue that is there, mostly. */
static struct queue_ref some_queue(void)
{
    const struct engine *e = shard_engine(stage->shard);
    struct queue_ref ref = {(uint32_t)below(3), 1 + (uint32_t)below(4)};
    if (ref.number < e->queues.used && below(20) != 0)
        ref.incarnation = engine_queue_at(e, ref.number)->incarnation;
    return ref;
}

/* A number around the one that is due, mostly. */
static uint64_t some_number(unsigned who)
{
    switch (below(24)) {
    case 0:
        return known[who].number + below(20) - 10;
    case 1:
        return below(30);
    case 2:
    case 3:
        return known[who].number;
    default:
        return ++known[who].number;
    }
}

static void act_hello(unsigned who)
{
    struct request r = {.op = OP_HELLO,
                        .number = who,
                        .hello = {.version_min = 1, .version_max = 1, .secret = below(1000), .window = 8}};
    if (known[who].session != 0 && below(4) != 0) {
        r.hello.session = known[who].session;
        r.hello.secret = known[who].secret;
        r.hello.oldest = known[who].number + (below(3) ? 1 : below(24) - 12);
        r.hello.answered = below(3) ? 0 : prng_next(&prng);
    }
    uint8_t op[REQUEST_FIXED_MAX];
    push(0, 0, op, request_encode(op, &r));
}

static uint32_t some_entries(uint8_t *op, struct request *r)
{
    uint32_t size = request_encode(op, r), n = 1 + (uint32_t)below(6);
    for (uint32_t i = 0; i < n; i++) {
        static uint8_t body[5000];
        struct request_put_entry e = {.delay = below(3) ? (struct duration){0} : duration_ms(below(20)),
                                      .body = body,
                                      .body_size = (uint32_t)below(sizeof body),
                                      .durability = (uint8_t)below(3)};
        e.body_crc = crc32c(0, body, e.body_size) + (below(6) ? 0 : 1);
        if (r->op == OP_PUT)
            size += request_add_put(op + size, &e);
        else
            size += request_add_receipt(op + size, receipts[below(64)]);
    }
    request_seal(op, size, (uint16_t)n);
    return size;
}

static void act_request(unsigned who)
{
    static const uint8_t codes[] = {OP_PUT,          OP_PUT,          OP_PUT,        OP_TAKE,       OP_TAKE,
                                    OP_TAKE,         OP_ACK,          OP_PUT,        OP_NACK,       OP_ACK,
                                    OP_NACK,         OP_PEEK,         OP_QUEUE_STAT, OP_QUEUE_LIST, OP_QUEUE_CREATE,
                                    OP_QUEUE_CREATE, OP_QUEUE_CREATE, OP_QUEUE_DROP, OP_EXTEND};
    static uint8_t op[64 * 1024];
    struct request r = {.op = codes[below(sizeof codes)],
                        .number = some_number(who),
                        .queue = some_queue(),
                        .max = 1 + (uint16_t)below(12),
                        .time = duration_ms(below(4) ? 5 : 0),
                        .wait = below(2) ? (struct duration){0} : duration_ms(below(40))};
    char name[2] = {(char)('a' + below(4)), 0};
    must(name_set(&r.name, name, 1));
    if (r.op == OP_QUEUE_CREATE && below(2)) {
        r.attributes.max_attempts = 1;
        must(name_set(&r.attributes.dead_letter, "a", 1));
    }
    bool entries = r.op == OP_PUT || r.op == OP_ACK || r.op == OP_NACK || r.op == OP_EXTEND;
    uint32_t size = entries ? some_entries(op, &r) : request_encode(op, &r);
    if (below(10) == 0)
        op[below(size)] = (uint8_t)below(256);
    if (below(6) != 0) {
        push(0, known[who].session, op, size);
        return;
    }
    static uint8_t piece[64 * 1024];
    for (uint32_t at = 0, n; at < size; at += n) {
        n = 8 * (1 + (uint32_t)below(size / 8));
        n = n < size - at ? n : size - at;
        frame_fragment_encode(piece, r.number, at, size + (below(20) ? 0 : 8));
        memcpy(piece + FRAME_FRAGMENT_HEADER, op + at, n);
        if (below(30) != 0)
            push(FRAME_FRAGMENT, known[who].session, piece, FRAME_FRAGMENT_HEADER + n);
    }
}

static void hear(void)
{
    struct frame f;
    struct frame_op op;
    enum leat_status status;
    for (uint32_t p = 0; p < PEERS; p++)
        while (script_port_pop(stage->port, p, &f)) {
            uint32_t offset = 0, at = 0;
            struct reply_hello h;
            struct reply_message m;
            if (f.flags & FRAME_FRAGMENT || !frame_next_op(&f, &offset, &op, &status))
                continue;
            for (unsigned i = 0; op.status == LEAT_GAP && i < KNOWN; i++)
                if (known[i].session == f.session && op.number > 0)
                    known[i].number = op.number - 1;
            for (unsigned i = 0; op.status == LEAT_NO_SESSION && i < KNOWN; i++)
                known[i].lost = known[i].lost || known[i].session == f.session;
            if (op.op == OP_HELLO && op.status == LEAT_SESSION_EXPIRED && op.number < KNOWN)
                known[op.number].session = 0;
            if (op.status != LEAT_OK)
                continue;
            if (op.op == OP_HELLO && op.number < KNOWN && reply_hello_decode(&op, &h)) {
                known[op.number].number = h.next - 1;
                known[op.number].lost = false;
                known[op.number].session = h.session;
                known[op.number].secret = h.secret;
            }
            while (op.op == OP_TAKE && reply_next_message(&op, &at, &m))
                memcpy(receipts[below(64)], m.receipt, RECEIPT_BYTES);
        }
}

static void act_restart(void)
{
    stop();
    if (below(2))
        fake_disk_crash(stage->disk);
    else
        fake_disk_kill(stage->disk);
    start();
    restarts++;
}

static void act(void)
{
    unsigned who = (unsigned)below(KNOWN);
    peer = below(40) ? who % PEERS : (uint32_t)below(PEERS);
    switch (below(60)) {
    case 0:
        if (below(3) == 0)
            script_port_push(stage->port, peer, NULL, 0);
        break;
    case 1:
        script_port_set_room(stage->port, (uint32_t)below(4));
        break;
    case 2:
    case 3:
        script_port_set_room(stage->port, UINT32_MAX);
        break;
    case 4:
    case 5:
    case 6:
        act_hello(who);
        break;
    case 7:
        pass(duration_ms(below(30)));
        break;
    case 8:
        if (below(3) == 0)
            act_restart();
        break;
    default:
        if (known[who].session == 0 || known[who].lost)
            act_hello(who);
        else
            act_request(who);
    }
    if (below(3) == 0) {
        fake_disk_step(stage->disk, stage->now);
        shard_step(stage->shard, stage->now);
        stage->now.ns += below(200000);
    }
    if (below(8) == 0)
        pass(duration_us(100));
    hear();
}

/* Nobody acknowledges much here: the disk may be full of it. */
static void drop_all(void)
{
    static const char *const names[] = {"mail", "b", "c", "d", "a"};
    for (unsigned i = 0; i < 5; i++) {
        struct request r = {.op = OP_QUEUE_DROP, .number = ++stage->number};
        must(name_set(&r.name, names[i], strlen(names[i])));
        stage->op_size = request_encode(stage->op, &r);
        send_op();
        pass(duration_ms(50));
        answer(NULL);
    }
    pass(duration_s(2));
}

static void served_in_the_end(void)
{
    script_port_set_room(stage->port, UINT32_MAX);
    for (uint32_t p = 0; p < PEERS; p++)
        script_port_push(stage->port, p, NULL, 0);
    pass(duration_s(62)); /* nobody is there any more */
    hear();
    struct shard_counters counters;
    shard_count(stage->shard, &counters);
    assert_int_equal(counters.buffer_bytes, 0);
    assert_int_equal(counters.parked, 0);
    assert_int_equal(counters.held, 0);
    assert_int_equal(counters.sessions, 0);
    stage->number = 0;
    stage->session = 0;
    hello(0, 0);
    pass(duration_ms(20));
    welcome();
    drop_all();
    create("end", (struct queue_attributes){0});
    send_put(++stage->number, "end", 1, (struct duration){0});
    pass(duration_ms(20));
    expect_run(LEAT_OK, 1);
}

TEST(shard_wild, whatever_clients_say_the_shard_goes_on)
{
    for (unsigned run = 0; run < RUNS; run++) {
        prng = prng_seed(run, 1);
        memset(known, 0, sizeof known);
        stage_config = run % 2 ? cramped : NULL;
        begin();
        for (unsigned i = 0; i < ACTS; i++)
            act();
        served_in_the_end();
        end();
    }
    assert_true(restarts > 0);
}
