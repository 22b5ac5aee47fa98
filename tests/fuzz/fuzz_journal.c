/* fuzz_journal.c - a data directory after a disk has lied: the journal opens it, or says in one sentence why not.
 *
 * A directory is made once by a real journal: a checkpoint, blocks behind it, a power cut. The input changes it: bytes
 * overwritten, pages zeroed, pages copied to where they do not belong, pages that cannot be read, files cut. With
 * FORGED all checksums and chains are made good again afterwards, as no accident could, so that what lies behind them
 * is reached: positions, lengths, the index. Held against the journal: it never reads outside what is there; a refusal
 * has a status and a sentence; what it gives are blocks in order; and what one recovery has found, the next one finds,
 * and the fact that was appended between them. */
#include <stdio.h>
#include <string.h>

#include "directory.h"
#include "fake_disk.h"
#include "hash.h"
#include "journal.h"
#include "log_rig.h"
#include "must.h"
#include "record.h"
#include "target.h"

enum { FACT_BYTES = 48 };

/* The directory as a power cut leaves it. */
static void make(void)
{
    struct fake_disk_config disk = {.seed = 3};
    struct journal_config config = log_rig_config();
    struct log_rig *r = log_rig_make(&disk, &config);
    must(log_rig_open(r) == LEAT_OK);
    for (unsigned n = 0; n < 120; n++) {
        must(log_rig_append(r, JOURNAL_PUT, true, n % 7 == 0));
        must(log_rig_settle(r));
        if (n == 60)
            must(log_rig_checkpoint(r));
    }
    log_rig_end(r, true);
    directory_gather(r->disk);
    log_rig_free(r);
}

/* -- recovery -- */

struct found {
    uint64_t image, blocks; /* hashes of all */
    uint64_t count, last;
};

static enum leat_status refused(enum leat_status status, const char error[256])
{
    must(status != LEAT_OK);
    must(error[0] != 0 && memchr(error, 0, 256) != NULL);
    return status;
}

/* Everything that recovery gives, down to the last byte; `upto`: no block behind this one is looked at. */
static enum leat_status replay(struct journal *j, struct found *found, uint64_t upto)
{
    static uint8_t bytes[5000];
    char error[256] = "";
    enum leat_status status = LEAT_OK;
    struct journal_block b;
    uint64_t previous = 0;
    memset(found, 0, sizeof *found);
    for (uint32_t n; (n = journal_replay_image(j, bytes, sizeof bytes, &status, error)) > 0;) {
        must(n <= sizeof bytes);
        found->image = hash_bytes(bytes, n) + found->image * 31;
    }
    while (status == LEAT_OK && journal_replay_block(j, &b, &status, error)) {
        must(b.payload_size <= DIRECTORY_FILE_MAX && b.payload_place == RECORD_HEADER);
        must(b.number > previous && b.facts > 0); /* those without facts are not shown */
        previous = b.number;
        if (b.number > upto)
            continue;
        found->blocks = hash_bytes(b.payload, b.payload_size) + found->blocks * 31 + b.facts + b.epoch;
        found->last = b.number;
        found->count++;
    }
    return status == LEAT_OK ? LEAT_OK : refused(status, error);
}

static bool step(struct journal *j, struct disk *d, uint64_t *now)
{
    *now += 1000000;
    fake_disk_step(d, (struct instant){*now});
    journal_step(j, (struct instant){*now});
    return journal_error(j) == LEAT_OK;
}

/* Opens, starts, appends one fact and waits for it; how the directory looked before. */
static enum leat_status live(struct disk *d, struct found *found, uint64_t upto)
{
    struct journal_config config = log_rig_config();
    struct journal *j;
    struct lsn lsn;
    uint32_t place;
    uint64_t now = 1;
    char error[256] = "";
    enum leat_status status = journal_open(&j, d, &config, error);
    if (status != LEAT_OK)
        return refused(status, error);
    status = replay(j, found, upto);
    if (status == LEAT_OK && (status = journal_start(j, error)) != LEAT_OK)
        refused(status, error);
    uint8_t *p = status == LEAT_OK ? journal_reserve(j, JOURNAL_ACK, FACT_BYTES, 0, &lsn, &place) : NULL;
    if (p) {
        memset(p, 'n', FACT_BYTES);
        must(lsn_block(lsn) > found->last);
        journal_commit(j, FACT_BYTES, true, (struct instant){now});
        for (unsigned i = 0; journal_durable(j) < lsn_block(lsn); i++)
            if (!step(j, d, &now) || i > 1000)
                status = journal_error(j) != LEAT_OK ? journal_error(j) : LEAT_TIMED_OUT;
            else
                must(status == LEAT_OK);
        must(status == LEAT_OK);
    }
    journal_close(j);
    fake_disk_kill(d);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!directory_gathered())
        make();
    if (size == 0)
        return 0;
    struct disk *d = directory_changed(data, size);
    struct found first, second;
    if (live(d, &first, UINT64_MAX) == LEAT_OK) {
        must(live(d, &second, first.last) == LEAT_OK);
        must(second.image == first.image && second.blocks == first.blocks && second.count == first.count);
    }
    fake_disk_close(d);
    return 0;
}
