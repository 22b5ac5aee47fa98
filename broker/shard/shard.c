/* shard.c - one iteration, and the life around it.
 *
 *   drain the ports -> let time pass -> serve the lines -> step the log -> release answers -> a piece of checkpoint
 *
 * Log time goes on by the difference of the boot clock; at a start it continues behind the newest fact: by the same
 * clock if the machine has not been booted since, else by the wall clock, and never backwards. */
#include "shard.h"

#include <stdio.h>
#include <stdlib.h>

#include "mark.h"
#include "stages.h"

enum { SHARD_BLOB = 48, SHARD_LEASES_KEPT = 1 << 20 };

void shard_defaults(struct shard_config *c)
{
    *c = (struct shard_config){
        .count = 1,
        .engine = {.queues = 16384, .slots = 1 << 20, .ready_chunks = 10000000 / RUNS_LEAST + 16384},
        .sessions = 4096,
        .window = WINDOW_MAX,
        .body_max = BODY_MAX,
        .durability = CLASS_DISK,
        .session_timeout = duration_s(60),
        .lease_min = duration_ms(1),
        .lease_max = duration_s(12 * 3600),
        .delay_max = duration_s(30 * 24 * 3600),
        .wait_max = duration_s(3600),
        .buffer_max = 64ull << 20,
        .journal = {.segment_bytes = 64ull << 20,
                    .block_bytes_max = 4u << 20,
                    .depth = 4,
                    .hot_bytes = 256ull << 20,
                    .disk_max = 16ull << 30,
                    .ack_reserve = 64 * 1024,
                    .clean_above = 4},
    };
}

/* -- the manifest's blob: capacities that facts depend on, and the key of receipts -- */

static void shard_blob_encode(const struct shard *s, uint8_t blob[SHARD_BLOB])
{
    memset(blob, 0, SHARD_BLOB);
    le32_put(blob, 1);
    le32_put(blob + 4, s->config.engine.queues);
    le32_put(blob + 8, s->config.engine.slots);
    le32_put(blob + 12, s->config.engine.ready_chunks);
    le32_put(blob + 16, s->config.sessions);
    le32_put(blob + 20, s->config.window);
    memcpy(blob + 32, s->limits.key, 16);
}

static enum leat_status shard_blob_check(struct shard *s, char error[256])
{
    uint8_t blob[JOURNAL_BLOB];
    uint32_t size = journal_blob(s->journal, blob);
    if (size == 0) {
        memcpy(s->limits.key, s->entropy, 16);
        return LEAT_OK;
    }
    if (size < SHARD_BLOB || le32_get(blob) != 1) {
        snprintf(error, 256, "the manifest's capacities have format %u, known is 1", le32_get(blob));
        return LEAT_TOO_NEW;
    }
    const struct engine_capacity was = {
        .queues = le32_get(blob + 4), .slots = le32_get(blob + 8), .ready_chunks = le32_get(blob + 12)};
    enum leat_status status = engine_capacity_holds(&was, &s->config.engine, error);
    if (status == LEAT_OK && s->config.sessions < le32_get(blob + 16))
        status = engine_capacity_say("sessions_max", le32_get(blob + 16), error);
    if (status == LEAT_OK && s->config.window < le32_get(blob + 20))
        status = engine_capacity_say("window", le32_get(blob + 20), error);
    if (status != LEAT_OK)
        return status;
    memcpy(s->limits.key, blob + 32, 16);
    return LEAT_OK;
}

/* -- opening -- */

static enum leat_status shard_memory(struct shard *s)
{
    const struct shard_config *c = &s->config;
    enum leat_status status = engine_open(&s->engine, &c->engine, INSTANT_ZERO);
    if (status == LEAT_OK)
        status = session_open_table(&s->sessions, c->sessions);
    if (status == LEAT_OK)
        status = desk_open(&s->desk, c->sessions, c->window, c->engine.queues, INSTANT_ZERO);
    if (status == LEAT_OK)
        status = leases_open(&s->leases, SHARD_LEASES_KEPT);
    if (status == LEAT_OK)
        status = stage_draw_open(s);
    if (status == LEAT_OK)
        status = stage_clean_open(s);
    s->image_more[0] = (struct image_slab){&s->sessions.sessions, "sessions_max"};
    s->wanted = calloc(c->engine.queues, sizeof *s->wanted);
    s->is_wanted = calloc(c->engine.queues, 1);
    s->image_chunk = malloc(STAGE_IMAGE_CHUNK);
    s->scratch = malloc(STAGE_OP_MAX);
    s->messages = calloc(BATCH_MAX, sizeof *s->messages);
    if (!s->wanted || !s->is_wanted || !s->image_chunk || !s->scratch || !s->messages)
        status = LEAT_NO_MEMORY;
    return status;
}

/* The log may have to wait for a segment that is being made: nothing else goes on meanwhile. */
static enum leat_status shard_epoch_log(struct shard *s, struct disk *d, struct fact *f)
{
    enum leat_status status;
    while ((status = stage_request_log(s, f, JOURNAL_START, false)) == LEAT_OVERLOADED) {
        mark(epoch_waits_for_room);
        disk_wait(d);
        replica_step(s->replica, s->boot_now);
        if (replica_error(s->replica) != LEAT_OK)
            return replica_error(s->replica);
    }
    return status;
}

/* Where log time goes on, and the fact that says so. */
static enum leat_status shard_epoch(struct shard *s, struct disk *d, const struct shard_start *start, char error[256])
{
    const struct engine_epoch *before = &s->engine.epoch;
    bool same = before->epoch != 0 && memcmp(before->boot_id, start->boot_id, sizeof start->boot_id) == 0 &&
                start->boot.ns >= before->boot.ns;
    struct instant log = s->engine.latest;
    if (same) {
        struct instant continued = instant_add(before->at, instant_since(start->boot, before->boot));
        log = instant_max(log, continued);
    } else if (before->epoch != 0) {
        uint64_t wall_then = before->wall_ns + instant_since(s->engine.latest, before->at).ns;
        uint64_t passed = start->wall_ns > wall_then ? start->wall_ns - wall_then : 0;
        log = instant_add(log, (struct duration){passed});
    } else {
        log = instant_max(log, (struct instant){1000000000});
    }
    s->boot_base = s->boot_now = start->boot;
    s->log_base = s->log_now = log;
    s->limits.epoch = journal_epoch(s->journal);
    s->counters.epoch = s->limits.epoch;
    struct fact f = {.kind = FACT_EPOCH,
                     .at = log,
                     .epoch = {.epoch = s->limits.epoch,
                               .same_boot = same || before->epoch == 0,
                               .boot = start->boot,
                               .wall_ns = start->wall_ns}};
    memcpy(f.epoch.boot_id, start->boot_id, sizeof start->boot_id);
    enum leat_status status = shard_epoch_log(s, d, &f);
    uint64_t segment = journal_counters(s->journal).segment_bytes;
    if (status == LEAT_NO_SPACE)
        snprintf(error, 256,
                 "the log has no room left to start in: it needs a segment of %lluK more, and the disk has %lluK free; "
                 "make room there, or raise disk_max where that is the limit",
                 (unsigned long long)segment / 1024, (unsigned long long)disk_free(d) / 1024);
    else if (status != LEAT_OK)
        snprintf(error, 256, "the log has no room for the fact of a new epoch: %s", status_text(status));
    return status;
}

/* Every session that lives gets its time to come back. */
static void shard_wait_for_sessions(struct shard *s)
{
    for (uint32_t i = 0; i < s->sessions.sessions.used; i++) {
        const struct session *session = slab_at(&s->sessions.sessions, i);
        if (!session->live)
            continue;
        desk_session(&s->desk, session->handle)->heard = s->log_now;
        stage_session_wait(s, session->handle);
    }
}

/* The segments are as large as when the directory was made, and a block is no larger than one. */
static enum leat_status shard_fits_blocks(const struct shard *s, char error[256])
{
    uint32_t most = journal_fact_max(s->journal);
    if (FACT_PUT_FIXED + s->config.body_max <= most)
        return LEAT_OK;
    snprintf(
        error, 256,
        "body_max is %u bytes, but a block of the log in this data directory, whose segments keep their size, has room "
        "for %u at most: lower body_max",
        s->config.body_max, most - FACT_PUT_FIXED);
    return LEAT_BAD_VALUE;
}

static enum leat_status shard_recover(struct shard *s, struct disk *d, const struct shard_start *start, char error[256])
{
    struct journal_config journal = s->config.journal;
    if (journal.entropy == 0)
        journal.entropy = le64_get(s->entropy + 8);
    enum leat_status status = replica_open(&s->replica, d, &journal, error);
    if (status != LEAT_OK)
        return status;
    s->journal = replica_journal(s->replica);
    status = shard_fits_blocks(s, error);
    if (status == LEAT_OK)
        status = shard_blob_check(s, error);
    if (status == LEAT_OK)
        status = stage_replay_run(s, error);
    if (status != LEAT_OK)
        return status;
    uint8_t blob[SHARD_BLOB];
    shard_blob_encode(s, blob);
    journal_set_blob(s->journal, blob, sizeof blob);
    status = replica_start(s->replica, error);
    if (status != LEAT_OK)
        return status;
    s->released = replica_watermarks(s->replica).durable;
    status = shard_epoch(s, d, start, error);
    if (status == LEAT_OK)
        shard_wait_for_sessions(s);
    return status;
}

static enum leat_status shard_check_config(const struct shard_config *c, char error[256])
{
    if (c->window < WINDOW_MIN || c->window > WINDOW_MAX || c->body_max > BODY_MAX || c->sessions == 0 ||
        c->sessions >= 1u << 16 || c->engine.queues == 0 || c->engine.slots == 0 || c->engine.ready_chunks == 0) {
        snprintf(error, 256, "a limit of the shard is out of its range: window %u, body_max %u, sessions_max %u",
                 c->window, c->body_max, c->sessions);
        return LEAT_BAD_VALUE;
    }
    return LEAT_OK;
}

enum leat_status shard_open(struct shard **out, const struct shard_config *c, struct disk *d,
                            const struct shard_start *start, char error[256])
{
    enum leat_status status = shard_check_config(c, error);
    if (status != LEAT_OK)
        return status;
    struct shard *s = calloc(1, sizeof *s);
    if (!s) {
        snprintf(error, 256, "no memory for a shard");
        return LEAT_NO_MEMORY;
    }
    s->config = *c;
    s->due_slot = s->reaping = SLAB_NONE;
    s->buffers.max = c->buffer_max;
    memcpy(s->entropy, start->entropy, sizeof s->entropy);
    s->limits = (struct plan_limits){.body_max = c->body_max,
                                     .lease_min = c->lease_min,
                                     .lease_max = c->lease_max,
                                     .delay_max = c->delay_max,
                                     .durability = c->durability};
    status = shard_memory(s);
    if (status != LEAT_OK)
        snprintf(error, 256, "no memory for the capacities of a shard: %u queues, %u leases, %u sessions",
                 c->engine.queues, c->engine.slots, c->sessions);
    else
        status = shard_recover(s, d, start, error);
    if (status != LEAT_OK) {
        shard_close(s);
        return status;
    }
    *out = s;
    return LEAT_OK;
}

void shard_close(struct shard *s)
{
    for (uint32_t i = 0; i < s->desk.places.capacity; i++) {
        const struct desk_place *p = desk_place(&s->desk, i);
        if (i % s->desk.window_max == 0 && i / s->desk.window_max >= s->sessions.sessions.used)
            break;
        free(p->bytes);
    }
    for (uint32_t i = 0; i < s->sessions.sessions.used; i++)
        free(desk_session(&s->desk, i)->assembly);
    free(s->batch.owned);
    stage_draw_close(s);
    stage_backup_close(s);
    stage_clean_close(s);
    stage_image_close(s);
    if (s->replica)
        replica_close(s->replica);
    leases_close(&s->leases);
    desk_close(&s->desk);
    session_close_table(&s->sessions);
    engine_close(&s->engine);
    free(s->wanted);
    free(s->is_wanted);
    free(s->image_chunk);
    free(s->scratch);
    free(s->messages);
    free(s);
}

void shard_attach(struct shard *s, struct transport *t)
{
    must(s->transport_count < SHARD_TRANSPORTS_MAX);
    s->transports[s->transport_count++] = t;
}

void shard_attach_mailbox(struct shard *s, struct mailbox *m)
{
    must(s->mailbox_count < SHARD_MAILBOXES_MAX);
    s->mailboxes[s->mailbox_count++] = m;
}

/* -- one iteration -- */

static void shard_pass(struct shard *s, struct instant now)
{
    must(now.ns >= s->boot_now.ns);
    s->boot_now = now;
    s->log_now = instant_add(s->log_base, instant_since(now, s->boot_base));
}

/* Fills in a letter about queues. */
static void shard_tell_queues(const struct shard *s, struct letter *l)
{
    l->count = 0;
    for (; l->from < s->engine.queues.used && l->count < LETTER_QUEUES_MAX; l->from++)
        if (engine_queue_at(&s->engine, l->from)->state == QUEUE_LIVE)
            engine_stat(&s->engine, l->from, s->log_now, &l->queues[l->count++]);
    if (l->from >= s->engine.queues.used)
        l->from = UINT32_MAX;
}

static unsigned shard_letters(struct shard *s)
{
    unsigned n = 0;
    for (unsigned i = 0; i < s->mailbox_count; i++) {
        struct letter *l = mailbox_receive(s->mailboxes[i]);
        if (!l)
            continue;
        if (l->kind == LETTER_COUNTERS)
            shard_count(s, l->counters);
        else
            shard_tell_queues(s, l);
        mailbox_answer(s->mailboxes[i], l);
        n++;
    }
    return n;
}

static void shard_flush(struct shard *s)
{
    for (unsigned i = 0; i < s->transport_count; i++)
        s->transports[i]->ops->flush(s->transports[i]);
}

unsigned shard_step(struct shard *s, struct instant now)
{
    shard_pass(s, now);
    s->counters.steps++;
    unsigned n = replica_leads(s->replica) ? stage_input_run(s) : 0;
    n += stage_time_run(s);
    n += stage_take_match(s);
    if (n > 0)
        shard_flush(s); /* what need not wait for the disk does not wait for the work that starts it */
    n += replica_step(s->replica, now);
    n += stage_draw_step(s);
    n += stage_backup_step(s);
    n += stage_reply_release(s);
    n += stage_image_run(s);
    n += stage_clean_run(s);
    n += shard_letters(s);
    if (n > 0)
        s->sending_tried = 0; /* there may be memory now */
    shard_flush(s);
    return n;
}

bool shard_waits(const struct shard *s)
{
    return stage_input_stalled(s) || s->desk.held_count > 0 || s->desk.hello_head != DESK_NONE;
}

static struct instant shard_boot_of(const struct shard *s, struct instant log)
{
    if (log.ns == INSTANT_NEVER.ns)
        return log;
    return instant_add(s->boot_base, instant_since(log, s->log_base));
}

struct instant shard_next_due(const struct shard *s)
{
    struct instant log = s->due_slot != SLAB_NONE ? INSTANT_NEVER : engine_next_due(&s->engine);
    log = instant_min(log, wheel_next_due(&s->desk.wheel));
    return instant_min(shard_boot_of(s, log), replica_next_due(s->replica));
}

bool shard_arm(struct shard *s)
{
    unsigned armed = 0;
    bool quiet = stage_reply_stand(s);
    /* While a request waits for the log no port is drained: what lies there must not keep us awake. */
    for (; quiet && !stage_input_stalled(s) && armed < s->transport_count; armed++)
        quiet = s->transports[armed]->ops->arm(s->transports[armed]);
    for (unsigned i = 0; quiet && i < s->mailbox_count; i++)
        quiet = mailbox_arm(s->mailboxes[i]);
    if (!quiet)
        shard_disarm(s);
    return quiet;
}

void shard_disarm(struct shard *s)
{
    for (unsigned i = 0; i < s->transport_count; i++)
        s->transports[i]->ops->disarm(s->transports[i]);
    for (unsigned i = 0; i < s->mailbox_count; i++)
        mailbox_disarm(s->mailboxes[i]);
}

/* -- the end, and what the operator sees -- */

void shard_stop(struct shard *s)
{
    s->stopping = true;
    s->stop_image = true;
}

bool shard_stopped(const struct shard *s)
{
    struct replica_watermarks w = replica_watermarks(s->replica);
    return s->stopping && !s->stop_image && !s->image_running && !journal_checkpoint_running(s->journal) &&
           !stage_input_stalled(s) && s->desk.held_count == 0 && s->draws_live == 0 && s->ahead.flying == 0 &&
           journal_idle(s->journal) && w.durable >= w.appended;
}

enum leat_status shard_error(const struct shard *s)
{
    return replica_error(s->replica);
}

void shard_count(const struct shard *s, struct shard_counters *c)
{
    struct replica_watermarks w = replica_watermarks(s->replica);
    *c = s->counters;
    c->sessions = s->sessions.sessions.taken;
    c->parked = s->desk.parked_count;
    c->held = s->desk.held_count;
    c->buffer_bytes = s->buffers.used;
    c->ahead_reads = s->ahead.reads;
    c->ahead_hits = s->ahead.hits;
    c->durable = w.durable;
    c->appended = w.appended;
    c->journal = journal_counters(s->journal);
    for (uint32_t i = 0; i < s->engine.queues.used; i++) {
        const struct queue *q = engine_queue_at(&s->engine, i);
        if (q->state != QUEUE_LIVE)
            continue;
        c->queues++;
        c->ready += q->counters.ready;
        c->leased += q->counters.leased;
        c->delayed += q->counters.delayed;
        c->dead += q->counters.dead;
    }
}

const struct engine *shard_engine(const struct shard *s)
{
    return &s->engine;
}

struct instant shard_log_time(const struct shard *s, struct instant now)
{
    return instant_add(s->log_base, instant_since(now, s->boot_base));
}
