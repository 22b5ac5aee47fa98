/* test_oracle.c - long random lives of several queues, where an oracle knows every answer before it is compared. */
#include "image.h"
#include "mark.h"
#include "oracle.h"
#include "prng.h"
#include "test.h"
#include "twin.h"

enum { SLOTS = 150, CHUNKS = 400, QUEUES_MAX = 6, KEPT = 200, SEEDS = 25, STEPS = 8000 };

struct kept_receipt {
    int queue;
    struct queue_ref ref;
    struct lsn lsn;
    uint64_t lease;
    uint8_t bytes[RECEIPT_BYTES];
};

struct world {
    struct twin t;
    struct oracle o;
    struct prng prng;
    struct queue_ref refs[ORACLE_QUEUES]; /* of the newest queue of that name */
    struct kept_receipt kept[KEPT];
    uint64_t answers[128];
};

static struct name name_of(int q)
{
    struct name name;
    char text[] = {'q', (char)('0' + q), 0};
    assert_true(name_set(&name, text, 2));
    return name;
}

static void answer(struct world *w, enum leat_status got, enum leat_status expected)
{
    assert_string_equal(status_name(got), status_name(expected));
    w->answers[got]++;
}

static void create(struct world *w, int q)
{
    struct request r = {.op = OP_QUEUE_CREATE, .name = name_of(q)};
    int dead_letter = prng_chance(&w->prng, 60) ? (int)prng_below(&w->prng, ORACLE_QUEUES) : ORACLE_NONE;
    uint32_t attempts[] = {0, 1, 2, 10};
    if (dead_letter == q)
        dead_letter = ORACLE_NONE;
    r.attributes.durability = CLASS_DISK;
    r.attributes.lease = duration_ms(100 * (1 + prng_below(&w->prng, 3)));
    r.attributes.max_attempts = attempts[prng_below(&w->prng, 4)];
    if (dead_letter != ORACLE_NONE)
        r.attributes.dead_letter = name_of(dead_letter);
    struct fact f;
    bool was = w->o.queues[q].live;
    if (w->o.queues[q].dropped)
        return; /* the model has one place a name; not reaped yet */
    enum leat_status s = plan_queue_create(&w->t.leader, &w->t.limits, &r, &f);
    answer(w, s, oracle_create(&w->o, q, r.attributes.max_attempts, r.attributes.lease, dead_letter));
    if (s != LEAT_OK)
        return;
    assert_int_equal(f.kind, was ? 0 : FACT_QUEUE_CREATED);
    if (was)
        return;
    twin_apply(&w->t, &f);
    w->refs[q] = (struct queue_ref){f.queue.number, f.queue.incarnation};
}

static void drop(struct world *w, int q)
{
    struct request r = {.op = OP_QUEUE_DROP, .name = name_of(q)};
    struct fact f;
    enum leat_status s = plan_queue_drop(&w->t.leader, &r, &f);
    answer(w, s, oracle_drop(&w->o, q));
    if (s == LEAT_OK)
        twin_apply(&w->t, &f);
}

static void put(struct world *w, int q)
{
    struct duration delays[] = {{0}, {0}, {0}, duration_ms(1 + prng_below(&w->prng, 400)), duration_s(86401)};
    struct duration delay = delays[prng_below(&w->prng, 5)];
    enum leat_status s;
    struct lsn lsn = twin_put(&w->t, w->refs[q], delay, &s);
    answer(w, s, oracle_put(&w->o, q, delay, w->t.now, lsn));
}

static void take(struct world *w, int q)
{
    struct duration leases[] = {{0}, duration_ms(1 + prng_below(&w->prng, 300)), duration_s(43200), {1}};
    struct duration lease = leases[prng_below(&w->prng, 20) ? prng_below(&w->prng, 2) : 2 + prng_below(&w->prng, 2)];
    struct kept_receipt *k = &w->kept[prng_below(&w->prng, KEPT)];
    uint8_t bytes[RECEIPT_BYTES];
    int m;
    uint64_t number;
    enum leat_status s = twin_take(&w->t, w->refs[q], lease, bytes);
    answer(w, s, oracle_take(&w->o, q, lease, w->t.now, &m, &number));
    if (s != LEAT_OK)
        return;
    assert_true(twin_lsn(bytes).n == w->o.messages[m].lsn.n);
    *k = (struct kept_receipt){.queue = q, .ref = w->refs[q], .lsn = twin_lsn(bytes), .lease = number};
    memcpy(k->bytes, bytes, sizeof bytes);
}

static void finish(struct world *w)
{
    static const uint8_t ops[] = {OP_ACK, OP_NACK, OP_EXTEND};
    const struct kept_receipt *k = &w->kept[prng_below(&w->prng, KEPT)];
    if (k->lease == 0)
        return;
    uint8_t op = ops[prng_below(&w->prng, 3)];
    struct duration times[] = {{0}, duration_ms(1 + prng_below(&w->prng, 300)), duration_s(90000)};
    struct duration time = times[prng_below(&w->prng, 10) ? prng_below(&w->prng, 2) : 2];
    enum leat_status expected = LEAT_NO_QUEUE;
    int q = prng_chance(&w->prng, 3) ? (int)prng_below(&w->prng, ORACLE_QUEUES) : k->queue;
    struct queue_ref ref = q == k->queue ? k->ref : w->refs[q];
    bool current = ref.incarnation == w->refs[q].incarnation;
    if (current)
        expected = oracle_finish(&w->o, op, q, k->lsn, k->lease, time, w->t.now);
    answer(w, twin_finish(&w->t, op, ref, k->bytes, time), expected);
}

static void fire(struct world *w)
{
    struct fact f;
    struct instant again;
    for (uint32_t slot; (slot = wheel_fire(&w->t.leader.wheel, w->t.now)) != SLAB_NONE;) {
        if (plan_due(&w->t.leader, slot, w->t.now, &f, &again)) {
            struct lsn lsn = engine_message_at(&w->t.leader, slot)->lsn;
            assert_true(oracle_due(&w->o, f.kind, lsn, w->t.now));
            twin_apply(&w->t, &f);
        }
        wheel_arm(&w->t.leader.wheel, slot, again);
    }
    assert_false(oracle_overdue(&w->o, w->t.now));
}

static void pass(struct world *w)
{
    struct fact f;
    uint64_t ms = prng_chance(&w->prng, 3) ? 50000000 : prng_below(&w->prng, 30);
    w->t.now = instant_add(w->t.now, duration_ms(ms));
    if (prng_chance(&w->prng, 80))
        fire(w); /* else somebody comes before the expiries do */
    if (prng_chance(&w->prng, 50))
        return;
    for (uint32_t i = 0; i < w->t.leader.queues.used; i++)
        while (plan_reap(&w->t.leader, i, &f))
            twin_apply(&w->t, &f);
    oracle_reaped(&w->o);
}

/* An image, an engine loaded from it, and a new epoch. */
static void restart(struct world *w)
{
    static uint8_t bytes[1 << 20];
    char error[IMAGE_ERROR];
    struct image i;
    struct image_load l;
    struct engine again;
    image_begin(&i, &w->t.leader, NULL, 0);
    uint32_t size = image_next(&i, bytes, sizeof bytes);
    image_end(&i);
    assert_int_equal(engine_open(&again, &w->t.leader.capacity, INSTANT_ZERO), LEAT_OK);
    image_load_begin(&l, &again, NULL, 0);
    image_load(&l, bytes, size, error);
    assert_int_equal(image_load_end(&l, error), LEAT_OK);
    engine_close(&w->t.leader);
    w->t.leader = again;
    struct fact f = {.kind = FACT_EPOCH};
    f.epoch = (struct fact_epoch){.epoch = ++w->t.limits.epoch, .same_boot = prng_chance(&w->prng, 50)};
    f.epoch.wall_ns = w->t.now.ns;
    struct instant newest = w->t.leader.latest;
    twin_apply(&w->t, &f);
    if (!f.epoch.same_boot)
        oracle_restart(&w->o, newest, w->t.now);
}

static void compare_stats(const struct world *w)
{
    for (int q = 0; q < ORACLE_QUEUES; q++) {
        if (!w->o.queues[q].live)
            continue;
        struct reply_stat got, expected;
        engine_stat(&w->t.leader, w->refs[q].number, w->t.now, &got);
        oracle_stat(&w->o, q, w->t.now, &expected);
        expected.queue = got.queue;
        expected.attributes = got.attributes;
        expected.name = got.name;
        expected.bytes = got.bytes;                                     /* twin_check() counts them anew */
        uint64_t a = got.oldest_ready.ns, b = expected.oldest_ready.ns; /* runs.h: what is far in time is rounded */
        assert_true((a > b ? a - b : b - a) <= w->t.now.ns >> 18);
        expected.oldest_ready = got.oldest_ready;
        assert_memory_equal(&got, &expected, sizeof got);
    }
}

static void step(struct world *w)
{
    int q = (int)prng_below(&w->prng, ORACLE_QUEUES);
    switch (prng_below(&w->prng, 16)) {
    case 0:
        if (prng_chance(&w->prng, 30))
            create(w, q);
        return;
    case 1:
        if (prng_chance(&w->prng, 5))
            drop(w, q);
        return;
    case 2:
        if (prng_chance(&w->prng, 3))
            restart(w);
        return;
    case 3:
    case 4:
        pass(w);
        return;
    case 5:
    case 6:
    case 7:
    case 8:
        put(w, q);
        return;
    case 9:
    case 10:
    case 11:
        take(w, q);
        return;
    default:
        finish(w);
    }
}

TEST(oracle, agrees_with_every_answer_of_long_random_lives)
{
    static struct world w;
    uint64_t answers[128] = {0};
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        memset(&w, 0, sizeof w);
        w.prng = prng_seed(seed, 0);
        twin_open(&w.t, QUEUES_MAX, SLOTS, CHUNKS);
        w.o = (struct oracle){.queues_max = QUEUES_MAX,
                              .slots_max = SLOTS,
                              .lease_min = w.t.limits.lease_min,
                              .lease_max = w.t.limits.lease_max,
                              .delay_max = w.t.limits.delay_max};
        for (int i = 0; i < STEPS; i++) {
            step(&w);
            compare_stats(&w);
        }
        twin_close(&w.t);
        for (int s = 0; s < 128; s++)
            answers[s] += w.answers[s];
    }
    static const enum leat_status expected[] = {LEAT_OK,          LEAT_EMPTY,         LEAT_NO_QUEUE,
                                                LEAT_BAD_VALUE,   LEAT_STALE_RECEIPT, LEAT_QUEUE_EXISTS,
                                                LEAT_QUEUES_FULL, LEAT_QUEUE_IN_USE,  LEAT_LEASES_FULL};
    for (unsigned i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_true(answers[expected[i]] > 20);
    assert_true(mark_count("lease_started_again") > 0);
    assert_true(mark_count("queue_freed") > 0);
}
