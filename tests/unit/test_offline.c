/* test_offline.c - fsck finds damage and calls sound what power cuts leave; dump and explain tell what the log says. */
#include "offline_stage.h"

#include "dump.h"
#include "explain.h"
#include "fact.h"
#include "keep.h"
#include "receipt.h"

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

/* -- directories of another hand -- */

enum { TEXT_1 = 1, TEXT_2 = 2, FORGED = 4, UNFINISHED = 8 };

/* A directory that has nothing but a manifest of this size, with these things in its two copies. */
static void manifest_stage(uint64_t size, unsigned what)
{
    static uint8_t copies[2 * MANIFEST_BYTES];
    static struct manifest m;
    memset(copies, 0, sizeof copies);
    if (what & TEXT_1)
        memset(copies, 't', MANIFEST_BYTES);
    if (what & TEXT_2)
        memset(copies + MANIFEST_BYTES, 't', MANIFEST_BYTES);
    if (what & FORGED) {
        manifest_encode(copies, &m);
        le32_put(copies + 76, MANIFEST_SEGMENTS_MAX + 1);
        le32_put(copies + 12, 0);
        le32_put(copies + 12, crc32c(0, copies, MANIFEST_BYTES));
    }
    if (what & UNFINISHED)
        memcpy(copies, "This backup has not ended.", 26);
    stage = calloc(1, sizeof *stage);
    struct fake_disk_config disk = {.seed = 1, .capacity = 1 << 24};
    stage->disk = fake_disk_open(&disk);
    disk_close(stage->disk, (uint32_t)disk_create(stage->disk, "manifest", sizeof copies));
    assert_true(fake_disk_poke(stage->disk, "manifest", 0, copies, sizeof copies));
    assert_true(fake_disk_cut(stage->disk, "manifest", size));
    fake_disk_settle(stage->disk);
    disk_sync_directory(stage->disk);
}

/* dump of one queue, or of all. */
static enum leat_status dumped(const char *name)
{
    char error[SOURCE_ERROR] = "", *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    struct dump_options o = {.out = out, .notes = out, .queue = name};
    enum leat_status status = dump_run(stage->disk, &o, error);
    fclose(out);
    assert_true(status == LEAT_OK || error[0] != 0);
    free(text);
    return status;
}

static enum leat_status explain_status(void)
{
    char error[SOURCE_ERROR] = "", id[MESSAGE_ID_TEXT], *text = NULL;
    struct message_id name = {.epoch = 1, .lsn = lsn_make(7, 0)};
    receipt_id_text(id, &name);
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    struct explain_options o = {.out = out, .name = id};
    enum leat_status status = explain_run(stage->disk, &o, error);
    fclose(out);
    free(text);
    return status;
}

TEST(offline, dump_of_a_queue_that_was_never_there_says_so)
{
    work(7, false);
    assert_int_equal(dumped("mail"), LEAT_OK);
    assert_int_equal(dumped("male"), LEAT_NO_QUEUE);
    work_end();
    manifest_stage(2 * MANIFEST_BYTES, 0);
    assert_int_equal(dumped("mail"), LEAT_NO_QUEUE);
    work_end();
}

TEST(offline, an_empty_place_is_no_data_directory)
{
    stage = calloc(1, sizeof *stage);
    struct fake_disk_config disk = {.seed = 1};
    stage->disk = fake_disk_open(&disk);
    assert_int_equal(check(false), LEAT_BAD_VALUE);
    assert_int_equal(dumped(NULL), LEAT_BAD_VALUE);
    assert_int_equal(explain_status(), LEAT_BAD_VALUE);
    assert_int_equal(mend(), LEAT_CORRUPT);
    work_end();
}

TEST(offline, fsck_agrees_with_the_start_about_every_lonely_manifest)
{
    static const uint64_t sizes[] = {0, 10, DISK_BLOCK, MANIFEST_BYTES, 2 * MANIFEST_BYTES - 1, 2 * MANIFEST_BYTES};
    unsigned sound = 0;
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (unsigned what = 0; what < 16; what++) {
            manifest_stage(sizes[i], what);
            enum leat_status status = check(false), told = dumped(NULL);
            assert_true(status == LEAT_OK || status == LEAT_CORRUPT);
            assert_int_equal(told, status);
            assert_int_equal(explain_status(), status == LEAT_OK ? LEAT_EMPTY : LEAT_CORRUPT);
            if (status == LEAT_CORRUPT)
                assert_non_null(strstr(said, "CORRUPT manifest"));
            assert_int_equal(refused(), status == LEAT_CORRUPT);
            sound += status == LEAT_OK;
            work_end();
        }
    assert_int_equal(sound, 3); /* zeros, and one copy of the two */
}

/* -- keep segments -- */

enum { KEPT_PAGES = 3, KEPT_ENTRIES = 20, KEPT_AT = 8 * DISK_BLOCK };

/* A manifest that lists one keep segment of three directory pages. */
static void keep_stage(void)
{
    static struct manifest m;
    static uint8_t copy[2 * MANIFEST_BYTES], segment[64 * DISK_BLOCK];
    m = (struct manifest){.sequence = 2, .cluster = 7, .segment_bytes = sizeof segment, .segments = 2};
    m.segment[0] = (struct manifest_segment){.file = 1, .incarnation = 1, .first = 1, .keep = 1};
    m.segment[1] = (struct manifest_segment){.file = 2, .incarnation = 1, .first = 100};
    manifest_encode(copy, &m);
    for (uint32_t i = 0; i < KEPT_PAGES; i++) {
        uint8_t *page = segment + i * DISK_BLOCK;
        struct keep_page p = {
            .cluster = 7, .first = 1, .last = 99, .incarnation = 1, .number = i, .pages = KEPT_PAGES, .entries = 20};
        for (uint32_t n = 0; n < KEPT_ENTRIES; n++) {
            uint32_t k = i * KEPT_ENTRIES + n;
            uint8_t *bytes = segment + KEPT_AT + (size_t)k * FACT_PUT_FIXED;
            struct fact f = {
                .kind = FACT_PUT, .lsn = lsn_make(k + 1, 0), .put = {.slot = SLAB_NONE, .attrs = bytes, .body = bytes}};
            fact_encode(bytes, &f);
            struct keep_entry e = {
                .lsn = f.lsn, .offset8 = (uint32_t)(bytes - segment) / 8, .size8 = FACT_PUT_FIXED / 8};
            keep_put(page, n, &e);
        }
        keep_seal(page, &p);
    }
    stage = calloc(1, sizeof *stage);
    struct fake_disk_config disk = {.seed = 1, .capacity = 1 << 20};
    stage->disk = fake_disk_open(&disk);
    disk_close(stage->disk, (uint32_t)disk_create(stage->disk, "manifest", sizeof copy));
    disk_close(stage->disk, (uint32_t)disk_create(stage->disk, "log-00000001", sizeof segment));
    assert_true(fake_disk_poke(stage->disk, "manifest", 0, copy, sizeof copy));
    assert_true(fake_disk_poke(stage->disk, "log-00000001", 0, segment, sizeof segment));
}

TEST(offline, any_page_of_a_kept_directory_tells_of_the_others)
{
    for (uint32_t damaged = 0; damaged < KEPT_PAGES; damaged++) {
        keep_stage();
        poke_byte("log-00000001", damaged * (uint64_t)DISK_BLOCK + 70);
        look();
        assert_int_equal(scan.segments[0].kept, (KEPT_PAGES - 1) * KEPT_ENTRIES);
        assert_int_equal(scan.segments[0].kept_bad, 1);
        assert_int_equal(scan.segments[0].kept_from, damaged * DISK_BLOCK);
        assert_true(scan.segments[0].kept_broken);
        look_away();
        work_end();
    }
}
