/* test_client.c - the core against a broker of arrays: what is sent, sent again, and told. */
#include "test.h"

#include "mark.h"
#include "rig.h"

static struct rig rig;

TEST(client, a_message_goes_in_and_comes_out_and_is_finished)
{
    rig_open(&rig, 8, false, 1);
    assert_int_equal(rig_queue(&rig, OP_QUEUE_CREATE, "mail", 1), LEAT_OK);
    rig_finish(&rig);
    struct client_result r = rig_expect(&rig, 1);
    assert_int_equal(r.count, 1);
    rig_put(&rig, "mail", "hello", 2);
    rig_finish(&rig);
    r = rig_expect(&rig, 2);
    struct message_id id;
    assert_int_equal(client_result_entry(rig.client, &r, 0, &id), LEAT_OK);
    assert_int_equal(id.lsn.n, 1);
    rig_take(&rig, "mail", 10, duration_s(0), 3);
    rig_finish(&rig);
    r = rig_expect(&rig, 3);
    assert_int_equal(r.count, 1);
    struct reply_message m;
    uint32_t offset = 0;
    assert_true(reply_next_message(&r.reply, &offset, &m));
    assert_memory_equal(m.body, "hello", 5);
    uint8_t receipt[1][RECEIPT_BYTES];
    memcpy(receipt[0], m.receipt, RECEIPT_BYTES);
    rig_receipts(&rig, OP_ACK, "mail", receipt, 1, 4);
    rig_finish(&rig);
    rig_expect_status(&rig, 4, LEAT_OK);
    rig_receipts(&rig, OP_ACK, "mail", receipt, 1, 5);
    rig_take(&rig, "mail", 1, duration_s(0), 6);
    rig_queue(&rig, OP_QUEUE_LIST, "", 7);
    rig_queue(&rig, OP_QUEUE_DROP, "mail", 8);
    rig_queue(&rig, OP_QUEUE_STAT, "mail", 9);
    rig_finish(&rig);
    rig_expect_status(&rig, 5, LEAT_STALE_RECEIPT);
    rig_expect_status(&rig, 6, LEAT_EMPTY);
    assert_int_equal(rig_expect(&rig, 7).count, 1);
    rig_expect_status(&rig, 8, LEAT_OK);
    rig_expect_status(&rig, 9, LEAT_NO_QUEUE);
    rig_expect_none(&rig);
    rig_close(&rig);
}

TEST(client, many_calls_share_one_frame_and_wait_for_the_window)
{
    rig_open(&rig, 64, false, 1);
    rig.broker.window = 8;
    fake_broker_queue(&rig.broker, "q");
    for (unsigned i = 0; i < 64; i++)
        assert_int_equal(rig_put(&rig, "q", "x", i), LEAT_OK);
    assert_int_equal(client_room(rig.client), 0);
    assert_int_equal(rig_put(&rig, "q", "x", 64), LEAT_OVERLOADED);
    rig_finish(&rig);
    for (unsigned i = 0; i < 64; i++) {
        rig_expect_status(&rig, i, LEAT_OK);
        assert_int_equal(client_room(rig.client), i + 1);
    }
    assert_int_equal(fake_broker_queue(&rig.broker, "q")->count, 64);
    rig_close(&rig);
}

TEST(client, a_name_is_asked_for_once_and_again_when_the_queue_was_made_anew)
{
    rig_open(&rig, 8, false, 1);
    fake_broker_queue(&rig.broker, "q");
    for (unsigned i = 0; i < 3; i++) {
        rig_put(&rig, "q", "x", i);
        rig_finish(&rig);
        rig_expect_status(&rig, i, LEAT_OK);
    }
    assert_int_equal(rig_counters(&rig).requests, 4);
    fake_broker_remake(&rig.broker, "q");
    rig_put(&rig, "q", "x", 3);
    rig_finish(&rig);
    rig_expect_status(&rig, 3, LEAT_OK);
    assert_int_equal(rig_counters(&rig).requests, 7); /* no_queue, stat, put */
    rig_put(&rig, "other", "x", 4);
    rig_finish(&rig);
    rig_expect_status(&rig, 4, LEAT_NO_QUEUE);
    rig_close(&rig);
}

TEST(client, requests_execute_in_the_order_of_submission_while_names_are_asked_for)
{
    rig_open(&rig, 8, false, 1);
    struct fake_queue *q = fake_broker_queue(&rig.broker, "q");
    static const char *const bodies[] = {"a", "b", "c", "d", "e"};
    for (unsigned i = 0; i < 5; i++)
        rig_put(&rig, "q", bodies[i], i);
    rig_finish(&rig);
    for (unsigned i = 0; i < 5; i++)
        assert_memory_equal(q->messages[i].body, bodies[i], 1);
    rig_close(&rig);
}

TEST(client, after_a_reconnect_what_is_unanswered_is_sent_again_under_its_number)
{
    rig_open(&rig, 8, false, 1);
    struct fake_queue *q = fake_broker_queue(&rig.broker, "q");
    rig_put(&rig, "q", "0", 0);
    rig_finish(&rig);
    rig_expect_status(&rig, 0, LEAT_OK);
    rig.hold = true;
    for (unsigned i = 1; i <= 5; i++)
        rig_put(&rig, "q", "x", i);
    rig_step(&rig);
    assert_int_equal(q->count, 6); /* executed, but nobody was told */
    rig_cut(&rig);
    rig.hold = false;
    rig_finish(&rig);
    for (unsigned i = 1; i <= 5; i++)
        rig_expect_status(&rig, i, LEAT_OK);
    assert_int_equal(q->count, 6);
    assert_int_equal(rig.broker.repeats, 5);
    assert_int_equal(rig_counters(&rig).resumes, 1);
    assert_int_equal(rig_counters(&rig).retries, 5);
    for (unsigned i = 1; i <= 7; i++)
        assert_int_equal(rig.broker.executed[i], 1);
    rig_close(&rig);
}

TEST(client, a_broker_that_restarts_goes_on_where_it_was)
{
    rig_open(&rig, 8, false, 1);
    struct fake_queue *q = fake_broker_queue(&rig.broker, "q");
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(rig_put(&rig, "q", "x", i), LEAT_OK);
        if (i % 10 == 5) {
            rig_step(&rig);
            fake_broker_restart(&rig.broker);
            rig_cut(&rig);
        }
        rig_finish(&rig);
        rig_expect_status(&rig, i, LEAT_OK);
    }
    assert_int_equal(q->count, 100);
    rig_close(&rig);
}

TEST(client, a_repeated_hello_finds_the_session_that_it_opened)
{
    rig_open(&rig, 8, false, 1);
    fake_broker_queue(&rig.broker, "q");
    rig.hold = true;
    rig_put(&rig, "q", "x", 1);
    rig_step(&rig);
    uint32_t session = rig.broker.session;
    rig_cut(&rig);
    rig.hold = false;
    rig_finish(&rig);
    rig_expect_status(&rig, 1, LEAT_OK);
    assert_int_equal(rig.broker.hellos, 2);
    assert_int_equal(rig.broker.session, session);
    rig_close(&rig);
}

TEST(client, attempts_to_connect_back_off_and_start_anew_after_a_success)
{
    rig_open(&rig, 8, false, 1);
    fake_broker_queue(&rig.broker, "q");
    rig.up = false;
    struct instant last = rig.now;
    uint64_t longest = 0;
    for (unsigned tries = 0; tries < 12; tries++) {
        while (!client_wants_connection(rig.client, rig.now))
            rig.now = client_next_due(rig.client);
        uint64_t pause = instant_since(rig.now, last).ns;
        if (tries > 1)
            assert_true(pause >= duration_ms(7).ns && pause <= duration_s(1).ns + 1000000);
        longest = pause > longest ? pause : longest;
        last = rig.now;
        rig_step(&rig);
    }
    assert_true(longest > duration_ms(740).ns);
    rig.up = true;
    rig_put(&rig, "q", "x", 1);
    rig_finish(&rig);
    rig_cut(&rig);
    assert_true(client_wants_connection(rig.client, rig.now));
    rig_close(&rig);
}

TEST(client, a_cut_batch_goes_on_under_new_numbers_and_is_told_as_one)
{
    rig_open(&rig, 8, false, 1);
    struct fake_queue *q = fake_broker_queue(&rig.broker, "q");
    rig.broker.cut = 7;
    rig_put_many(&rig, "q", 100, 12, 1);
    rig_finish(&rig);
    struct client_result r = rig_expect(&rig, 1);
    assert_int_equal(r.status, LEAT_OK);
    assert_int_equal(r.count, 100);
    assert_int_equal(q->count, 100);
    for (unsigned i = 0; i < 100; i++) {
        struct message_id id;
        assert_int_equal(client_result_entry(rig.client, &r, i, &id), LEAT_OK);
        assert_int_equal(id.lsn.n, i + 1);
        assert_memory_equal(q->messages[i].body, &i, 4);
    }
    assert_int_equal(rig_counters(&rig).cut, 14);
    rig_close(&rig);
}

TEST(client, every_entry_of_a_batch_has_its_own_outcome)
{
    rig_open(&rig, 8, false, 1);
    fake_broker_queue(&rig.broker, "q");
    rig_put_many(&rig, "q", 20, 4, 1);
    rig_take(&rig, "q", 20, duration_s(0), 2);
    rig_finish(&rig);
    rig_expect(&rig, 1);
    struct client_result r = rig_expect(&rig, 2);
    static uint8_t receipts[20][RECEIPT_BYTES];
    struct reply_message m;
    for (uint32_t i = 0, offset = 0; reply_next_message(&r.reply, &offset, &m); i++)
        memcpy(receipts[i], m.receipt, RECEIPT_BYTES);
    for (unsigned i = 1; i < 20; i += 2)
        memset(receipts[i], 0xff, RECEIPT_BYTES); /* more runs than one answer holds */
    rig_receipts(&rig, OP_ACK, "q", (const uint8_t(*)[RECEIPT_BYTES])receipts, 20, 3);
    rig_finish(&rig);
    r = rig_expect(&rig, 3);
    assert_int_equal(r.status, LEAT_BAD_RECEIPT);
    struct message_id id;
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(client_result_entry(rig.client, &r, i, &id), i % 2 ? LEAT_BAD_RECEIPT : LEAT_OK);
    assert_int_equal(rig_counters(&rig).cut, 4);
    rig_close(&rig);
}

TEST(client, a_batch_that_is_refused_half_way_tells_both_halves)
{
    rig_open(&rig, 8, false, 1);
    fake_broker_queue(&rig.broker, "q");
    rig_put(&rig, "q", "x", 0);
    rig_finish(&rig);
    rig_expect(&rig, 0);
    rig.broker.cut = 5;
    rig.hold = true;
    rig_put_many(&rig, "q", 9, 4, 1);
    rig_step(&rig);
    rig.broker.refuse = LEAT_NO_SPACE;
    rig.hold = false;
    rig_finish(&rig);
    struct client_result r = rig_expect(&rig, 1);
    struct message_id id;
    assert_int_equal(r.status, LEAT_NO_SPACE);
    assert_int_equal(r.runs_count, 2);
    assert_int_equal(client_result_entry(rig.client, &r, 4, &id), LEAT_OK);
    assert_int_equal(client_result_entry(rig.client, &r, 5, &id), LEAT_NO_SPACE);
    rig_close(&rig);
}

TEST(client, large_requests_and_replies_travel_in_pieces)
{
    for (unsigned datagrams = 0; datagrams < 2; datagrams++) {
        rig_open(&rig, 8, datagrams, 1);
        rig.chop = 5000;
        struct fake_queue *q = fake_broker_queue(&rig.broker, "q");
        rig_put_many(&rig, "q", 3, 300000, 1);
        rig_put_many(&rig, "q", 1, BODY_MAX, 2);
        rig_finish(&rig);
        rig_expect_status(&rig, 1, LEAT_OK);
        rig_expect_status(&rig, 2, LEAT_OK);
        assert_true(rig.broker.pieces_in > 3);
        assert_int_equal(q->messages[3].size, BODY_MAX);
        rig_take(&rig, "q", 3, duration_s(0), 3);
        rig_take(&rig, "q", 3, duration_s(0), 4);
        rig_finish(&rig);
        struct client_result r = rig_expect(&rig, 3);
        assert_int_equal(r.count, 3);
        struct reply_message m;
        for (uint32_t i = 0, offset = 0; reply_next_message(&r.reply, &offset, &m); i++) {
            assert_int_equal(m.body_size, 300000);
            assert_memory_equal(m.body, &i, 4);
        }
        assert_int_equal(rig_expect(&rig, 4).count, 1);
        rig_close(&rig);
    }
    assert_true(mark_count("client_reply_in_pieces") > 0);
    assert_true(mark_count("client_request_in_pieces") > 0);
}

TEST(client, a_cut_in_the_middle_of_a_large_request_starts_it_anew)
{
    rig_open(&rig, 8, false, 1);
    struct fake_queue *q = fake_broker_queue(&rig.broker, "q");
    rig_put(&rig, "q", "x", 0);
    rig_finish(&rig);
    rig_expect(&rig, 0);
    rig_put_many(&rig, "q", 1, 500000, 1);
    static uint8_t out[FRAME_MAX];
    assert_true(client_output(rig.client, out, sizeof out, rig.now) > 60000); /* lost with the connection */
    rig_cut(&rig);
    rig_finish(&rig);
    rig_expect_status(&rig, 1, LEAT_OK);
    assert_int_equal(q->count, 2);
    rig_close(&rig);
}

TEST(client, statuses_of_whole_requests_are_told_per_entry_too)
{
    rig_open(&rig, 8, false, 1);
    fake_broker_queue(&rig.broker, "q");
    rig_put(&rig, "q", "x", 1);
    rig_finish(&rig);
    rig_expect(&rig, 1);
    rig.broker.refuse = LEAT_OVERLOADED;
    rig_put_many(&rig, "q", 3, 4, 2);
    rig_take(&rig, "q", 3, duration_s(0), 3);
    rig_finish(&rig);
    struct client_result r = rig_expect(&rig, 2);
    struct message_id id;
    assert_int_equal(r.status, LEAT_OVERLOADED);
    assert_int_equal(client_result_entry(rig.client, &r, 2, &id), LEAT_OVERLOADED);
    r = rig_expect(&rig, 3);
    assert_int_equal(r.status, LEAT_OVERLOADED);
    assert_int_equal(r.count, 0);
    rig_close(&rig);
}

TEST(client, what_can_never_be_sent_is_refused_at_once)
{
    rig_open(&rig, 8, false, 1);
    assert_int_equal(rig_put(&rig, "no blanks", "x", 1), LEAT_BAD_NAME);
    assert_int_equal(rig_queue(&rig, OP_QUEUE_CREATE, "", 1), LEAT_BAD_NAME);
    assert_int_equal(rig_put_many(&rig, "q", BATCH_MAX + 1, 1, 1), LEAT_BATCH_TOO_LARGE);
    assert_int_equal(rig_put_many(&rig, "q", 1, BODY_MAX + 1, 1), LEAT_TOO_LARGE);
    assert_int_equal(rig_put_many(&rig, "q", 5, BODY_MAX, 1), LEAT_BATCH_TOO_LARGE);
    assert_int_equal(rig_put_many(&rig, "q", 0, 1, 1), LEAT_BAD_REQUEST);
    assert_int_equal(rig_take(&rig, "q", 0, duration_s(0), 1), LEAT_BAD_VALUE);
    assert_int_equal(rig_take(&rig, "q", BATCH_MAX + 1, duration_s(0), 1), LEAT_BAD_VALUE);
    assert_int_equal(client_pending(rig.client), 0);
    assert_int_equal(client_room(rig.client), 8);
    rig_close(&rig);
}

TEST(client, bye_ends_the_session_after_the_last_answer)
{
    rig_open(&rig, 8, false, 1);
    fake_broker_queue(&rig.broker, "q");
    rig_put(&rig, "q", "x", 1);
    client_bye(rig.client);
    assert_int_equal(rig_put(&rig, "q", "x", 2), LEAT_CLOSED);
    assert_false(client_finished(rig.client));
    rig_finish(&rig);
    rig_step(&rig);
    rig_expect_status(&rig, 1, LEAT_OK);
    assert_int_equal(rig.broker.byes, 1);
    assert_true(client_finished(rig.client));
    rig_close(&rig);
}
