/* test_shard_cold.c - the shard and bodies that have left memory: read back together, or damaged on the disk. */
#include "fact.h"
#include "shard_stage.h"

static void little_memory(struct shard_config *c)
{
    c->body_max = 32 << 10;
    c->journal.depth = 2;
    c->journal.block_bytes_max = 64 << 10;
    c->journal.hot_bytes = 256 << 10;
    c->journal.ack_reserve = 4 << 10;
}

/* 150 small messages, so much later that they have left memory. */
static void cold_backlog(void)
{
    stage_config = little_memory;
    begin();
    stage_config = NULL;
    for (unsigned i = 0; i < 3; i++) {
        char body[16];
        snprintf(body, sizeof body, "small %u", i);
        send_put(++stage->number, body, 50, (struct duration){0});
        pass(duration_ms(10));
        expect_run(LEAT_OK, 50);
    }
    static char large[30001];
    memset(large, 'x', sizeof large - 1);
    for (unsigned i = 0; i < 20; i++) { /* the newest log is all theirs */
        send_put(++stage->number, large, 1, (struct duration){0});
        pass(duration_ms(10));
        expect_run(LEAT_OK, 1);
    }
}

/* The answer's next message has the body "small WHICH". */
static void expect_small(const struct frame_op *op, uint32_t *offset, unsigned which)
{
    char body[16];
    struct reply_message m;
    snprintf(body, sizeof body, "small %u", which);
    assert_true(reply_next_message(op, offset, &m));
    assert_int_equal(m.body_size, strlen(body));
    assert_memory_equal(m.body, body, m.body_size);
}

TEST(shard_cold, small_bodies_that_are_cold_are_read_together)
{
    cold_backlog();
    send_take(++stage->number, 150, (struct duration){0});
    pass(duration_ms(20));
    struct frame_op op;
    struct shard_counters counters;
    uint32_t offset = 0;
    assert_int_equal(answer(&op), LEAT_OK);
    assert_int_equal(op.count, 150);
    for (unsigned i = 0; i < 150; i++)
        expect_small(&op, &offset, i / 50);
    shard_count(stage->shard, &counters);
    assert_true(counters.cold_reads > 0);
    assert_true(counters.cold_reads <= 6);
    assert_true(mark_count("bodies_read_together") > 0);
    end();
}

/* Changes a bit on the disk, `away` from where the first body like this begins. */
static void rot_beside(const char *body, int away)
{
    uint8_t page[8192];
    for (uint64_t at = 0; fake_disk_peek(stage->disk, "log-00000001", at, page, sizeof page); at += 4096) {
        const uint8_t *found = memmem(page, sizeof page, body, strlen(body));
        if (!found)
            continue;
        found += away;
        assert_true(found >= page && found < page + sizeof page);
        uint8_t wrong = *found ^ 4;
        assert_true(fake_disk_poke(stage->disk, "log-00000001", at + (uint64_t)(found - page), &wrong, 1));
        return;
    }
    fail_msg("%s is not on the disk", body);
}

static void rot(const char *body)
{
    rot_beside(body, 0);
}

TEST(shard_cold, a_rotten_body_is_left_out_and_its_neighbours_are_delivered)
{
    cold_backlog();
    rot("small 0");
    rot("small 1");
    send_take(++stage->number, 1, (struct duration){0});
    pass(duration_ms(20));
    assert_int_equal(answer(NULL), LEAT_CORRUPT); /* nothing else was asked for */
    send_take(++stage->number, 149, (struct duration){0});
    pass(duration_ms(20));
    struct frame_op op;
    uint32_t offset = 0;
    assert_int_equal(answer(&op), LEAT_OK);
    assert_int_equal(op.count, 148);
    for (unsigned i = 0; i < 148; i++)
        expect_small(&op, &offset, i < 49 ? 0 : i < 98 ? 1 : 2);
    struct shard_counters counters;
    shard_count(stage->shard, &counters);
    assert_int_equal(counters.corrupt_bodies, 2);
    assert_int_equal(counters.delivered, 148);
    end();
}

/* A damaged message of an answer: what its receipt says. */
static struct receipt damaged(const struct frame_op *op, uint32_t *offset, struct reply_message *m)
{
    struct receipt r;
    assert_true(reply_next_message(op, offset, m));
    assert_int_equal(m->attempts, 1);
    assert_int_equal(m->attrs_size + m->body_size + m->body_crc, 0);
    assert_true(m->lease_left.ns > 0);
    assert_true(receipt_decode(&r, m->receipt));
    return r;
}

TEST(shard_cold, a_take_of_damaged_messages_alone_names_them_and_their_receipts_act)
{
    enum { FACT = FACT_PUT_FIXED + 8 };
    cold_backlog();
    rot_beside("small 0", FACT - 8); /* the header of the second ... */
    rot("small 0");                  /* ... and the body of the first */
    send_take(++stage->number, 2, (struct duration){0});
    pass(duration_ms(20));
    struct frame_op op;
    struct reply_message one, two, whole;
    uint8_t receipts[2][RECEIPT_BYTES];
    uint32_t offset = 0;
    assert_int_equal(answer(&op), LEAT_CORRUPT);
    assert_int_equal(op.count, 2);
    struct receipt first = damaged(&op, &offset, &one), second = damaged(&op, &offset, &two), third;
    assert_int_equal(offset, op.body_size);
    memcpy(receipts[0], one.receipt, RECEIPT_BYTES);
    memcpy(receipts[1], two.receipt, RECEIPT_BYTES);
    send_take(++stage->number, 1, (struct duration){0});
    pass(duration_ms(20));
    whole = expect_message("small 0");
    assert_true(receipt_decode(&third, whole.receipt));
    assert_int_equal(first.id.lsn.n, third.id.lsn.n - 2);
    assert_int_equal(first.id.epoch, third.id.epoch);
    assert_int_equal(one.sent_wall_ns, whole.sent_wall_ns);
    assert_int_equal(second.id.lsn.n, third.id.lsn.n - 1);
    assert_int_equal(second.id.epoch, 0); /* no id is better than a wrong one */
    assert_int_equal(two.sent_wall_ns, 0);
    for (unsigned i = 0; i < 2; i++) {
        send_receipt(i ? OP_NACK : OP_ACK, ++stage->number, receipts[i]);
        pass(duration_ms(20));
        expect_run(LEAT_OK, 1);
    }
    const struct queue_counters *c = &engine_queue_at(shard_engine(stage->shard), queue.number)->counters;
    assert_int_equal(c->leased, 1);
    assert_int_equal(c->acks, 1);
    assert_int_equal(c->nacks, 1);
    end();
}
