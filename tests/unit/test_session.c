/* test_session.c - a request that comes again is answered again, and never executed again. */
#include "mark.h"
#include "prng.h"
#include "session.h"
#include "test.h"

static struct session *fresh(struct session_table *t, uint16_t window)
{
    assert_int_equal(session_open_table(t, 4), LEAT_OK);
    return session_open(t, session_next_handle(t, 1), window, 99);
}

static void execute(struct session *s, uint64_t number)
{
    assert_int_equal(session_arrive(s, number), SESSION_EXECUTE);
    session_begin(s, number, OP_PUT);
    session_note(s, number, OP_PUT, 0, LEAT_OK, 1, lsn_make(number, 0), number);
    session_finish(s, number, LEAT_OK);
}

TEST(session, a_retry_gets_the_kept_answer_and_an_old_one_none)
{
    struct session_table t;
    struct session *s = fresh(&t, 8);
    for (uint64_t n = 1; n <= 20; n++)
        execute(s, n);
    for (uint64_t n = 13; n <= 20; n++) {
        assert_int_equal(session_arrive(s, n), SESSION_REPEAT);
        assert_true(session_kept(s, n)->runs[0].lsn.n == lsn_make(n, 0).n);
        assert_int_equal(session_kept(s, n)->reveals, n);
    }
    assert_int_equal(session_arrive(s, 12), SESSION_OLD);
    assert_int_equal(session_arrive(s, 0), SESSION_OLD);
    assert_int_equal(session_arrive(s, 22), SESSION_GAP);
    assert_int_equal(session_arrive(s, UINT64_MAX), SESSION_GAP);
    session_close_table(&t);
}

TEST(session, a_parked_request_is_waited_for)
{
    struct session_table t;
    struct session *s = fresh(&t, 8);
    session_begin(s, 1, OP_TAKE);
    assert_int_equal(session_arrive(s, 1), SESSION_WAIT);
    execute(s, 2);
    session_finish(s, 1, LEAT_EMPTY);
    assert_int_equal(session_arrive(s, 1), SESSION_REPEAT);
    assert_int_equal(session_kept(s, 1)->status, LEAT_EMPTY);
    session_close_table(&t);
}

TEST(session, runs_join_neighbours_and_a_fifth_is_refused_before)
{
    struct session_table t;
    struct session *s = fresh(&t, 8);
    session_begin(s, 1, OP_PUT);
    uint16_t entry = 0;
    for (uint32_t i = 0; i < 5; i++)
        session_note(s, 1, OP_PUT, entry++, LEAT_OK, 1, lsn_make(7, i), 7);
    session_note(s, 1, OP_PUT, entry++, LEAT_OK, 1, lsn_make(8, 0), 8);
    session_note(s, 1, OP_PUT, entry++, LEAT_READY_FULL, 0, LSN_NONE, 0);
    session_note(s, 1, OP_PUT, entry++, LEAT_READY_FULL, 0, LSN_NONE, 0);
    session_note(s, 1, OP_PUT, entry++, LEAT_OK, 1, lsn_make(8, 1), 8);
    const struct session_slot *slot = session_kept(s, 1);
    assert_int_equal(slot->runs_count, 4);
    assert_int_equal(slot->runs[0].count, 5);
    assert_int_equal(slot->runs[2].count, 2);
    assert_int_equal(slot->reveals, 8);
    assert_false(session_fits(s, 1, LEAT_READY_FULL, 0, LSN_NONE));
    assert_true(session_fits(s, 1, LEAT_OK, 1, lsn_make(8, 2)));
    session_close_table(&t);
}

TEST(session, a_batch_cut_by_a_crash_goes_on_at_its_first_missing_entry)
{
    struct session_table t;
    struct session *s = fresh(&t, 8);
    execute(s, 1);
    for (uint16_t i = 0; i < 3; i++) /* replay of three facts; the fourth was lost with the crash */
        session_note(s, 2, OP_PUT, i, LEAT_OK, 1, lsn_make(5, i), 5);
    session_restarted(&t);
    assert_int_equal(session_arrive(s, 2), SESSION_GAP);
    assert_true(session_resume(s, 2, 0));
    assert_int_equal(session_arrive(s, 2), SESSION_CONTINUE);
    assert_int_equal(session_done(s, 2), 3);
    session_begin(s, 2, OP_PUT);
    session_note(s, 2, OP_PUT, 3, LEAT_OK, 2, lsn_make(6, 0), 6);
    session_finish(s, 2, LEAT_OK);
    assert_int_equal(session_arrive(s, 2), SESSION_REPEAT);
    assert_int_equal(session_arrive(s, 3), SESSION_EXECUTE);
    session_close_table(&t);
}

TEST(session, a_handle_of_an_ended_session_finds_nobody)
{
    struct session_table t;
    struct session *s = fresh(&t, 8);
    uint32_t handle = s->handle;
    session_end(&t, handle);
    assert_null(session_find(&t, handle));
    s = session_open(&t, session_next_handle(&t, 1), 64, 1);
    assert_int_not_equal(s->handle, handle);
    assert_null(session_find(&t, handle));
    assert_null(session_find(&t, 0));
    assert_null(session_find(&t, UINT32_MAX));
    for (unsigned i = 0; i < 3; i++)
        assert_non_null(session_open(&t, session_next_handle(&t, 1), 8, 1));
    assert_int_equal(session_next_handle(&t, 1), 0);
    session_close_table(&t);
}

/* Memory-class sessions are answered before they are durable. */
TEST(session, a_handle_that_a_crash_has_forgotten_is_not_given_again)
{
    struct session_table before, after;
    struct session *s = fresh(&before, 8);
    uint32_t kept = s->handle, forgotten[3];
    session_end(&before, kept);
    for (unsigned i = 0; i < 3; i++) {
        s = session_open(&before, session_next_handle(&before, 1), 8, 1);
        forgotten[i] = s->handle;
        session_end(&before, s->handle);
    }
    assert_int_equal(session_open_table(&after, 4), LEAT_OK);
    assert_true(session_may_open(&after, kept));
    assert_false(session_may_open(&after, kept + 1)); /* another slot is next */
    assert_false(session_may_open(&after, kept & 0xffff));
    session_open(&after, kept, 8, 99);
    session_end(&after, kept);
    assert_false(session_may_open(&after, kept));
    for (unsigned i = 0; i < 2000; i++) {
        uint32_t handle = session_next_handle(&after, 2);
        assert_true(handle >> 16 != 0);
        for (unsigned k = 0; k < 3; k++)
            assert_int_not_equal(handle, forgotten[k]);
        session_open(&after, handle, 8, 1);
        session_end(&after, handle);
    }
    session_close_table(&before);
    session_close_table(&after);
}

/* A parked take is unanswered, a stat behind it was answered and left no trace in the log: the broker that starts again
 * must not wait for the stat. */
TEST(session, what_the_client_has_the_answer_of_is_not_waited_for)
{
    struct session_table t;
    struct session *s = fresh(&t, 8);
    session_restarted(&t);
    assert_true(session_resume(s, 1, 2));
    assert_int_equal(session_arrive(s, 1), SESSION_EXECUTE);
    session_begin(s, 1, OP_TAKE);
    assert_int_equal(session_arrive(s, 3), SESSION_EXECUTE);
    assert_true(session_resume(s, 1, 2)); /* the same hello again changes nothing */
    assert_int_equal(session_arrive(s, 3), SESSION_EXECUTE);
    assert_int_equal(session_arrive(s, 1), SESSION_WAIT);
    session_close_table(&t);
}

/* A client with a window, over a net that loses, repeats and reorders, and a broker that restarts: each request
 * executes exactly once. */
TEST(session, each_request_executes_once_over_a_lossy_net_with_restarts)
{
    enum { WINDOW = 8, REQUESTS = 3000 };
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct session_table t;
        struct session *s = fresh(&t, WINDOW);
        struct prng prng = prng_seed(seed, 0);
        static uint8_t executed[REQUESTS + WINDOW + 1], answered[REQUESTS + WINDOW + 1];
        memset(executed, 0, sizeof executed);
        memset(answered, 0, sizeof answered);
        uint64_t oldest = 1;
        for (uint64_t steps = 0; oldest <= REQUESTS; steps++) {
            assert_true(steps < 100 * REQUESTS);
            uint64_t n = oldest + prng_below(&prng, WINDOW);
            if (oldest % 100 == 50 && prng_chance(&prng, 20)) {
                session_restarted(&t);
                uint64_t bits = 0;
                for (unsigned i = 0; i < WINDOW; i++)
                    bits |= (uint64_t)answered[oldest + i] << i;
                assert_true(session_resume(s, oldest, bits));
            }
            switch (session_arrive(s, n)) {
            case SESSION_EXECUTE:
                execute(s, n);
                executed[n]++;
                answered[n] |= prng_chance(&prng, 70);
                break;
            case SESSION_REPEAT:
                answered[n] = 1;
                break;
            default:
                break;
            }
            while (answered[oldest])
                oldest++;
        }
        for (uint64_t n = 1; n <= REQUESTS; n++)
            assert_int_equal(executed[n], 1);
        session_close_table(&t);
    }
    assert_true(mark_count("session_gap") > 0);
    assert_true(mark_count("session_resumed_after_restart") > 0);
}
