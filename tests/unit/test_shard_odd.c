/* test_shard_odd.c - the shard and what clients do that nobody expects: late hellos, moves in the middle of an answer,
 * requests in pieces that need none, windows that shrink. */
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
