/* lease_cycle.c - what a lease costs: K1 of the goals, with so many others alive.
 *
 * Two loops. The wheel alone: a lease is armed, given up silently, its slot armed again; what fires is armed anew. The
 * engine: a take (plan, apply) and the ack of another, randomly chosen lease (plan with the receipt's check, apply),
 * wheel and counters included; only the puts and the choosing are not measured.
 *
 * Log time passes by one microsecond per lease, so that a wheel of leases of 30 s has its share of firing in every
 * number: a million leases a second. Work comes in bursts of 32, as it comes from a port.
 *
 * One line of JSON per number: {"name":"K1","live":100000,"ns":..}. Usage: lease_cycle [LIVE...] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "apply.h"
#include "must.h"
#include "plan.h"
#include "prng.h"

enum { BURST = 32, WHEEL_SLOTS = 10500000, ROUNDS_MIN = 4000000 };

/* What was done before has reached its caches: a miss of the preparation must not be paid in the measured part. */
static uint64_t now_ns(void)
{
    struct timespec t;
    __sync_synchronize();
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void print(const char *name, uint32_t live, uint64_t ns, uint64_t leases)
{
    printf("{\"name\":\"%s\",\"live\":%u,\"ns\":%.1f}\n", name, live, (double)ns / (double)leases);
    fflush(stdout);
}

static void wheel_alone(uint32_t live)
{
    static struct wheel w;
    const struct duration lease = duration_s(30);
    struct prng prng = prng_seed(1, 0);
    struct instant now = {1000000000};
    must(wheel_open(&w, WHEEL_SLOTS, now) == LEAT_OK);
    struct instant *due = malloc(live * sizeof *due);
    must(due != NULL);
    for (uint32_t i = 0; i < live; i++)
        wheel_arm(&w, i, due[i] = instant_add(now, (struct duration){prng_below(&prng, lease.ns)}));
    uint64_t rounds = ROUNDS_MIN + live, spent = 0;
    uint32_t slots[BURST];
    for (uint64_t n = 0; n < rounds; n += BURST) {
        for (unsigned k = 0; k < BURST; k++) {
            slots[k] = (uint32_t)prng_below(&prng, live);
            due[slots[k]] = instant_add(now, lease); /* the message's own slot: an ack touches it in any case */
        }
        uint64_t start = now_ns();
        for (unsigned k = 0; k < BURST; k++)
            wheel_arm(&w, slots[k], instant_add(now, lease));
        now.ns += BURST * 1000;
        for (uint32_t slot; (slot = wheel_fire(&w, now)) != SLAB_NONE;)
            wheel_arm(&w, slot, due[slot].ns > now.ns ? due[slot] : instant_add(now, lease));
        spent += now_ns() - start;
    }
    print("K1_wheel", live, spent, rounds);
    free(due);
    wheel_close(&w);
}

struct bench {
    struct engine e;
    struct plan_limits limits;
    struct queue_ref queue;
    struct instant now;
    uint64_t block;
    uint8_t (*receipts)[RECEIPT_BYTES]; /* of the live leases */
    struct fact fact; /* here and not on the stack, where the compiler would clear its 256 bytes each time */
    struct apply_effect effect;
};

static void apply(struct bench *b, struct fact *f)
{
    f->at = b->now;
    f->lsn = lsn_make(++b->block, 0);
    f->place = 64;
    apply_fact(&b->e, f, &b->effect);
}

static void open_bench(struct bench *b, uint32_t live)
{
    struct engine_capacity capacity = {16, WHEEL_SLOTS, 1024};
    memset(b, 0, sizeof *b);
    b->now.ns = 1000000000;
    b->limits = (struct plan_limits){.body_max = 1000, .lease_min = duration_ms(1), .lease_max = duration_s(43200)};
    b->limits.epoch = 1;
    must(engine_open(&b->e, &capacity, b->now) == LEAT_OK);
    b->receipts = malloc((size_t)live * RECEIPT_BYTES);
    must(b->receipts != NULL);
    struct request create = {.op = OP_QUEUE_CREATE};
    struct fact f;
    must(name_set(&create.name, "jobs", 4));
    must(plan_queue_create(&b->e, &b->limits, &create, &f) == LEAT_OK);
    apply(b, &f);
    b->queue = (struct queue_ref){f.queue.number, f.queue.incarnation};
}

static void put(struct bench *b)
{
    static const struct request_put_entry entry = {.delay = {0}};
    struct fact f;
    must(plan_put(&b->e, &b->limits, b->queue, &entry, b->now, &f) == LEAT_OK);
    apply(b, &f);
}

static void make_receipt(const struct bench *b, const struct fact_leased *l, uint8_t out[RECEIPT_BYTES])
{
    struct receipt r = {.id = {.epoch = 1, .lsn = l->message}, .slot = l->slot, .generation = l->generation};
    r.epoch = l->epoch;
    r.incarnation = b->queue.incarnation;
    r.hash = receipt_hash(&r, b->limits.key);
    receipt_encode(out, &r);
}

static void take(struct bench *b, struct duration lease, struct fact *f)
{
    must(plan_take(&b->e, &b->limits, b->queue, lease, b->now, f) == LEAT_OK);
    apply(b, f);
}

static void finish(struct bench *b, uint8_t op, const uint8_t receipt[RECEIPT_BYTES], struct duration time)
{
    must(plan_finish(&b->e, &b->limits, op, b->queue, receipt, time, b->now, &b->fact) == LEAT_OK);
    apply(b, &b->fact);
}

/* So many leases, whose entries in the wheel fire over the next 30 seconds, before they are due: as in a broker that
 * has run for a while. */
static void fill(struct bench *b, uint32_t live, struct prng *prng)
{
    struct fact f;
    for (uint32_t i = 0; i < live; i++) {
        put(b);
        take(b, duration_ms(1 + prng_below(prng, 30000)), &f);
        make_receipt(b, &f.leased, b->receipts[i]);
        finish(b, OP_EXTEND, b->receipts[i], duration_s(60));
    }
}

static void pass(struct bench *b)
{
    struct fact f;
    struct instant again;
    b->now.ns += BURST * 1000;
    for (uint32_t slot; (slot = wheel_fire(&b->e.wheel, b->now)) != SLAB_NONE;) {
        if (plan_due(&b->e, slot, b->now, &f, &again))
            apply(b, &f);
        wheel_arm(&b->e.wheel, slot, again);
    }
}

static void whole_engine(uint32_t live)
{
    static struct bench b;
    struct prng prng = prng_seed(2, 0);
    struct fact taken[BURST];
    uint8_t acked[BURST][RECEIPT_BYTES];
    const uint8_t *burst[BURST];
    uint32_t chosen[BURST];
    open_bench(&b, live);
    fill(&b, live, &prng);
    uint64_t rounds = ROUNDS_MIN + live, taking = 0, acking = 0, passing = 0;
    for (uint64_t n = 0; n < rounds; n += BURST) {
        for (unsigned k = 0; k < BURST; k++) {
            put(&b);
            /* Neighbours in the array have nothing in common: no two of a burst may be the same. */
            chosen[k] = (uint32_t)(prng_below(&prng, live / BURST) * BURST + k);
            memcpy(acked[k], b.receipts[chosen[k]], RECEIPT_BYTES);
            burst[k] = acked[k];
        }
        uint64_t t0 = now_ns();
        plan_ahead(&b.e, burst, BURST);
        for (unsigned k = 0; k < BURST; k++)
            finish(&b, OP_ACK, acked[k], duration_s(0));
        uint64_t t1 = now_ns();
        for (unsigned k = 0; k < BURST; k++)
            take(&b, duration_s(0), &taken[k]);
        uint64_t t2 = now_ns();
        pass(&b);
        passing += now_ns() - t2;
        taking += t2 - t1;
        acking += t1 - t0;
        for (unsigned k = 0; k < BURST; k++)
            make_receipt(&b, &taken[k].leased, b.receipts[chosen[k]]);
    }
    print("K1_take", live, taking, rounds);
    print("K1_ack", live, acking, rounds);
    print("K1_pass", live, passing, rounds);
    print("K1", live, taking + acking + passing, rounds);
    free(b.receipts);
    engine_close(&b.e);
}

int main(int argc, char **argv)
{
    static const uint32_t usual[] = {100000, 10000000};
    for (int i = 0; i < (argc > 1 ? argc - 1 : 2); i++) {
        uint32_t live = argc > 1 ? (uint32_t)strtoul(argv[i + 1], NULL, 10) : usual[i];
        if (live < BURST || live > WHEEL_SLOTS - BURST) {
            fprintf(stderr, "lease_cycle: LIVE must be from %d to %d\n", BURST, WHEEL_SLOTS - BURST);
            return 64;
        }
        wheel_alone(live);
        whole_engine(live);
    }
    return 0;
}
