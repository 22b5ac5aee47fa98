/* replica.h - the log as the shard sees it: appended here, and known to be safe up to four watermarks.
 *
 * Behind this door stands either a quorum of one (solo.c) or Raft; the shard appends and releases replies in the same
 * way with both. Bodies, replay and checkpoints are the journal's own business: replica_journal().
 *
 * Units: block numbers. Memory: the replica owns its journal; the disk stays the caller's. Failure: as the journal's
 * (journal.h); replica_error() turns non-OK for good. Thread: owned by one shard. */
#ifndef LEAT_REPLICA_REPLICA_H
#define LEAT_REPLICA_REPLICA_H

#include <stdbool.h>
#include <stdint.h>

#include "journal.h"

struct replica;

/* Facts of blocks <= these are ...  (durable <= appended, quorum_durable <= quorum) */
struct replica_watermarks {
    uint64_t appended;       /* in this broker's memory */
    uint64_t durable;        /* on this broker's disk */
    uint64_t quorum;         /* in the memory of a majority */
    uint64_t quorum_durable; /* on the disks of a majority */
};

/* replica_open: opens the data directory; replay through replica_journal() comes next, then replica_start(). */
enum leat_status replica_open(struct replica **r, struct disk *d, const struct journal_config *config, char error[256]);
/* replica_start: the new epoch is durable, and the log open for appending when it returns. */
enum leat_status replica_start(struct replica *r, char error[256]);
void replica_close(struct replica *r);

struct journal *replica_journal(struct replica *r);

/* Whether requests may be decided here. */
bool replica_leads(const struct replica *r);

/* As journal_reserve() and journal_commit(). */
uint8_t *replica_reserve(struct replica *r, enum journal_purpose purpose, uint32_t size, uint32_t together,
                         struct lsn *lsn, uint32_t *place);
void replica_commit(struct replica *r, uint32_t size, bool waited, struct instant now);

/* One step of everything under way; how many things happened. */
unsigned replica_step(struct replica *r, struct instant now);
struct instant replica_next_due(const struct replica *r);

struct replica_watermarks replica_watermarks(const struct replica *r);
enum leat_status replica_error(const struct replica *r);

#endif
