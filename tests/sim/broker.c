/* broker.c - see broker.h. */
#include "broker.h"

#include <errno.h>
#include <string.h>

#include "buggify.h"
#include "exhaust.h"
#include "mark.h"
#include "must.h"
#include "world.h"

#define WALL_START 1700000000000000000ull /* UNIX time when the world begins */
#define A_LONG_WAY (UINT64_MAX / 2)

static void new_machine_life(struct broker *b)
{
    b->machine_start = b->w->now;
    b->boot_origin = 1000000000 + prng_below(&b->prng, 20000000000);
    for (unsigned i = 0; i < sizeof b->boot_id; i++)
        b->boot_id[i] = (uint8_t)prng_next(&b->prng);
}

static struct fake_disk_config disk_of(const struct draw *d)
{
    uint64_t spread = d->disk_jitter_us * (draw_has(d, FAULT_DISORDER) ? 4ull : 1);
    return (struct fake_disk_config){.seed = d->seed,
                                     .durable_writes = d->disk_durable_writes,
                                     .latency_min = duration_us(d->disk_us),
                                     .latency_max = duration_us(d->disk_us + spread),
                                     .short_percent = draw_has(d, FAULT_SHORT_WRITE) ? 10 : 0,
                                     .spike_permille = draw_has(d, FAULT_SPIKE) ? d->disk_spike_permille : 0,
                                     .spike_max = duration_ms(d->disk_spike_ms)};
}

void broker_open(struct broker *b, struct world *w)
{
    const struct draw *d = &w->draw;
    memset(b, 0, sizeof *b);
    rot_forget(&w->old);
    b->w = w;
    b->prng = prng_seed(d->seed, STREAM_BROKER);
    b->starts = prng_seed(d->seed, STREAM_STARTS);
    struct fake_disk_config config = disk_of(d);
    b->disk = fake_disk_open(&config);
    b->wake_at = UINT64_MAX;
    if (draw_has(d, FAULT_BUGGIFY))
        buggify_on(d->seed, d->buggify);
    else
        buggify_off();
    new_machine_life(b);
    broker_wake(b, w->now);
}

void broker_close(struct broker *b)
{
    if (b->shard)
        shard_close(b->shard);
    fake_disk_close(b->disk);
}

bool broker_up(const struct broker *b)
{
    return b->shard != NULL;
}

static struct instant boot_now(const struct broker *b)
{
    uint64_t passed = b->w->now - b->machine_start;
    if (draw_has(&b->w->draw, FAULT_DRIFT))
        passed = (uint64_t)((unsigned __int128)passed * (uint32_t)(1000000 + b->w->draw.drift_ppm) / 1000000);
    return (struct instant){b->boot_origin + passed};
}

static uint64_t wall_now(const struct broker *b)
{
    return WALL_START + b->wall_offset + b->w->now;
}

uint64_t broker_log(const struct broker *b)
{
    return b->shard ? shard_log_time(b->shard, boot_now(b)).ns : b->log_at_end;
}

uint64_t broker_lease_start(const struct broker *b, const uint8_t *receipt)
{
    struct receipt r;
    if (!b->shard || !receipt_decode(&r, receipt))
        return 0;
    const struct engine *e = shard_engine(b->shard);
    if (r.slot >= e->slots.used)
        return 0;
    const struct message *m = engine_message_at(e, r.slot);
    bool current =
        m->state == MESSAGE_LEASED && m->generation == r.generation && m->epoch == r.epoch && m->lsn.n == r.id.lsn.n;
    return current ? m->since.ns : 0;
}

bool broker_writes_in_flight(const struct broker *b)
{
    return fake_disk_under_way(b->disk) > 0;
}

void broker_wake(struct broker *b, uint64_t at)
{
    if (at >= b->wake_at)
        return;
    b->wake_at = at;
    agenda_add(&b->w->agenda, at, ENTRY_BROKER, 0, 0, NULL);
}

static void opened(struct broker *b)
{
    struct world *w = b->w;
    b->refusals = 0;
    bool last = w->cut.power && w->cut.io > fake_disk_events(b->disk); /* and the power goes at that very event */
    fake_disk_die(b->disk, last ? w->cut.io - fake_disk_events(b->disk) : A_LONG_WAY);
    fake_disk_fail(b->disk, DISK_READ, 0, 0);
    if (w->phase == PHASE_SAFETY && draw_has(&w->draw, FAULT_LIE)) {
        w->rotten = true;
        fake_disk_lie_reads(b->disk, w->draw.lies);
    }
    for (unsigned i = 0; i < 3; i++)
        shard_attach(b->shard, net_transport(&w->net, i));
    net_broker_back(&w->net);
    b->looks = 0;
    struct shard_counters c;
    shard_count(b->shard, &c);
    uint64_t log = broker_log(b);
    struct seen_start start = {.world = w->now, .log = log, .boot = boot_now(b).ns};
    memcpy(start.boot_id, b->boot_id, sizeof start.boot_id);
    if (b->opened_before)
        check_log_time(&w->history, &b->last, &start);
    b->opened_before = true;
    b->last = start;
    w->stats.restarts++;
    world_trace(w, "broker is up: epoch %u, log time %.6f s, block %llu, %llu facts replayed", c.epoch,
                (double)log / 1e9, (unsigned long long)c.durable, (unsigned long long)c.replayed_facts);
    history_restarted(&w->history, c.epoch, world_stamp(w));
    check_recovered(&w->history, shard_engine(b->shard));
    check_counters(&w->history, shard_engine(b->shard));
    broker_wake(b, w->now + w->draw.step_ns);
}

/* Something has changed on the disk. Where the broker must refuse to start, it is asked to, and what was changed is
 * mended; true when this run has failed by it. What it need not mind stays as it is. */
static bool meet_rot(struct broker *b, const struct shard_start *s)
{
    struct world *w = b->w;
    struct rot rot;
    bool on = w->phase == PHASE_SAFETY && draw_has(&w->draw, FAULT_ROT) && b->settled;
    b->settled = false;
    if (!on)
        return false;
    rot_remember(&w->old, b->disk, &b->starts);
    if (!prng_chance(&b->starts, 60) || fake_disk_lies(b->disk) > 0 || !rot_strike(&rot, b->disk, &b->starts, &w->old))
        return false;
    world_trace(w, "rot: %s, %s from byte %llu", rot_name(rot.kind), rot.file, (unsigned long long)rot.offset);
    b->unsure = b->w->rotten = true;
    if (!rot_must_be_refused(rot.kind))
        return false;
    char error[256] = "";
    struct shard *shard;
    fake_disk_fail(b->disk, DISK_READ, 0, 0);
    enum leat_status status = shard_open(&shard, &w->draw.broker, b->disk, s, error);
    world_trace(w, "broker meets it: %s (%s)", status_name(status), error);
    if (status == LEAT_OK)
        shard_close(shard);
    fake_disk_kill(b->disk);
    rot_mend(&rot, b->disk);
    if (status == LEAT_DISK_ERROR && b->failing)
        return false;
    if (status != LEAT_CORRUPT)
        history_fail(&w->history, "P2: %s (%s from byte %llu, block %llu), and the broker says %s", rot_name(rot.kind),
                     rot.file, (unsigned long long)rot.offset, (unsigned long long)rot.block, status_name(status));
    else if (!rot_is_named(&rot, error))
        history_fail(&w->history, "P2: %s (%s from byte %llu, block %llu), and the broker says: %s", rot_name(rot.kind),
                     rot.file, (unsigned long long)rot.offset, (unsigned long long)rot.block, error);
    return w->history.failed;
}

/* What lies have left on the disk stays, if a broker alone can survive it or notice it. */
static void keep_lies(struct broker *b)
{
    if (fake_disk_lies(b->disk) == 0)
        return;
    fake_disk_settle(b->disk);
    if (b->w->phase == PHASE_SAFETY && rot_can_be_known(b->disk))
        return;
    mark(sim_lie_mended);
    fake_disk_show(b->disk, true);
    fake_disk_forget_lies(b->disk);
}

/* What a start is told of the world. */
static struct shard_start circumstances(struct broker *b)
{
    struct shard_start s = {.boot = boot_now(b), .wall_ns = wall_now(b)};
    memcpy(s.boot_id, b->boot_id, sizeof s.boot_id);
    for (unsigned i = 0; i < sizeof s.entropy; i++)
        s.entropy[i] = (uint8_t)prng_next(&b->prng);
    return s;
}

/* Faults that strike a broker while it recovers. */
static void disturb(struct broker *b)
{
    struct world *w = b->w;
    if (w->phase != PHASE_SAFETY || b->refusals > 5)
        return;
    if (draw_has(&w->draw, FAULT_RELAPSE) && prng_chance(&b->prng, 50))
        fake_disk_die(b->disk, prng_below(&b->prng, 80));
    if (draw_has(&w->draw, FAULT_READ_ERROR) && prng_chance(&b->starts, 40)) {
        b->unsure = b->w->rotten = true;
        fake_disk_fail(b->disk, DISK_READ, 1 + (uint32_t)prng_below(&b->starts, 30), -EIO);
    }
}

/* It did not start: whether that may be, and what then. */
static void refused(struct broker *b, enum leat_status status, const char *error)
{
    struct world *w = b->w;
    bool lied = fake_disk_lies(b->disk) > 0, dead = fake_disk_dead(b->disk);
    world_trace(w, "broker does not start: %s (%s)", status_name(status), error);
    bool excused = dead || (status == LEAT_NO_SPACE && w->phase == PHASE_SAFETY) ||
                   (status == LEAT_DISK_ERROR && b->failing) || (status == LEAT_CORRUPT && (lied || b->unsure));
    b->refusals += status != LEAT_NO_SPACE; /* that may last as long as others fill the disk */
    if (!excused || b->refusals > 20)
        return history_fail(&w->history, "S2: the broker does not start: %s (%s)", status_name(status), error);
    if (status == LEAT_CORRUPT && lied && !dead) {
        mark(sim_lie_refused);
        if (!rot_lie_is_named(b->disk, error))
            return history_fail(&w->history, "P2: the disk lied, and elsewhere the broker finds: %s", error);
        fake_disk_show(b->disk, true);
        fake_disk_forget_lies(b->disk);
    }
    if (status == LEAT_NO_SPACE && b->refusals == 3) { /* the operator reads the sentence and makes room */
        mark(sim_room_made);
        fake_disk_resize(b->disk, 0);
        fake_disk_create_fail(b->disk, 0);
    }
    mark(sim_crash_in_recovery);
    if (dead || b->failing)
        fake_disk_crash(b->disk);
    else
        fake_disk_kill(b->disk);
    b->failing = b->flush_failed = false;
    broker_wake(b, w->now + 10000000);
}

static void start(struct broker *b)
{
    struct world *w = b->w;
    if (b->reboots)
        new_machine_life(b);
    b->reboots = false;
    struct shard_start s = circumstances(b);
    bool settled = b->settled;
    keep_lies(b);
    if (meet_rot(b, &s))
        return;
    if (b->tried) {
        b->tried = false;
        w->recoveries += exhaust_recovery(&w->history, b->disk, &w->draw.broker, &s, settled);
    }
    disturb(b);
    char error[256] = "";
    enum leat_status status = shard_open(&b->shard, &w->draw.broker, b->disk, &s, error);
    if (status == LEAT_OK && !fake_disk_dead(b->disk))
        return opened(b);
    if (status == LEAT_OK) {
        shard_close(b->shard);
        b->shard = NULL;
    }
    refused(b, status, error);
}

void broker_end(struct broker *b, enum broker_end how, uint64_t start_at)
{
    static const char *const names[] = {"process crash", "power cut", "stopped", "disk error"};
    struct world *w = b->w;
    if (!b->shard)
        return;
    bool torn = broker_writes_in_flight(b);
    world_trace(w, "broker ends: %s%s", names[how], torn ? " with writes in flight" : "");
    b->log_at_end = broker_log(b);
    w->stats.crashes += how == END_CRASH || how == END_POWER;
    w->stats.torn_crashes += torn && (how == END_CRASH || how == END_POWER);
    if (how != END_STOP) {
        fake_disk_die(b->disk, 0); /* a process that dies does not tidy up */
        history_crash(&w->history, world_stamp(w));
    }
    shard_close(b->shard);
    b->shard = NULL;
    b->stopping = false;
    b->paused_until = 0;
    if (how == END_POWER || (how == END_DISK && b->flush_failed))
        fake_disk_crash(b->disk);
    else
        fake_disk_kill(b->disk);
    b->settled = how == END_POWER;
    b->failing = b->flush_failed = false;
    b->reboots = how == END_POWER && draw_has(&w->draw, FAULT_REBOOT);
    net_broker_gone(&w->net);
    b->wake_at = UINT64_MAX;
    broker_wake(b, start_at);
}

void broker_stop(struct broker *b)
{
    if (!b->shard)
        return;
    world_trace(b->w, "broker is told to stop");
    b->stopping = true;
    shard_stop(b->shard);
    broker_wake(b, b->w->now);
}

void broker_pause(struct broker *b, uint64_t until)
{
    if (b->shard)
        b->paused_until = until;
}

void broker_step_wall(struct broker *b, int64_t ns)
{
    world_trace(b->w, "the wall clock steps by %.3f s", (double)ns / 1e9);
    b->wall_offset += (uint64_t)ns;
}

void broker_fail_disk(struct broker *b, enum disk_kind kind, uint32_t countdown)
{
    world_trace(b->w, "the %uth %s from now fails", countdown, kind == DISK_FLUSH ? "flush" : "write");
    b->failing = true;
    b->flush_failed |= kind == DISK_FLUSH;
    fake_disk_fail(b->disk, kind, countdown, -EIO);
}

static uint64_t world_of(const struct broker *b, struct instant boot)
{
    if (boot.ns == UINT64_MAX)
        return UINT64_MAX;
    struct instant now = boot_now(b);
    return b->w->now + instant_since(boot, now).ns;
}

/* Nothing happened: when to look again. What is due and yet nothing happens waits for the disk. */
static void sleep(struct broker *b)
{
    uint64_t now = b->w->now, soon = now + b->w->draw.step_ns, later = soon + 1000000;
    bool quiet = shard_arm(b->shard);
    shard_disarm(b->shard);
    uint64_t at = world_of(b, shard_next_due(b->shard));
    if (!quiet || at <= now)
        at = later;
    uint64_t disk = fake_disk_next_due(b->disk).ns;
    at = disk < at ? disk : at;
    broker_wake(b, at < soon ? soon : at);
}

/* The cleaner comes last in a step: what it saw is what stands there now. And no body that lives is wrong unless
 * the disk has lied or rotted. */
static void check_bodies(struct broker *b)
{
    struct shard_counters c;
    if (b->w->rotten)
        return;
    shard_count(b->shard, &c);
    if (c.corrupt_bodies + c.journal.cleanings_given_up > 0)
        history_fail(&b->w->history, "P2: %llu bodies of live messages and %llu runs of the cleaner were wrong",
                     (unsigned long long)c.corrupt_bodies, (unsigned long long)c.journal.cleanings_given_up);
    /* A cleaner that reads lies gives up, segments left early are not full, and one without a spare must wait. */
    static const enum fault excuses[] = {FAULT_BUGGIFY, FAULT_FULL, FAULT_NO_SPACE, FAULT_TIGHT};
    bool excused = false;
    for (unsigned i = 0; i < sizeof excuses / sizeof excuses[0]; i++)
        excused |= draw_has(&b->w->draw, excuses[i]);
    if (c.journal.clean_looks == b->looks || excused)
        return;
    b->looks = c.journal.clean_looks;
    check_disk(&b->w->history, &b->w->draw.broker.journal, &c.journal);
}

void broker_run(struct broker *b)
{
    struct world *w = b->w;
    b->wake_at = UINT64_MAX;
    if (!b->shard)
        return start(b);
    if (b->paused_until > w->now)
        return broker_wake(b, b->paused_until);
    fake_disk_step(b->disk, (struct instant){w->now});
    unsigned n = shard_step(b->shard, boot_now(b));
    check_bodies(b);
    if (shard_error(b->shard) != LEAT_OK) {
        mark(sim_disk_error_ends_broker);
        return broker_end(b, END_DISK, w->now + 50000000);
    }
    if (b->stopping && shard_stopped(b->shard))
        return broker_end(b, END_STOP, w->now + 5000000);
    if (n > 0)
        broker_wake(b, w->now + w->draw.step_ns);
    else
        sleep(b);
}
