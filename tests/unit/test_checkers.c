/* test_checkers.c - every checker of the simulator rejects a bad history made by hand, and accepts the good one beside
 * it. */
#include "check.h"
#include "check_broker.h"
#include "check_copied.h"
#include "test.h"

#include "must.h"

struct tale {
    struct history h;
    struct stamp now;
    uint32_t queue, dead_queue;
};

static struct stamp at(struct tale *t, unsigned ms)
{
    t->now = (struct stamp){ms * 1000000ull, ms * 1000000ull};
    return t->now;
}

static uint32_t queue(struct tale *t, const char *name, const char *dead_letter, uint32_t attempts)
{
    struct name n;
    struct queue_attributes a = {.lease = duration_ms(100), .max_attempts = attempts, .durability = CLASS_DISK};
    must(name_set(&n, name, strlen(name)));
    if (dead_letter)
        must(name_set(&a.dead_letter, dead_letter, strlen(dead_letter)));
    return history_queue(&t->h, &n, (struct queue_ref){t->h.n_queues, t->h.n_queues + 1}, &a);
}

static void begin(struct tale *t)
{
    history_open(&t->h);
    at(t, 0);
    t->dead_queue = queue(t, "dead", NULL, 0);
    t->queue = queue(t, "mail", "dead", 2);
    history_restarted(&t->h, 1, t->now);
}

static void end(struct tale *t, const char *violation)
{
    if (violation)
        assert_string_equal(t->h.failed ? (t->h.text[strcspn(t->h.text, ":")] = 0, t->h.text) : "nothing", violation);
    else
        assert_string_equal(t->h.text, "");
    history_close(&t->h);
}

static uint32_t put_late(struct tale *t, uint8_t durability, struct duration delay)
{
    return history_put(&t->h, &(struct seen_put){.queue = t->queue,
                                                 .client = 1,
                                                 .body_size = 8,
                                                 .durability = durability,
                                                 .delay = delay,
                                                 .invoked = t->now});
}

static struct message_id id_of(uint64_t block)
{
    return (struct message_id){.epoch = 1, .lsn = lsn_make(block, 0)};
}

/* A disk-class put that was answered. */
static uint32_t put(struct tale *t, uint64_t block)
{
    uint32_t p = put_late(t, CLASS_DISK, (struct duration){0});
    struct message_id id = id_of(block);
    history_put_done(&t->h, p, OUTCOME_OK, LEAT_OK, &id, t->now);
    return p;
}

struct given {
    uint64_t block;
    uint32_t queue, body, attempts, generation, epoch, take;
};

static uint32_t give(struct tale *t, const struct given *g)
{
    struct receipt r = {.id = id_of(g->block), .slot = g->queue, .generation = g->generation, .epoch = g->epoch};
    uint8_t bytes[RECEIPT_BYTES];
    receipt_encode(bytes, &r);
    return history_deliver(&t->h,
                           &(struct delivery){.queue = g->queue,
                                              .client = 2,
                                              .put = g->body,
                                              .attempts = g->attempts,
                                              .take = g->take,
                                              .receipt = bytes,
                                              .length = duration_ms(100),
                                              .asked = t->now},
                           t->now);
}

/* The n-th lease of put 0 in the first queue. */
static uint32_t lease(struct tale *t, uint32_t n)
{
    return give(t, &(struct given){7, t->queue, 0, n, n, 1, 0});
}

static void finish(struct tale *t, uint8_t op, uint32_t l, unsigned time_ms, enum outcome o)
{
    uint32_t f = history_finish(
        &t->h,
        &(struct seen_finish){.op = op, .lease = l, .client = 2, .time = duration_ms(time_ms), .invoked = t->now});
    history_finish_done(&t->h, f, o, o == OUTCOME_FAIL ? LEAT_STALE_RECEIPT : LEAT_OK, t->now);
}

static void crash(struct tale *t, unsigned ms)
{
    history_crash(&t->h, at(t, ms));
    history_restarted(&t->h, 2, at(t, ms + 1));
}

TEST(checkers, a_whole_life_is_accepted)
{
    struct tale t;
    begin(&t);
    put(&t, 7);
    at(&t, 10);
    uint32_t l = lease(&t, 1);
    at(&t, 120);
    uint32_t again = lease(&t, 2);
    finish(&t, OP_ACK, l, 0, OUTCOME_FAIL);
    finish(&t, OP_EXTEND, again, 50, OUTCOME_OK);
    finish(&t, OP_ACK, again, 0, OUTCOME_OK);
    finish(&t, OP_ACK, again, 0, OUTCOME_FAIL);
    history_end(&t.h, at(&t, 200));
    end(&t, NULL);
}

TEST(checkers, lost_wants_every_acknowledged_put)
{
    struct tale t;
    begin(&t);
    put(&t, 7);
    history_end(&t.h, at(&t, 10));
    end(&t, "I1");

    begin(&t); /* received is not enough */
    put(&t, 7);
    lease(&t, 1);
    history_end(&t.h, at(&t, 10));
    end(&t, "I1");

    begin(&t); /* a crash is no excuse for the class disk */
    put(&t, 7);
    crash(&t, 5);
    history_end(&t.h, at(&t, 10));
    end(&t, "I1");
}

TEST(checkers, lost_lets_dead_dropped_and_memory_class_messages_go)
{
    struct tale t;
    begin(&t);
    put(&t, 7);
    struct message_id id = id_of(7);
    history_found_dead(&t.h, id.lsn);
    history_end(&t.h, at(&t, 10));
    end(&t, NULL);

    begin(&t);
    put(&t, 7);
    history_drop(&t.h, t.queue);
    history_end(&t.h, at(&t, 10));
    end(&t, NULL);

    begin(&t);
    uint32_t p = put_late(&t, CLASS_MEMORY, (struct duration){0});
    history_put_done(&t.h, p, OUTCOME_OK, LEAT_OK, &id, at(&t, 1));
    crash(&t, 5);
    history_end(&t.h, at(&t, 10));
    end(&t, NULL);
}

TEST(checkers, lost_wants_a_memory_class_put_that_a_later_answer_proved)
{
    struct tale t;
    begin(&t);
    uint32_t p = put_late(&t, CLASS_MEMORY, (struct duration){0});
    struct message_id id = id_of(7);
    history_put_done(&t.h, p, OUTCOME_OK, LEAT_OK, &id, at(&t, 1));
    at(&t, 2);
    put(&t, 8);
    finish(&t, OP_ACK, give(&t, &(struct given){8, t.queue, 1, 1, 1, 1, 0}), 0, OUTCOME_OK);
    crash(&t, 5);
    history_end(&t.h, at(&t, 10));
    end(&t, "I1");
}

TEST(checkers, phantom_rejects_bodies_of_nobody_and_ids_that_change)
{
    struct tale t;
    begin(&t);
    put(&t, 7);
    give(&t, &(struct given){7, t.queue, HISTORY_NONE, 1, 1, 1, 0});
    end(&t, "I2");

    begin(&t);
    put_late(&t, CLASS_DISK, (struct duration){0});
    put_late(&t, CLASS_DISK, (struct duration){0});
    lease(&t, 1);
    at(&t, 200);
    give(&t, &(struct given){7, t.queue, 1, 2, 2, 1, 0});
    end(&t, "I4");

    begin(&t); /* not a dead-letter queue of its own */
    uint32_t other = queue(&t, "other", NULL, 0);
    put(&t, 7);
    give(&t, &(struct given){7, other, 0, 1, 1, 1, 0});
    end(&t, "I4");
}

TEST(checkers, failed_put_rejects_what_was_refused_and_what_is_there_twice)
{
    struct tale t;
    begin(&t);
    uint32_t p = put_late(&t, CLASS_DISK, (struct duration){0});
    history_put_done(&t.h, p, OUTCOME_FAIL, LEAT_TOO_LARGE, NULL, t.now);
    lease(&t, 1);
    end(&t, "I3");

    begin(&t);
    p = put_late(&t, CLASS_DISK, (struct duration){0});
    history_put_done(&t.h, p, OUTCOME_UNKNOWN, LEAT_UNKNOWN_OUTCOME, NULL, t.now);
    give(&t, &(struct given){7, t.queue, p, 1, 1, 1, 0});
    assert_false(t.h.failed);
    give(&t, &(struct given){8, t.queue, p, 1, 1, 1, 0});
    end(&t, "I3");
}

TEST(checkers, fence_rejects_shared_and_falling_receipts)
{
    struct tale t;
    begin(&t);
    put(&t, 7);
    lease(&t, 1);
    at(&t, 200);
    give(&t, &(struct given){7, t.dead_queue, 0, 2, 1, 1, 0});
    end(&t, "I5");

    begin(&t);
    put(&t, 7);
    give(&t, &(struct given){7, t.queue, 0, 1, 5, 1, 0});
    at(&t, 200);
    give(&t, &(struct given){7, t.queue, 0, 2, 4, 1, 0});
    end(&t, "I5");
}

TEST(checkers, fence_rejects_a_lease_that_is_given_to_two)
{
    struct tale t;
    begin(&t);
    put(&t, 7);
    give(&t, &(struct given){7, t.queue, 0, 1, 1, 1, 1});
    give(&t, &(struct given){7, t.queue, 0, 1, 1, 1, 1});
    assert_false(t.h.failed);
    give(&t, &(struct given){7, t.queue, 0, 1, 1, 1, 2});
    end(&t, "I5");
}

TEST(checkers, stale_rejects_a_superseded_receipt_that_works)
{
    const uint8_t ops[] = {OP_ACK, OP_NACK, OP_EXTEND};
    for (unsigned i = 0; i < 3; i++) {
        struct tale t;
        begin(&t);
        put(&t, 7);
        uint32_t old = lease(&t, 1);
        at(&t, 200);
        lease(&t, 2);
        at(&t, 201);
        finish(&t, ops[i], old, 10, OUTCOME_OK);
        end(&t, "I6");
    }
    struct tale t;
    begin(&t);
    put(&t, 7);
    uint32_t l = lease(&t, 1);
    finish(&t, OP_NACK, l, 0, OUTCOME_OK);
    at(&t, 1);
    finish(&t, OP_ACK, l, 0, OUTCOME_OK);
    end(&t, "I6");
}

TEST(checkers, stale_accepts_a_receipt_whose_successor_a_crash_took)
{
    struct tale t;
    begin(&t);
    put(&t, 7);
    at(&t, 1);
    uint32_t old = lease(&t, 1);
    at(&t, 110);
    put(&t, 8);
    at(&t, 150);
    lease(&t, 2);
    crash(&t, 151);
    finish(&t, OP_ACK, old, 0, OUTCOME_OK);
    end(&t, NULL);
}

TEST(checkers, overlap_rejects_a_lease_that_ends_early)
{
    struct tale t;
    begin(&t);
    put(&t, 7);
    lease(&t, 1);
    at(&t, 99);
    lease(&t, 2);
    end(&t, "I8");

    begin(&t);
    put(&t, 7);
    finish(&t, OP_EXTEND, lease(&t, 1), 300, OUTCOME_OK);
    at(&t, 299);
    lease(&t, 2);
    end(&t, "I8");

    begin(&t); /* durable, so a crash does not end it */
    put(&t, 7);
    lease(&t, 1);
    at(&t, 1);
    put(&t, 8);
    crash(&t, 50);
    give(&t, &(struct given){7, t.queue, 0, 2, 2, 2, 0});
    end(&t, "I8");
}

TEST(checkers, overlap_accepts_nacks_crashes_and_time)
{
    struct tale t;
    begin(&t);
    put(&t, 7);
    finish(&t, OP_NACK, lease(&t, 1), 0, OUTCOME_UNKNOWN);
    at(&t, 1);
    lease(&t, 2);
    crash(&t, 50);
    give(&t, &(struct given){7, t.queue, 0, 2, 2, 2, 0});
    end(&t, NULL);
}

TEST(checkers, acked_rejects_life_after_the_ack)
{
    struct tale t;
    begin(&t);
    put(&t, 7);
    finish(&t, OP_ACK, lease(&t, 1), 0, OUTCOME_OK);
    at(&t, 200);
    lease(&t, 2);
    end(&t, "I9");

    begin(&t); /* also where the answers came the other way round */
    put(&t, 7);
    uint32_t l = lease(&t, 1);
    uint32_t f = history_finish(&t.h, &(struct seen_finish){.op = OP_ACK, .lease = l, .invoked = at(&t, 90)});
    at(&t, 200);
    lease(&t, 2);
    history_finish_done(&t.h, f, OUTCOME_OK, LEAT_OK, at(&t, 201));
    end(&t, "I9");

    begin(&t);
    put(&t, 7);
    l = lease(&t, 1);
    finish(&t, OP_ACK, l, 0, OUTCOME_OK);
    finish(&t, OP_ACK, l, 0, OUTCOME_OK);
    end(&t, "I9");
}

TEST(checkers, attempts_rejects_a_count_that_does_not_rise)
{
    struct tale t;
    begin(&t);
    put(&t, 7);
    give(&t, &(struct given){7, t.queue, 0, 1, 1, 1, 0});
    at(&t, 200);
    give(&t, &(struct given){7, t.queue, 0, 1, 2, 1, 0});
    end(&t, "I10");

    begin(&t); /* forgotten by a restart */
    put(&t, 7);
    give(&t, &(struct given){7, t.queue, 0, 1, 1, 1, 0});
    at(&t, 1);
    put(&t, 8);
    crash(&t, 200);
    give(&t, &(struct given){7, t.queue, 0, 1, 2, 2, 0});
    end(&t, "I10");

    begin(&t);
    put(&t, 7);
    give(&t, &(struct given){7, t.queue, 0, 0, 1, 1, 0});
    end(&t, "I10");
}

TEST(checkers, dead_rejects_too_many_attempts_and_the_way_back)
{
    struct tale t;
    begin(&t);
    put(&t, 7);
    lease(&t, 3);
    end(&t, "I11");

    begin(&t);
    put(&t, 7);
    lease(&t, 2);
    at(&t, 200);
    give(&t, &(struct given){7, t.dead_queue, 0, 1, 4, 1, 0});
    assert_false(t.h.failed);
    at(&t, 400);
    give(&t, &(struct given){7, t.queue, 0, 3, 5, 1, 0});
    end(&t, "I11");

    begin(&t); /* moved after the first of two */
    put(&t, 7);
    lease(&t, 1);
    at(&t, 200);
    give(&t, &(struct given){7, t.dead_queue, 0, 1, 2, 1, 0});
    end(&t, "I11");
}

TEST(checkers, delay_rejects_early_deliveries)
{
    struct tale t;
    begin(&t);
    put_late(&t, CLASS_DISK, duration_ms(50));
    at(&t, 49);
    lease(&t, 1);
    end(&t, "I12");

    begin(&t);
    put(&t, 7);
    finish(&t, OP_NACK, lease(&t, 1), 500, OUTCOME_OK);
    at(&t, 499);
    lease(&t, 2);
    end(&t, "I12");
}

TEST(checkers, batch_rejects_results_of_other_entries)
{
    struct tale t;
    begin(&t);
    put(&t, 7);
    put(&t, 8);
    give(&t, &(struct given){8, t.queue, 0, 1, 1, 1, 0});
    end(&t, "I15");

    begin(&t);
    put_late(&t, CLASS_DISK, (struct duration){0});
    uint32_t p = put_late(&t, CLASS_DISK, (struct duration){0});
    lease(&t, 1);
    struct message_id id = id_of(7);
    history_put_done(&t.h, p, OUTCOME_OK, LEAT_OK, &id, t.now);
    end(&t, "I15");

    begin(&t);
    put(&t, 7);
    put(&t, 7);
    end(&t, "I15");
}

TEST(checkers, disk_rejects_more_old_segments_than_what_lives_in_them_explains)
{
    const struct journal_config config = {.segment_bytes = 1 << 20, .clean_above = 4};
    struct journal_counters c = {.settled = 15, .settled_live = 5000, .settled_bytes = 5 << 20};
    struct tale t = {0};
    begin(&t);
    check_disk(&t.h, &config, &c);
    end(&t, NULL);
    c.settled = 17;
    t = (struct tale){0};
    begin(&t);
    check_disk(&t.h, &config, &c);
    end(&t, "D4");
    c = (struct journal_counters){.settled = 6, .settled_live = 5, .settled_bytes = 500};
    t = (struct tale){0};
    begin(&t);
    check_disk(&t.h, &config, &c);
    end(&t, "D4");
}

TEST(checkers, dropped_rejects_messages_of_a_queue_that_is_gone)
{
    struct tale t;
    begin(&t);
    put(&t, 7);
    history_drop(&t.h, t.queue);
    lease(&t, 1);
    history_dropped(&t.h, t.queue, YES, at(&t, 150));
    assert_false(t.h.failed);
    at(&t, 200);
    lease(&t, 2);
    end(&t, "I16");

    static const uint8_t ops[] = {OP_ACK, OP_NACK, OP_EXTEND};
    for (unsigned i = 0; i < sizeof ops; i++) { /* a receipt from before is refused from then on */
        begin(&t);
        put(&t, 7);
        uint32_t l = lease(&t, 1);
        history_drop(&t.h, t.queue);
        finish(&t, OP_EXTEND, l, 50, OUTCOME_OK);
        history_dropped(&t.h, t.queue, YES, at(&t, 50));
        at(&t, 60);
        finish(&t, ops[i], l, 50, OUTCOME_FAIL);
        assert_false(t.h.failed);
        finish(&t, ops[i], l, 50, OUTCOME_OK);
        end(&t, "I16");
    }
}

/* Puts of blocks 5, 6, 7 and 8 at 0, 10, 20 and 60 ms; 6 is acked at 30 ms. A backup is asked for at 50 ms, and its
 * position is block 7. `blocks`: what a broker finds on the copy. */
static void copied(const char *violation, unsigned n, const uint64_t *blocks)
{
    struct tale t;
    struct copied want;
    struct lsn found[8];
    begin(&t);
    put(&t, 5);
    at(&t, 10);
    uint32_t acked = put(&t, 6);
    at(&t, 20);
    put(&t, 7);
    uint32_t l = give(&t, &(struct given){6, t.queue, acked, 1, 1, 1, 0});
    at(&t, 30);
    finish(&t, OP_ACK, l, 0, OUTCOME_OK);
    struct stamp asked = at(&t, 50);
    at(&t, 60);
    put(&t, 8);
    check_copied_want(&want, &t.h, asked, 7);
    for (unsigned i = 0; i < n; i++)
        found[i] = id_of(blocks[i]).lsn;
    check_copied_found(&t.h, &want, found, n);
    check_copied_free(&want);
    end(&t, violation);
}

TEST(checkers, copied_wants_what_was_acknowledged_before_and_nothing_that_was_acked)
{
    copied(NULL, 2, (const uint64_t[]){7, 5});
    copied("S2", 1, (const uint64_t[]){7});       /* one is missing */
    copied("S2", 0, NULL);                        /* all are */
    copied("I9", 3, (const uint64_t[]){5, 6, 7}); /* the acked one is back */
    copied("S2", 3, (const uint64_t[]){5, 7, 8}); /* from behind the position */
}

TEST(checkers, epoch_rejects_one_that_was_there_before)
{
    struct tale t;
    begin(&t);
    history_restarted(&t.h, 2, at(&t, 10));
    assert_false(t.h.failed);
    history_restarted(&t.h, 2, at(&t, 20));
    end(&t, "P1");

    begin(&t);
    history_restarted(&t.h, 5, at(&t, 10));
    history_restarted(&t.h, 3, at(&t, 20));
    end(&t, "P1");
}

TEST(checkers, session_rejects_a_handle_that_is_given_twice)
{
    struct tale t;
    begin(&t);
    history_session(&t.h, &(struct seen_session){0x10001, 7}, at(&t, 10));
    history_session(&t.h, &(struct seen_session){0x10001, 7}, at(&t, 20)); /* resumed */
    history_session(&t.h, &(struct seen_session){0x20001, 8}, at(&t, 30));
    assert_false(t.h.failed);
    history_session(&t.h, &(struct seen_session){0x10001, 9}, at(&t, 40));
    end(&t, "P1");
}

TEST(checkers, reserve_rejects_an_ack_that_found_no_space)
{
    struct tale t;
    for (unsigned files = 0; files < 2; files++) {
        begin(&t);
        t.h.files_refused = files > 0;
        put(&t, 7);
        uint32_t f = history_finish(&t.h, &(struct seen_finish){.op = OP_ACK, .lease = lease(&t, 1), .invoked = t.now});
        history_finish_done(&t.h, f, OUTCOME_FAIL, LEAT_NO_SPACE, t.now);
        end(&t, files ? NULL : "P8");
    }
}
