/* test_shard_odd.c - the shard and what clients do that nobody expects: late hellos, moves in the middle of an answer,
 * requests in pieces that need none, windows that shrink. */
#include "desk.h"
#include "shard_stage.h"

static void hello_from(uint32_t peer, uint64_t oldest, uint64_t answered)
{
    struct request r = {.op = OP_HELLO,
                        .number = 78,
                        .hello = {.version_min = 1,
                                  .version_max = 1,
                                  .session = stage->session,
                                  .secret = stage->secret,
                                  .oldest = oldest,
                                  .answered = answered,
                                  .window = 8}};
    uint8_t frame[FRAME_HEADER + REQUEST_FIXED_MAX];
    frame_begin(frame, 0, 0);
    uint32_t size = FRAME_HEADER + request_encode(frame + FRAME_HEADER, &r);
    frame_end(frame, size);
    script_port_push(stage->port, peer, frame, size);
}

TEST(shard_odd, a_resume_that_has_gone_past_a_parked_take_gives_it_up)
{
    begin();
    uint64_t take = ++stage->number;
    send_take(take, 1, duration_ms(50));
    pass(duration_ms(1));
    assert_int_equal(answer(NULL), LEAT_PARKED);
    hello_from(PEER, take + 8, 1); /* the same slot of the window, and answered */
    pass(duration_ms(100));        /* the wait ends */
    welcome();
    struct shard_counters counters;
    shard_count(stage->shard, &counters);
    assert_int_equal(counters.parked, 0);
    end();
}

TEST(shard_odd, a_resume_that_has_gone_past_a_held_answer_gives_it_up)
{
    begin();
    uint64_t put = ++stage->number;
    send_put(put, "held", 1, (struct duration){0});
    hello_from(PEER, put + 8, 1);
    pass(duration_ms(20));
    welcome();
    send_put(put + 9, "on", 1, (struct duration){0});
    pass(duration_ms(20));
    expect_run(LEAT_OK, 1);
    end();
}

/* The pieces of one answer to `peer`, from the first on; how many bytes came. */
static uint32_t gather(uint32_t peer)
{
    struct frame f;
    struct frame_fragment piece;
    uint32_t have = 0;
    while (script_port_pop(stage->port, peer, &f)) {
        if (!(f.flags & FRAME_FRAGMENT))
            continue;
        assert_int_equal(frame_fragment_decode(&piece, &f), LEAT_OK);
        assert_int_equal(piece.offset, have);
        have += piece.piece_size;
        if (have == piece.total)
            return have;
    }
    return 0;
}

TEST(shard_odd, an_answer_half_sent_starts_anew_on_the_next_connection)
{
    begin();
    char *body = malloc(300001);
    memset(body, 'x', 300000);
    body[300000] = 0;
    send_put(++stage->number, body, 1, (struct duration){0});
    pass(duration_ms(10));
    expect_run(LEAT_OK, 1);
    uint64_t take = ++stage->number;
    send_take(take, 1, (struct duration){0});
    script_port_set_room(stage->port, 2);
    pass(duration_ms(10));
    script_port_set_room(stage->port, UINT32_MAX);
    hello_from(PEER + 1, take, 0); /* before the old connection is known to be gone */
    struct request r = {.op = OP_TAKE, .number = take, .queue = queue, .max = 1};
    uint8_t frame[FRAME_HEADER + REQUEST_FIXED_MAX];
    frame_begin(frame, 0, stage->session);
    uint32_t size = FRAME_HEADER + request_encode(frame + FRAME_HEADER, &r);
    frame_end(frame, size);
    script_port_push(stage->port, PEER + 1, frame, size);
    pass(duration_ms(10));
    assert_true(gather(PEER + 1) > 300000);
    free(body);
    end();
}

TEST(shard_odd, a_take_in_pieces_gives_its_memory_back)
{
    begin();
    struct shard_counters before, after;
    shard_count(stage->shard, &before);
    for (unsigned i = 0; i < 3; i++) {
        uint8_t piece[FRAME_FRAGMENT_HEADER + 128];
        struct request r = {.op = OP_TAKE, .number = ++stage->number, .queue = queue, .max = 1};
        uint32_t size = request_encode(piece + FRAME_FRAGMENT_HEADER, &r);
        frame_fragment_encode(piece, r.number, 0, size);
        send_frame(FRAME_FRAGMENT, piece, FRAME_FRAGMENT_HEADER + size);
        pass(duration_ms(1));
        assert_int_equal(answer(NULL), LEAT_EMPTY);
    }
    shard_count(stage->shard, &after);
    assert_int_equal(after.buffer_bytes, before.buffer_bytes);
    end();
}

TEST(shard_odd, a_window_smaller_than_that_of_sessions_in_the_log_is_refused)
{
    begin();
    stop();
    struct shard_config c;
    config_small(&c);
    c.window = 8;
    struct shard_start at = {.boot = stage->now, .boot_id = "one boot"};
    char error[256] = "";
    assert_int_equal(shard_open(&stage->shard, &c, stage->disk, &at, error), LEAT_BAD_VALUE);
    assert_non_null(strstr(error, "window"));
    start();
    end();
}

static void drop(uint64_t number, const char *name)
{
    struct request r = {.op = OP_QUEUE_DROP, .number = number};
    must(name_set(&r.name, name, strlen(name)));
    stage->op_size = request_encode(stage->op, &r);
    send_op();
}

TEST(shard_odd, nobody_hears_of_a_drop_that_is_not_durable)
{
    begin();
    send_take(++stage->number, 1, duration_s(20));
    pass(duration_ms(20));
    assert_int_equal(answer(NULL), LEAT_PARKED);
    drop(++stage->number, "mail");
    send_take(++stage->number, 1, (struct duration){0});
    send_put(++stage->number, "late", 1, (struct duration){0});
    shard_step(stage->shard, stage->now);
    assert_int_equal(answer(NULL), UINT8_MAX);
    pass(duration_ms(10));
    assert_int_equal(answer(NULL), LEAT_NO_QUEUE);
    assert_int_equal(answer(NULL), LEAT_OK);
    assert_int_equal(answer(NULL), LEAT_NO_QUEUE);
    expect_run(LEAT_NO_QUEUE, 1);
    end();
}

TEST(shard_odd, nobody_sees_a_move_that_is_not_durable)
{
    begin();
    create("dead", (struct queue_attributes){0});
    struct queue_ref dead = queue;
    struct queue_attributes once = {.max_attempts = 1, .lease = duration_ms(40)};
    must(name_set(&once.dead_letter, "dead", 4));
    create("once", once);
    send_put(++stage->number, "poison", 1, (struct duration){0});
    pass(duration_ms(20));
    expect_run(LEAT_OK, 1);
    send_take(++stage->number, 1, (struct duration){0});
    pass(duration_ms(30));
    expect_message("poison");
    while (engine_queue_at(shard_engine(stage->shard), dead.number)->counters.ready == 0) {
        stage->now.ns += 1000000;
        fake_disk_step(stage->disk, stage->now);
        shard_step(stage->shard, stage->now);
    }
    struct request r = {.op = OP_PEEK, .number = ++stage->number, .queue = dead, .max = 1};
    stage->op_size = request_encode(stage->op, &r);
    send_op();
    shard_step(stage->shard, stage->now);
    assert_int_equal(answer(NULL), UINT8_MAX);
    pass(duration_ms(20));
    assert_int_equal(answer(NULL), LEAT_OK);
    end();
}

static void stat_mail(uint64_t number)
{
    struct request r = {.op = OP_QUEUE_STAT, .number = number};
    must(name_set(&r.name, "mail", 4));
    stage->op_size = request_encode(stage->op, &r);
    send_op();
}

static void steps(unsigned n)
{
    while (n-- > 0)
        shard_step(stage->shard, stage->now);
}

TEST(shard_odd, nobody_sleeps_before_every_answer_without_room_was_tried)
{
    begin();
    uint32_t sessions[12];
    for (unsigned i = 0; i < 12; i++) {
        stage->session = 0;
        struct request r = {.op = OP_HELLO, .hello = {1, 1, .secret = 100 + i, .window = 8}};
        stage->op_size = request_encode(stage->op, &r);
        send_op();
        pass(duration_ms(10));
        welcome();
        sessions[i] = stage->session;
    }
    script_port_set_room(stage->port, 0);
    for (unsigned i = 0; i < 12; i++) {
        stage->session = sessions[i];
        for (uint64_t number = 1; number <= 8; number++)
            stat_mail(number);
    }
    pass(duration_ms(1));
    steps(8); /* all 96 are known to have no room */
    assert_true(shard_arm(stage->shard));
    script_port_set_room(stage->port, UINT32_MAX);
    shard_disarm(stage->shard);
    assert_false(shard_arm(stage->shard)); /* there may be room now */
    script_port_set_room(stage->port, 0);
    steps(1);
    assert_false(shard_arm(stage->shard)); /* 64 were tried */
    steps(1);
    assert_true(shard_arm(stage->shard));
    end();
}

TEST(shard_odd, requests_that_never_end_leave_memory_for_answers)
{
    begin();
    uint32_t first = stage->session;
    for (unsigned i = 0; i < 4; i++) {
        stage->session = 0;
        struct request r = {.op = OP_HELLO, .hello = {1, 1, .secret = 100 + i, .window = 8}};
        stage->op_size = request_encode(stage->op, &r);
        send_op();
        pass(duration_ms(10));
        welcome();
        uint8_t piece[FRAME_FRAGMENT_HEADER + 8] = {0};
        frame_fragment_encode(piece, 1, 0, 2 << 20);
        send_frame(FRAME_FRAGMENT, piece, sizeof piece);
    }
    stage->session = first;
    stat_mail(++stage->number);
    pass(duration_ms(10));
    assert_int_equal(answer(NULL), LEAT_OK);
    end();
}

TEST(shard_odd, a_hello_in_pieces_is_no_request)
{
    begin();
    uint8_t piece[FRAME_FRAGMENT_HEADER + 128];
    struct request r = {.op = OP_HELLO, .number = ++stage->number, .hello = {1, 1, .window = 8}};
    uint32_t size = request_encode(piece + FRAME_FRAGMENT_HEADER, &r);
    frame_fragment_encode(piece, r.number, 0, size);
    send_frame(FRAME_FRAGMENT, piece, FRAME_FRAGMENT_HEADER + size);
    pass(duration_ms(1));
    assert_int_equal(answer(NULL), LEAT_BAD_OP);
    end();
}

static void many_sessions(struct shard_config *c)
{
    c->sessions = 256;
}

TEST(shard_odd, one_connection_cannot_take_all_sessions)
{
    stage_config = many_sessions;
    begin();
    stage_config = NULL;
    uint32_t ours = stage->session;
    unsigned refused = 0;
    for (uint64_t nonce = 1; nonce <= 100; nonce++) {
        struct request r = {.op = OP_HELLO,
                            .number = nonce,
                            .hello = {.version_min = 1, .version_max = 1, .secret = nonce, .oldest = 1, .window = 8}};
        stage->session = 0;
        stage->op_size = request_encode(stage->op, &r);
        send_op();
        pass(duration_ms(2));
    }
    pass(duration_ms(20));
    struct frame_op op;
    for (uint8_t status = answer(&op); status != UINT8_MAX; status = answer(&op))
        refused += status == LEAT_SESSIONS_FULL;
    assert_int_equal(refused, 100 - (DESK_PEER_SESSIONS - 1));
    stage->session = ours;
    end();
}

TEST(shard_odd, a_port_that_may_not_be_drained_keeps_nobody_awake)
{
    begin();
    static char body[400001];
    struct shard_counters counters = {0};
    memset(body, 'x', sizeof body - 1);
    for (unsigned i = 0; i < 40 && counters.stalls == 0; i++) { /* the disk never moves: the log fills up */
        send_put(++stage->number, body, 4, (struct duration){0});
        while (shard_step(stage->shard, stage->now) > 0)
            continue;
        shard_count(stage->shard, &counters);
    }
    assert_true(counters.stalls > 0);
    send_put(++stage->number, "behind", 1, (struct duration){0});
    assert_true(shard_arm(stage->shard));
    shard_disarm(stage->shard);
    pass(duration_ms(50)); /* the disk moves again */
    assert_true(shard_arm(stage->shard));
    shard_disarm(stage->shard);
    assert_true(engine_queue_at(shard_engine(stage->shard), queue.number)->counters.ready > 8);
    end();
}

TEST(shard_odd, a_number_whose_slot_is_not_answered_yet_is_not_executed)
{
    begin();
    uint64_t put = ++stage->number;
    send_put(put, "held", 1, (struct duration){0});
    for (uint64_t n = put + 1; n < put + 8; n++)
        send_put(n, "in its turn", 1, (struct duration){0});
    send_put(put + 8, "early", 1, (struct duration){0}); /* in the same burst: nobody can have seen the first answer */
    pass(duration_ms(20));
    struct shard_counters counters;
    shard_count(stage->shard, &counters);
    assert_int_equal(counters.ready, 8);
    assert_int_equal(counters.bad_frames, 1);
    end();
}

/* 4096 messages are looked at in an iteration; the peeks behind that come in the next one. */
TEST(shard_odd, a_look_that_has_to_come_in_the_next_iteration_is_not_lost)
{
    begin();
    send_put(++stage->number, "x", 1000, (struct duration){0});
    pass(duration_ms(20));
    expect_run(LEAT_OK, 1000);
    for (unsigned i = 0; i < 8; i++) {
        struct request r = {.op = OP_PEEK, .number = ++stage->number, .queue = queue, .max = 1000};
        stage->op_size = request_encode(stage->op, &r);
        send_op();
    }
    pass(duration_ms(20));
    struct shard_counters counters;
    shard_count(stage->shard, &counters);
    assert_int_equal(counters.gaps, 0);
    assert_int_equal(counters.requests[OP_PEEK], 8);
    for (unsigned i = 0; i < 8; i++)
        assert_true(gather(PEER) > 1000 * 8);
    end();
}

static void config_memory(struct shard_config *c)
{
    c->durability = CLASS_MEMORY;
    c->journal.block_bytes_max = 64 << 10;
    c->journal.ack_reserve = 4096;
    c->body_max = 32 << 10;
}

/* The disk does not move. */
static uint8_t answer_at_once(struct frame_op *op)
{
    while (shard_step(stage->shard, stage->now) > 0)
        continue;
    return answer(op);
}

/* A new session in stage->session, or the status of its hello. */
static uint8_t hello_at_once(uint64_t nonce)
{
    struct request r = {.op = OP_HELLO, .number = nonce, .hello = {1, 1, .secret = nonce, .window = 8}};
    struct frame_op op;
    struct reply_hello h;
    stage->session = 0;
    stage->op_size = request_encode(stage->op, &r);
    send_op();
    uint8_t status = answer_at_once(&op);
    if (status == LEAT_OK) {
        assert_true(reply_hello_decode(&op, &h));
        stage->session = h.session;
    }
    return status;
}

static uint8_t bye_at_once(void)
{
    struct request r = {.op = OP_BYE, .number = 5};
    stage->op_size = request_encode(stage->op, &r);
    send_op();
    return answer_at_once(NULL);
}

TEST(shard_odd, a_bye_for_which_the_log_has_no_room_waits_for_it)
{
    stage_config = config_memory;
    begin();
    stage_config = NULL;
    uint32_t spare[8];
    uint64_t nonce = 1000;
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(hello_at_once(nonce++), LEAT_OK);
        spare[i] = stage->session;
    }
    uint8_t status = LEAT_OK;
    while (status == LEAT_OK && nonce < 100000) { /* sessions come and go until the log is full */
        status = hello_at_once(nonce++);
        if (status == LEAT_OK)
            status = bye_at_once();
    }
    for (unsigned i = 0; i < 8 && status != UINT8_MAX; i++) {
        stage->session = spare[i];
        status = bye_at_once();
    }
    assert_int_equal(status, UINT8_MAX);
    assert_true(shard_waits(stage->shard));
    assert_true(shard_arm(stage->shard)); /* and nobody spins meanwhile */
    shard_disarm(stage->shard);
    struct shard_counters before, after;
    shard_count(stage->shard, &before);
    pass(duration_ms(20)); /* the disk moves again */
    struct frame_op op;
    assert_int_equal(answer(&op), LEAT_OK);
    assert_int_equal(op.op, OP_BYE);
    shard_count(stage->shard, &after);
    assert_int_equal(after.sessions, before.sessions - 1);
    assert_true(after.stalls > 0);
    end();
}

static void config_few_segments(struct shard_config *c)
{
    c->journal.block_bytes_max = 64 << 10;
    c->journal.segment_bytes = 128 << 10;
    c->journal.hot_bytes = 1 << 20;
    c->body_max = 32 << 10;
    c->journal.disk_max = 32 * c->journal.segment_bytes;
    c->journal.ack_reserve = 4096;
    c->checkpoint_bytes = 1ull << 40; /* none but when segments are short */
}

/* The reserve of a full disk: takes and leases that end go on until few segments are left, then leases end
 * unlogged, and acks make room again. */
TEST(shard_odd, an_hour_of_takes_and_expiries_on_a_full_disk_leaves_room_for_the_acks)
{
    static char body[20000];
    stage_config = config_few_segments;
    memset(body, 'x', sizeof body - 1);
    begin();
    struct shard_counters c;
    struct frame_op op;
    unsigned puts = 0;
    for (bool full = false; !full; puts++) {
        send_put(++stage->number, body, 1, (struct duration){0});
        pass(duration_ms(2));
        struct reply_run run;
        uint32_t offset = 0;
        assert_int_equal(answer(&op), LEAT_OK);
        assert_true(reply_next_run(&op, &offset, &run));
        full = run.status == LEAT_NO_SPACE;
        assert_true(full || run.status == LEAT_OK);
    }
    struct reply_message last = {0};
    uint8_t receipt[RECEIPT_BYTES];
    for (unsigned minute = 0; minute < 120; minute++) { /* leases of half a minute, all of them end */
        send_take(++stage->number, 3, (struct duration){0});
        pass(duration_ms(20));
        while (answer(&op) == LEAT_OK)
            for (uint32_t offset = 0; reply_next_message(&op, &offset, &last);)
                memcpy(receipt, last.receipt, RECEIPT_BYTES);
        stage->now.ns += 30000000000;
        pass(duration_ms(20));
    }
    send_take(++stage->number, 1, (struct duration){0});
    pass(duration_ms(20));
    for (unsigned left = puts - 1; left > 0; left--) {
        last = expect_message(body);
        memcpy(receipt, last.receipt, RECEIPT_BYTES);
        send_receipt(OP_ACK, ++stage->number, receipt);
        pass(duration_ms(20));
        expect_run(LEAT_OK, 1);
        if (left > 1)
            send_take(++stage->number, 1, (struct duration){0});
        pass(duration_ms(20));
    }
    pass(duration_ms(100));
    shard_count(stage->shard, &c);
    assert_int_equal(c.ready + c.leased + c.delayed, 0);
    assert_true(c.journal.free_segments > 8); /* space came back, as much as puts need */
    send_put(++stage->number, "again", 1, (struct duration){0});
    pass(duration_ms(20));
    expect_run(LEAT_OK, 1);
    end();
    stage_config = NULL;
}

/* Each start is a fact, and a broker that is killed before it has done anything makes no room for the next one. */
TEST(shard_odd, starts_until_the_log_is_full_end_with_a_word_about_room)
{
    stage_config = config_few_segments;
    begin();
    stop();
    struct shard_config c;
    config_small(&c);
    config_few_segments(&c);
    c.journal.disk_max = 4 * c.journal.segment_bytes;
    fake_disk_resize(stage->disk, 1); /* no segment can be made any more */
    enum leat_status status = LEAT_OK;
    char error[256] = "";
    unsigned starts = 0;
    for (; status == LEAT_OK && starts < 1000; starts++) {
        struct shard_start at = {.boot = stage->now, .boot_id = "one boot"};
        struct shard *s = NULL;
        status = shard_open(&s, &c, stage->disk, &at, error);
        if (status == LEAT_OK) {
            shard_step(s, stage->now); /* the fact is on its way */
            shard_close(s);
        }
        fake_disk_kill(stage->disk);
    }
    assert_int_equal(status, LEAT_NO_SPACE);
    assert_string_equal(error,
                        "the log has no room left to start in: it needs a segment of 128K more, and the disk has "
                        "0K free; make room there, or raise disk_max where that is the limit");
    fake_disk_resize(stage->disk, 0);
    start();
    end();
    stage_config = NULL;
}
