/* test_shard_fragments.c - requests in fragments, of many clients, in memory that is short: who pays. 6 MiB for all. */
#include "shard_stage.h"

enum { HOARDER = 5, OTHER = 7, MIB = 1 << 20 };

/* Another session of another peer; what was begun before is kept by the caller. */
static uint32_t session_of(uint32_t peer, uint64_t nonce)
{
    struct request r = {.op = OP_HELLO, .number = nonce, .hello = {1, 1, .secret = nonce, .window = 8}};
    uint8_t frame[FRAME_HEADER + REQUEST_FIXED_MAX];
    frame_begin(frame, 0, 0);
    uint32_t size = FRAME_HEADER + request_encode(frame + FRAME_HEADER, &r);
    frame_end(frame, size);
    script_port_push(stage->port, peer, frame, size);
    pass(duration_ms(10));
    struct frame f;
    struct frame_op op;
    struct reply_hello h;
    uint32_t offset = 0;
    enum leat_status status;
    assert_true(script_port_pop(stage->port, peer, &f));
    assert_true(frame_next_op(&f, &offset, &op, &status));
    assert_int_equal(op.status, LEAT_OK);
    assert_true(reply_hello_decode(&op, &h));
    return h.session;
}

/* A piece of `size` zeros of request 1. */
static void piece_of(uint32_t peer, uint32_t session, uint32_t offset, uint32_t size, uint32_t total)
{
    static uint8_t frame[FRAME_MAX];
    memset(frame, 0, sizeof frame);
    frame_begin(frame, FRAME_FRAGMENT, session);
    frame_fragment_encode(frame + FRAME_HEADER, 1, offset, total);
    frame_end(frame, FRAME_HEADER + FRAME_FRAGMENT_HEADER + size);
    script_port_push(stage->port, peer, frame, FRAME_HEADER + FRAME_FRAGMENT_HEADER + size);
}

/* A put of 100 KB by the stage's own client. */
static void put_large(uint64_t number)
{
    static char body[100001];
    memset(body, 'x', sizeof body - 1);
    send_put(number, body, 1, (struct duration){0});
}

static struct shard_counters count(void)
{
    struct shard_counters c;
    shard_count(stage->shard, &c);
    return c;
}

static void seconds(unsigned n)
{
    stage->now.ns += n * 1000000000ull;
    pass(duration_ms(1));
}

/* One connection fills the memory with requests that grow by eight bytes a second. */
TEST(shard_fragments, one_connection_that_trickles_pays_for_the_memory_that_others_need)
{
    begin();
    uint64_t marks = mark_count("assembly_evicted");
    uint32_t sessions[3];
    for (unsigned i = 0; i < 3; i++)
        sessions[i] = session_of(HOARDER, 100 + i);
    for (uint32_t second = 0; second < 20; second++) {
        for (unsigned i = 0; i < 3; i++)
            piece_of(HOARDER, sessions[i], second * 8, 8, 2 * MIB);
        seconds(1);
    }
    assert_int_equal(count().buffer_bytes, 6 * MIB);
    put_large(++stage->number);
    pass(duration_ms(20));
    expect_run(LEAT_OK, 1);
    assert_true(script_port_hung_up(stage->port, HOARDER));
    assert_false(script_port_hung_up(stage->port, PEER));
    assert_int_equal(count().assemblies_evicted, 3);
    assert_int_equal(count().assemblies_refused, 0);
    assert_int_equal(count().buffer_bytes, 0);
    assert_int_equal(mark_count("assembly_evicted"), marks + 1);
    end();
}

TEST(shard_fragments, who_holds_the_most_takes_nothing_from_others)
{
    begin();
    uint32_t slow = session_of(OTHER, 99);
    piece_of(OTHER, slow, 0, 8, MIB / 2);
    uint32_t sessions[3];
    for (unsigned i = 0; i < 3; i++)
        sessions[i] = session_of(HOARDER, 100 + i);
    for (unsigned i = 0; i < 2; i++)
        piece_of(HOARDER, sessions[i], 0, 8, 2 * MIB);
    seconds(60); /* all are slow now */
    piece_of(HOARDER, sessions[2], 0, 8, 2 * MIB);
    pass(duration_ms(1));
    assert_true(script_port_hung_up(stage->port, HOARDER));
    assert_false(script_port_hung_up(stage->port, OTHER));
    assert_int_equal(count().assemblies_refused, 1);
    assert_int_equal(count().assemblies_evicted, 0);
    end();
}

TEST(shard_fragments, among_equals_a_request_that_is_too_slow_makes_room)
{
    begin();
    uint32_t fast = session_of(OTHER, 99), slow = session_of(HOARDER, 100), new[2];
    for (unsigned i = 0; i < 2; i++)
        new[i] = session_of(OTHER + 1 + i, 101 + i);
    piece_of(OTHER, fast, 0, 60000, 3 * MIB);
    piece_of(HOARDER, slow, 0, 60000, 3 * MIB);
    seconds(1);
    piece_of(OTHER + 1, new[0], 0, 8, 3 * MIB); /* nobody is slow yet */
    for (uint32_t second = 1; second < 7; second++) {
        piece_of(OTHER, fast, (2 * second - 1) * 60000, 60000, 3 * MIB);
        piece_of(OTHER, fast, 2 * second * 60000, 60000, 3 * MIB);
        piece_of(HOARDER, slow, 60000 + (second - 1) * 8, 8, 3 * MIB);
        seconds(1);
    }
    assert_true(script_port_hung_up(stage->port, OTHER + 1));
    assert_int_equal(count().assemblies_refused, 1);
    assert_int_equal(count().assemblies_evicted, 0);
    piece_of(OTHER + 2, new[1], 0, 8, 3 * MIB);
    pass(duration_ms(1));
    assert_true(script_port_hung_up(stage->port, HOARDER));
    assert_false(script_port_hung_up(stage->port, OTHER));
    assert_false(script_port_hung_up(stage->port, OTHER + 2));
    assert_int_equal(count().assemblies_evicted, 1);
    end();
}

TEST(shard_fragments, on_datagrams_the_largest_holder_loses_its_oldest_request_and_nothing_else)
{
    begin();
    script_port_transport(stage->port)->datagrams = true;
    uint32_t sessions[3];
    for (unsigned i = 0; i < 3; i++) {
        sessions[i] = session_of(HOARDER, 100 + i);
        piece_of(HOARDER, sessions[i], 0, 8, 2 * MIB);
    }
    pass(duration_ms(1));
    put_large(++stage->number);
    pass(duration_ms(20));
    expect_run(LEAT_OK, 1);
    assert_int_equal(count().assemblies_evicted, 1);
    assert_int_equal(count().buffer_bytes, 4 * MIB);
    piece_of(HOARDER, sessions[0], 8, 8, 2 * MIB); /* the rest of what was lost is dropped ... */
    pass(duration_ms(1));
    assert_int_equal(count().buffer_bytes, 4 * MIB);
    piece_of(HOARDER, sessions[0], 0, 8, 2 * MIB); /* ... until it is sent again */
    pass(duration_ms(1));
    assert_int_equal(count().buffer_bytes, 6 * MIB);
    seconds(6);
    uint32_t fourth = session_of(HOARDER, 103); /* a peer's own requests that have stopped make room, too */
    piece_of(HOARDER, fourth, 0, 8, 2 * MIB);
    pass(duration_ms(1));
    assert_int_equal(count().assemblies_evicted, 2);
    assert_int_equal(count().assemblies_refused, 0);
    assert_int_equal(count().buffer_bytes, 6 * MIB);
    assert_false(script_port_hung_up(stage->port, HOARDER));
    end();
}

/* A piece of the stage's own client, in a request of `total` bytes that says it is a put. */
static void piece_of_put(uint64_t number, uint32_t offset, uint32_t total)
{
    static uint8_t piece[FRAME_FRAGMENT_HEADER + 60000];
    memset(piece, 0, sizeof piece);
    frame_fragment_encode(piece, number, offset, total);
    frame_op_encode(piece + FRAME_FRAGMENT_HEADER, OP_PUT, 0, 9, total - FRAME_OP_HEADER, number);
    send_frame(FRAME_FRAGMENT, piece, sizeof piece);
}

static void expect_too_large(uint64_t number)
{
    struct frame_op op;
    pass(duration_ms(1));
    assert_int_equal(answer(&op), LEAT_BATCH_TOO_LARGE);
    assert_int_equal(op.op, OP_PUT);
    assert_int_equal(op.number, number);
    assert_int_equal(answer(NULL), UINT8_MAX); /* once */
}

TEST(shard_fragments, a_request_above_the_limit_is_told_so_and_its_session_goes_on)
{
    begin();
    uint64_t number = ++stage->number;
    uint32_t total = 4 * MIB + 8;
    for (uint32_t at = 0; at + 60000 <= total; at += 60000)
        piece_of_put(number, at, total);
    piece_of_put(number, total - 60000, total);
    expect_too_large(number);
    piece_of_put(number, 0, total); /* the answer was lost: its first piece asks again */
    expect_too_large(number);
    number = ++stage->number;
    piece_of_put(number, 60000, 0xfffff8); /* pieces without a first one say nothing */
    pass(duration_ms(1));
    assert_int_equal(answer(NULL), UINT8_MAX);
    piece_of_put(number, 0, 0xfffff8);
    expect_too_large(number);
    put_large(++stage->number);
    pass(duration_ms(20));
    expect_run(LEAT_OK, 1);
    assert_int_equal(count().bad_frames, 0);
    assert_int_equal(count().buffer_bytes, 0);
    assert_false(script_port_hung_up(stage->port, PEER));
    end();
}

TEST(shard_fragments, a_piece_that_leaves_its_total_ends_the_stream)
{
    begin();
    piece_of_put(++stage->number, 4 * MIB, 4 * MIB + 8);
    pass(duration_ms(1));
    assert_int_equal(count().bad_frames, 1);
    assert_true(script_port_hung_up(stage->port, PEER));
    end();
}

TEST(shard_fragments, a_number_whose_slot_is_not_answered_yet_is_not_put_together)
{
    begin();
    uint64_t first = stage->number + 1;
    for (unsigned i = 0; i < 8; i++)
        send_put(++stage->number, "held", 1, (struct duration){0});
    put_large(first + 8); /* in the same burst: nobody can have seen the first answer */
    pass(duration_ms(20));
    assert_int_equal(count().ready, 8);
    assert_int_equal(count().buffer_bytes, 0);
    assert_true(script_port_hung_up(stage->port, PEER));
    end();
}
