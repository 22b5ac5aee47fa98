/* seeds.c - the first inputs of every target and their dictionaries, made by the real encoders.
 *
 *   seeds DIR            writes DIR/TARGET/NAME for every target
 *   seeds --words TARGET prints a dictionary for libFuzzer, from the tables that state each operation and fact once
 *
 * So a seed is always what this version writes; what fuzzing has found and what older versions wrote is kept beside
 * them in tests/fuzz/corpus. */
#include "seeds.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "byteorder.h"
#include "crc32c.h"
#include "fake_broker.h"
#include "image.h"
#include "manifest.h"
#include "must.h"
#include "record.h"
#include "script.h"
#include "seeds_words.h"
#include "target.h"
#include "twin.h"

enum { ROOM = 1 << 20 };
static uint8_t out[ROOM], scratch[ROOM];
static const char *directory;

static void save(const char *target, const char *name, const uint8_t *bytes, size_t size)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, target);
    must(mkdir(path, 0777) == 0 || errno == EEXIST);
    snprintf(path, sizeof path, "%s/%s/%s", directory, target, name);
    FILE *f = fopen(path, "wb");
    if (!f) {
        fprintf(stderr, "seeds: %s: %s\n", path, strerror(errno));
        exit(1);
    }
    must(fwrite(bytes, 1, size, f) == size);
    must(fclose(f) == 0);
}

static struct request request_of(uint8_t op)
{
    struct request r = {.op = op, .number = 1, .queue = {1, 2}, .max = 10, .wait = duration_s(20)};
    r.hello = (struct request_hello){.version_min = 1, .version_max = 1, .oldest = 1, .window = WINDOW_MAX};
    r.hello.datagram_max = DATAGRAM_MIN;
    r.backup = (struct request_backup){.id = 1, .offset = 8192, .file = 2, .size = 4096};
    r.attributes = (struct queue_attributes){.lease = duration_s(30), .max_attempts = 5, .durability = CLASS_DISK};
    must(name_set(&r.name, "jobs", 4) && name_set(&r.attributes.dead_letter, "dead", 4));
    return r;
}

static uint32_t add_request(uint8_t *at, uint8_t op, unsigned entries)
{
    struct request r = request_of(op);
    struct receipt receipt = {.id = {.epoch = 1, .lsn = lsn_make(5, 1)}, .slot = 1, .generation = 1, .epoch = 1};
    uint32_t size = request_encode(at, &r);
    for (unsigned i = 0; i < entries && op == OP_PUT; i++) {
        struct request_put_entry e = {.delay.ns = i ? 0 : UINT64_MAX,
                                      .body = (const uint8_t *)"a message's body",
                                      .body_size = 3 + i * 5,
                                      .attrs = (const uint8_t *)"attr",
                                      .attrs_size = 4};
        e.body_crc = crc32c(0, e.body, e.body_size);
        size += request_add_put(at + size, &e);
    }
    for (unsigned i = 0; i < entries && op != OP_PUT; i++) {
        receipt_encode(scratch, &receipt);
        size += request_add_receipt(at + size, scratch);
    }
    if (entries)
        request_seal(at, size, (uint16_t)entries);
    return size;
}

static unsigned entries_of(uint8_t op)
{
    return op == OP_PUT || op == OP_ACK || op == OP_NACK || op == OP_EXTEND ? 2 : 0;
}

static void requests(void)
{
#define OP(NAME, name, code, min_body, max_count, help) {#name, code},
    static const struct {
        const char *name;
        uint8_t code;
    } ops[] = {
#include "ops_table.h"
    };
#undef OP
    uint32_t all = FRAME_HEADER;
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        frame_begin(out, i % 2 ? FRAME_CRC : 0, 65537);
        uint32_t size = FRAME_HEADER + add_request(out + FRAME_HEADER, ops[i].code, entries_of(ops[i].code));
        frame_end(out, size);
        save("request", ops[i].name, out, size);
    }
    frame_begin(out, FRAME_CRC, 65537);
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        all += add_request(out + all, ops[i].code, entries_of(ops[i].code));
    frame_end(out, all);
    save("request", "all_in_one_frame", out, all);

    uint32_t put = add_request(scratch + 512, OP_PUT, 2), at = 0;
    for (uint32_t offset = 0; offset < put; offset += 64) {
        uint32_t piece = put - offset < 64 ? put - offset : 64;
        frame_begin(out + at, FRAME_FRAGMENT | FRAME_CRC, 65537);
        frame_fragment_encode(out + at + FRAME_HEADER, 1, offset, put);
        memcpy(out + at + FRAME_HEADER + FRAME_FRAGMENT_HEADER, scratch + 512 + offset, piece);
        frame_end(out + at, FRAME_HEADER + FRAME_FRAGMENT_HEADER + piece);
        at += FRAME_HEADER + FRAME_FRAGMENT_HEADER + piece;
    }
    save("request", "put_in_fragments", out, at);
}

static void save_reply(const char *name, uint32_t body)
{
    frame_begin(out, FRAME_REPLY, 65537);
    frame_end(out, FRAME_HEADER + body);
    save("reply", name, out, FRAME_HEADER + body);
}

static void replies(void)
{
    uint8_t *at = out + FRAME_HEADER;
    struct reply_hello hello = {.version = 1,
                                .window = 64,
                                .session = 65537,
                                .secret = 9,
                                .next = 1,
                                .epoch = 1,
                                .shards = 1,
                                .body_max = BODY_MAX,
                                .batch_max = BATCH_MAX,
                                .frame_max = FRAME_MAX,
                                .session_timeout = duration_s(60),
                                .lease_max = duration_s(43200)};
    save_reply("hello", reply_hello(at, 1, &hello));
    struct reply_stat stat = {.queue = {1, 2}, .attributes = request_of(OP_QUEUE_CREATE).attributes, .ready = 7};
    must(name_set(&stat.name, "jobs", 4));
    save_reply("stat", reply_stat(at, OP_QUEUE_STAT, 2, &stat));
    struct reply_run runs[2] = {{LEAT_OK, 3, 1, lsn_make(5, 0)}, {LEAT_NO_SPACE, 1, 0, LSN_NONE}};
    save_reply("runs", reply_runs(at, OP_PUT, 3, runs, 2));
    save_reply("gap", reply_gap(at, 4));
    save_reply("refused", reply_status(at, OP_TAKE, 5, LEAT_NO_QUEUE));
    uint32_t size = FRAME_OP_HEADER;
    for (uint32_t i = 0; i < 2; i++) {
        struct reply_message m = {.lease_left = duration_s(30),
                                  .attempts = 1,
                                  .body = (const uint8_t *)"hello there",
                                  .body_size = i * 11,
                                  .attrs = (const uint8_t *)"trace",
                                  .attrs_size = 5};
        struct receipt r = {.id = {.epoch = 1, .lsn = lsn_make(5, i)}, .slot = i, .generation = 1, .epoch = 1};
        m.body_crc = crc32c(0, m.body, m.body_size);
        receipt_encode(m.receipt, &r);
        size += reply_add_message(at + size, &m);
    }
    frame_op_encode(at, OP_TAKE, LEAT_OK, 2, size - FRAME_OP_HEADER, 6);
    save_reply("messages", size);
    struct reply_message damaged = {.lease_left = duration_s(30), .attempts = 2};
    struct receipt nameless = {.id = {.lsn = lsn_make(5, 7)}, .slot = 7, .generation = 3, .epoch = 1};
    receipt_encode(damaged.receipt, &nameless);
    size = FRAME_OP_HEADER;
    size += reply_add_message(at + size, &damaged);
    frame_op_encode(at, OP_TAKE, LEAT_CORRUPT, 1, size - FRAME_OP_HEADER, 7);
    save_reply("damaged", size);
}

static void backup_replies(void)
{
    uint8_t *at = out + FRAME_HEADER;
    static const uint8_t bytes[64] = "leat blk";
    struct reply_piece piece = {.offset = 8192, .file = 2, .size = sizeof bytes, .bytes = bytes};
    struct reply_backup backup = {.id = 1, .cluster = 2, .position = 3, .bytes = 8192, .epoch = 1, .files = 2};
    struct reply_backup_file files[2] = {{.name = "log-00000001", .bytes = 4096, .size = 65536},
                                         {.name = "manifest", .bytes = 4096, .size = 4096}};
    save_reply("piece", reply_piece(at, 7, &piece));
    uint32_t size = FRAME_OP_HEADER;
    size += reply_add_backup(at + size, &backup);
    for (unsigned i = 0; i < 2; i++)
        size += reply_add_backup_file(at + size, &files[i]);
    frame_op_encode(at, OP_BACKUP_BEGIN, LEAT_OK, 0, size - FRAME_OP_HEADER, 8);
    save_reply("backup", size);
}

static struct fact fact_of(uint8_t kind)
{
    struct fact f = {.kind = kind, .session = 65537, .number = 3, .at = {1000000000}, .lsn = lsn_make(5, 0)};
    struct request r = request_of(OP_QUEUE_CREATE);
    switch (kind) {
    case FACT_QUEUE_CREATED:
        f.queue = (struct fact_queue){1, 2, UINT32_MAX, 0, r.name, r.attributes};
        break;
    case FACT_PUT:
        f.put = (struct fact_put){.queue = 1, .slot = UINT32_MAX, .body_size = 11, .attrs_size = 5, .epoch = 1};
        f.put.attrs = (const uint8_t *)"trace";
        f.put.body = (const uint8_t *)"hello there";
        f.put.body_crc = crc32c(0, f.put.body, f.put.body_size);
        break;
    case FACT_LEASED:
        f.leased = (struct fact_leased){1, 4, 1, 1, lsn_make(4, 2), {31000000000}};
        break;
    case FACT_EPOCH:
        f.epoch = (struct fact_epoch){.epoch = 2, .same_boot = true, .boot = {500}, .boot_id = "boot"};
        break;
    default:
        break;
    }
    return f;
}

static void facts(void)
{
#define FACT(NAME, name, code, bytes, help) {#name, code},
    static const struct {
        const char *name;
        uint8_t code;
    } kinds[] = {
#include "fact_table.h"
    };
#undef FACT
    uint32_t all = 8;
    le64_put(out, lsn_make(5, 0).n);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct fact f = fact_of(kinds[i].code);
        le64_put(scratch, f.lsn.n);
        fact_encode(scratch + 8, &f);
        save("fact", kinds[i].name, scratch, 8 + fact_size(&f));
        f.lsn.n += i;
        fact_encode(out + all, &f);
        all += fact_size(&f);
    }
    save("fact", "all_in_one_block", out, all);
}

/* A segment of `blocks` blocks, of which one holds two pages. */
static void save_segment(const char *name, unsigned blocks, unsigned torn)
{
    static uint8_t page[3 * DISK_BLOCK];
    uint64_t previous = 11;
    size_t size = 0;
    for (unsigned i = 0; i < blocks; i++) {
        uint32_t payload = i == 1 ? DISK_BLOCK : 40 * i;
        memset(page, 0, sizeof page);
        memset(page + RECORD_HEADER, 'f', payload < 60 ? payload : 60);
        record_seal(page, &(struct record){.cluster = 7,
                                           .incarnation = 3,
                                           .epoch = 1,
                                           .number = 1 + i,
                                           .durable = i,
                                           .previous = previous,
                                           .facts = 1,
                                           .payload_size = payload});
        previous = record_hash(page);
        page[RECORD_HEADER] ^= i + 1 == torn;
        for (uint32_t at = 0; at < record_disk_size(payload); at += DISK_BLOCK)
            size += target_fold(out + size, page + at, DISK_BLOCK, at == 0 && i + 1 != torn);
    }
    save("record", name, out, size);
}

static void segments(void)
{
    save_segment("empty", 0, 0);
    save_segment("one_block", 1, 0);
    save_segment("four_blocks", 4, 0);
    save_segment("torn_third", 4, 3);
}

static void manifests(void)
{
    static struct manifest m = {.cluster = 7, .tail_hash = 5, .epoch = 1, .blob_size = 8, .segments = 3};
    static const char *names[] = {"new", "older_second", "newer_second"};
    memcpy(m.blob, "identity", 8);
    for (uint32_t i = 0; i < 3; i++)
        m.segment[i] = (struct manifest_segment){i, 1, i < 2 ? 1 + i * 100 : 0, i == 0};
    for (unsigned n = 0; n < 3; n++) {
        size_t size = 0;
        for (unsigned copy = 0; copy < 2; copy++) {
            m.sequence = 10 + (n == 2 ? copy : 1 - copy);
            manifest_encode(scratch, &m);
            if (n == 0 && copy == 1)
                memset(scratch, 0, MANIFEST_BYTES);
            size += target_fold(out + size, scratch, MANIFEST_BYTES, n != 0 || copy == 0);
        }
        save("manifest", names[n], out, size);
    }
}

static void save_image(const char *name, struct engine *e)
{
    struct image i;
    image_begin(&i, e, NULL, 0);
    uint32_t size = image_next(&i, out, sizeof out);
    must(size == image_bytes(&i));
    image_end(&i);
    save("image", name, out, size);
}

static void images(void)
{
    struct twin t;
    uint8_t receipts[8][RECEIPT_BYTES];
    struct queue_attributes a = {.max_attempts = 1, .durability = CLASS_DISK};
    enum leat_status status;
    twin_open(&t, SEEDS_QUEUES, SEEDS_SLOTS, SEEDS_CHUNKS);
    save_image("empty", &t.leader);
    twin_create(&t, "dead", &a);
    must(name_set(&a.dead_letter, "dead", 4));
    struct queue_ref q = twin_create(&t, "jobs", &a);
    for (unsigned i = 0; i < 12; i++)
        twin_put(&t, q, i < 3 ? duration_s(i) : (struct duration){0}, &status);
    save_image("ready_and_delayed", &t.leader);
    struct queue_ref deep = twin_create(&t, "deep", &a);
    for (unsigned i = 0; i < 2500; i++) {
        t.pack = 1 + i % 300;
        twin_put(&t, i % 5 ? deep : q, (struct duration){0}, &status);
        if (i % 50 == 0) /* steps of every kind */
            twin_pass(&t, duration_ms(i % 100 ? 1 : 1ull << i / 100));
    }
    save_image("deep", &t.leader);
    t.pack = 1;
    struct request drop = {.op = OP_QUEUE_DROP};
    struct fact f;
    must(name_set(&drop.name, "deep", 4) && plan_queue_drop(&t.leader, &drop, &f) == LEAT_OK);
    twin_apply(&t, &f);
    twin_pass(&t, duration_ms(1));
    for (unsigned i = 0; i < 8; i++)
        must(twin_take(&t, q, duration_s(30), receipts[i]) == LEAT_OK);
    twin_finish(&t, OP_ACK, q, receipts[0], (struct duration){0});
    for (unsigned i = 1; i < 5; i++)
        twin_finish(&t, OP_NACK, q, receipts[i], i % 2 ? duration_s(1) : (struct duration){0});
    save_image("leased_and_dead", &t.leader);
    a.max_attempts = 0;
    memset(&a.dead_letter, 0, sizeof a.dead_letter);
    q = twin_create(&t, "heap", &a);
    for (unsigned i = 0; i < 6; i++)
        twin_put(&t, q, (struct duration){0}, &status);
    for (unsigned i = 0; i < 6; i++)
        must(twin_take(&t, q, duration_s(30), receipts[i]) == LEAT_OK);
    for (unsigned i = 0; i < 6; i++)
        twin_finish(&t, OP_NACK, q, receipts[(i * 5) % 6], (struct duration){0});
    save_image("returned", &t.leader);
    twin_pass(&t, duration_s(60));
    save_image("later", &t.leader);
    twin_close(&t);
}

/* What a broker answers the script, recorded. */
static void answers(bool datagrams, bool rotten, const char *name)
{
    struct script s;
    struct fake_broker broker;
    size_t size = 1;
    out[0] = datagrams;
    script_open(&s, datagrams);
    fake_broker_open(&broker);
    broker.rotten = rotten;
    broker.frame_max = datagrams ? SCRIPT_DATAGRAM : FRAME_MAX;
    for (unsigned turn = 0; turn < 64; turn++) {
        script_turn(&s);
        for (size_t n; (n = script_say(&s, scratch)) > 0;)
            fake_broker_input(&broker, scratch, n);
        while (broker.out_size > 0) {
            size_t n = datagrams ? (size_t)frame_size(broker.out, broker.out_size) : broker.out_size;
            must(size + n <= ROOM);
            memcpy(out + size, broker.out, n);
            must(script_hear(&s, out + size, n));
            fake_broker_sent(&broker, n);
            size += n;
        }
    }
    must(s.answered == (1ull << SCRIPT_CALLS) - 1);
    save("client", name, out, size);
    fake_broker_close(&broker);
    script_close(&s);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--words") == 0)
        return seeds_words(argv[2]);
    if (argc != 2) {
        fprintf(stderr, "usage: seeds DIR | seeds --words TARGET\n");
        return 64;
    }
    directory = argv[1];
    requests();
    replies();
    backup_replies();
    facts();
    segments();
    manifests();
    images();
    answers(false, false, "stream");
    answers(false, true, "damaged");
    answers(true, false, "datagrams");
    return 0;
}
