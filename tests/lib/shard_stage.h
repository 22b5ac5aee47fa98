/* shard_stage.h - what the tests of the shard have in common: one shard on a disk that keeps its promises when told to,
 * one client of one session, and what it says and hears.
 *
 * begin() ... end(). Units: struct instant of the boot clock. Memory: the stage's, until end(). Thread: one. Every test
 * program has its own copy. */
#ifndef LEAT_TESTS_SHARD_STAGE_H
#define LEAT_TESTS_SHARD_STAGE_H

#include "byteorder.h"
#include "crc32c.h"
#include "fake_disk.h"
#include "frame.h"
#include "mark.h"
#include "must.h"
#include "reply.h"
#include "request.h"
#include "script_port.h"
#include "shard.h"
#include "test.h"

enum { PEER = 3 };

struct stage {
    struct disk *disk;
    struct script_port *port;
    struct shard *shard;
    struct instant now;
    uint32_t session;
    uint64_t secret, number;
    uint8_t op[REQUEST_MAX];
    uint32_t op_size;
};

static struct stage *stage;
static void (*stage_config)(struct shard_config *c); /* changes the configuration of the next start, if set */

static inline void config_small(struct shard_config *c)
{
    shard_defaults(c);
    c->engine = (struct engine_capacity){.queues = 16, .slots = 4096, .ready_chunks = 512};
    c->sessions = 16;
    c->buffer_max = 8 << 20;
    c->journal.segment_bytes = 8 << 20;
    c->journal.hot_bytes = 32 << 20;
    c->journal.disk_max = 256 << 20;
}

static inline void start(void)
{
    struct shard_config c;
    config_small(&c);
    if (stage_config)
        stage_config(&c);
    struct shard_start at = {
        .boot = stage->now, .wall_ns = 1700000000000000000ull + stage->now.ns, .boot_id = "one boot"};
    memcpy(at.entropy, "0123456789abcdef0123456789abcdef", 32);
    char error[256] = "";
    enum leat_status status = shard_open(&stage->shard, &c, stage->disk, &at, error);
    if (status != LEAT_OK)
        printf("%s: %s\n", status_name(status), error);
    assert_int_equal(status, LEAT_OK);
    stage->port = script_port_open(FRAME_MAX, false);
    shard_attach(stage->shard, script_port_transport(stage->port));
}

static inline void stop(void)
{
    shard_close(stage->shard);
    script_port_close(stage->port);
}

/* Runs for so long in small steps. */
static inline void pass(struct duration d)
{
    struct instant end = instant_add(stage->now, d);
    do {
        fake_disk_step(stage->disk, stage->now);
        while (shard_step(stage->shard, stage->now) > 0)
            fake_disk_step(stage->disk, stage->now);
        stage->now.ns += 100000;
    } while (stage->now.ns < end.ns);
}

static inline void send_frame(uint8_t flags, const uint8_t *body, uint32_t size)
{
    uint8_t *frame = malloc(FRAME_HEADER + size);
    frame_begin(frame, flags, stage->session);
    memcpy(frame + FRAME_HEADER, body, size);
    frame_end(frame, FRAME_HEADER + size);
    script_port_push(stage->port, PEER, frame, FRAME_HEADER + size);
    free(frame);
}

/* The operation in stage->op leaves, in fragments when it is large. */
static inline void send_op(void)
{
    if (stage->op_size + FRAME_HEADER <= FRAME_MAX) {
        send_frame(0, stage->op, stage->op_size);
        return;
    }
    static uint8_t piece[FRAME_MAX];
    for (uint32_t at = 0; at < stage->op_size;) {
        uint32_t most = 60000, size = stage->op_size - at < most ? stage->op_size - at : most;
        frame_fragment_encode(piece, le64_get(stage->op + 8), at, stage->op_size);
        memcpy(piece + FRAME_FRAGMENT_HEADER, stage->op + at, size);
        send_frame(FRAME_FRAGMENT, piece, FRAME_FRAGMENT_HEADER + size);
        at += size;
    }
}

static struct frame answer_frame;
/* The next answer; its status. UINT8_MAX: there is none. */
static inline uint8_t answer(struct frame_op *op)
{
    uint32_t offset = 0;
    enum leat_status status;
    struct frame_op unused;
    op = op ? op : &unused;
    if (!script_port_pop(stage->port, PEER, &answer_frame))
        return UINT8_MAX;
    assert_true(answer_frame.flags & FRAME_REPLY);
    assert_false(answer_frame.flags & FRAME_FRAGMENT);
    assert_true(frame_next_op(&answer_frame, &offset, op, &status));
    return op->status;
}

static inline void hello(uint32_t session, uint64_t oldest)
{
    struct request r = {.op = OP_HELLO,
                        .number = 77,
                        .hello = {.version_min = 1,
                                  .version_max = 1,
                                  .session = session,
                                  .secret = session ? stage->secret : 0x1234,
                                  .oldest = oldest,
                                  .window = 8}};
    stage->session = 0;
    stage->op_size = request_encode(stage->op, &r);
    send_op();
}

static inline void welcome(void)
{
    struct frame_op op;
    struct reply_hello h;
    assert_int_equal(answer(&op), LEAT_OK);
    assert_int_equal(op.op, OP_HELLO);
    assert_true(reply_hello_decode(&op, &h));
    stage->session = h.session;
    stage->secret = h.secret;
}

static struct queue_ref queue;
static inline void create(const char *name, struct queue_attributes a)
{
    struct request r = {.op = OP_QUEUE_CREATE, .number = ++stage->number, .attributes = a};
    must(name_set(&r.name, name, strlen(name)));
    stage->op_size = request_encode(stage->op, &r);
    send_op();
    pass(duration_ms(20));
    struct frame_op op;
    struct reply_stat stat;
    uint32_t offset = 0;
    assert_int_equal(answer(&op), LEAT_OK);
    assert_true(reply_next_stat(&op, &offset, &stat));
    queue = stat.queue;
}

static inline void send_put(uint64_t number, const char *body, unsigned count, struct duration delay)
{
    struct request r = {.op = OP_PUT, .number = number, .queue = queue};
    uint32_t size = request_encode(stage->op, &r);
    for (unsigned i = 0; i < count; i++) {
        struct request_put_entry e = {.delay = delay,
                                      .body = (const uint8_t *)body,
                                      .body_size = (uint32_t)strlen(body),
                                      .body_crc = crc32c(0, body, strlen(body))};
        size += request_add_put(stage->op + size, &e);
    }
    request_seal(stage->op, size, (uint16_t)count);
    stage->op_size = size;
    send_op();
}

static inline void send_take(uint64_t number, uint16_t max, struct duration wait)
{
    struct request r = {.op = OP_TAKE, .number = number, .queue = queue, .max = max, .wait = wait};
    stage->op_size = request_encode(stage->op, &r);
    send_op();
}

static inline void send_receipt(uint8_t code, uint64_t number, const uint8_t *receipt)
{
    struct request r = {.op = code, .number = number, .queue = queue};
    uint32_t size = request_encode(stage->op, &r);
    size += request_add_receipt(stage->op + size, receipt);
    request_seal(stage->op, size, 1);
    stage->op_size = size;
    send_op();
}

static inline void expect_run(enum leat_status status, uint16_t count)
{
    struct frame_op op;
    struct reply_run run;
    uint32_t offset = 0;
    assert_int_equal(answer(&op), LEAT_OK);
    assert_true(reply_next_run(&op, &offset, &run));
    assert_int_equal(run.status, status);
    assert_int_equal(run.count, count);
}

static inline struct reply_message expect_message(const char *body)
{
    struct frame_op op;
    struct reply_message m;
    uint32_t offset = 0;
    assert_int_equal(answer(&op), LEAT_OK);
    assert_int_equal(op.op, OP_TAKE);
    assert_true(reply_next_message(&op, &offset, &m));
    assert_int_equal(m.body_size, strlen(body));
    assert_memory_equal(m.body, body, m.body_size);
    return m;
}

static inline void begin(void)
{
    stage = calloc(1, sizeof *stage);
    stage->now = (struct instant){5000000000};
    struct fake_disk_config disk = {.seed = 1, .latency_min = duration_us(100), .latency_max = duration_us(200)};
    stage->disk = fake_disk_open(&disk);
    start();
    hello(0, 0);
    pass(duration_ms(20));
    welcome();
    create("mail", (struct queue_attributes){0});
}

static inline void end(void)
{
    stop();
    fake_disk_close(stage->disk);
    free(stage);
}

#endif
