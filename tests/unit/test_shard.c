/* test_shard.c - the shard through its doors: frames in, frames out, on a disk that keeps its promises when told to. */
#include "shard_stage.h"

TEST(shard, a_put_is_answered_when_it_is_durable_and_not_before)
{
    begin();
    send_put(++stage->number, "hello", 1, (struct duration){0});
    stage->now.ns += 1000000;
    shard_step(stage->shard, stage->now); /* decided, and on its way to the disk */
    assert_int_equal(answer(NULL), UINT8_MAX);
    uint32_t session = stage->session;
    stop();
    fake_disk_crash(stage->disk);
    start();
    hello(session, stage->number);
    pass(duration_ms(10));
    welcome();
    send_put(stage->number, "hello", 1, (struct duration){0}); /* once, whether or not the cut had spared it */
    pass(duration_ms(10));
    expect_run(LEAT_OK, 1);
    assert_int_equal(engine_queue_at(shard_engine(stage->shard), queue.number)->counters.ready, 1);
    end();
}

TEST(shard, a_message_goes_round_once)
{
    begin();
    send_put(++stage->number, "hello", 1, (struct duration){0});
    send_take(++stage->number, 10, (struct duration){0});
    pass(duration_ms(10));
    uint8_t receipt[RECEIPT_BYTES];
    expect_run(LEAT_OK, 1);
    memcpy(receipt, expect_message("hello").receipt, sizeof receipt);
    send_receipt(OP_ACK, ++stage->number, receipt);
    pass(duration_ms(10));
    expect_run(LEAT_OK, 1);
    send_take(++stage->number, 10, (struct duration){0});
    send_receipt(OP_ACK, ++stage->number, receipt);
    pass(duration_ms(10));
    assert_int_equal(answer(NULL), LEAT_EMPTY);
    expect_run(LEAT_STALE_RECEIPT, 1);
    end();
}

TEST(shard, a_repeated_request_is_answered_and_not_executed)
{
    begin();
    uint64_t number = ++stage->number;
    send_put(number, "once", 1, (struct duration){0});
    pass(duration_ms(10));
    expect_run(LEAT_OK, 1);
    send_put(number, "once", 1, (struct duration){0});
    pass(duration_ms(10));
    expect_run(LEAT_OK, 1);
    send_take(++stage->number, 10, (struct duration){0});
    pass(duration_ms(10));
    struct frame_op op;
    assert_int_equal(answer(&op), LEAT_OK);
    assert_int_equal(op.count, 1);
    send_take(stage->number, 10, (struct duration){0});
    pass(duration_ms(10));
    expect_message("once");
    end();
}

TEST(shard, a_number_too_far_ahead_is_asked_for_again)
{
    begin();
    send_put(stage->number + 2, "early", 1, (struct duration){0});
    pass(duration_ms(1));
    struct frame_op op;
    assert_int_equal(answer(&op), LEAT_GAP);
    assert_int_equal(op.number, stage->number + 1);
    end();
}

TEST(shard, a_parked_take_is_told_so_and_filled_by_the_next_put)
{
    begin();
    uint64_t take = ++stage->number;
    send_take(take, 1, duration_s(20));
    pass(duration_ms(1));
    assert_int_equal(answer(NULL), LEAT_PARKED);
    send_put(++stage->number, "at last", 1, (struct duration){0});
    pass(duration_ms(10));
    struct frame_op op;
    int seen = 0;
    for (uint8_t status = answer(&op); status != UINT8_MAX; status = answer(&op))
        seen += op.op == OP_TAKE && op.number == take && op.count == 1;
    assert_int_equal(seen, 1);
    end();
}

TEST(shard, a_parked_take_ends_empty_when_its_wait_is_over)
{
    begin();
    send_take(++stage->number, 1, duration_ms(50));
    pass(duration_ms(40));
    assert_int_equal(answer(NULL), LEAT_PARKED);
    assert_int_equal(answer(NULL), UINT8_MAX);
    pass(duration_ms(20));
    assert_int_equal(answer(NULL), LEAT_EMPTY);
    end();
}

TEST(shard, a_client_that_is_away_is_given_nothing_until_it_is_back)
{
    begin();
    uint64_t take = ++stage->number;
    send_take(take, 1, duration_s(20));
    pass(duration_ms(1));
    assert_int_equal(answer(NULL), LEAT_PARKED);
    send_put(++stage->number, "patience", 1, duration_ms(5));
    script_port_push(stage->port, PEER, NULL, 0);
    pass(duration_ms(20));
    const struct queue *q = engine_queue_at(shard_engine(stage->shard), queue.number);
    assert_int_equal(q->counters.ready, 1);
    hello(stage->session, take);
    pass(duration_ms(10));
    welcome();
    expect_message("patience");
    assert_true(mark_count("parked_take_resumed") > 0);
    end();
}

TEST(shard, messages_sessions_and_answers_survive_a_restart)
{
    begin();
    uint64_t number = ++stage->number;
    send_put(number, "kept", 3, (struct duration){0});
    pass(duration_ms(10));
    expect_run(LEAT_OK, 3);
    uint32_t session = stage->session;
    stop();
    fake_disk_crash(stage->disk);
    start();
    hello(session, number); /* as if the answer had never arrived */
    pass(duration_ms(10));
    welcome();
    assert_int_equal(stage->session, session);
    send_put(number, "kept", 3, (struct duration){0});
    send_take(++stage->number, 10, (struct duration){0});
    pass(duration_ms(10));
    expect_run(LEAT_OK, 3);
    struct frame_op op;
    assert_int_equal(answer(&op), LEAT_OK);
    assert_int_equal(op.count, 3);
    end();
}

TEST(shard, a_receipt_of_a_lease_that_a_crash_took_is_refused_and_counted)
{
    begin();
    send_put(++stage->number, "once", 1, (struct duration){0});
    pass(duration_ms(20));
    expect_run(LEAT_OK, 1);
    uint64_t take = ++stage->number;
    send_take(take, 1, (struct duration){0});
    pass(duration_ms(1)); /* answered; its fact leaves with the next one, or after 5 ms */
    struct reply_message m = expect_message("once");
    uint8_t receipt[RECEIPT_BYTES];
    memcpy(receipt, m.receipt, sizeof receipt);
    stop();
    fake_disk_crash(stage->disk);
    start();
    hello(stage->session, take + 1);
    pass(duration_ms(20));
    welcome();
    struct shard_counters counters;
    shard_count(stage->shard, &counters);
    assert_int_equal(counters.leases_lost, 0);
    send_receipt(OP_ACK, ++stage->number, receipt);
    pass(duration_ms(20));
    expect_run(LEAT_STALE_RECEIPT, 1);
    shard_count(stage->shard, &counters);
    assert_int_equal(counters.leases_lost, 1);
    send_take(++stage->number, 1, (struct duration){0});
    pass(duration_ms(20));
    m = expect_message("once");
    assert_int_equal(m.attempts, 1);
    send_receipt(OP_ACK, ++stage->number, m.receipt);
    pass(duration_ms(20));
    expect_run(LEAT_OK, 1);
    send_receipt(OP_ACK, ++stage->number, m.receipt); /* stale, but no crash took it */
    pass(duration_ms(20));
    expect_run(LEAT_STALE_RECEIPT, 1);
    shard_count(stage->shard, &counters);
    assert_int_equal(counters.leases_lost, 1);
    end();
}

TEST(shard, a_batch_keeps_its_refused_entries_apart)
{
    begin();
    send_put(++stage->number, "0123456789", 1, (struct duration){0});
    pass(duration_ms(10));
    expect_run(LEAT_OK, 1);
    struct request r = {.op = OP_PUT, .number = ++stage->number, .queue = queue};
    uint32_t size = request_encode(stage->op, &r);
    for (unsigned i = 0; i < 3; i++) {
        struct request_put_entry e = {
            .body = (const uint8_t *)"body", .body_size = 4, .body_crc = crc32c(0, "body", 4)};
        e.body_crc += i == 1;
        size += request_add_put(stage->op + size, &e);
    }
    request_seal(stage->op, size, 3);
    stage->op_size = size;
    send_op();
    pass(duration_ms(10));
    struct frame_op op;
    assert_int_equal(answer(&op), LEAT_OK);
    assert_int_equal(op.count, 3);
    static const enum leat_status expected[] = {LEAT_OK, LEAT_BAD_CHECKSUM, LEAT_OK};
    uint32_t offset = 0;
    for (unsigned i = 0; i < 3; i++) {
        struct reply_run run;
        assert_true(reply_next_run(&op, &offset, &run));
        assert_int_equal(run.status, expected[i]);
    }
    end();
}

/* The log does not say what a refused entry was part of; the entries behind it do. */
TEST(shard, an_ack_whose_first_receipt_was_refused_is_answered_as_an_ack_after_a_restart)
{
    begin();
    send_put(++stage->number, "work", 1, (struct duration){0});
    send_take(++stage->number, 1, (struct duration){0});
    pass(duration_ms(10));
    expect_run(LEAT_OK, 1);
    struct reply_message m = expect_message("work");
    uint8_t receipts[2][RECEIPT_BYTES] = {{0}};
    memcpy(receipts[1], m.receipt, RECEIPT_BYTES);
    struct request r = {.op = OP_ACK, .number = ++stage->number, .queue = queue};
    uint32_t session = stage->session;
    for (int restarted = 0; restarted < 2; restarted++) {
        uint32_t size = request_encode(stage->op, &r);
        for (int i = 0; i < 2; i++)
            size += request_add_receipt(stage->op + size, receipts[i]);
        request_seal(stage->op, size, 2);
        stage->op_size = size;
        send_op();
        pass(duration_ms(10));
        struct frame_op op;
        struct reply_run run;
        uint32_t offset = 0;
        assert_int_equal(answer(&op), LEAT_OK);
        assert_int_equal(op.op, OP_ACK);
        assert_true(reply_next_run(&op, &offset, &run) && run.status != LEAT_OK && run.count == 1);
        assert_true(reply_next_run(&op, &offset, &run) && run.status == LEAT_OK && run.count == 1);
        if (restarted)
            break;
        stop();
        fake_disk_crash(stage->disk);
        start();
        hello(session, r.number);
        pass(duration_ms(10));
        welcome();
    }
    end();
}

TEST(shard, large_requests_and_answers_travel_in_fragments)
{
    begin();
    char *body = malloc(300001);
    memset(body, 'x', 300000);
    body[300000] = 0;
    send_put(++stage->number, body, 3, (struct duration){0});
    pass(duration_ms(10));
    expect_run(LEAT_OK, 3);
    send_take(++stage->number, 10, (struct duration){0});
    script_port_set_room(stage->port, 2); /* the rest finds no room at first */
    pass(duration_ms(10));
    script_port_set_room(stage->port, UINT32_MAX);
    pass(duration_ms(10));
    uint8_t *whole = NULL;
    uint32_t have = 0, total = 1;
    struct frame f;
    while (have < total) {
        struct frame_fragment piece;
        assert_true(script_port_pop(stage->port, PEER, &f));
        assert_true(f.flags & FRAME_FRAGMENT);
        assert_int_equal(frame_fragment_decode(&piece, &f), LEAT_OK);
        assert_int_equal(piece.offset, have);
        total = piece.total;
        whole = whole ? whole : malloc(total);
        memcpy(whole + have, piece.piece, piece.piece_size);
        have += piece.piece_size;
    }
    struct frame_op op;
    struct reply_message m;
    uint32_t offset = 0;
    assert_int_equal(frame_op_decode(&op, whole, total), LEAT_OK);
    assert_int_equal(op.count, 3);
    assert_true(reply_next_message(&op, &offset, &m));
    assert_int_equal(m.body_size, 300000);
    free(whole);
    free(body);
    end();
}

TEST(shard, a_silent_session_ends_only_when_its_client_has_gone)
{
    begin();
    pass(duration_s(70));
    send_put(++stage->number, "still here", 1, (struct duration){0});
    pass(duration_ms(10));
    expect_run(LEAT_OK, 1);
    script_port_push(stage->port, PEER, NULL, 0);
    pass(duration_s(61));
    hello(stage->session, stage->number + 1);
    pass(duration_ms(10));
    assert_int_equal(answer(NULL), LEAT_SESSION_EXPIRED);
    end();
}

TEST(shard, a_stream_that_is_not_frames_is_hung_up_and_a_stranger_is_told_so)
{
    begin();
    uint32_t session = stage->session;
    stage->session = session + 1;
    send_put(1, "who am I", 1, (struct duration){0});
    pass(duration_ms(1));
    assert_int_equal(answer(NULL), LEAT_NO_SESSION);
    uint8_t junk[64] = "GET / HTTP/1.1";
    script_port_push(stage->port, PEER, junk, sizeof junk);
    pass(duration_ms(1));
    assert_true(script_port_hung_up(stage->port, PEER));
    end();
}

TEST(shard, a_stop_refuses_new_work_and_ends_with_a_checkpoint)
{
    begin();
    send_put(++stage->number, "before", 1, (struct duration){0});
    pass(duration_ms(10));
    expect_run(LEAT_OK, 1);
    shard_stop(stage->shard);
    send_put(++stage->number, "after", 1, (struct duration){0});
    pass(duration_ms(100));
    assert_int_equal(answer(NULL), LEAT_STOPPING);
    assert_true(shard_stopped(stage->shard));
    uint32_t session = stage->session;
    stop();
    start();
    struct shard_counters counters;
    shard_count(stage->shard, &counters);
    assert_int_equal(counters.replayed_facts, 0);
    assert_int_equal(counters.ready, 1);
    hello(session, stage->number + 1);
    pass(duration_ms(10));
    welcome();
    end();
}
