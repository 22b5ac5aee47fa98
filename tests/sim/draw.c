/* draw.c - see draw.h. Small sizes on purpose: limits are reached, segments are recycled, and a seed touches little
 * memory. */
#include "draw.h"

#include <stdio.h>
#include <string.h>

#include "must.h"

#define PICK(prng, ...)                                                                                                \
    ((const uint64_t[]){__VA_ARGS__}[prng_below((prng), sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))])

static uint64_t between(struct prng *p, uint64_t low, uint64_t high)
{
    return low + prng_below(p, high - low + 1);
}

static void draw_broker(struct draw *d, struct prng *p)
{
    struct shard_config *c = &d->broker;
    shard_defaults(c);
    uint64_t block = PICK(p, 16384, 32768, 65536, 131072);
    c->engine.queues = (uint32_t)PICK(p, 32, 64);
    c->engine.slots = (uint32_t)PICK(p, 64, 256, 1024);
    c->engine.ready_chunks = (uint32_t)PICK(p, 24, 64, 128);
    c->sessions = (uint32_t)PICK(p, 16, 64);
    c->window = (uint16_t)PICK(p, 8, 16, 64);
    c->body_max = (uint32_t)PICK(p, 64, 500, 1000, block / 8);
    c->durability = (uint8_t)PICK(p, CLASS_DISK, CLASS_DISK, CLASS_DISK, CLASS_MEMORY);
    c->session_timeout = duration_ms(PICK(p, 20, 50, 300, 5000, 60000));
    c->wait_max = duration_s(20);
    c->buffer_max = 16u << 20; /* a take of BATCH_MAX cold messages needs 10 MiB */
    c->journal.block_bytes_max = (uint32_t)block;
    c->journal.segment_bytes = block * PICK(p, 2, 3, 4, 8);
    c->journal.depth = (uint32_t)PICK(p, 1, 2, 3, 4, 8);
    c->journal.hot_bytes = (c->journal.depth + PICK(p, 2, 3, 6)) * block;
    c->journal.disk_max = 32 * c->journal.segment_bytes;
    c->journal.ack_reserve = (uint32_t)(block / 8);
    d->tight = PICK(p, 4, 5, 8);
    c->checkpoint_bytes = PICK(p, 4096, block, c->journal.segment_bytes, 4 * c->journal.segment_bytes);
    c->journal.clean_above = (uint32_t)PICK(p, 0, 0, 1, 4);
    d->body_max = c->body_max;
    d->step_ns = (uint32_t)PICK(p, 500, 2000, 20000);
}

/* Long logs: segments as large as a broker's own, and dead ones that stay for those who read the log. */
static void draw_log(struct draw *d, struct prng *p)
{
    struct journal_config *c = &d->broker.journal;
    if (prng_chance(p, 5)) {
        c->segment_bytes = PICK(p, 4u << 20, 16u << 20, 64u << 20);
        c->disk_max = 32 * c->segment_bytes;
    }
    if (prng_chance(p, 20))
        c->history_bytes = c->segment_bytes * PICK(p, 1, 3, 10);
}

static void draw_net(struct draw *d, struct prng *p)
{
    d->net_us = (uint32_t)PICK(p, 1, 20, 200, 2000);
    d->net_jitter_us = (uint32_t)PICK(p, 0, 5, 100, 1000);
    d->datagram_max = (uint32_t)PICK(p, 1232, 1472, 8192, 65536);
    d->link_bytes = (uint32_t)PICK(p, 1, 16384, 262144, 262144);
    d->loss = (uint8_t)PICK(p, 1, 5, 20);
    d->repeat = (uint8_t)PICK(p, 1, 10, 30);
    d->reorder = (uint8_t)PICK(p, 1, 3, 10); /* pieces of a request must arrive in order */
    d->corrupt = (uint8_t)PICK(p, 1, 5);
    d->replay = (uint8_t)PICK(p, 1, 5);
    d->lag = (uint8_t)PICK(p, 1, 3);
    d->net_tail = (uint32_t)PICK(p, 0, 0, 20, 50);
}

static void draw_disk(struct draw *d, struct prng *p)
{
    d->disk_us = (uint32_t)PICK(p, 10, 50, 200, 2000);
    d->disk_jitter_us = (uint32_t)PICK(p, 0, 20, 500);
    d->disk_volatile = prng_chance(p, 80);
    d->disk_durable_writes = prng_chance(p, 50);
    d->disk_spike_permille = (uint32_t)PICK(p, 2, 10, 50);
    d->disk_spike_ms = (uint32_t)PICK(p, 20, 300, 3000);
    d->lies = (uint32_t)PICK(p, 20, 200);
}

static void draw_queues(struct draw *d, struct prng *p)
{
    d->queues = (unsigned)PICK(p, 1, 2, 3, 5, 12, DRAW_QUEUES_MAX);
    if (d->broker.engine.queues < 2 * d->queues) /* those that were dropped and are not yet gone */
        d->broker.engine.queues = 2 * d->queues;
    d->drops = prng_chance(p, 30);
    d->by_name = !d->drops && prng_chance(p, 50);
    for (unsigned i = 0; i < d->queues; i++) {
        struct draw_queue *q = &d->queue[i];
        char name[16];
        must(name_set(&q->name, name, (size_t)snprintf(name, sizeof name, "q%u", i)));
        q->attributes = (struct queue_attributes){
            .lease = duration_us(PICK(p, 1000, 5000, 20000, 200000, 1000000, 30000000, 43200000000)),
            .delay = duration_us(PICK(p, 0, 0, 0, 1000, 50000)),
            .max_attempts = (uint32_t)PICK(p, 0, 0, 1, 2, 3, 10),
            .body_max = (uint32_t)PICK(p, 0, 0, d->body_max / 2),
            .durability = (uint8_t)PICK(p, CLASS_DEFAULT, CLASS_DISK, CLASS_DISK, CLASS_MEMORY)};
        if (i > 0 && prng_chance(p, 60)) /* chains lead to queues made before */
            q->attributes.dead_letter = d->queue[prng_below(p, i)].name;
    }
}

static void draw_actor(const struct draw *d, struct draw_actor *a, struct prng *p, unsigned role)
{
    *a = (struct draw_actor){
        .link = (uint8_t)PICK(p, LINK_STREAM, LINK_UDP, LINK_LOCAL),
        .window = (uint16_t)PICK(p, 8, 16, 64),
        .think_us = (uint32_t)PICK(p, 0, 10, 200, 3000),
        .looks = (uint8_t)PICK(p, 0, 2, 10),
        .put_batch = (uint16_t)PICK(p, 1, 1, 5, 20, 100),
        .take_batch = (uint16_t)PICK(p, 1, 1, 5, 30, 1000),
        .finish_batch = (uint16_t)PICK(p, 1, 5, 30),
        .hold_us = (uint32_t)PICK(p, 0, 100, 2000, 20000, 300000),
        .nack = (uint8_t)PICK(p, 0, 5, 30),
        .extend = (uint8_t)PICK(p, 0, 5, 20),
        .forget = (uint8_t)PICK(p, 0, 2, 20),
        .twice = (uint8_t)PICK(p, 0, 5, 20),
        .late = (uint8_t)PICK(p, 0, 5, 20),
        .delayed = (uint8_t)PICK(p, 0, 10, 40),
        .memory = (uint8_t)PICK(p, 0, 0, 10, 50),
        .over = (uint8_t)PICK(p, 0, 1, 3),
        .waits = (uint8_t)PICK(p, 0, 50, 100),
    };
    a->puts = (uint8_t)(role == 0 ? 90 : role == 1 ? 0 : 50);
    a->takes = (uint8_t)(role == 0 ? 0 : role == 1 ? 90 : 50);
    if (d->datagram_max > FRAME_MAX)
        a->link = LINK_STREAM;
}

static void draw_actors(struct draw *d, struct prng *p)
{
    d->actors = (unsigned)between(p, 2, DRAW_ACTORS_MAX);
    for (unsigned i = 0; i < d->actors; i++) /* one who puts, one who takes, and the rest as it comes */
        draw_actor(d, &d->actor[i], p, i < 2 ? i : (unsigned)prng_below(p, 3));
}

static void draw_copyist(struct draw *d, struct prng *p)
{
    d->copies = prng_chance(p, 30);
    d->copyist = (struct draw_actor){.window = WINDOW_MIN, .link = (uint8_t)PICK(p, LINK_STREAM, LINK_UDP, LINK_LOCAL)};
    d->copyist.think_us = (uint32_t)PICK(p, 1000, 100000, 3000000);
    if (d->datagram_max > FRAME_MAX)
        d->copyist.link = LINK_STREAM;
    uint32_t large = (uint32_t)PICK(p, 16384, 65536, 1048576), small = (uint32_t)PICK(p, 4096, 16384);
    d->copy_piece = d->copyist.link == LINK_UDP ? small : large;
}

static void draw_faults_of(struct draw *d, struct prng *p, uint32_t allowed, uint32_t forced)
{
    static const uint8_t percents[FAULTS] = {
#define FAULT(NAME, name, percent, help) (percent),
#include "fault_table.h"
#undef FAULT
    };
    uint32_t bits = 0;
    for (unsigned i = 0; i < FAULTS; i++)
        bits |= (uint32_t)prng_chance(p, percents[i]) << i;
    if (bits >> FAULT_ROT & 1)
        bits |= 1u << FAULT_POWER;
    if (!(bits >> FAULT_POWER & 1))
        bits |= 1u << FAULT_CRASH;
    while (__builtin_popcount(bits) < 3)
        bits |= 1u << prng_below(p, FAULTS);
    d->drift_ppm = (int32_t)PICK(p, 200, (uint64_t)-200, 50000, (uint64_t)-50000);
    d->buggify = (uint32_t)PICK(p, 1, 10, 40);
    d->faults = (bits & allowed) | forced;
    if (draw_has(d, FAULT_TIGHT))
        d->broker.journal.disk_max = d->tight * d->broker.journal.segment_bytes;
    d->crashes = (unsigned)between(p, 1, DRAW_CRASHES_MAX);
    for (unsigned i = 0; i < d->crashes; i++) {
        uint32_t at = d->operations * (i + 1) / (d->crashes + 1);
        d->crash_at[i] = at + (uint32_t)prng_below(p, d->operations / (d->crashes + 1) / 2 + 1);
    }
}

void draw_seed(struct draw *d, uint64_t seed, uint32_t operations, uint32_t allowed, uint32_t forced)
{
    memset(d, 0, sizeof *d);
    d->seed = seed;
    struct prng p = prng_seed(seed, STREAM_DRAW_BROKER);
    draw_broker(d, &p);
    p = prng_seed(seed, STREAM_DRAW_LOG);
    draw_log(d, &p);
    p = prng_seed(seed, STREAM_DRAW_NET);
    draw_net(d, &p);
    p = prng_seed(seed, STREAM_DRAW_DISK);
    draw_disk(d, &p);
    p = prng_seed(seed, STREAM_DRAW_QUEUES);
    draw_queues(d, &p);
    p = prng_seed(seed, STREAM_DRAW_ACTORS);
    draw_actors(d, &p);
    p = prng_seed(seed, STREAM_DRAW_COPYIST);
    draw_copyist(d, &p);
    p = prng_seed(seed, STREAM_DRAW_FAULTS);
    d->operations = (uint32_t)between(&p, 2000, 2200);
    d->operations = operations ? operations : d->operations;
    draw_faults_of(d, &p, allowed, forced);
}

const char *draw_fault_name(unsigned fault)
{
    static const char *const names[FAULTS] = {
#define FAULT(NAME, name, percent, help) #name,
#include "fault_table.h"
#undef FAULT
    };
    return names[fault];
}

bool draw_faults(const char *text, uint32_t *bits)
{
    *bits = strcmp(text, "all") == 0 ? (1u << FAULTS) - 1 : 0;
    if (*bits || strcmp(text, "none") == 0)
        return true;
    while (*text) {
        size_t n = strcspn(text, ",");
        unsigned i = 0;
        while (i < FAULTS && (strlen(draw_fault_name(i)) != n || strncmp(draw_fault_name(i), text, n) != 0))
            i++;
        if (i == FAULTS)
            return false;
        *bits |= 1u << i;
        text += n + (text[n] == ',');
    }
    return true;
}

void draw_fault_list(uint32_t bits, char *out, unsigned size)
{
    unsigned n = 0;
    out[0] = 0;
    for (unsigned i = 0; i < FAULTS; i++)
        if (bits >> i & 1 && n < size)
            n += (unsigned)snprintf(out + n, size - n, "%s%s", n ? "," : "", draw_fault_name(i));
    if (n == 0)
        snprintf(out, size, "none");
}
