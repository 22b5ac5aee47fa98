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
    uint32_t p = history_put(h, &(struct seen_put){.queue = queue, .body_size = 8, .durability = CLASS_DISK});
    struct message_id id = {.epoch = 1, .lsn = lsn_make(block, 0)};
    history_put_done(h, p, OUTCOME_OK, LEAT_OK, &id, (struct stamp){block, block});
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
