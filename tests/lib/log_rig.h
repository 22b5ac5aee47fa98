/* log_rig.h - a journal on a fake disk, and a memory of everything that was appended, durable and replayed.
 *
 * A fact is a number n (1, 2, ...) and bytes that only n has, in the epoch in which it was appended. The rig drives
 * steps and virtual time, crashes the machine, opens again and checks what every recovery must hold: what is replayed
 * is a prefix of what was appended, and holds all that was durable (S2). The state behind the log is one number, the
 * newest fact applied, and the image of a checkpoint is that number with padding.
 *
 * Memory: the rig's. Failure: must(), or the status asked for. Thread: one. */
#ifndef LEAT_TESTS_LOG_RIG_H
#define LEAT_TESTS_LOG_RIG_H

#include "fake_disk.h"
#include "journal.h"
#include "prng.h"

enum { RIG_FACTS_MAX = 65536 };
#define RIG_FIRST_ASKED UINT64_MAX

struct log_rig {
    struct journal_config config;
    struct disk *disk;
    struct journal *journal;
    struct prng prng;
    uint64_t now;
    uint32_t image_bytes; /* of a checkpoint */

    uint64_t appended;      /* newest fact committed since the last opening, or replayed */
    uint64_t durable;       /* newest fact that the journal has called durable, ever */
    uint64_t replayed;      /* newest fact that the last opening gave */
    uint64_t replayed_from; /* the fact that the image held */
    uint32_t epoch;
    uint64_t cut; /* fact of the image being written */
    char error[256];
    struct lsn lsn[RIG_FACTS_MAX];
    uint32_t place[RIG_FACTS_MAX];
    uint32_t wrote[RIG_FACTS_MAX]; /* the epoch that appended it */
    bool pinned[RIG_FACTS_MAX];    /* lives in the image and in memory */
    bool cleans;                   /* each step drives the cleaner, too */
    uint64_t wrong; /* the cleaner is told that this fact is wrong; RIG_FIRST_ASKED: the first it asks about */
    struct journal_survivor survivors[RIG_FACTS_MAX];
    bool mortal; /* bodies die by the rule below when later facts are applied, and nobody pins by hand */
};

/* Small numbers: 4 KiB .. blocks of 16 KiB, segments of 64 KiB, depth 8, disk_max of 16 segments. */
struct journal_config log_rig_config(void);

/* log_rig_make: a new disk. log_rig_free: everything. */
struct log_rig *log_rig_make(const struct fake_disk_config *disk, const struct journal_config *config);
void log_rig_free(struct log_rig *r);

/* log_rig_open: journal_open, replay and start, with the checks of S2. The sentence is in r->error. */
enum leat_status log_rig_open(struct log_rig *r);
/* log_rig_opens: that, and it has replayed so many facts; else false, and r->error says why. */
bool log_rig_opens(struct log_rig *r, uint64_t facts);
/* log_rig_end: the process ends; power cut or not. */
void log_rig_end(struct log_rig *r, bool power_cut);

uint32_t log_rig_size(uint64_t fact);
bool log_rig_is(const struct log_rig *r, const uint8_t *bytes, uint64_t fact);
/* The rule for mortal bodies: is `fact` alive when `newest` was applied? Most die soon, some hold on for long. */
bool log_rig_lives(uint64_t fact, uint64_t newest);
/* log_rig_check_bodies: every live body can be read back, hot or cold. */
bool log_rig_check_bodies(struct log_rig *r);

/* log_rig_append: one fact; false when it is refused. `pin`: it is a live body. */
bool log_rig_append(struct log_rig *r, enum journal_purpose purpose, bool waited, bool pin);
void log_rig_unpin(struct log_rig *r, uint64_t fact);
/* log_rig_step: lets `d` pass, completes what is due, steps. */
unsigned log_rig_step(struct log_rig *r, struct duration d);
/* log_rig_settle: steps until everything waited for is durable; false on journal_error() or when nothing moves. */
bool log_rig_settle(struct log_rig *r);
/* log_rig_checkpoint: takes one and waits for it; false if it cannot be. */
bool log_rig_checkpoint(struct log_rig *r);
/* log_rig_begin, log_rig_feed: the same in two steps, for crashes between. */
bool log_rig_begin(struct log_rig *r);
bool log_rig_feed(struct log_rig *r);

#endif
