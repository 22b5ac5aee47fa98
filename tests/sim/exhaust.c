/* exhaust.c - see exhaust.h. */
#include "exhaust.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check_broker.h"
#include "mark.h"
#include "must.h"

enum { EXHAUST_OPERATIONS = 40, EXHAUST_JOBS_MAX = 16 };

/* ---- recoveries ---- */

static uint64_t mix(uint64_t digest, uint64_t more)
{
    digest = (digest ^ more) * 0x9e3779b97f4a7c15ull;
    return digest ^ digest >> 29;
}

/* Of all that a recovery finds, but for the epoch and the time of its own. */
static uint64_t digest_of(const struct engine *e)
{
    uint64_t digest = e->queues.used;
    struct engine_walk walk = {0};
    for (struct message_body body; engine_walk(e, &walk, &body);)
        digest = mix(digest, body.lsn.n);
    for (uint32_t i = 0; i < e->slots.used; i++) {
        const struct message *m = engine_message_at(e, i);
        digest = mix(digest, (uint64_t)m->state << 32 | m->generation);
        if (m->state != MESSAGE_FREE)
            digest = mix(mix(digest, m->lsn.n), (uint64_t)m->queue << 32 | m->attempts);
    }
    for (uint32_t i = 0; i < e->queues.used; i++) {
        const struct queue *q = engine_queue_at(e, i);
        const struct queue_counters *c = &q->counters;
        digest = mix(mix(mix(digest, (uint64_t)q->state << 32 | q->incarnation), c->puts), c->acks);
        digest = mix(mix(digest, c->ready << 32 | c->leased), c->delayed << 32 | c->dead);
    }
    return digest;
}

/* Recovers, looks and closes. 0: the history has failed. */
static uint64_t recover(struct history *h, struct disk *d, const struct shard_config *c,
                        const struct shard_start *start)
{
    struct shard *shard;
    char error[256] = "";
    enum leat_status status = shard_open(&shard, c, d, start, error);
    if (status != LEAT_OK) {
        history_fail(h, "S2: the broker does not start: %s (%s)", status_name(status), error);
        return 0;
    }
    check_recovered(h, shard_engine(shard));
    check_counters(h, shard_engine(shard));
    uint64_t digest = digest_of(shard_engine(shard));
    shard_close(shard);
    return digest;
}

/* A recovery that ends at this event. */
static void recover_in_part(struct disk *d, const struct shard_config *c, const struct shard_start *start,
                            uint64_t event, bool power)
{
    struct shard *shard;
    char error[256];
    fake_disk_die(d, event);
    if (shard_open(&shard, c, d, start, error) == LEAT_OK)
        shard_close(shard);
    if (power)
        fake_disk_crash(d);
    else
        fake_disk_kill(d);
}

unsigned exhaust_recovery(struct history *h, const struct disk *d, const struct shard_config *c,
                          const struct shard_start *start, bool settled)
{
    struct disk *copy = fake_disk_clone(d);
    uint64_t before = fake_disk_events(copy);
    uint64_t digest = recover(h, copy, c, start);
    uint64_t events = fake_disk_events(copy) - before;
    fake_disk_close(copy);
    unsigned n = 0;
    for (; n < events && !h->failed; n++) {
        copy = fake_disk_clone(d);
        recover_in_part(copy, c, start, n, settled);
        if (n % 3 == 0)
            recover_in_part(copy, c, start, n / 2, settled);
        mark(sim_recovery_cut);
        uint64_t found = recover(h, copy, c, start);
        if (!h->failed && found != digest)
            history_fail(h, "S3: a recovery that was cut at its event %u has changed what the next one finds", n);
        fake_disk_close(copy);
    }
    return n + 1;
}

/* ---- runs ---- */

struct exhaust {
    struct world *w;
    struct world_options o;
    uint64_t events, replies;
    uint64_t cuts, recoveries, failed;
};

static void one(struct exhaust *x, struct world_cut cut)
{
    struct world_options o = x->o;
    o.cut = cut;
    bool good = world_run(x->w, &o);
    x->cuts++;
    x->recoveries += x->w->recoveries;
    if (good)
        return;
    x->failed++;
    printf("seed %llu, %s after %s %llu, failed: %s\n", (unsigned long long)o.seed, cut.power ? "power cut" : "crash",
           cut.io ? "event" : "reply", (unsigned long long)(cut.io ? cut.io : cut.reply), x->w->history.text);
}

/* A child: every jobs-th crash point. */
static void share(struct exhaust *x, unsigned job, unsigned jobs, int end)
{
    for (uint64_t i = job; i < 2 * (x->events + x->replies); i += jobs) {
        uint64_t at = i / 2 + 1;
        struct world_cut cut = {.power = i % 2 == 0};
        if (at <= x->events)
            cut.io = at;
        else
            cut.reply = at - x->events;
        one(x, cut);
    }
    uint64_t sum[3] = {x->cuts, x->recoveries, x->failed};
    must(write(end, sum, sizeof sum) == sizeof sum);
    fflush(stdout);
    _exit(0);
}

static void gather(struct exhaust *x, unsigned jobs)
{
    int ends[2];
    must(pipe(ends) == 0);
    fflush(stdout);
    for (unsigned i = 0; i < jobs; i++)
        if (fork() == 0)
            share(x, i, jobs, ends[1]);
    close(ends[1]);
    for (uint64_t sum[3]; read(ends[0], sum, sizeof sum) == sizeof sum;) {
        x->cuts += sum[0];
        x->recoveries += sum[1];
        x->failed += sum[2];
    }
    close(ends[0]);
    for (int status; wait(&status) > 0;)
        x->failed += status != 0;
}

bool exhaust_run(const struct runner_options *o)
{
    struct exhaust x = {.w = malloc(sizeof *x.w), .o = o->world};
    unsigned jobs = o->jobs < 1 ? 1 : o->jobs > EXHAUST_JOBS_MAX ? EXHAUST_JOBS_MAX : o->jobs;
    must(x.w != NULL);
    x.o.seed = o->first;
    x.o.operations = x.o.operations ? x.o.operations : EXHAUST_OPERATIONS;
    if (x.o.allowed == UINT32_MAX) /* one crash, and what a disk does every day */
        x.o.allowed = 1u << FAULT_SHORT_WRITE | 1u << FAULT_DISORDER;
    world_open(x.w);
    if (!world_run(x.w, &x.o)) {
        printf("seed %llu failed: %s\n0 passed, 1 failed\n", (unsigned long long)x.o.seed, x.w->history.text);
        return false;
    }
    x.events = x.w->disk_events;
    x.replies = x.w->replies;
    gather(&x, jobs);
    printf("seed %llu: %llu events of the disk, %llu replies, %llu recoveries\n%llu passed, %llu failed\n",
           (unsigned long long)x.o.seed, (unsigned long long)x.events, (unsigned long long)x.replies,
           (unsigned long long)x.recoveries, (unsigned long long)(x.cuts - x.failed), (unsigned long long)x.failed);
    world_close(x.w);
    free(x.w);
    return x.failed == 0 && x.cuts == 2 * (x.events + x.replies);
}
