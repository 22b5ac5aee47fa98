/* test_client_faults.c - the core when the world is not kind: loss, silence, garbage, expired sessions, no memory. */
#include "test.h"

#include "mark.h"
#include "rig.h"

static struct rig rig;

TEST(client, an_expired_session_leaves_outcomes_unknown_but_repeats_what_is_safe)
{
    rig_open(&rig, 16, false, 1);
    struct fake_queue *q = fake_broker_queue(&rig.broker, "q");
    rig_put_many(&rig, "q", 4, 8, 0);
    rig_take(&rig, "q", 2, duration_s(0), 1);
    rig_finish(&rig);
    rig_expect(&rig, 0);
    struct client_result r = rig_expect(&rig, 1);
    struct reply_message m;
    uint8_t receipts[2][RECEIPT_BYTES];
    for (uint32_t i = 0, offset = 0; i < 2; i++) {
        assert_true(reply_next_message(&r.reply, &offset, &m));
        memcpy(receipts[i], m.receipt, RECEIPT_BYTES);
    }
    rig.hold = true;
    rig_put(&rig, "q", "lost", 2);
    rig_receipts(&rig, OP_ACK, "q", (const uint8_t(*)[RECEIPT_BYTES])receipts, 1, 3);
    rig_queue(&rig, OP_QUEUE_STAT, "q", 4);
    rig_take(&rig, "q", 1, duration_s(0), 5);
    rig_step(&rig);
    rig_cut(&rig);
    rig.hold = false;
    fake_broker_forget(&rig.broker);
    rig_put(&rig, "q", "never sent", 6);
    rig_finish(&rig);
    rig_expect_status(&rig, 2, LEAT_UNKNOWN_OUTCOME);
    rig_expect_status(&rig, 3, LEAT_UNKNOWN_OUTCOME); /* stale now: the first try did it */
    rig_expect_status(&rig, 4, LEAT_OK);
    rig_expect_status(&rig, 5, LEAT_OK);
    rig_expect_status(&rig, 6, LEAT_OK);
    assert_true(q->messages[0].acked);
    assert_int_equal(q->count, 6);
    assert_int_equal(rig_counters(&rig).expired, 1);
    assert_true(mark_count("client_repeated_receipt_is_stale") > 0);
    rig_close(&rig);
}

TEST(client, a_parked_take_is_answered_when_a_message_comes)
{
    for (unsigned datagrams = 0; datagrams < 2; datagrams++) {
        rig_open(&rig, 8, datagrams, 1);
        fake_broker_queue(&rig.broker, "q");
        rig_take(&rig, "q", 5, duration_s(3600), 1);
        assert_false(rig_run(&rig, 0, duration_s(100)));
        assert_int_equal(rig.broker.pings > 0, datagrams);
        assert_int_equal(rig_counters(&rig).breaks, 0);
        rig_put(&rig, "q", "x", 2);
        rig_finish(&rig);
        rig_expect_status(&rig, 2, LEAT_OK);
        assert_int_equal(rig_expect(&rig, 1).count, 1);
        rig_close(&rig);
    }
    assert_true(mark_count("client_take_parked") > 0);
}

TEST(client, other_calls_pass_a_parked_take_until_the_window_is_used_up)
{
    rig_open(&rig, 8, false, 1);
    fake_broker_queue(&rig.broker, "q");
    fake_broker_queue(&rig.broker, "r");
    rig_take(&rig, "q", 5, duration_s(3600), 1);
    rig_put(&rig, "r", "x", 2);
    assert_true(rig_run(&rig, 1, duration_s(1)));
    rig_expect_status(&rig, 2, LEAT_OK);
    unsigned passed = 0; /* 8 numbers from the take's own on: its own, the put's, and 6 more */
    while (rig_put(&rig, "r", "x", 3) == LEAT_OK && rig_run(&rig, 1, duration_s(1)))
        passed++;
    assert_int_equal(passed, 6);
    rig_put(&rig, "q", "x", 4);
    rig_cut(&rig);
    assert_int_equal(rig_counters(&rig).breaks, 1);
    rig_close(&rig);
}

TEST(client, over_a_lossy_net_every_put_executes_once)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        rig_open(&rig, 16, true, seed);
        rig.lossy = 20;
        struct fake_queue *q = fake_broker_queue(&rig.broker, "q");
        unsigned told = 0;
        for (unsigned i = 0; i < 300;) {
            if (rig_put_many(&rig, "q", 1 + i % 3, i % 7 == 0 ? 5000 : 30, i) == LEAT_OK) {
                i++;
                continue;
            }
            assert_true(rig_run(&rig, client_pending(rig.client) - 1, duration_s(300)));
            struct client_result r;
            while (client_result(rig.client, &r)) {
                assert_int_equal(r.status, LEAT_OK);
                told++;
            }
        }
        assert_true(rig_run(&rig, 0, duration_s(300)));
        struct client_result r;
        while (client_result(rig.client, &r))
            told++;
        assert_int_equal(told, 300);
        assert_int_equal(q->count, 600);
        assert_true(rig_counters(&rig).retries > 0);
        assert_true(rig_counters(&rig).gaps > 0);
        assert_int_equal(rig_counters(&rig).sessions, 1);
        rig_close(&rig);
    }
    assert_true(mark_count("client_gap") > 0);
    assert_true(mark_count("client_retry") > 0);
}

TEST(client, takes_over_a_lossy_net_deliver_each_message_once)
{
    rig_open(&rig, 8, true, 7);
    fake_broker_queue(&rig.broker, "q");
    rig_put_many(&rig, "q", 200, 700, 0);
    rig_finish(&rig);
    rig_expect_status(&rig, 0, LEAT_OK);
    rig.lossy = 20;
    static bool seen[200];
    memset(seen, 0, sizeof seen);
    for (unsigned got = 0; got < 200;) {
        assert_int_equal(rig_take(&rig, "q", 9, duration_s(5), 1), LEAT_OK);
        assert_true(rig_run(&rig, 0, duration_s(300)));
        struct client_result r = rig_expect(&rig, 1);
        struct reply_message m;
        uint32_t offset = 0, i;
        while (reply_next_message(&r.reply, &offset, &m)) {
            memcpy(&i, m.body, 4);
            assert_false(seen[i]);
            seen[i] = true;
            got++;
        }
    }
    rig_close(&rig);
}

TEST(client, a_dead_broker_is_noticed_by_pings_and_found_again)
{
    rig_open(&rig, 8, true, 1);
    fake_broker_queue(&rig.broker, "q");
    rig_take(&rig, "q", 1, duration_s(3600), 1);
    assert_false(rig_run(&rig, 0, duration_s(2)));
    struct instant death = rig.now;
    rig.up = false;
    while (rig.linked) {
        rig.now = client_next_due(rig.client);
        rig_step(&rig);
    }
    assert_true(instant_since(rig.now, death).ns < duration_s(6).ns);
    rig.up = true;
    rig.broker.parked = 0;
    fake_broker_restart(&rig.broker);
    rig_put(&rig, "q", "x", 2);
    assert_true(rig_run(&rig, 1, duration_s(10)));
    rig_expect_status(&rig, 2, LEAT_OK);
    assert_int_equal(rig_counters(&rig).resumes, 1);
    rig_close(&rig);
}

TEST(client, a_pause_is_no_silence)
{
    rig_open(&rig, 8, true, 1);
    fake_broker_queue(&rig.broker, "q");
    rig_put(&rig, "q", "x", 1);
    rig_finish(&rig);
    rig_expect(&rig, 1);
    assert_true(client_next_due(rig.client).ns >= rig.now.ns);
    rig.now = instant_add(rig.now, duration_s(3600));
    rig_put(&rig, "q", "x", 2);
    rig_step(&rig);
    rig_expect_status(&rig, 2, LEAT_OK);
    assert_int_equal(rig.broker.pings, 0);
    rig_close(&rig);
}

TEST(client, a_stream_that_stays_silent_for_half_a_minute_is_given_up)
{
    rig_open(&rig, 8, false, 1);
    fake_broker_queue(&rig.broker, "q");
    rig_put(&rig, "q", "x", 1);
    rig_finish(&rig);
    rig_expect(&rig, 1);
    rig.broker.mute = true;
    rig_put(&rig, "q", "x", 2);
    assert_false(rig_run(&rig, 0, duration_s(29)));
    assert_int_equal(rig_counters(&rig).breaks, 0);
    assert_false(rig_run(&rig, 0, duration_s(2)));
    assert_int_equal(rig_counters(&rig).breaks, 1);
    rig.broker.mute = false;
    rig_finish(&rig);
    rig_expect_status(&rig, 2, LEAT_OK);
    assert_int_equal(fake_broker_queue(&rig.broker, "q")->count, 2);
    rig_close(&rig);
}

TEST(client, a_refused_hello_is_told_and_tried_again)
{
    rig_open(&rig, 8, false, 1);
    fake_broker_queue(&rig.broker, "q");
    rig.broker.refuse_hello = LEAT_SESSIONS_FULL;
    rig_put(&rig, "q", "x", 1);
    assert_false(rig_run(&rig, 0, duration_s(3)));
    assert_int_equal(client_refusal(rig.client), LEAT_SESSIONS_FULL);
    assert_true(rig.broker.hellos > 4 && rig.broker.hellos < 20);
    rig.broker.refuse_hello = LEAT_OK;
    rig_finish(&rig);
    rig_expect_status(&rig, 1, LEAT_OK);
    assert_int_equal(client_refusal(rig.client), LEAT_OK);
    rig_close(&rig);
}

TEST(client, memory_stays_within_the_budget)
{
    rig_open(&rig, 64, false, 1);
    client_close(rig.client);
    struct client_config config = {.window = 64, .seed = 1, .budget = 4 << 20};
    rig.client = client_open(&config);
    struct fake_queue *q = fake_broker_queue(&rig.broker, "q");
    unsigned sent = 0, told = 0;
    struct client_result r;
    while (sent < 40) {
        enum leat_status status = rig_put_many(&rig, "q", 1, 1000000, sent);
        assert_true(rig_counters(&rig).held_bytes <= config.budget);
        if (status == LEAT_OK) {
            sent++;
            continue;
        }
        assert_int_equal(status, LEAT_OVERLOADED);
        rig_finish(&rig);
        while (client_result(rig.client, &r))
            told++;
    }
    rig_finish(&rig);
    while (client_result(rig.client, &r))
        told++;
    assert_int_equal(told, 40);
    assert_int_equal(q->count, 40);
    for (unsigned i = 0; i < 6; i++)
        rig_take(&rig, "q", 1, duration_s(0), 100 + i);
    rig_finish(&rig);
    unsigned refused = 0;
    while (client_result(rig.client, &r))
        refused += r.status == LEAT_NO_MEMORY;
    assert_true(refused > 0 && refused < 6);
    assert_true(rig_counters(&rig).held_bytes <= config.budget);
    rig_close(&rig);
}

TEST(client, a_forgotten_call_is_not_told_and_not_sent_if_it_was_not_yet)
{
    rig_open(&rig, 8, false, 1);
    struct fake_queue *q = fake_broker_queue(&rig.broker, "q");
    rig_put(&rig, "q", "x", 1);
    rig_put(&rig, "q", "y", 2);
    assert_true(client_forget(rig.client, 1));
    assert_false(client_forget(rig.client, 1));
    rig_finish(&rig);
    rig_expect_status(&rig, 2, LEAT_OK);
    assert_int_equal(q->count, 1);
    rig.hold = true;
    rig_put(&rig, "q", "z", 3);
    rig_step(&rig);
    assert_true(client_forget(rig.client, 3));
    rig.hold = false;
    rig_finish(&rig);
    rig_expect_none(&rig);
    assert_int_equal(q->count, 2);
    assert_int_equal(client_room(rig.client), 8);
    rig_close(&rig);
}

TEST(client, a_flipped_body_is_not_delivered_as_good)
{
    rig_open(&rig, 8, false, 1);
    fake_broker_queue(&rig.broker, "q");
    rig_put(&rig, "q", "precious", 1);
    rig_finish(&rig);
    rig_expect(&rig, 1);
    rig.hold = true;
    rig_take(&rig, "q", 1, duration_s(0), 2);
    rig_step(&rig);
    rig.broker.out[rig.broker.out_size - 8] ^= 1;
    rig.hold = false;
    rig_finish(&rig);
    rig_expect_status(&rig, 2, LEAT_BAD_CHECKSUM);
    rig_close(&rig);
}

/* Puts a message, has it taken, and lets a test change the answer before the client sees it. */
static uint8_t *taken_from(bool rotten)
{
    rig_open(&rig, 8, false, 1);
    fake_broker_queue(&rig.broker, "q");
    rig_put(&rig, "q", "precious", 1);
    rig_finish(&rig);
    rig_expect(&rig, 1);
    rig.broker.rotten = rotten;
    rig.hold = true;
    rig_take(&rig, "q", 1, duration_s(0), 2);
    rig_step(&rig);
    rig.hold = false;
    return rig.broker.out + rig.broker.out_size - (REPLY_MESSAGE_HEADER + (rotten ? 0 : 8));
}

TEST(client, a_damaged_message_has_a_receipt_and_no_size_is_believed)
{
    taken_from(true);
    rig_finish(&rig);
    struct client_result r = rig_expect(&rig, 2);
    struct reply_message m;
    uint32_t offset = 0;
    assert_int_equal(r.status, LEAT_CORRUPT);
    assert_int_equal(r.count, 1);
    assert_true(reply_next_message(&r.reply, &offset, &m));
    assert_int_equal(m.body_size, 0);
    assert_false(reply_next_message(&r.reply, &offset, &m));
    rig_close(&rig);
    static const struct {
        uint8_t at, value;                                          /* in the header of the message */
    } lies[] = {{60, 8}, {60, 255}, {63, 255}, {68, 8}, {69, 255}}; /* body and attributes that are not there */
    for (unsigned i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        taken_from(true)[lies[i].at] = lies[i].value;
        rig_step(&rig);
        rig_expect_none(&rig);
        assert_int_equal(rig.stream, LEAT_BAD_FRAME);
        rig_close(&rig);
    }
    uint8_t *message = taken_from(false); /* and one that has a body is not damaged */
    message[1 - FRAME_OP_HEADER] = LEAT_CORRUPT;
    rig_step(&rig);
    rig_expect_none(&rig);
    assert_int_equal(rig.stream, LEAT_BAD_FRAME);
    rig_close(&rig);
}

/* Any bytes instead of, and mixed into, what the broker said: calls may stay open, nothing else may happen. */
TEST(client, garbage_never_hurts)
{
    for (uint64_t seed = 0; seed < 400; seed++) {
        rig_open(&rig, 8, seed % 2, seed);
        fake_broker_queue(&rig.broker, "q");
        rig.chop = 700;
        struct prng *p = &rig.prng;
        for (unsigned i = 0; i < 40; i++) {
            rig_put_many(&rig, "q", 3, 40, i);
            rig_take(&rig, "q", 2, duration_s(prng_below(p, 2)), i);
            rig_queue(&rig, OP_QUEUE_LIST, "", i);
            rig.hold = true;
            rig_step(&rig);
            for (unsigned flips = 0; rig.broker.out_size && flips < 3; flips++)
                rig.broker.out[prng_below(p, rig.broker.out_size)] ^= (uint8_t)(1 << prng_below(p, 8));
            if (prng_chance(p, 20)) {
                uint8_t noise[64];
                for (unsigned k = 0; k < sizeof noise; k++)
                    noise[k] = (uint8_t)prng_next(p);
                if (!rig.datagrams)
                    fake_broker_say(&rig.broker, noise, sizeof noise);
                else if (rig.linked)
                    assert_int_equal(client_input(rig.client, noise, sizeof noise, rig.now), LEAT_OK);
            }
            if (rig.datagrams && rig.linked) { /* sizes may be broken: the wire cannot find the edges */
                client_input(rig.client, rig.broker.out, rig.broker.out_size, rig.now);
                rig.broker.out_size = 0;
            }
            rig.hold = false;
            rig_step(&rig);
            struct client_result r;
            while (client_result(rig.client, &r)) {
            }
        }
        rig_close(&rig);
    }
}

TEST(client, equal_seeds_give_equal_bytes)
{
    uint64_t first[2] = {0};
    for (unsigned round = 0; round < 2; round++) {
        rig_open(&rig, 16, true, 42);
        rig.lossy = 10;
        fake_broker_queue(&rig.broker, "q");
        for (unsigned i = 0; i < 200; i++) {
            rig_put_many(&rig, "q", 2, 40, i);
            rig_run(&rig, 8, duration_s(1));
            struct client_result r;
            while (client_result(rig.client, &r))
                first[round] = first[round] * 31 + r.user + rig.now.ns + rig_counters(&rig).retries;
        }
        rig_close(&rig);
    }
    assert_true(first[0] == first[1]);
}

TEST(client, a_forgotten_call_whose_queue_was_being_asked_for_is_never_sent)
{
    rig_open(&rig, 8, false, 1);
    struct fake_queue *q = fake_broker_queue(&rig.broker, "q");
    fake_broker_queue(&rig.broker, "first");
    rig_put(&rig, "first", "x", 1);
    rig_finish(&rig);
    rig_expect_status(&rig, 1, LEAT_OK);
    rig.hold = true;
    rig_put(&rig, "q", "z", 3);
    rig_step(&rig); /* the question for the number of q is under way */
    rig_step(&rig);
    assert_false(client_was_sent(rig.client, 3));
    assert_true(client_forget(rig.client, 3));
    rig.hold = false;
    rig_finish(&rig);
    for (int i = 0; i < 5; i++)
        rig_step(&rig);
    assert_int_equal(q->count, 0);
    rig_close(&rig);
}
