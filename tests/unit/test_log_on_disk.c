/* test_log_on_disk.c - the journal on a real file system: append, close, open again, read back, go on. */
#include <unistd.h>

#include "disk_uring.h"
#include "journal.h"
#include "test.h"

struct room {
    char path[64];
    struct ring *ring;
    struct disk *disk;
    struct journal *journal;
    uint64_t now;
};

static const struct journal_config config = {.segment_bytes = 1 << 20,
                                             .block_bytes_max = 128 * 1024,
                                             .depth = 4,
                                             .hot_bytes = 1 << 20,
                                             .disk_max = 32 << 20,
                                             .ack_reserve = 4096,
                                             .entropy = 7};

static void room_open(struct room *x)
{
    char error[256] = "";
    assert_int_equal(ring_open(&x->ring, error), LEAT_OK);
    assert_int_equal(disk_uring_open(&x->disk, x->ring, x->path, error), LEAT_OK);
    if (journal_open(&x->journal, x->disk, &config, error) != LEAT_OK)
        fail_msg("%s", error);
}

static void room_close(struct room *x)
{
    journal_close(x->journal);
    disk_uring_close(x->disk);
    ring_close(x->ring);
}

static void room_step(struct room *x)
{
    x->now += 100000;
    if (journal_step(x->journal, (struct instant){x->now}) == 0)
        ring_wait(x->ring, duration_us(200));
    else
        ring_submit(x->ring);
}

static uint64_t word(uint64_t n, uint32_t i)
{
    return n * 1000003 + i;
}

/* Fact n: its number and size, then words that only it has. */
static void room_append(struct room *x, uint64_t n, struct lsn *lsn, uint32_t *place)
{
    uint32_t size = 64 + (uint32_t)(n * 7919 % 3000) / 8 * 8;
    uint8_t *p;
    while (!(p = journal_reserve(x->journal, JOURNAL_PUT, size, 0, lsn, place)))
        room_step(x);
    uint64_t *words = (uint64_t *)(void *)p;
    words[0] = n;
    words[1] = size;
    for (uint32_t i = 2; i < size / 8; i++)
        words[i] = word(n, i);
    journal_commit(x->journal, size, true, (struct instant){x->now});
}

static void check_fact(const uint64_t *words, uint64_t n)
{
    assert_int_equal(words[0], n);
    for (uint32_t i = 2; i < words[1] / 8; i++)
        assert_int_equal(words[i], word(n, i));
}

static uint64_t room_replay(struct room *x)
{
    char error[256] = "";
    enum leat_status status;
    uint8_t bytes[256];
    uint64_t n = 0;
    struct journal_block b;
    assert_int_equal(journal_replay_image(x->journal, bytes, sizeof bytes, &status, error), 0);
    assert_int_equal(status, LEAT_OK);
    while (journal_replay_block(x->journal, &b, &status, error)) {
        const uint8_t *p = b.payload;
        for (uint32_t i = 0; i < b.facts; i++) {
            check_fact((const uint64_t *)(const void *)p, n++);
            p += ((const uint64_t *)(const void *)p)[1];
        }
        assert_ptr_equal(p, b.payload + b.payload_size);
    }
    if (status != LEAT_OK)
        fail_msg("%s", error);
    if (journal_start(x->journal, error) != LEAT_OK)
        fail_msg("%s", error);
    return n;
}

static void room_drain(struct room *x)
{
    while (journal_durable(x->journal) < journal_appended(x->journal)) {
        assert_int_equal(journal_error(x->journal), LEAT_OK);
        room_step(x);
    }
}

static void room_remove(struct room *x)
{
    char command[96];
    snprintf(command, sizeof command, "rm -r %s", x->path);
    assert_int_equal(system(command), 0);
}

TEST(journal, on_a_real_disk_everything_durable_is_found_again_and_read_back)
{
    enum { FACTS = 3000 };
    static struct lsn lsns[3 * FACTS];
    static uint32_t places[3 * FACTS];
    struct room x = {.path = "build-journal-XXXXXX"};
    assert_non_null(mkdtemp(x.path));
    uint64_t n = 0;
    for (uint32_t round = 0; round < 3; round++) {
        room_open(&x);
        assert_int_equal(journal_epoch(x.journal), round + 1);
        assert_int_equal(room_replay(&x), n);
        for (uint32_t i = 0; i < FACTS; i++, n++)
            room_append(&x, n, &lsns[n], &places[n]);
        room_drain(&x);
        if (round < 2)
            room_close(&x);
    }
    uint8_t *data = aligned_alloc(4096, 16384);
    for (uint64_t i = 0; i < n; i += 97) {
        uint32_t size = 64 + (uint32_t)(i * 7919 % 3000) / 8 * 8, skip = 0;
        uint64_t tag;
        enum leat_status status;
        const uint8_t *hot = journal_hot(x.journal, lsns[i], places[i], size);
        if (hot)
            check_fact((const uint64_t *)(const void *)hot, i);
        assert_true(journal_fetch(x.journal, lsns[i], places[i], size, data, &skip, i));
        while (!journal_fetched(x.journal, &tag, &status))
            room_step(&x);
        assert_int_equal(tag, i);
        assert_int_equal(status, LEAT_OK);
        check_fact((const uint64_t *)(const void *)(data + skip), i);
    }
    assert_non_null(journal_hot(x.journal, lsns[n - 1], places[n - 1], 64));
    assert_null(journal_hot(x.journal, lsns[0], places[0], 64));
    free(data);
    room_close(&x);
    room_remove(&x);
}
