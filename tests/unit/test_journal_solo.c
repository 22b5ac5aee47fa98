/* test_journal_solo.c - a quorum of one: the shard's door to the log. */
#include <errno.h>

#include "fake_disk.h"
#include "log_rig.h"
#include "replica.h"
#include "test.h"

static struct replica *open(struct disk *d, unsigned facts)
{
    struct journal_config config = log_rig_config();
    struct replica *r;
    char error[256];
    struct journal_block b = {0};
    enum leat_status status;
    uint8_t byte;
    unsigned seen = 0;
    assert_int_equal(replica_open(&r, d, &config, error), LEAT_OK);
    assert_int_equal(journal_replay_image(replica_journal(r), &byte, 1, &status, error), 0);
    while (journal_replay_block(replica_journal(r), &b, &status, error))
        seen += b.facts;
    assert_int_equal(seen, facts);
    assert_int_equal(replica_start(r, error), LEAT_OK);
    return r;
}

static void append(struct replica *r)
{
    struct lsn lsn;
    uint32_t place;
    uint8_t *p = replica_reserve(r, JOURNAL_PUT, 64, 0, &lsn, &place);
    assert_non_null(p);
    memset(p, 1, 64);
    replica_commit(r, 64, true, INSTANT_ZERO);
}

TEST(solo, appended_is_a_quorum_in_memory_and_durable_is_one_on_disk)
{
    struct fake_disk_config c = {.seed = 1, .latency_min = {1000}, .latency_max = {1000}};
    struct disk *d = fake_disk_open(&c);
    struct replica *r = open(d, 0);
    assert_true(replica_leads(r));
    append(r);
    struct replica_watermarks w = replica_watermarks(r);
    assert_int_equal(w.appended, 1);
    assert_int_equal(w.quorum, 1);
    assert_int_equal(w.durable, 0);
    assert_int_equal(w.quorum_durable, 0);
    assert_int_equal(replica_next_due(r).ns, 0);
    for (uint64_t now = 0; replica_watermarks(r).durable < 1; now += 1000) {
        fake_disk_step(d, (struct instant){now});
        replica_step(r, (struct instant){now});
    }
    assert_int_equal(replica_watermarks(r).quorum_durable, 1);
    replica_close(r);
    fake_disk_crash(d);
    r = open(d, 1);
    replica_close(r);
    fake_disk_close(d);
}

TEST(solo, a_replica_whose_disk_has_failed_no_longer_leads)
{
    struct fake_disk_config c = {.seed = 2};
    struct disk *d = fake_disk_open(&c);
    struct replica *r = open(d, 0);
    append(r);
    fake_disk_fail(d, DISK_WRITE, 1, -EIO);
    for (uint64_t now = 0; now < 10; now++) {
        replica_step(r, (struct instant){now});
        fake_disk_step(d, (struct instant){now});
    }
    assert_int_equal(replica_error(r), LEAT_DISK_ERROR);
    assert_false(replica_leads(r));
    assert_int_equal(replica_watermarks(r).durable, 0);
    replica_close(r);
    fake_disk_close(d);
}
