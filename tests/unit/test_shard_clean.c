/* test_shard_clean.c - messages that stay among many that pass: their bodies move, and nobody who takes or looks at
 * them can tell. */
#include "keep.h"
#include "shard_stage.h"

enum { SEGMENT = 256 << 10 };

static struct queue_ref stay, go;

static void small_segments(struct shard_config *c)
{
    c->body_max = 32 << 10;
    c->journal.depth = 2;
    c->journal.block_bytes_max = 64 << 10;
    c->journal.segment_bytes = SEGMENT;
    c->journal.hot_bytes = 256 << 10;
    c->journal.ack_reserve = 4 << 10;
    c->journal.disk_max = 64 * SEGMENT;
    c->journal.clean_above = 0;
}

static void begin_clean(void)
{
    mark_reset();
    stage_config = small_segments;
    begin();
    stay = queue;
    create("go", (struct queue_attributes){0});
    go = queue;
}

/* One large message comes and goes. Between, whoever likes may look: `look`, or NULL. */
static void one_passes(void (*look)(void))
{
    static char large[30001];
    memset(large, 'x', sizeof large - 1);
    queue = go;
    send_put(++stage->number, large, 1, (struct duration){0});
    pass(duration_ms(1));
    expect_run(LEAT_OK, 1);
    if (look)
        look();
    send_take(++stage->number, 1, (struct duration){0});
    pass(duration_ms(1));
    struct reply_message m = expect_message(large);
    uint8_t receipt[RECEIPT_BYTES];
    memcpy(receipt, m.receipt, sizeof receipt);
    send_receipt(OP_ACK, ++stage->number, receipt);
    pass(duration_ms(1));
    expect_run(LEAT_OK, 1);
    if (look)
        look();
}

static void some_stay(unsigned round, unsigned count)
{
    char body[16];
    snprintf(body, sizeof body, "stays %u", round);
    queue = stay;
    send_put(++stage->number, body, count, (struct duration){0});
    pass(duration_ms(3));
    expect_run(LEAT_OK, (uint16_t)count);
}

/* An answer with all that stay, in order. */
static void expect_all(uint8_t code, unsigned rounds, unsigned count)
{
    struct frame_op op;
    struct reply_message m;
    uint32_t offset = 0;
    assert_int_equal(answer(&op), LEAT_OK);
    assert_int_equal(op.op, code);
    assert_int_equal(op.count, rounds * count);
    for (unsigned i = 0; i < rounds * count; i++) {
        char body[16];
        snprintf(body, sizeof body, "stays %u", i / count);
        assert_true(reply_next_message(&op, &offset, &m));
        assert_int_equal(m.body_size, strlen(body));
        assert_memory_equal(m.body, body, m.body_size);
    }
}

TEST(shard_clean, what_stays_among_much_that_passes_is_moved_together_and_delivered_after_a_power_cut)
{
    enum { ROUNDS = 30, COUNT = 5 };
    begin_clean();
    for (unsigned i = 0; i < ROUNDS; i++) {
        some_stay(i, COUNT);
        for (unsigned k = 0; k < 12; k++)
            one_passes(NULL);
    }
    struct shard_counters c;
    shard_count(stage->shard, &c);
    assert_true(c.journal.cleanings > 3);
    assert_true(c.journal.keep_segments > 0);
    assert_int_equal(c.journal.live, ROUNDS * COUNT);
    assert_true(c.journal.segments <= 10);
    stop();
    fake_disk_crash(stage->disk);
    start();
    hello(0, 0);
    pass(duration_ms(20));
    welcome();
    shard_count(stage->shard, &c);
    assert_true(c.journal.keep_segments > 0);
    assert_int_equal(c.journal.live, ROUNDS * COUNT);
    queue = stay;
    send_take(stage->number = 1, ROUNDS * COUNT, (struct duration){0});
    pass(duration_ms(20));
    expect_all(OP_TAKE, ROUNDS, COUNT);
    end();
}

enum { LOOK_ROUNDS = 40, LOOK_COUNT = 20 };
static unsigned look_rounds;

static void look_at_all(void)
{
    struct request r = {.op = OP_PEEK, .number = ++stage->number, .queue = stay, .max = LOOK_ROUNDS * LOOK_COUNT};
    stage->op_size = request_encode(stage->op, &r);
    send_op();
    pass(duration_ms(20));
    expect_all(OP_PEEK, look_rounds, LOOK_COUNT);
    queue = go;
}

/* Each look begins with many bodies that are kept already, one read after the other; the newest ones at its end, which
 * were to be read together, may be moved before their turn comes. */
TEST(shard_clean, a_group_that_is_moved_while_it_waits_to_be_read_comes_in_pieces)
{
    begin_clean();
    for (look_rounds = 0; look_rounds < LOOK_ROUNDS;) {
        some_stay(look_rounds++, LOOK_COUNT);
        for (unsigned k = 0; k < 12; k++)
            one_passes(look_at_all);
    }
    assert_true(mark_count("group_in_pieces") > 0);
    end();
}

TEST(shard_clean, a_broker_that_stops_gives_up_its_run_and_opens_again)
{
    begin_clean();
    for (unsigned i = 0; i < 12; i++) { /* as many sessions as there can be */
        some_stay(i, 5);
        for (unsigned k = 0; k < 20 + i; k++)
            one_passes(NULL);
        shard_stop(stage->shard);
        for (unsigned n = 0; n < 1000 && !shard_stopped(stage->shard); n++)
            pass(duration_us(100));
        assert_true(shard_stopped(stage->shard));
        stop();
        fake_disk_crash(stage->disk);
        start();
        hello(0, 0);
        pass(duration_ms(20));
        welcome();
        stage->number = 0;
    }
    queue = stay;
    send_take(++stage->number, 60, (struct duration){0});
    pass(duration_ms(20));
    expect_all(OP_TAKE, 12, 5);
    end();
}
