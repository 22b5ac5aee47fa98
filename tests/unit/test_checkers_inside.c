/* test_checkers_inside.c - the checkers of the simulator that look into the engine reject one that is wrong. */
#include "apply.h"
#include "check.h"
#include "check_broker.h"
#include "must.h"
#include "test.h"

/* Which promise was broken, or "". */
static void end(struct history *h, const char *violation)
{
    h->text[strcspn(h->text, ":")] = 0;
    assert_string_equal(h->text, violation);
    history_close(h);
}

/* A disk-class put that was answered. */
static void put(struct history *h, uint64_t block)
{
    struct name name;
    must(name_set(&name, "mail", 4));
    uint32_t queue = history_queue(h, &name, (struct queue_ref){0, 1}, &(struct queue_attributes){0});
    struct stamp now = {block, block};
    uint32_t p =
        history_put(h, &(struct seen_put){.queue = queue, .body_size = 8, .durability = CLASS_DISK, .invoked = now});
    struct message_id id = {.epoch = 1, .lsn = lsn_make(block, 0)};
    history_put_done(h, p, OUTCOME_OK, LEAT_OK, &id, now);
}

static void fact(struct engine *e, struct fact *f, uint64_t block)
{
    struct apply_effect effect;
    f->lsn = lsn_make(block, 0);
    f->place = 80;
    f->at = (struct instant){block};
    apply_fact(e, f, &effect);
}

/* One queue, and a message that is ready, at block 7. */
static void engine_with_one(struct engine *e)
{
    static const uint8_t body[8];
    assert_int_equal(
        engine_open(e, &(struct engine_capacity){.queues = 4, .slots = 16, .ready_chunks = 8}, INSTANT_ZERO), LEAT_OK);
    struct fact made = {.kind = FACT_QUEUE_CREATED,
                        .queue = {.incarnation = 1, .dead_letter = SLAB_NONE, .attributes.lease = duration_s(1)}};
    must(name_set(&made.queue.name, "mail", 4));
    fact(e, &made, 6);
    struct fact put = {.kind = FACT_PUT,
                       .put = {.slot = SLAB_NONE, .body = body, .body_size = 8, .durability = CLASS_DISK, .epoch = 1}};
    fact(e, &put, 7);
}

TEST(checkers, counters_rejects_a_queue_that_counts_wrongly)
{
    struct history h;
    struct engine e;
    engine_with_one(&e);
    history_open(&h);
    check_counters(&h, &e);
    end(&h, "");
    struct queue *q = slab_write(&e.queues, 0);
    q->counters.ready++;
    history_open(&h);
    check_counters(&h, &e);
    end(&h, "I17");
    q->counters.ready--;
    q->counters.acks++; /* a recount cannot tell, but the sum does not add up */
    history_open(&h);
    check_counters(&h, &e);
    end(&h, "I17");
    engine_close(&e);
}

TEST(checkers, recovered_rejects_an_engine_without_an_acknowledged_message)
{
    struct history h;
    struct engine e;
    engine_with_one(&e);
    history_open(&h);
    put(&h, 7);
    check_recovered(&h, &e);
    assert_false(h.failed);
    put(&h, 8);
    check_recovered(&h, &e);
    end(&h, "S2");
    engine_close(&e);
}

/* The start before was at 10 ms of the world, 100 ms of log time and 1000 ms of the boot clock; what was put at 11 ms
 * is durable, or not. */
static void started(const char *violation, bool proven, uint64_t log_ms, uint64_t boot_ms, uint8_t boot_id)
{
    const uint64_t ms = 1000000;
    struct seen_start before = {.world = 10 * ms, .log = 100 * ms, .boot = 1000 * ms, .boot_id = {1}};
    struct seen_start now = {.world = 50 * ms, .log = log_ms * ms, .boot = boot_ms * ms, .boot_id = {boot_id}};
    struct history h;
    history_open(&h);
    history_restarted(&h, 1, (struct stamp){before.world, before.log});
    if (proven)
        put(&h, 11 * ms);
    check_log_time(&h, &before, &now);
    end(&h, violation);
}

TEST(checkers, log_time_rejects_a_restart_that_follows_another_clock_than_boot)
{
    started("", true, 140, 1040, 1);
    started("P6", true, 139, 1040, 1);
    started("P6", true, 141, 1040, 1); /* the wall clock was put forward */
    started("P6", true, 100, 1040, 1); /* the time that it was down is forgotten */
    started("", false, 139, 1040, 1);  /* a crash took the start away that this is compared with */
}

TEST(checkers, log_time_rejects_one_that_goes_back_with_another_boot)
{
    started("", true, 100, 3, 2);
    started("", true, 5000, 3, 2); /* it went on before the crash, for as long as nobody here knows */
    started("P6", true, 99, 3, 2);
    started("", false, 99, 3, 2);
}

TEST(checkers, drained_rejects_what_nobody_could_get)
{
    struct history h;
    struct engine e;
    engine_with_one(&e);
    history_open(&h);
    check_drained(&h, &e);
    end(&h, "L3");
    engine_close(&e);
}
