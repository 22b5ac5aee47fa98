/* test_shard_deep.c - more messages than memory: what is taken from front to back was read before anybody asked, and
 * what was read so is believed no more than anything else. */
#include <errno.h>

#include "shard_stage.h"

enum { EACH = 20, BODY = 1000 };

static struct queue_ref deep;

static void little_memory(struct shard_config *c)
{
    c->body_max = 32 << 10;
    c->journal.depth = 2;
    c->journal.block_bytes_max = 64 << 10;
    c->journal.segment_bytes = 512 << 10; /* stretches of 64 KiB */
    c->journal.hot_bytes = 256 << 10;
    c->journal.ack_reserve = 4 << 10;
}

static void body_of(char body[BODY + 1], unsigned batch)
{
    memset(body, 'a' + (int)(batch % 26), BODY);
    body[snprintf(body, BODY, "batch %06u", batch)] = ' ';
    body[BODY] = 0;
}

static void put_batches(unsigned from, unsigned to)
{
    char body[BODY + 1];
    for (unsigned i = from; i < to; i++) {
        body_of(body, i);
        send_put(++stage->number, body, EACH, (struct duration){0});
        pass(duration_ms(3));
        expect_run(LEAT_OK, EACH);
    }
}

/* Takes one batch and finishes it, all but `missing` of it; the status of the take. */
static uint8_t take_all_but(unsigned batch, unsigned missing)
{
    char body[BODY + 1];
    struct frame_op op;
    struct reply_message m;
    uint8_t receipts[EACH][RECEIPT_BYTES];
    uint32_t offset = 0;
    body_of(body, batch);
    send_take(++stage->number, (uint16_t)(missing > 1 ? EACH - missing : EACH), (struct duration){0});
    pass(duration_ms(2));
    uint8_t status = answer(&op);
    if (status != LEAT_OK)
        return status;
    assert_int_equal(op.count, EACH - missing);
    for (unsigned i = 0; i < op.count; i++) {
        assert_true(reply_next_message(&op, &offset, &m));
        assert_int_equal(m.body_size, BODY);
        assert_memory_equal(m.body, body, BODY);
        memcpy(receipts[i], m.receipt, RECEIPT_BYTES);
    }
    struct request r = {.op = OP_ACK, .number = ++stage->number, .queue = queue};
    uint32_t size = request_encode(stage->op, &r);
    for (unsigned i = 0; i < EACH - missing; i++)
        size += request_add_receipt(stage->op + size, receipts[i]);
    request_seal(stage->op, size, (uint16_t)(EACH - missing));
    stage->op_size = size;
    send_op();
    pass(duration_ms(2));
    expect_run(LEAT_OK, (uint16_t)(EACH - missing));
    return LEAT_OK;
}

static uint8_t take_batch(unsigned batch)
{
    return take_all_but(batch, 0);
}

static struct shard_counters counters_now(void)
{
    struct shard_counters c;
    shard_count(stage->shard, &c);
    return c;
}

static void begin_deep(void)
{
    stage_config = little_memory;
    begin();
    stage_config = NULL;
    deep = queue;
}

TEST(shard_deep, a_backlog_from_front_to_back_is_read_before_anybody_asks)
{
    enum { BATCHES = 200 }; /* 4 MB, eight segments, 1/16 of it in memory */
    begin_deep();
    put_batches(0, BATCHES);
    for (unsigned i = 0; i < BATCHES; i++)
        assert_int_equal(take_batch(i), LEAT_OK);
    struct shard_counters c = counters_now();
    assert_true(c.cold_reads < 12);
    assert_true(c.ahead_hits > 150);
    assert_in_range(c.ahead_reads, 50, 110); /* a batch is a block of 24 KiB: 75 */
    assert_true(mark_count("reading_on") > 0);
    assert_true(c.buffer_bytes > 0);
    pass(duration_ms(1100));
    assert_true(counters_now().buffer_bytes == 0); /* nobody has read for long */
    end();
}

TEST(shard_deep, two_queues_that_are_read_in_turn_are_both_read_ahead)
{
    enum { BATCHES = 60 };
    begin_deep();
    create("other", (struct queue_attributes){0});
    struct queue_ref other = queue;
    for (unsigned i = 0; i < 2; i++) {
        queue = i ? other : deep;
        put_batches(100 * i, 100 * i + BATCHES);
    }
    put_batches(200, 230); /* the newest log is theirs */
    for (unsigned i = 0; i < BATCHES; i++) {
        queue = deep;
        assert_int_equal(take_batch(i), LEAT_OK);
        queue = other;
        assert_int_equal(take_batch(100 + i), LEAT_OK);
    }
    assert_true(counters_now().cold_reads < 20);
    end();
}

/* Where these bytes stand. */
static uint64_t find_on_disk(const char *text, char file[DISK_NAME_MAX])
{
    static uint8_t bytes[512 << 10];
    for (unsigned i = 0; disk_list(stage->disk, i, file); i++) {
        if (strncmp(file, "log-", 4) != 0 || !fake_disk_peek(stage->disk, file, 0, bytes, sizeof bytes))
            continue;
        const uint8_t *at = memmem(bytes, sizeof bytes, text, strlen(text));
        if (at)
            return (uint64_t)(at - bytes);
    }
    fail_msg("%s is nowhere", text);
    return 0;
}

TEST(shard_deep, wrong_bytes_that_were_read_ahead_are_not_served_and_are_read_again)
{
    enum { BATCHES = 60 };
    begin_deep();
    put_batches(0, BATCHES);
    char file[DISK_NAME_MAX], good, bad = '?';
    uint64_t at = find_on_disk("batch 000009", file);
    assert_true(fake_disk_peek(stage->disk, file, at, &good, 1));
    assert_true(fake_disk_poke(stage->disk, file, at, &bad, 1));
    for (unsigned i = 0; i < 9; i++)
        assert_int_equal(take_batch(i), LEAT_OK);
    uint64_t hits = counters_now().ahead_hits, cold = counters_now().cold_reads;
    assert_int_equal(take_all_but(9, 1), LEAT_OK);
    assert_int_equal(counters_now().ahead_hits, hits + 1);
    assert_int_equal(counters_now().corrupt_bodies, 1);
    assert_true(fake_disk_poke(stage->disk, file, at, &good, 1));
    pass(duration_s(31)); /* its lease ends */
    assert_int_equal(take_all_but(9, EACH - 1), LEAT_OK);
    assert_true(counters_now().cold_reads > cold);
    end();
}

TEST(shard_deep, what_could_not_be_read_ahead_is_read_by_who_needs_it)
{
    enum { BATCHES = 60 };
    begin_deep();
    put_batches(0, BATCHES);
    assert_int_equal(take_batch(0), LEAT_OK);
    uint64_t before = counters_now().ahead_reads;
    fake_disk_fail(stage->disk, DISK_READ, 2, -EIO); /* the first is the answer's, the next is the first ahead */
    for (unsigned i = 1; i < 20; i++)
        assert_int_equal(take_batch(i), LEAT_OK);
    assert_true(counters_now().ahead_reads > before);
    end();
}

static void tight_memory(struct shard_config *c)
{
    little_memory(c);
    c->buffer_max = 2 << 20;
}

TEST(shard_deep, what_was_read_ahead_gives_way_to_an_answer_that_needs_the_memory)
{
    stage_config = tight_memory;
    begin();
    stage_config = NULL;
    put_batches(0, 100);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(take_batch(i), LEAT_OK);
    uint64_t held = counters_now().buffer_bytes;
    assert_true(held >= 128 << 10);
    send_take(++stage->number, 900, (struct duration){0}); /* twice 0.95 MB */
    pass(duration_ms(20));
    while (script_port_pop(stage->port, PEER, &answer_frame))
        continue;
    assert_true(mark_count("ahead_gave_way") > 0);
    end();
}
