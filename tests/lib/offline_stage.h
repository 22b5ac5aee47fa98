/* offline_stage.h - a data directory that a real shard has made on the fake disk, and what is known of it.
 *
 * work() puts, takes and acknowledges messages, with restarts and power cuts on the way, and remembers of each message
 * where it was put and whether its ack was answered. check() and mend() are fsck and salvage; look() gives what a scan
 * finds; drain() takes everything that there is.
 *
 * Units: messages by number. Memory: the stage's, until work_end(). Thread: one. Every test program has its own copy.
 */
#ifndef LEAT_TESTS_OFFLINE_STAGE_H
#define LEAT_TESTS_OFFLINE_STAGE_H

#include "fsck.h"
#include "judge.h"
#include "prng.h"
#include "salvage.h"
#include "shard_stage.h"

enum { MESSAGES = 400 };

static struct message_memory {
    struct lsn lsn;
    uint32_t epoch;
    bool put, acked, sent_ack, delivered;
    unsigned came;
    uint8_t receipt[RECEIPT_BYTES];
    bool has_receipt;
} memory[MESSAGES];
static unsigned messages;
static struct prng prng;

static inline void config_tiny(struct shard_config *c)
{
    c->body_max = 4096;
    c->journal.segment_bytes = 128 * 1024;
    c->journal.block_bytes_max = 64 * 1024;
    c->journal.ack_reserve = 8192;
    c->journal.hot_bytes = 1 << 20;
    c->journal.disk_max = 64 << 20;
    c->checkpoint_bytes = 150 * 1024;
    c->buffer_max = 16 << 20;
}

static inline struct salvage_options salvage_options(FILE *out)
{
    struct shard_config c;
    config_small(&c);
    return (struct salvage_options){
        .path = "DIR", .out = out, .engine = c.engine, .sessions = c.sessions, .block_bytes_max = 64 * 1024};
}

/* -- the workload -- */

static inline const char *body_of(unsigned n)
{
    static char body[1200];
    unsigned size = 20 + n * 7919 % 1100;
    memset(body, 'a' + (int)(n % 26), size);
    body[size] = 0;
    memcpy(body, "message ", 8);
    for (unsigned i = 0; i < 6; i++)
        body[8 + i] = (char)('0' + n / (unsigned[]){100000, 10000, 1000, 100, 10, 1}[i] % 10);
    return body;
}

static inline unsigned number_of(const uint8_t *body, uint32_t size)
{
    assert_true(size >= 20);
    unsigned n = (unsigned)strtoul((const char *)body + 8, NULL, 10);
    assert_true(n < messages);
    assert_int_equal(size, strlen(body_of(n)));
    assert_memory_equal(body, body_of(n), size);
    return n;
}

static inline void work_put(void)
{
    struct frame_op op;
    struct reply_run run;
    uint32_t offset = 0;
    unsigned n = messages++;
    send_put(++stage->number, body_of(n), 1, (struct duration){prng_chance(&prng, 10) ? 3000000 : 0});
    pass(duration_ms(2));
    assert_int_equal(answer(&op), LEAT_OK);
    assert_true(reply_next_run(&op, &offset, &run));
    memory[n] = (struct message_memory){.lsn = run.lsn, .epoch = run.epoch, .put = true};
}

static inline void work_take(unsigned max)
{
    struct frame_op op;
    struct reply_message m;
    uint32_t offset = 0;
    send_take(++stage->number, (uint16_t)max, (struct duration){0});
    pass(duration_ms(2));
    if (answer(&op) != LEAT_OK)
        return;
    while (reply_next_message(&op, &offset, &m)) {
        struct message_memory *k = &memory[number_of(m.body, m.body_size)];
        memcpy(k->receipt, m.receipt, RECEIPT_BYTES);
        k->has_receipt = k->delivered = true;
    }
}

static inline void work_ack(void)
{
    for (unsigned n = 0; n < messages; n++) {
        struct frame_op op;
        struct reply_run run;
        uint32_t offset = 0;
        if (!memory[n].has_receipt || !prng_chance(&prng, 60))
            continue;
        send_receipt(OP_ACK, ++stage->number, memory[n].receipt);
        pass(duration_ms(1));
        pass(duration_ms(1));
        memory[n].has_receipt = false;
        memory[n].sent_ack = true;
        assert_int_equal(answer(&op), LEAT_OK);
        assert_true(reply_next_run(&op, &offset, &run));
        memory[n].acked = run.status == LEAT_OK;
    }
}

static inline void restart(bool power_cut)
{
    stop();
    if (power_cut)
        fake_disk_crash(stage->disk);
    else
        fake_disk_kill(stage->disk);
    start();
    hello(0, 0);
    pass(duration_ms(20));
    welcome();
    stage->number = 0;
}

static void (*work_first)(void); /* puts messages before all others; or NULL */

/* A directory with some history: `clean`: ended by a stop; else by a power cut with everything durable. */
static inline void work(uint64_t seed, bool clean)
{
    stage_config = config_tiny;
    prng = prng_seed(seed, 1);
    messages = 0;
    memset(memory, 0, sizeof memory);
    begin();
    if (work_first)
        work_first();
    for (unsigned round = 0; messages < MESSAGES - 10; round++) {
        for (unsigned i = 0; i < 8; i++)
            work_put();
        if (prng_chance(&prng, 60))
            work_take(1 + (unsigned)prng_below(&prng, 12));
        if (prng_chance(&prng, 60))
            work_ack();
        if (prng_chance(&prng, 4))
            restart(prng_chance(&prng, 50));
    }
    pass(duration_ms(50)); /* the last blocks are proven */
    if (clean) {
        shard_stop(stage->shard);
        while (!shard_stopped(stage->shard))
            pass(duration_ms(1));
    }
    stop();
    fake_disk_crash(stage->disk);
}

static inline void work_end(void)
{
    fake_disk_close(stage->disk);
    free(stage);
}

/* Takes everything that there is. */
static inline void drain(void)
{
    for (unsigned n = 0; n < messages; n++)
        memory[n].came = 0;
    start();
    hello(0, 0);
    pass(duration_s(40)); /* leases and delays end */
    welcome();
    stage->number = 0;
    const struct engine *e = shard_engine(stage->shard);
    for (uint32_t i = 0; i < e->queues.used; i++) {
        queue = (struct queue_ref){i, engine_queue_at(e, i)->incarnation};
        for (;;) {
            struct frame_op op;
            struct reply_message m;
            uint32_t offset = 0;
            send_take(++stage->number, 50, (struct duration){0});
            pass(duration_ms(5));
            uint8_t status = answer(&op);
            if (status == LEAT_EMPTY)
                break;
            assert_int_equal(status, LEAT_OK);
            while (reply_next_message(&op, &offset, &m))
                memory[number_of(m.body, m.body_size)].came++;
        }
    }
    stop();
    fake_disk_crash(stage->disk);
}

/* -- the tools -- */

static char *said;

static inline enum leat_status check(bool json)
{
    char error[SOURCE_ERROR] = "";
    size_t size = 0;
    free(said);
    said = NULL;
    FILE *out = open_memstream(&said, &size);
    struct fsck_options o = {.path = "DIR", .out = out, .json = json};
    enum leat_status status = fsck_run(stage->disk, &o, error);
    fclose(out);
    return status;
}

static void (*mend_with)(struct salvage_options *); /* other options; or NULL */
static char mend_error[SOURCE_ERROR];

static inline enum leat_status mend(void)
{
    char *error = mend_error;
    size_t size = 0;
    free(said);
    said = NULL;
    FILE *out = open_memstream(&said, &size);
    struct salvage_options o = salvage_options(out);
    if (mend_with)
        mend_with(&o);
    enum leat_status status = salvage_run(stage->disk, &o, error);
    fclose(out);
    if (status != LEAT_OK && status != LEAT_EMPTY && !fake_disk_dead(stage->disk))
        printf("salvage: %s: %s\n", status_name(status), error);
    return status;
}

/* Whether a start is refused. */
static inline bool refused(void)
{
    struct shard_config c;
    struct shard *shard;
    char error[256] = "";
    config_small(&c);
    config_tiny(&c);
    struct shard_start at = {.boot = stage->now, .wall_ns = 1700000000000000000ull, .boot_id = "one boot"};
    enum leat_status status = shard_open(&shard, &c, stage->disk, &at, error);
    if (status == LEAT_OK)
        shard_close(shard);
    else
        assert_int_equal(status, LEAT_CORRUPT);
    fake_disk_crash(stage->disk);
    return status != LEAT_OK;
}

/* The blocks that are whole now, and what the judge makes of them. */
static struct source source;
static struct point point;
static struct scan scan;
static struct judge judge;

static inline void look(void)
{
    char error[SOURCE_ERROR] = "";
    assert_int_equal(source_open(&source, stage->disk, error), LEAT_OK);
    point_load(&point, &source, error);
    assert_int_equal(scan_open(&scan, &source, error), LEAT_OK);
    for (uint32_t i = 0; i < scan.segments_count; i++)
        assert_int_equal(scan_read(&scan, i, NULL, NULL, error), LEAT_OK);
    judge_log(&judge, &scan, &point);
}

static inline void look_away(void)
{
    judge_close(&judge);
    scan_close(&scan);
    point_close(&point);
    source_close(&source);
}

static inline bool block_is_whole(uint64_t block)
{
    for (uint32_t i = 0; i < scan.runs_count; i++)
        if (block >= scan.runs[i].first && block < scan.runs[i].first + scan.runs[i].count)
            return true;
    return false;
}

/* One byte of a random whole block of the log changes; false: there was none. */
static inline bool strike_block(char name[DISK_NAME_MAX], uint64_t *offset, bool behind)
{
    bool struck = false;
    look();
    for (unsigned tries = 0; tries < 200 && !struck && scan.runs_count > 0; tries++) {
        const struct scan_run *r = &scan.runs[prng_below(&prng, scan.runs_count)];
        *offset = r->from + prng_below(&prng, (r->end - r->from) / 4096) * 4096 + prng_below(&prng, 200);
        uint8_t byte;
        if (*offset + 2 * 4096 > r->end && r->first + r->count >= judge.next)
            continue; /* nothing proves the last block */
        if (behind &&
            (r->first + r->count <= point.block + 1 || (r->first <= point.block + 1 && *offset < point.position_tail)))
            continue;
        source_segment_name(name, scan.segments[r->segment].number);
        assert_true(fake_disk_peek(stage->disk, name, *offset, &byte, 1));
        byte ^= (uint8_t)(1u << prng_below(&prng, 8));
        assert_true(fake_disk_poke(stage->disk, name, *offset, &byte, 1));
        struck = true;
    }
    look_away();
    return struck;
}

static inline void expect_all_that_lives(void)
{
    for (unsigned n = 0; n < messages; n++)
        assert_int_equal(memory[n].came, !memory[n].acked);
}

static inline void poke_byte(const char *name, uint64_t offset)
{
    uint8_t byte;
    assert_true(fake_disk_peek(stage->disk, name, offset, &byte, 1));
    byte ^= 0x40;
    assert_true(fake_disk_poke(stage->disk, name, offset, &byte, 1));
}

#endif
