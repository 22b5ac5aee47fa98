/* fuzz_offline.c - fsck, dump, explain and salvage on a data directory after a disk, or somebody, has lied.
 *
 * A directory with every kind of fact is made once: a checkpoint, a tail behind it. The input changes it (directory.h).
 * Held against the tools: they end with a status and, where they fail, a sentence; they change nothing but for the
 * salvage; what fsck calls sound a start opens; what a salvage has mended a start opens, and a second salvage has
 * nothing to do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apply.h"
#include "byteorder.h"
#include "crc32c.h"
#include "directory.h"
#include "dump.h"
#include "explain.h"
#include "fsck.h"
#include "image.h"
#include "journal.h"
#include "log_rig.h"
#include "must.h"
#include "receipt.h"
#include "salvage.h"
#include "session.h"
#include "target.h"

static const struct engine_capacity capacity = {.queues = 16, .slots = 256, .ready_chunks = 64};
enum { SESSIONS = 16, BODY = 700 };

/* -- the directory -- */

struct maker {
    struct disk *disk;
    struct journal *journal;
    struct engine engine;
    struct session_table sessions;
    uint64_t now;
    struct lsn last;
};

static void step(struct maker *m)
{
    m->now += 1000000;
    fake_disk_step(m->disk, (struct instant){m->now});
    journal_step(m->journal, (struct instant){m->now});
}

static void add(struct maker *m, struct fact f)
{
    uint8_t *p;
    struct apply_effect effect;
    uint32_t size = fact_size(&f);
    f.at.ns = m->now;
    while (!(p = journal_reserve(m->journal, JOURNAL_PUT, size, 0, &f.lsn, &f.place)))
        step(m);
    fact_encode(p, &f);
    journal_commit(m->journal, size, true, f.at);
    m->last = f.lsn;
    if (f.kind == FACT_SESSION_OPENED) {
        session_open(&m->sessions, f.client.handle, f.client.window, f.client.secret);
    } else if (f.kind < FACT_SESSION_OPENED) {
        apply_fact(&m->engine, &f, &effect);
        for (uint32_t i = 0; i < effect.gone_count; i++)
            journal_unpin(m->journal, lsn_block(effect.gone[i].lsn), 8 * effect.gone[i].where.size8);
        if (f.kind == FACT_PUT)
            journal_pin(m->journal, lsn_block(f.lsn), size);
    }
    step(m);
}

static void add_put(struct maker *m, uint32_t queue, bool delayed)
{
    static uint8_t body[BODY];
    memset(body, (int)m->now, sizeof body);
    struct fact f = {.kind = FACT_PUT, .session = 1 << 16, .number = m->now};
    f.put = (struct fact_put){.queue = queue,
                              .slot = delayed ? slab_next(&m->engine.slots) : SLAB_NONE,
                              .due = {delayed ? m->now + 50000000 : 0},
                              .body_size = BODY,
                              .body_crc = crc32c(0, body, BODY),
                              .durability = CLASS_DISK,
                              .epoch = 1,
                              .body = body};
    add(m, f);
}

static uint32_t add_lease(struct maker *m, uint32_t queue)
{
    struct ready_entry entry;
    uint32_t slot = slab_next(&m->engine.slots);
    must(ready_first(&engine_queue_at(&m->engine, queue)->ready, &m->engine.chunks, &entry));
    uint32_t before = slot == m->engine.slots.used ? 0 : engine_message_at(&m->engine, slot)->generation;
    struct fact f = {.kind = FACT_LEASED, .leased = {queue, slot, before + 1, 1, entry.lsn, {m->now + 30000000000}}};
    add(m, f);
    return slot;
}

static void add_slot(struct maker *m, uint8_t kind, uint32_t slot, uint32_t target)
{
    struct fact f = {.kind = kind,
                     .slot = {slot, engine_message_at(&m->engine, slot)->generation, {m->now + 60000000000}, target}};
    add(m, f);
}

static void add_queue(struct maker *m, const char *name, uint32_t number, uint32_t dead_letter)
{
    struct fact f = {.kind = FACT_QUEUE_CREATED,
                     .queue = {.number = number, .incarnation = number + 1, .dead_letter = dead_letter}};
    f.queue.attributes = (struct queue_attributes){.lease = duration_s(30), .durability = CLASS_DISK};
    must(name_set(&f.queue.name, name, strlen(name)));
    add(m, f);
}

static void checkpoint(struct maker *m)
{
    static uint8_t piece[JOURNAL_CHUNK];
    struct image image;
    const struct image_slab more[1] = {{&m->sessions.sessions, "sessions_max"}};
    image_begin(&image, &m->engine, more, 1);
    while (!journal_checkpoint_begin(m->journal, image_bytes(&image)))
        step(m);
    for (uint32_t n; (n = image_next(&image, piece, sizeof piece)) > 0;)
        while (!journal_checkpoint_write(m->journal, piece, n))
            step(m);
    image_end(&image);
    journal_checkpoint_end(m->journal);
    while (journal_checkpoint_running(m->journal))
        step(m);
}

static void some_work(struct maker *m)
{
    for (unsigned i = 0; i < 12; i++)
        add_put(m, 1, i % 5 == 4);
    add_slot(m, FACT_ACKED, add_lease(m, 1), 0);
    add_slot(m, FACT_EXTENDED, add_lease(m, 1), 0);
    add_slot(m, FACT_RETURNED, add_lease(m, 1), 0);
    add_slot(m, FACT_EXPIRED, add_lease(m, 1), 0);
    uint32_t slot = m->engine.slots.used - 1;
    while (engine_message_at(&m->engine, slot)->state != MESSAGE_DELAYED)
        slot--;
    add_slot(m, FACT_RIPENED, slot, 0);
    add_slot(m, FACT_MOVED, add_lease(m, 1), 0);
    add_slot(m, FACT_MOVED, add_lease(m, 1), SLAB_NONE);
}

static void make(void)
{
    struct fake_disk_config disk = {.seed = 3};
    struct journal_config config = log_rig_config();
    struct maker m = {.disk = fake_disk_open(&disk), .now = 1000000000};
    char error[256];
    enum leat_status status;
    struct journal_block b;
    uint8_t blob[48] = {0};
    must(engine_open(&m.engine, &capacity, INSTANT_ZERO) == LEAT_OK);
    must(session_open_table(&m.sessions, SESSIONS) == LEAT_OK);
    must(journal_open(&m.journal, m.disk, &config, error) == LEAT_OK);
    must(journal_replay_image(m.journal, blob, sizeof blob, &status, error) == 0);
    must(!journal_replay_block(m.journal, &b, &status, error));
    const uint32_t fields[] = {1, capacity.queues, capacity.slots, capacity.ready_chunks, SESSIONS, 64};
    for (unsigned i = 0; i < 6; i++)
        le32_put(blob + 4 * i, fields[i]);
    journal_set_blob(m.journal, blob, sizeof blob);
    must(journal_start(m.journal, error) == LEAT_OK);
    add(&m,
        (struct fact){.kind = FACT_EPOCH, .epoch = {.epoch = 1, .same_boot = true, .wall_ns = 1700000000000000000}});
    add(&m, (struct fact){.kind = FACT_SESSION_OPENED, .client = {.handle = 1 << 16, .window = 8, .secret = 5}});
    add_queue(&m, "failed", 0, SLAB_NONE);
    add_queue(&m, "jobs", 1, 0);
    add_queue(&m, "old", 2, SLAB_NONE);
    add(&m, (struct fact){.kind = FACT_REFUSED, .session = 1 << 16, .number = 3, .refused = {LEAT_TOO_LARGE, 2}});
    some_work(&m);
    checkpoint(&m);
    add(&m, (struct fact){.kind = FACT_QUEUE_DROPPED, .queue = {.number = 2}});
    some_work(&m);
    some_work(&m);
    checkpoint(&m);
    some_work(&m);
    for (unsigned i = 0; i < 50; i++)
        step(&m);
    journal_close(m.journal);
    engine_close(&m.engine);
    session_close_table(&m.sessions);
    fake_disk_crash(m.disk);
    directory_gather(m.disk);
    fake_disk_close(m.disk);
}

/* -- the tools -- */

static enum leat_status ended(enum leat_status status, const char error[SOURCE_ERROR])
{
    must(status == LEAT_OK || status == LEAT_CORRUPT || status == LEAT_EMPTY || status == LEAT_TOO_NEW ||
         status == LEAT_BAD_VALUE || status == LEAT_NO_MEMORY || status == LEAT_DISK_ERROR || status == LEAT_NO_SPACE);
    must(memchr(error, 0, SOURCE_ERROR) != NULL);
    return status;
}

static enum leat_status fsck(struct disk *d, FILE *out, bool json)
{
    char error[SOURCE_ERROR] = "";
    const struct fsck_options o = {.path = "d", .out = out, .json = json};
    enum leat_status status = ended(fsck_run(d, &o, error), error);
    must(status == LEAT_OK || status == LEAT_CORRUPT || error[0] != 0 || status == LEAT_TOO_NEW);
    return status;
}

static void tell(struct disk *d, FILE *out)
{
    char error[SOURCE_ERROR] = "", id[MESSAGE_ID_TEXT];
    const struct dump_options dump = {.out = out, .notes = out, .bodies = true};
    ended(dump_run(d, &dump, error), error);
    struct message_id name = {.epoch = 1, .lsn = lsn_make(7, 0)};
    receipt_id_text(id, &name);
    const struct explain_options explain = {.out = out, .name = id};
    ended(explain_run(d, &explain, error), error);
}

static enum leat_status salvage(struct disk *d, FILE *out)
{
    char error[SOURCE_ERROR] = "";
    const struct salvage_options o = {
        .path = "d", .out = out, .engine = capacity, .sessions = SESSIONS, .block_bytes_max = 16 * 1024};
    enum leat_status status = ended(salvage_run(d, &o, error), error);
    must(status == LEAT_OK || error[0] != 0);
    return status;
}

/* Whether the journal opens and replays to its end; else it has said why on `out`. */
static bool opens(struct disk *d, FILE *out)
{
    struct journal_config config = log_rig_config();
    struct journal *j;
    struct journal_block b;
    static uint8_t bytes[5000];
    char error[256] = "";
    enum leat_status status = journal_open(&j, d, &config, error);
    if (status != LEAT_OK) {
        fprintf(out, "start: %s\n", error);
        return false;
    }
    while (journal_replay_image(j, bytes, sizeof bytes, &status, error) > 0)
        ;
    while (status == LEAT_OK && journal_replay_block(j, &b, &status, error))
        ;
    journal_close(j);
    fake_disk_kill(d);
    fprintf(out, "start: %s %s\n", status_name(status), error);
    return status == LEAT_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static FILE *out; /* FUZZ_TELL=/dev/stdout shows what the tools say */
    if (!directory_gathered())
        make();
    if (!out)
        must((out = fopen(getenv("FUZZ_TELL") ? getenv("FUZZ_TELL") : "/dev/null", "w")) != NULL);
    setvbuf(out, NULL, _IOLBF, 0);
    if (size == 0)
        return 0;
    struct disk *d = directory_changed(data, size);
    if (fsck(d, out, size % 2) == LEAT_OK)
        must(opens(d, out));
    tell(d, out);
    if (salvage(d, out) == LEAT_OK) {
        must(opens(d, out));
        must(salvage(d, out) == LEAT_EMPTY);
    }
    fake_disk_close(d);
    return 0;
}
