/* test_queue.c - the life of a message: stories, then a long random life against a model. */
#include "mark.h"
#include "prng.h"
#include "test.h"
#include "twin.h"

static const struct duration none = {0};
static const struct queue_attributes plain = {.durability = CLASS_DISK};

TEST(queue, messages_are_leased_in_order_and_an_ack_is_final)
{
    struct twin t;
    enum leat_status s;
    uint8_t a[RECEIPT_BYTES], b[RECEIPT_BYTES];
    twin_open(&t, 4, 16, 4);
    struct queue_ref q = twin_create(&t, "mail", &plain);
    struct lsn first = twin_put(&t, q, none, &s), second = twin_put(&t, q, none, &s);
    assert_int_equal(twin_take(&t, q, none, a), LEAT_OK);
    assert_int_equal(twin_take(&t, q, none, b), LEAT_OK);
    assert_true(twin_lsn(a).n == first.n && twin_lsn(b).n == second.n);
    assert_int_equal(twin_take(&t, q, none, b), LEAT_EMPTY);
    assert_int_equal(twin_finish(&t, OP_ACK, q, a, none), LEAT_OK);
    assert_int_equal(t.effect.gone_count, 1);
    assert_true(t.effect.gone[0].lsn.n == first.n);
    assert_int_equal(twin_finish(&t, OP_ACK, q, a, none), LEAT_STALE_RECEIPT);
    twin_pass(&t, duration_s(31));
    assert_int_equal(twin_take(&t, q, none, a), LEAT_OK);
    assert_true(twin_lsn(a).n == second.n);
    twin_close(&t);
}

TEST(queue, expired_lease_returns_to_the_front_of_its_band)
{
    struct twin t;
    enum leat_status s;
    uint8_t a[RECEIPT_BYTES], b[RECEIPT_BYTES];
    twin_open(&t, 4, 16, 4);
    struct queue_ref q = twin_create(&t, "mail", &plain);
    struct lsn first = twin_put(&t, q, none, &s);
    twin_put(&t, q, none, &s);
    assert_int_equal(twin_take(&t, q, none, a), LEAT_OK);
    twin_pass(&t, duration_ms(29999));
    assert_int_equal(engine_queue(&t.leader, q)->counters.leased, 1);
    twin_pass(&t, duration_ms(2));
    assert_int_equal(engine_queue(&t.leader, q)->counters.leased, 0);
    assert_int_equal(twin_take(&t, q, none, b), LEAT_OK);
    assert_true(twin_lsn(b).n == first.n);
    assert_int_equal(twin_finish(&t, OP_ACK, q, a, none), LEAT_STALE_RECEIPT);
    assert_int_equal(twin_finish(&t, OP_EXTEND, q, a, duration_s(5)), LEAT_STALE_RECEIPT);
    assert_int_equal(twin_finish(&t, OP_ACK, q, b, none), LEAT_OK);
    twin_close(&t);
}

TEST(queue, a_late_ack_counts_while_nobody_else_has_the_message)
{
    struct twin t;
    enum leat_status s;
    uint8_t a[RECEIPT_BYTES];
    twin_open(&t, 4, 16, 4);
    struct queue_ref q = twin_create(&t, "mail", &plain);
    twin_put(&t, q, none, &s);
    assert_int_equal(twin_take(&t, q, none, a), LEAT_OK);
    twin_pass(&t, duration_s(31));
    assert_int_equal(twin_finish(&t, OP_NACK, q, a, none), LEAT_STALE_RECEIPT);
    assert_int_equal(twin_finish(&t, OP_ACK, q, a, none), LEAT_OK);
    assert_int_equal(twin_take(&t, q, none, a), LEAT_EMPTY);
    twin_close(&t);
}

TEST(queue, the_last_failed_attempt_moves_to_the_dead_letter_queue_once)
{
    struct twin t;
    enum leat_status s;
    uint8_t a[RECEIPT_BYTES];
    twin_open(&t, 4, 16, 4);
    struct queue_ref dead = twin_create(&t, "dead", &plain);
    struct queue_attributes attributes = {.max_attempts = 2, .durability = CLASS_DISK};
    name_set(&attributes.dead_letter, "dead", 4);
    struct queue_ref q = twin_create(&t, "mail", &attributes);
    struct lsn put = twin_put(&t, q, none, &s);
    assert_int_equal(twin_take(&t, q, none, a), LEAT_OK);
    twin_pass(&t, duration_s(31));
    assert_int_equal(twin_take(&t, q, none, a), LEAT_OK);
    assert_int_equal(twin_finish(&t, OP_NACK, q, a, none), LEAT_OK);
    assert_int_equal(twin_take(&t, q, none, a), LEAT_EMPTY);
    assert_int_equal(twin_take(&t, dead, none, a), LEAT_OK);
    assert_true(twin_lsn(a).n == put.n);
    struct request drop = {.op = OP_QUEUE_DROP};
    struct fact f;
    name_set(&drop.name, "dead", 4);
    assert_int_equal(plan_queue_drop(&t.leader, &drop, &f), LEAT_QUEUE_IN_USE);
    twin_close(&t);
}

TEST(queue, a_delayed_message_waits_its_time_and_a_nack_may_delay_it_again)
{
    struct twin t;
    enum leat_status s;
    uint8_t a[RECEIPT_BYTES];
    twin_open(&t, 4, 16, 4);
    struct queue_ref q = twin_create(&t, "mail", &plain);
    twin_put(&t, q, duration_s(5), &s);
    twin_pass(&t, duration_ms(4999));
    assert_int_equal(twin_take(&t, q, none, a), LEAT_EMPTY);
    twin_pass(&t, duration_ms(2));
    assert_int_equal(twin_take(&t, q, none, a), LEAT_OK);
    assert_int_equal(twin_finish(&t, OP_NACK, q, a, duration_s(7)), LEAT_OK);
    assert_int_equal(twin_finish(&t, OP_ACK, q, a, none), LEAT_STALE_RECEIPT);
    twin_pass(&t, duration_ms(6999));
    assert_int_equal(twin_take(&t, q, none, a), LEAT_EMPTY);
    twin_pass(&t, duration_ms(2));
    assert_int_equal(twin_take(&t, q, none, a), LEAT_OK);
    twin_close(&t);
}

TEST(queue, more_attempts_than_a_message_can_count_are_refused)
{
    struct twin t;
    struct fact f;
    struct request r = {.op = OP_QUEUE_CREATE, .attributes = {.max_attempts = MESSAGE_ATTEMPTS_MAX + 1}};
    name_set(&r.name, "mail", 4);
    twin_open(&t, 4, 16, 4);
    assert_int_equal(plan_queue_create(&t.leader, &t.limits, &r, &f), LEAT_BAD_VALUE);
    r.attributes.max_attempts = MESSAGE_ATTEMPTS_MAX;
    assert_int_equal(plan_queue_create(&t.leader, &t.limits, &r, &f), LEAT_OK);
    twin_close(&t);
}

TEST(queue, limits_and_strangers_receipts_are_named)
{
    struct twin t;
    enum leat_status s = LEAT_OK;
    uint8_t a[RECEIPT_BYTES];
    twin_open(&t, 1, 2, 1);
    struct queue_ref q = twin_create(&t, "mail", &plain);
    unsigned n = 0;
    while (twin_put(&t, q, none, &s).n != 0)
        n++;
    assert_in_range(n, RUNS_LEAST, RUNS_STEPS);
    assert_int_equal(s, LEAT_READY_FULL);
    assert_int_equal(twin_take(&t, q, none, a), LEAT_OK);
    assert_int_equal(twin_take(&t, q, none, a), LEAT_OK);
    uint8_t more[RECEIPT_BYTES];
    assert_int_equal(twin_take(&t, q, none, more), LEAT_LEASES_FULL);
    for (unsigned bit = 0; bit < RECEIPT_BYTES * 8; bit++) {
        a[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(twin_finish(&t, OP_ACK, q, a, none), LEAT_OK);
        a[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(twin_finish(&t, OP_ACK, (struct queue_ref){q.number, q.incarnation + 1}, a, none), LEAT_NO_QUEUE);
    assert_int_equal(twin_finish(&t, OP_ACK, q, a, none), LEAT_OK);
    twin_close(&t);
}

/* The model: where each message is, as a reader of the promises would write it down. */
enum where { NOWHERE, READY, LEASED, DELAYED, DEAD_LETTER };
struct known {
    struct lsn lsn;
    enum where where;
    struct instant due;
    unsigned attempts;
    uint8_t receipt[RECEIPT_BYTES];
};
enum { KNOWN = 400, ATTEMPTS = 3 };

static void model_pass(struct known *known, struct instant now)
{
    for (unsigned i = 0; i < KNOWN; i++) {
        struct known *k = &known[i];
        if (k->where == LEASED && now.ns >= k->due.ns)
            k->where = k->attempts == ATTEMPTS ? DEAD_LETTER : READY;
        if (k->where == DELAYED && now.ns >= k->due.ns)
            k->where = READY;
    }
}

static struct known *model_find(struct known *known, struct lsn lsn)
{
    for (unsigned i = 0; i < KNOWN; i++)
        if (known[i].where != NOWHERE && known[i].lsn.n == lsn.n)
            return &known[i];
    return NULL;
}

static void random_put(struct twin *t, struct queue_ref q, struct known *known, struct prng *prng)
{
    enum leat_status s;
    struct known *k = &known[prng_below(prng, KNOWN)];
    if (k->where != NOWHERE)
        return;
    struct duration delay = prng_chance(prng, 30) ? duration_ms(1 + prng_below(prng, 9000)) : none;
    memset(k, 0, sizeof *k);
    k->lsn = twin_put(t, q, delay, &s);
    if (k->lsn.n == 0)
        return;
    k->where = delay.ns ? DELAYED : READY;
    k->due = instant_add(t->now, delay);
}

static void random_take(struct twin *t, struct queue_ref q, struct known *known, struct prng *prng)
{
    uint8_t receipt[RECEIPT_BYTES];
    struct duration lease = duration_ms(1 + prng_below(prng, 9000));
    if (twin_take(t, q, lease, receipt) != LEAT_OK)
        return;
    struct known *k = model_find(known, twin_lsn(receipt));
    assert_non_null(k); /* no phantom, and nothing acked comes back */
    assert_int_equal(k->where, READY);
    k->where = LEASED;
    k->due = instant_add(t->now, lease);
    k->attempts++;
    memcpy(k->receipt, receipt, sizeof receipt);
}

static void random_finish(struct twin *t, struct queue_ref q, struct known *known, struct prng *prng)
{
    struct known *k = &known[prng_below(prng, KNOWN)];
    if (k->attempts == 0)
        return; /* never had a receipt; a free place still has the stale one of its last message */
    unsigned kind = (unsigned)prng_below(prng, 3);
    struct duration time = duration_ms(prng_below(prng, 5000));
    uint8_t op = kind == 0 ? OP_ACK : kind == 1 ? OP_NACK : OP_EXTEND;
    if (op == OP_EXTEND)
        time.ns += WHEEL_TICK_NS;
    enum leat_status s = twin_finish(t, op, q, k->receipt, time);
    bool in_time = k->where == LEASED && t->now.ns < k->due.ns;
    if (op == OP_ACK && s == LEAT_OK)
        assert_true(k->where == LEASED || k->where == READY);
    else
        assert_int_equal(s == LEAT_OK, op == OP_ACK ? false : in_time);
    if (in_time)
        assert_int_equal(s, LEAT_OK);
    if (s != LEAT_OK)
        return;
    if (op == OP_ACK)
        k->where = NOWHERE;
    else if (op == OP_EXTEND)
        k->due = instant_add(t->now, time);
    else if (k->attempts == ATTEMPTS)
        k->where = DEAD_LETTER;
    else
        k->where = time.ns ? DELAYED : READY;
    if (k->where == DELAYED)
        k->due = instant_add(t->now, time);
}

TEST(queue, a_long_random_life_agrees_with_a_model_and_a_follower)
{
    for (uint64_t seed = 0; seed < 30; seed++) {
        struct twin t;
        struct prng prng = prng_seed(seed, 0);
        static struct known known[KNOWN];
        memset(known, 0, sizeof known);
        twin_open(&t, 4, 4096, 1024);
        twin_create(&t, "dead", &plain);
        struct queue_attributes attributes = {.max_attempts = ATTEMPTS, .durability = CLASS_DISK};
        name_set(&attributes.dead_letter, "dead", 4);
        struct queue_ref q = twin_create(&t, "mail", &attributes);
        for (int step = 0; step < 20000; step++) {
            switch (prng_below(&prng, 4)) {
            case 0:
                random_put(&t, q, known, &prng);
                break;
            case 1:
                random_take(&t, q, known, &prng);
                break;
            case 2:
                random_finish(&t, q, known, &prng);
                break;
            default:
                /* All instants are whole ticks, so that the engine is late by nothing and the model can be exact. */
                twin_pass(&t, duration_ms(2 + prng_below(&prng, 60)));
                model_pass(known, t.now);
            }
        }
        twin_close(&t);
    }
    assert_true(mark_count("stale_receipt") > 0);
    assert_true(mark_count("expired_receipt") + mark_count("fired_before_due") > 0);
}

TEST(queue, a_dropped_queue_is_reaped_in_pieces_and_its_number_is_another_queue_later)
{
    struct twin t;
    enum leat_status s;
    uint8_t a[RECEIPT_BYTES];
    struct fact f;
    twin_open(&t, 2, 300, 40);
    struct queue_ref q = twin_create(&t, "mail", &plain);
    for (unsigned i = 0; i < 500; i++)
        twin_put(&t, q, i % 5 ? none : duration_s(3), &s);
    for (unsigned i = 0; i < 60; i++)
        assert_int_equal(twin_take(&t, q, none, a), LEAT_OK);
    struct request drop = {.op = OP_QUEUE_DROP};
    name_set(&drop.name, "mail", 4);
    assert_int_equal(plan_queue_drop(&t.leader, &drop, &f), LEAT_OK);
    twin_apply(&t, &f);
    assert_int_equal(twin_finish(&t, OP_ACK, q, a, none), LEAT_NO_QUEUE);
    twin_pass(&t, duration_s(60));
    assert_int_equal(t.leader.slots.taken, 0);
    assert_int_equal(t.leader.chunks.taken, 0);
    struct queue_ref again = twin_create(&t, "mail", &plain);
    assert_int_equal(again.number, q.number);
    assert_int_not_equal(again.incarnation, q.incarnation);
    assert_int_equal(twin_finish(&t, OP_ACK, again, a, none), LEAT_STALE_RECEIPT);
    twin_close(&t);
}

TEST(queue, chunks_suffice_for_the_worst_spread_over_queues)
{
    assert_int_equal(engine_chunks(RUNS_LEAST, 0), 1);
    assert_int_equal(engine_chunks(RUNS_LEAST + 1, 0), 2);
    assert_int_equal(engine_chunks(RUNS_LEAST, 10), 21);
    assert_int_equal(engine_chunks(UINT64_MAX / 4, 1), SLAB_NONE - 1);
}

TEST(queue, the_ready_max_that_a_refusal_names_is_the_least_that_will_do)
{
    for (uint64_t ready = 1; ready < 20 * RUNS_LEAST; ready += 7) {
        uint32_t chunks = engine_chunks(ready, 10);
        uint64_t least = engine_ready_max(chunks, 10);
        assert_true(least <= ready);
        assert_int_equal(engine_chunks(least, 10), chunks);
        assert_true(least == 1 || engine_chunks(least - 1, 10) < chunks);
    }
}
