/* test_offline.c - fsck, dump, explain and salvage on data directories that a real shard has made on the fake disk.
 *
 * The workload remembers of each message where it was put, and whether its ack was answered. Then the machine stops,
 * bytes change, and the tools are held to what they say: fsck finds the damage and calls what power cuts leave sound;
 * salvage brings back every message that is whole and was not acknowledged, and none that was acknowledged where the
 * log can show it. */
#include "explain.h"
#include "fsck.h"
#include "judge.h"
#include "prng.h"
#include "receipt.h"
#include "shard_stage.h"

#include "dump.h"
#include "salvage.h"

enum { MESSAGES = 400 };

static struct message_memory {
    struct lsn lsn;
    uint32_t epoch;
    bool put, acked, sent_ack, delivered;
    unsigned came;
    uint8_t receipt[RECEIPT_BYTES];
    bool has_receipt;
} memory[MESSAGES];
static unsigned messages;
static struct prng prng;

static void config_tiny(struct shard_config *c)
{
    c->body_max = 4096;
    c->journal.segment_bytes = 128 * 1024;
    c->journal.block_bytes_max = 64 * 1024;
    c->journal.ack_reserve = 8192;
    c->journal.hot_bytes = 1 << 20;
    c->journal.disk_max = 64 << 20;
    c->checkpoint_bytes = 150 * 1024;
    c->buffer_max = 16 << 20;
}

static struct salvage_options salvage_options(FILE *out)
{
    struct shard_config c;
    config_small(&c);
    return (struct salvage_options){
        .path = "DIR", .out = out, .engine = c.engine, .sessions = c.sessions, .block_bytes_max = 64 * 1024};
}

/* -- the workload -- */

static const char *body_of(unsigned n)
{
    static char body[1200];
    unsigned size = 20 + n * 7919 % 1100;
    memset(body, 'a' + (int)(n % 26), size);
    body[size] = 0;
    memcpy(body, "message ", 8);
    for (unsigned i = 0; i < 6; i++)
        body[8 + i] = (char)('0' + n / (unsigned[]){100000, 10000, 1000, 100, 10, 1}[i] % 10);
    return body;
}

static unsigned number_of(const uint8_t *body, uint32_t size)
{
    assert_true(size >= 20);
    unsigned n = (unsigned)strtoul((const char *)body + 8, NULL, 10);
    assert_true(n < messages);
    assert_int_equal(size, strlen(body_of(n)));
    assert_memory_equal(body, body_of(n), size);
    return n;
}

static void work_put(void)
{
    struct frame_op op;
    struct reply_run run;
    uint32_t offset = 0;
    unsigned n = messages++;
    send_put(++stage->number, body_of(n), 1, (struct duration){prng_chance(&prng, 10) ? 3000000 : 0});
    pass(duration_ms(2));
    assert_int_equal(answer(&op), LEAT_OK);
    assert_true(reply_next_run(&op, &offset, &run));
    memory[n] = (struct message_memory){.lsn = run.lsn, .epoch = run.epoch, .put = true};
}

static void work_take(unsigned max)
{
    struct frame_op op;
    struct reply_message m;
    uint32_t offset = 0;
    send_take(++stage->number, (uint16_t)max, (struct duration){0});
    pass(duration_ms(2));
    if (answer(&op) != LEAT_OK)
        return;
    while (reply_next_message(&op, &offset, &m)) {
        struct message_memory *k = &memory[number_of(m.body, m.body_size)];
        memcpy(k->receipt, m.receipt, RECEIPT_BYTES);
        k->has_receipt = k->delivered = true;
    }
}

static void work_ack(void)
{
    for (unsigned n = 0; n < messages; n++) {
        struct frame_op op;
        struct reply_run run;
        uint32_t offset = 0;
        if (!memory[n].has_receipt || !prng_chance(&prng, 60))
            continue;
        send_receipt(OP_ACK, ++stage->number, memory[n].receipt);
        pass(duration_ms(1));
        pass(duration_ms(1));
        memory[n].has_receipt = false;
        memory[n].sent_ack = true;
        assert_int_equal(answer(&op), LEAT_OK);
        assert_true(reply_next_run(&op, &offset, &run));
        memory[n].acked = run.status == LEAT_OK;
    }
}

static void restart(bool power_cut)
{
    stop();
    if (power_cut)
        fake_disk_crash(stage->disk);
    else
        fake_disk_kill(stage->disk);
    start();
    hello(0, 0);
    pass(duration_ms(20));
    welcome();
    stage->number = 0;
}

/* A directory with some history: `clean`: ended by a stop; else by a power cut with everything durable. */
static void work(uint64_t seed, bool clean)
{
    stage_config = config_tiny;
    prng = prng_seed(seed, 1);
    messages = 0;
    memset(memory, 0, sizeof memory);
    begin();
    for (unsigned round = 0; messages < MESSAGES - 10; round++) {
        for (unsigned i = 0; i < 8; i++)
            work_put();
        if (prng_chance(&prng, 60))
            work_take(1 + (unsigned)prng_below(&prng, 12));
        if (prng_chance(&prng, 60))
            work_ack();
        if (prng_chance(&prng, 4))
            restart(prng_chance(&prng, 50));
    }
    pass(duration_ms(50)); /* the last blocks are proven */
    if (clean) {
        shard_stop(stage->shard);
        while (!shard_stopped(stage->shard))
            pass(duration_ms(1));
    }
    stop();
    fake_disk_crash(stage->disk);
}

static void work_end(void)
{
    fake_disk_close(stage->disk);
    free(stage);
}

/* Takes everything that there is. */
static void drain(void)
{
    for (unsigned n = 0; n < messages; n++)
        memory[n].came = 0;
    start();
    hello(0, 0);
    pass(duration_s(40)); /* leases and delays end */
    welcome();
    stage->number = 0;
    const struct engine *e = shard_engine(stage->shard);
    for (uint32_t i = 0; i < e->queues.used; i++) {
        queue = (struct queue_ref){i, engine_queue_at(e, i)->incarnation};
        for (;;) {
            struct frame_op op;
            struct reply_message m;
            uint32_t offset = 0;
            send_take(++stage->number, 50, (struct duration){0});
            pass(duration_ms(5));
            uint8_t status = answer(&op);
            if (status == LEAT_EMPTY)
                break;
            assert_int_equal(status, LEAT_OK);
            while (reply_next_message(&op, &offset, &m))
                memory[number_of(m.body, m.body_size)].came++;
        }
    }
    stop();
    fake_disk_crash(stage->disk);
}

/* -- the tools -- */

static char *said;

static enum leat_status check(bool json)
{
    char error[SOURCE_ERROR] = "";
    size_t size = 0;
    free(said);
    said = NULL;
    FILE *out = open_memstream(&said, &size);
    struct fsck_options o = {.path = "DIR", .out = out, .json = json};
    enum leat_status status = fsck_run(stage->disk, &o, error);
    fclose(out);
    return status;
}

static enum leat_status mend(void)
{
    char error[SOURCE_ERROR] = "";
    size_t size = 0;
    free(said);
    said = NULL;
    FILE *out = open_memstream(&said, &size);
    struct salvage_options o = salvage_options(out);
    enum leat_status status = salvage_run(stage->disk, &o, error);
    fclose(out);
    if (status != LEAT_OK && status != LEAT_EMPTY && !fake_disk_dead(stage->disk))
        printf("salvage: %s: %s\n", status_name(status), error);
    return status;
}

/* Whether a start is refused. */
static bool refused(void)
{
    struct shard_config c;
    struct shard *shard;
    char error[256] = "";
    config_small(&c);
    config_tiny(&c);
    struct shard_start at = {.boot = stage->now, .wall_ns = 1700000000000000000ull, .boot_id = "one boot"};
    enum leat_status status = shard_open(&shard, &c, stage->disk, &at, error);
    if (status == LEAT_OK)
        shard_close(shard);
    else
        assert_int_equal(status, LEAT_CORRUPT);
    fake_disk_crash(stage->disk);
    return status != LEAT_OK;
}

/* The blocks that are whole now, and what the judge makes of them. */
static struct source source;
static struct point point;
static struct scan scan;
static struct judge judge;

static void look(void)
{
    char error[SOURCE_ERROR] = "";
    assert_int_equal(source_open(&source, stage->disk, error), LEAT_OK);
    point_load(&point, &source, error);
    assert_int_equal(scan_open(&scan, &source, error), LEAT_OK);
    for (uint32_t i = 0; i < scan.segments_count; i++)
        assert_int_equal(scan_read(&scan, i, NULL, NULL, error), LEAT_OK);
    judge_log(&judge, &scan, &point);
}

static void look_away(void)
{
    judge_close(&judge);
    scan_close(&scan);
    point_close(&point);
    source_close(&source);
}

static bool block_is_whole(uint64_t block)
{
    for (uint32_t i = 0; i < scan.runs_count; i++)
        if (block >= scan.runs[i].first && block < scan.runs[i].first + scan.runs[i].count)
            return true;
    return false;
}

/* One byte of a random whole block of the log changes; false: there was none. */
static bool strike_block(char name[DISK_NAME_MAX], uint64_t *offset, bool behind)
{
    bool struck = false;
    look();
    for (unsigned tries = 0; tries < 200 && !struck && scan.runs_count > 0; tries++) {
        const struct scan_run *r = &scan.runs[prng_below(&prng, scan.runs_count)];
        *offset = r->from + prng_below(&prng, (r->end - r->from) / 4096) * 4096 + prng_below(&prng, 200);
        uint8_t byte;
        if (*offset + 2 * 4096 > r->end && r->first + r->count >= judge.next)
            continue; /* nothing proves the last block */
        if (behind &&
            (r->first + r->count <= point.block + 1 || (r->first <= point.block + 1 && *offset < point.position_tail)))
            continue;
        source_segment_name(name, scan.segments[r->segment].number);
        assert_true(fake_disk_peek(stage->disk, name, *offset, &byte, 1));
        byte ^= (uint8_t)(1u << prng_below(&prng, 8));
        assert_true(fake_disk_poke(stage->disk, name, *offset, &byte, 1));
        struck = true;
    }
    look_away();
    return struck;
}

static void expect_all_that_lives(void)
{
    for (unsigned n = 0; n < messages; n++)
        assert_int_equal(memory[n].came, !memory[n].acked);
}

TEST(offline, a_directory_of_any_history_is_sound_and_needs_no_salvage)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        work(seed, seed % 2);
        if (check(false) != LEAT_OK)
            fail_msg("seed %llu: %s", (unsigned long long)seed, said);
        assert_int_equal(mend(), LEAT_EMPTY);
        drain();
        expect_all_that_lives();
        work_end();
    }
}

TEST(offline, rot_in_any_block_is_found_with_its_range)
{
    unsigned found = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        char name[DISK_NAME_MAX], wanted[96];
        uint64_t offset;
        work(seed % 3 + 1, false);
        prng = prng_seed(seed, 2);
        if (strike_block(name, &offset, false)) {
            assert_int_equal(check(false), LEAT_CORRUPT);
            snprintf(wanted, sizeof wanted, "CORRUPT %s, bytes ", name);
            const char *line = strstr(said, wanted);
            if (!line)
                fail_msg("%s at %llu: %s", name, (unsigned long long)offset, said);
            unsigned long long from = 0, to = 0;
            assert_int_equal(sscanf(line + strlen(wanted), "%llu..%llu", &from, &to), 2);
            assert_true(from <= offset && offset <= to);
            found++;
        }
        work_end();
    }
    assert_true(found >= 10);
}

TEST(offline, fsck_agrees_with_the_start)
{
    unsigned refusals = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        char name[DISK_NAME_MAX];
        uint64_t offset;
        work(seed % 3 + 1, false);
        prng = prng_seed(seed, 3);
        strike_block(name, &offset, true);
        look();
        bool rotten = judge.rotten;
        look_away();
        assert_int_equal(refused(), rotten);
        refusals += rotten;
        work_end();
    }
    assert_true(refusals >= 3);
}

/* After a salvage: what is whole and was not acknowledged has come, once; what has come twice or again had a reason. */
static void expect_salvaged(bool rotten, unsigned *again, unsigned *lost, const bool *whole)
{
    for (unsigned n = 0; n < messages; n++) {
        if (!memory[n].acked && memory[n].came == 0) {
            assert_false(whole[n]);
            (*lost)++;
        }
        if (memory[n].acked && memory[n].came > 0) {
            assert_true(rotten);
            (*again)++;
        }
        assert_true(memory[n].came <= 1);
    }
}

static void remember_whole(bool *whole)
{
    look();
    for (unsigned n = 0; n < messages; n++)
        whole[n] = block_is_whole(lsn_block(memory[n].lsn));
    look_away();
}

TEST(offline, a_salvage_brings_back_every_message_that_is_whole)
{
    unsigned salvaged = 0, again = 0, lost = 0, acked = 0;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        static bool whole[MESSAGES];
        char name[DISK_NAME_MAX];
        uint64_t offset;
        work(seed % 5 + 1, false);
        prng = prng_seed(seed, 4);
        strike_block(name, &offset, seed % 2);
        remember_whole(whole);
        bool rotten = refused();
        enum leat_status status = mend();
        assert_true(status == LEAT_OK || (status == LEAT_EMPTY && !rotten));
        salvaged += status == LEAT_OK;
        assert_false(refused());
        drain();
        expect_salvaged(rotten, &again, &lost, whole);
        for (unsigned n = 0; n < messages; n++)
            acked += memory[n].acked;
        assert_int_equal(mend(), LEAT_EMPTY);
        work_end();
    }
    assert_true(salvaged >= 10);
    assert_true(lost > 0);
    assert_true(again * 20 < acked); /* few acks are forgotten: those in the hole, and of leases in it */
}

TEST(offline, a_whole_block_in_the_wrong_place_hides_no_other)
{
    static bool whole[MESSAGES];
    static uint8_t page[4096];
    unsigned again = 0, lost = 0;
    char name[DISK_NAME_MAX];
    work(4, false);
    look();
    uint64_t end = judge.offset;
    source_segment_name(name, scan.segments[judge.segment].number);
    look_away();
    assert_true(fake_disk_peek(stage->disk, name, 0, page, sizeof page));
    assert_true(fake_disk_poke(stage->disk, name, end - 3 * 4096, page, sizeof page));
    assert_int_equal(check(false), LEAT_CORRUPT);
    assert_true(refused());
    assert_int_equal(mend(), LEAT_OK);
    remember_whole(whole);
    drain();
    expect_salvaged(true, &again, &lost, whole);
    assert_true(lost <= 3);
    work_end();
}

/* Cuts are tried from the first write on: reading comes first and takes most events. */
TEST(offline, a_salvage_that_is_cut_short_is_done_again)
{
    uint64_t events = 1, first = 1;
    for (uint64_t cut = UINT64_MAX; cut == UINT64_MAX || cut <= events; cut = cut == UINT64_MAX ? first : cut + 1) {
        static bool whole[MESSAGES];
        char name[DISK_NAME_MAX];
        uint64_t offset;
        unsigned again = 0, lost = 0;
        work(4, false);
        prng = prng_seed(9, 5);
        assert_true(strike_block(name, &offset, true));
        remember_whole(whole);
        assert_true(refused());
        uint64_t before = fake_disk_events(stage->disk);
        if (cut != UINT64_MAX)
            fake_disk_die(stage->disk, cut);
        mend();
        if (cut == UINT64_MAX) {
            events = fake_disk_events(stage->disk) - before;
            first = events > 70 ? events - 70 : 1;
        }
        fake_disk_crash(stage->disk);
        enum leat_status second = mend();
        assert_true(second == LEAT_OK || second == LEAT_EMPTY);
        assert_int_equal(mend(), LEAT_EMPTY);
        if (check(false) != LEAT_OK)
            fail_msg("cut %llu: %s", (unsigned long long)cut, said);
        drain();
        expect_salvaged(true, &again, &lost, whole);
        work_end();
    }
    assert_true(mark_count("salvage_again") > 10);
}

static void poke_byte(const char *name, uint64_t offset)
{
    uint8_t byte;
    assert_true(fake_disk_peek(stage->disk, name, offset, &byte, 1));
    byte ^= 0x40;
    assert_true(fake_disk_poke(stage->disk, name, offset, &byte, 1));
}

TEST(offline, a_lost_manifest_costs_receipts_and_no_message)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        work(seed, seed % 2);
        poke_byte("manifest", 100);
        poke_byte("manifest", 65536 + 100);
        assert_int_equal(check(false), LEAT_CORRUPT);
        assert_non_null(strstr(said, "neither copy is whole"));
        assert_true(refused());
        assert_int_equal(mend(), LEAT_OK);
        assert_non_null(strstr(said, "the key of receipts is lost"));
        assert_int_equal(check(false), LEAT_OK);
        drain();
        expect_all_that_lives();
        work_end();
    }
}

TEST(offline, a_lost_checkpoint_costs_nothing_while_the_one_before_still_serves)
{
    unsigned other = 0;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        char name[DISK_NAME_MAX];
        work(seed, false);
        look();
        snprintf(name, sizeof name, "checkpoint-%u", source.m.checkpoint_area);
        look_away();
        poke_byte(name, 5000);
        assert_int_equal(check(false), LEAT_CORRUPT);
        assert_non_null(strstr(said, name));
        assert_true(refused());
        uint64_t before = mark_count("salvage_other_checkpoint");
        assert_int_equal(mend(), LEAT_OK);
        bool exact = mark_count("salvage_other_checkpoint") > before;
        assert_int_equal(check(false), LEAT_OK);
        drain();
        for (unsigned n = 0; n < messages; n++) {
            assert_true(memory[n].acked || memory[n].came == 1);
            assert_true(!memory[n].acked || memory[n].came == 0 || !exact);
        }
        other += exact;
        work_end();
    }
    assert_true(other > 0);
}

TEST(offline, a_lost_segment_is_told_and_costs_what_stood_in_it)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        static bool whole[MESSAGES];
        unsigned again = 0, lost = 0;
        char name[DISK_NAME_MAX];
        work(seed, false);
        look();
        source_segment_name(name, scan.segments[seed % scan.segments_count].number);
        look_away();
        assert_true(fake_disk_lose(stage->disk, name));
        assert_int_equal(check(false), LEAT_CORRUPT);
        assert_non_null(strstr(said, name));
        remember_whole(whole);
        assert_true(refused());
        assert_int_equal(mend(), LEAT_OK);
        assert_int_equal(mend(), LEAT_EMPTY);
        assert_false(refused());
        drain();
        expect_salvaged(true, &again, &lost, whole);
        work_end();
    }
}

TEST(offline, a_segment_of_nobody_is_put_aside)
{
    work(2, true);
    assert_true(fake_disk_copy(stage->disk, "log-00000001", "log-00000099"));
    assert_int_equal(check(false), LEAT_CORRUPT);
    assert_non_null(strstr(said, "log-00000099: it holds blocks, but the manifest does not list it"));
    assert_true(refused());
    assert_int_equal(mend(), LEAT_OK);
    assert_int_equal(check(false), LEAT_OK);
    assert_non_null(strstr(said, "-log-00000099: put aside"));
    drain();
    expect_all_that_lives();
    work_end();
}

TEST(offline, what_cannot_be_read_is_told_apart_from_what_is_wrong)
{
    char name[DISK_NAME_MAX];
    work(4, false);
    look();
    uint64_t offset = judge.offset >= 8192 ? judge.offset - 8192 : 0;
    source_segment_name(name, scan.segments[judge.segment].number);
    look_away();
    assert_true(fake_disk_spoil(stage->disk, name, offset));
    assert_int_equal(check(true), LEAT_CORRUPT);
    assert_non_null(strstr(said, "\"what\":\"unreadable\""));
    assert_true(mark_count("offline_unreadable") > 0);
    work_end();
}

/* -- dump and explain -- */

static char *explained(unsigned n)
{
    char error[SOURCE_ERROR] = "", id[MESSAGE_ID_TEXT];
    struct message_id name = {.epoch = memory[n].epoch, .lsn = memory[n].lsn};
    receipt_id_text(id, &name);
    size_t size = 0;
    free(said);
    said = NULL;
    FILE *out = open_memstream(&said, &size);
    struct explain_options o = {.out = out, .name = id};
    enum leat_status status = explain_run(stage->disk, &o, error);
    fclose(out);
    assert_true(status == LEAT_OK || status == LEAT_EMPTY);
    return said;
}

TEST(offline, explain_tells_every_decision_about_a_message)
{
    unsigned gone = 0, put = 0;
    work(5, false);
    for (unsigned n = 0; n < messages; n++) {
        const char *text = explained(n);
        if (memory[n].acked && *text && strstr(text, "now: ")) {
            assert_non_null(strstr(text, "now: gone"));
            gone++;
        }
        put += strstr(text, "put into mail") != NULL;
        if (!memory[n].acked) {
            assert_non_null(strstr(text, "now: "));
            assert_null(strstr(text, "now: gone"));
        }
    }
    assert_true(gone > 10 && put > 50);
    work_end();
}

TEST(offline, dump_tells_each_put_with_its_id)
{
    char error[SOURCE_ERROR] = "", *text = NULL;
    size_t size = 0;
    unsigned told = 0;
    work(6, false);
    FILE *out = open_memstream(&text, &size);
    struct dump_options o = {.out = out, .notes = out, .bodies = true, .queue = "mail"};
    assert_int_equal(dump_run(stage->disk, &o, error), LEAT_OK);
    fclose(out);
    for (unsigned n = 0; n < messages; n++) {
        char id[MESSAGE_ID_TEXT];
        struct message_id name = {.epoch = memory[n].epoch, .lsn = memory[n].lsn};
        receipt_id_text(id, &name);
        const char *line = strstr(text, id);
        assert_true(line || memory[n].acked); /* a segment of the dead may be another's now */
        if (!line)
            continue;
        line = strstr(line, "body=");
        assert_memory_equal(line + 5, body_of(n), strlen(body_of(n)));
        told++;
    }
    assert_true(told > 100);
    free(text);
    work_end();
}

TEST(offline, an_empty_place_is_no_data_directory)
{
    stage = calloc(1, sizeof *stage);
    struct fake_disk_config disk = {.seed = 1};
    stage->disk = fake_disk_open(&disk);
    assert_int_equal(check(false), LEAT_BAD_VALUE);
    assert_int_equal(mend(), LEAT_CORRUPT);
    work_end();
}
