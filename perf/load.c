/* load.c - the loop of a measurement. What a step asks and what its answer means: load_step.c. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "load_step.h"
#include "raw.h"

enum { READY_SECONDS = 5, SETTLE_SECONDS = 10, FILL_BATCH = 500, IDLE_MS = 1, BYE_SECONDS = 1 };

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Starts as many cycles as are due and find a free slot. */
static void start_cycles(struct load *l, struct instant now)
{
    for (unsigned i = 0; i < l->sources; i++)
        while (!l->stopping && l->free_count[i] > 0 && load_step_wanted(l)) {
            uint64_t due = now.ns;
            if (l->o->rate > 0 && !pace_take(&l->pace, now.ns < l->end_ns ? now.ns : l->end_ns - 1, &due))
                return;
            load_step_start(l, i, due);
        }
}

/* One turn of every connection; how much came in. */
static int turn(struct load *l)
{
    int came = 0;
    for (unsigned i = 0; i < l->lanes; i++)
        came += lane_in(&l->lane[i]);
    struct instant now = lane_now();
    for (unsigned i = 0; i < l->lanes; i++) {
        struct client_result r;
        while (client_result(l->lane[i].client, &r))
            load_step_result(l, i, &r, now);
    }
    start_cycles(l, now);
    for (unsigned i = 0; i < l->lanes; i++)
        lane_out(&l->lane[i], now);
    return came;
}

static void sleep_if_idle(struct load *l, int came)
{
    if (came > 0 || l->o->spin)
        return;
    if (l->lanes > 1) { /* one thread cannot sleep in several links at once */
        for (unsigned i = 0; i < l->lanes; i++)
            lane_wait(&l->lane[i], 0);
        return;
    }
    uint64_t now = lane_now().ns, next = l->o->rate > 0 ? pace_next(&l->pace) : now + IDLE_MS * 1000000ull;
    if (next > now)
        lane_wait(&l->lane[0], (unsigned)((next - now) / 1000000));
}

static void measure(struct load *l)
{
    struct load_result *r = l->result;
    uint64_t start = lane_now().ns, now = start;
    uint64_t from = start + (uint64_t)(l->o->warm_seconds * 1e9);
    double cpu = cpu_seconds();
    bool warm = l->o->workload == WORKLOAD_DRAIN;
    l->end_ns = from + (uint64_t)(l->o->seconds * 1e9);
    if (warm)
        from = start, l->end_ns = UINT64_MAX;
    l->counting = warm;
    if (l->o->rate > 0)
        l->pace = pace_start(start, l->o->rate);
    for (bool over = false; !over && !l->stopping;) {
        over = now >= l->end_ns; /* one turn more: what was due until the end */
        sleep_if_idle(l, turn(l));
        now = lane_now().ns;
        if (!load_step_wanted(l) && l->o->workload == WORKLOAD_PUT && !load_step_busy(l))
            l->stopping = true; /* all that were asked for */
        if (!warm && now >= from) {
            warm = l->counting = true;
            from = now;
            cpu = cpu_seconds();
        }
    }
    l->counting = false;
    uint64_t last = l->stopping && l->last_ns > from ? l->last_ns : now;
    r->seconds = (double)(last - from) / 1e9;
    r->cpu_seconds = cpu_seconds() - cpu;
    r->missed = l->o->rate > 0 ? pace_missed(&l->pace, l->end_ns) : 0;
}

/* No new cycles; waits for those under way. Parked takes of the consumer need not end. */
static bool settle(struct load *l)
{
    uint64_t end = lane_now().ns + SETTLE_SECONDS * 1000000000ull;
    l->stopping = true;
    while (load_step_busy(l))
        if (turn(l) == 0 && lane_now().ns > end)
            return false;
    return true;
}

/* Asks for something about our queue, and remembers its number. */
static enum leat_status queue_ask(struct load *l, uint8_t op, const struct queue_attributes *attributes)
{
    struct client_result r;
    struct reply_stat stat;
    uint32_t at = 0;
    struct client_op ask = {.request = {.op = op, .name = l->queue}};
    if (attributes)
        ask.request.attributes = *attributes;
    enum leat_status status = lane_call(&l->lane[0], &ask, &r);
    if (status == LEAT_OK && op != OP_QUEUE_DROP && reply_next_stat(&r.reply, &at, &stat))
        l->ref = stat.queue;
    return status;
}

/* The queue l->queue: new, or one that stays. */
static bool queue_make(struct load *l, char *why, size_t why_size)
{
    struct queue_attributes a = {.lease = duration_s(30), .durability = (uint8_t)l->o->durability};
    enum leat_status status = queue_ask(l, OP_QUEUE_CREATE, &a);
    if (l->o->queue.size > 0 && status == LEAT_QUEUE_EXISTS)
        status = queue_ask(l, OP_QUEUE_STAT, NULL);
    if (status == LEAT_OK)
        return true;
    snprintf(why, why_size, "cannot make the queue %.*s: %s", (int)l->queue.size, l->queue.text, status_text(status));
    return false;
}

static bool queues_make(struct load *l, char *why, size_t why_size)
{
    char name[sizeof l->queue.text + 16];
    bool good = true;
    l->queue = l->o->queue;
    if (l->queue.size == 0) {
        snprintf(name, sizeof name, "bench-%ld", (long)getpid());
        must(name_set(&l->queue, name, strlen(name)));
    }
    for (uint32_t i = 0; i < l->o->queues && good; i++) {
        if (l->o->queues > 1) {
            snprintf(name, sizeof name, "%.*s-%u", (int)l->o->queue.size, l->o->queue.text, i);
            must(name_set(&l->queue, name, strlen(name)));
        }
        good = queue_make(l, why, why_size);
        l->refs[i] = l->ref;
    }
    return good;
}

/* What `take` finds ready: put in large batches before the clock starts. */
static bool fill(struct load *l, char *why, size_t why_size)
{
    struct options put = *l->o;
    const struct options *kept = l->o;
    put.workload = WORKLOAD_PUT;
    put.batch = FILL_BATCH;
    while ((uint64_t)put.batch * (put.size + 128) > REQUEST_MAX / 2)
        put.batch /= 2;
    l->o = &put;
    load_step_shape(l);
    while (load_step_wanted(l))
        turn(l);
    bool settled = settle(l);
    l->o = kept;
    l->stopping = false;
    load_step_shape(l);
    if (settled && l->result->acknowledged >= put.messages)
        return true;
    snprintf(why, why_size, "only %llu of %llu messages could be put before the measurement",
             (unsigned long long)l->result->acknowledged, (unsigned long long)put.messages);
    return false;
}

static bool lanes_open(struct load *l, char *why, size_t why_size)
{
    const struct options *o = l->o;
    l->lanes = o->workload == WORKLOAD_DELIVERY ? 2 : o->lanes;
    l->sources = o->workload == WORKLOAD_DELIVERY ? 1 : o->lanes;
    for (unsigned i = 0; i < l->lanes; i++) {
        struct lane_options lane = {
            .target = o->target, .eal = o->eal, .window = WINDOW_MAX, .seed = lane_now().ns * 1000 + i};
        if (!lane_open(&l->lane[i], &lane) || !lane_ready(&l->lane[i], READY_SECONDS)) {
            snprintf(why, why_size, "no broker at %s: %.200s", o->address_text, l->lane[i].why);
            return false;
        }
    }
    return true;
}

static void lanes_close(struct load *l)
{
    uint64_t end = lane_now().ns + BYE_SECONDS * 1000000000ull;
    for (unsigned i = 0; i < l->lanes; i++) {
        struct lane *lane = &l->lane[i];
        struct client_counters c;
        if (!lane->client)
            continue;
        client_count(lane->client, &c);
        l->result->retries += c.retries;
        client_bye(lane->client);
        while (!client_finished(lane->client) && lane_now().ns < end && !load_step_parked(l, i)) {
            lane_out(lane, lane_now());
            lane_in(lane);
        }
        lane_close(lane);
    }
}

bool load_run(const struct options *o, struct load_result *result, char *why, size_t why_size)
{
    struct load *l = calloc(1, sizeof *l);
    memset(result, 0, sizeof *result);
    if (!l || !load_step_open(l, o, result)) {
        snprintf(why, why_size, "no memory for the load");
        free(l);
        return false;
    }
    bool good = lanes_open(l, why, why_size) && queues_make(l, why, why_size);
    good = good && (o->workload != WORKLOAD_TAKE || fill(l, why, why_size));
    if (good && o->raw) {
        good = raw_run(o, &l->lane[0], l->ref, result, why, why_size);
        lane_close(&l->lane[0]); /* its session has ended; the queue's end needs another */
        good = good && (o->keep || o->queue.size > 0 || lanes_open(l, why, why_size));
    } else if (good) {
        load_step_park(l);
        measure(l);
        good = settle(l);
        if (!good)
            snprintf(why, why_size, "the broker did not answer for %d s", SETTLE_SECONDS);
    }
    if (good && !o->keep && o->queue.size == 0)
        queue_ask(l, OP_QUEUE_DROP, NULL);
    lanes_close(l);
    load_step_close(l);
    free(l);
    return good;
}

uint64_t load_failed(const struct load_result *r)
{
    uint64_t n = 0;
    for (unsigned i = 1; i < LOAD_STATUSES; i++)
        n += r->failed[i];
    return n;
}
