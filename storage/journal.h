/* journal.h - the segmented, append-only log of one shard: facts in, durable blocks out, bodies back.
 *
 * The journal does not know what a fact is: bytes with a length. Facts are appended to the open block; a block is
 * sealed, written with one O_DIRECT write, and durable when that write (or the flush behind it) has completed. Up to
 * `depth` blocks are in flight. What arrives while they are shares the next block: group commit by back-pressure,
 * without a timer. The last `hot_bytes` of blocks stay in memory; older bodies are read back from their segments.
 *
 * Life: journal_open() reads manifest and newest checkpoint; journal_replay_*() gives the checkpoint's chunks, then the
 * blocks behind it in order; journal_start() truncates the torn tail and opens for appending under a new epoch; then
 * append, step, reap; journal_close().
 *
 * Units: bytes; lsn = block << 16 | fact index; place = byte offset of a fact in its block, a multiple of 8. A position
 * (lsn, place, size) is enough to read a fact again for as long as its segment lives. Memory: allocated at open
 * (config), nothing later. Failure: journal_error() turns non-OK for good on a failed write or flush; nothing is
 * acknowledged after it. Thread: owned by one shard. */
#ifndef LEAT_STORAGE_JOURNAL_H
#define LEAT_STORAGE_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "disk.h"
#include "status.h"
#include "units.h"

struct journal;

struct journal_config {
    uint64_t
        segment_bytes; /* 64 MiB, at most 256; from two blocks up in the simulator; an old directory keeps its own */
    uint32_t block_bytes_max; /* 4 MiB: the largest block, header included */
    uint32_t depth;           /* blocks in flight, 1..8 */
    uint64_t hot_bytes;       /* blocks kept in memory, at least (depth + 2) blocks of the largest size */
    uint64_t disk_max;        /* segments are not added beyond this many bytes */
    uint32_t ack_reserve;     /* bytes of each block that only JOURNAL_ACK may use: 64 KiB */
    uint64_t history_bytes;   /* dead segments that are kept for those who read the log, while space is not short */
    uint64_t cluster;         /* written into every block; 0 on creation: taken from `entropy` */
    uint64_t entropy;         /* fresh random bits of the caller, for a new directory and a copy that is opened first */
    uint32_t clean_above;     /* old segments beyond twice what lives in them, before they are cleaned; 4 */
};

/* Who asks for room: on a nearly full disk they are refused in this order, acks never while there is room. TIME: what
 * happens by itself, leases and delays that end; it waits unlogged. START: the fact that opens an epoch has
 * a last piece of the log to itself, so that a full log can be started again. */
enum journal_purpose { JOURNAL_PUT, JOURNAL_TAKE, JOURNAL_TIME, JOURNAL_ACK, JOURNAL_START };

/* journal_open: opens or creates the data directory behind `d`. *error is filled with one sentence for people (what,
 * where, limit) on failure: LEAT_CORRUPT, LEAT_TOO_NEW, LEAT_DISK_ERROR, LEAT_NO_SPACE, LEAT_NO_MEMORY, LEAT_BAD_VALUE
 * (a config that does not add up). */
enum leat_status journal_open(struct journal **j, struct disk *d, const struct journal_config *config, char error[256]);

/* Capacities and identity that stand in the manifest: an opaque blob of the caller, at most JOURNAL_BLOB bytes (lasting
 * limits, receipt key, catalogue version). size 0 on a new directory until journal_set_blob(), which is durable when
 * journal_start() returns. */
enum { JOURNAL_BLOB = 1024 };
uint32_t journal_blob(const struct journal *j, uint8_t blob[JOURNAL_BLOB]);
void journal_set_blob(struct journal *j, const uint8_t *blob, uint32_t size);

/* Replay, first the image: up to `max` bytes of the newest checkpoint, in order; 0 at its end (or if there is none).
 * *status: LEAT_CORRUPT and a sentence in error. */
uint32_t journal_replay_image(struct journal *j, uint8_t *bytes, uint32_t max, enum leat_status *status,
                              char error[256]);

/* Replay, then the blocks behind it: *payload points to the facts of the next block until the next call. False at the
 * end of the log: a torn tail ends it quietly, rot sets *status to LEAT_CORRUPT and says the exact range. */
struct journal_block {
    uint64_t number;
    uint32_t epoch;
    uint32_t facts;         /* how many facts the payload holds */
    const uint8_t *payload; /* facts back to back; `place` of the first is payload_place */
    uint32_t payload_size;
    uint32_t payload_place;
};
bool journal_replay_block(struct journal *j, struct journal_block *block, enum leat_status *status, char error[256]);

/* journal_start: zeroes and syncs what lies behind the end of the log, makes `epoch` (one more than any seen) durable
 * in the manifest, opens the first block. */
enum leat_status journal_start(struct journal *j, char error[256]);
uint32_t journal_epoch(const struct journal *j); /* of this start; valid after journal_open (already the new one) */

/* Appending. journal_reserve: room for one fact of `size` bytes (multiple of 8) in the open block, as a pointer to
 * fill; *lsn and *place are where it will be. NULL: the block is full and `depth` blocks are in flight, or a purpose's
 * reserve is reached (journal_refusal() tells which status: LEAT_OVERLOADED, LEAT_NO_SPACE, LEAT_TOO_LARGE for what no
 * block can hold, or journal_error()). `together` > size asks
 * that so many bytes, of at most 4096 facts, lie in the same block as this one (an atomic step, a batch of leases).
 * journal_commit: the fact is written and counts. A fact with `waited` false does not start a block by itself: it
 * leaves with the next waited one, or after 5 ms. */
uint8_t *journal_reserve(struct journal *j, enum journal_purpose purpose, uint32_t size, uint32_t together,
                         struct lsn *lsn, uint32_t *place);
enum leat_status journal_refusal(const struct journal *j);
void journal_commit(struct journal *j, uint32_t size, bool waited, struct instant now);

/* journal_step: reaps completions, submits the open block if it is due and fewer than `depth` are in flight, writes the
 * idle watermark block, asks for segments ahead, drives the checkpoint's writes. Returns how many things happened (0:
 * idle). */
unsigned journal_step(struct journal *j, struct instant now);
/* When journal_step() wants to run again without a completion (5 ms rule, watermark block), or INSTANT_NEVER. */
struct instant journal_next_due(const struct journal *j);

/* Watermarks, as block numbers: facts of blocks <= these are appended (sealed or open), durable. */
uint64_t journal_appended(const struct journal *j);
uint64_t journal_durable(const struct journal *j);
enum leat_status journal_error(const struct journal *j);

/* Bodies. journal_hot: the fact in memory, or NULL if its block has left the hot tail. The pointer is good until the
 * next journal_step(). */
const uint8_t *journal_hot(const struct journal *j, struct lsn lsn, uint32_t place, uint32_t size);
/* journal_fetch: starts reading a cold fact, or a stretch of several in one block, unless it is kept. `data` is
 * DISK_BLOCK-aligned memory of at least journal_fetch_bytes(size); *skip is where the fact begins in it when the
 * completion (journal_fetched) arrives with LEAT_OK; both are lent until then. The caller checks the fact's own
 * checksum, seeded by its lsn. False: too many reads, try later. */
uint32_t journal_fetch_bytes(uint32_t size);
bool journal_fetch(struct journal *j, struct lsn lsn, uint32_t place, uint32_t size, void *data, uint32_t *skip,
                   uint64_t tag);
/* journal_spot: where a block stands in its segment; false if it is not on the disk yet or not any more, or is kept.
 * `life` names that segment until it is recycled: what was read of it stays true as long. journal_fetch_spot: starts
 * reading `size` bytes at `offset` of that segment (both multiples of DISK_BLOCK, before spot->end), as journal_fetch()
 * does. */
struct journal_spot {
    uint64_t life;
    uint64_t offset; /* of the block */
    uint64_t end;    /* what lies before it does not change any more */
    uint64_t bytes;  /* of the segment */
    uint64_t next;   /* the block with which the next segment begins, once there is one */
    uint16_t owner;  /* the journal's business */
};
bool journal_spot(const struct journal *j, uint64_t block, struct journal_spot *spot);
bool journal_fetch_spot(struct journal *j, const struct journal_spot *spot, uint64_t offset, uint32_t size, void *data,
                        uint64_t tag);
/* Next finished fetch: its tag and LEAT_OK, LEAT_DISK_ERROR or LEAT_CORRUPT. */
bool journal_fetched(struct journal *j, uint64_t *tag, enum leat_status *status);

enum { JOURNAL_CHUNK = 64 * 1024 };

/* Checkpoints. The caller cuts an image of its state as of position `upto` (the last appended block, with everything of
 * it applied) and feeds it in chunks. begin: seals the open block, so that the position is a block's edge; false if one
 * is under way, nothing was appended since the last, or the block cannot leave now (try again after a step).
 * image_bytes: at most so many will be fed. write: at most JOURNAL_CHUNK bytes, all or none; false when no buffer is
 * free now. end: the image is complete; it is published in the manifest when it and its position are durable, and
 * segments that neither the log behind it nor a live message needs are freed.
 */
bool journal_checkpoint_possible(const struct journal *j); /* whether begin would be true */
bool journal_checkpoint_begin(struct journal *j, uint64_t image_bytes);
bool journal_checkpoint_write(struct journal *j, const uint8_t *bytes, uint32_t size);
void journal_checkpoint_end(struct journal *j);
bool journal_checkpoint_running(const struct journal *j);
/* Bytes appended since the newest published checkpoint: the caller's measure for when to take the next. */
uint64_t journal_tail_bytes(const struct journal *j);
/* Few segments are free, so that puts are or will soon be refused: a checkpoint may free some, however short the tail
 * behind the last one. */
bool journal_short(const struct journal *j);
/* Many segments hold nothing that lives any more, or a backup has let go of some: they only wait for a checkpoint. */
bool journal_hoards(const struct journal *j);

/* Liveness of segments: how many live (not gone) message bodies, of how many bytes, lie in a block's segment is kept by
 * these two calls; replay and image loading call them too. A segment whose count is 0 when a checkpoint begins, and
 * which lies wholly before its position, is recycled once that checkpoint is published. journal_pin_many: for several
 * bodies of one block, of so many bytes together. */
void journal_pin(struct journal *j, uint64_t block, uint32_t bytes);
void journal_pin_many(struct journal *j, uint64_t block, uint64_t bodies, uint64_t bytes);
void journal_unpin(struct journal *j, uint64_t block, uint32_t bytes);
/* journal_holds: whether a block, or what survived of it, lies in a segment: others may not be pinned. */
bool journal_holds(const struct journal *j, uint64_t block);

/* Cleaning. Of sparse old segments that stand side by side, the bodies that live are copied into one keep segment,
 * which takes their place; so that a body which lives long holds no more than its share of the disk (clean.c). The
 * caller knows who lives and what a right fact looks like, the journal where the bytes are:
 *
 *   begin --> list --> (next --> judge)* --> published by itself         give_up at any moment before that
 *
 * journal_clean_begin: false if there is nothing to do now. Else the blocks first..last want to be cleaned; at most
 * `most` facts live in them. journal_clean_list: everything that may live in them, sorted by position, no two alike,
 * however it was gathered since begin; lent until journal_clean_running() is false. journal_clean_next: a fact that was
 * read, as long as the caller said in the list, to be judged; NULL: none now. journal_clean_judge: it is copied as it
 * is; or it is wrong, and the run given up: its segments stay as they are. */
struct journal_survivor {
    struct lsn lsn;
    uint32_t place8, size8; /* in units of 8 bytes */
};
bool journal_clean_begin(struct journal *j, uint32_t most, uint64_t *first, uint64_t *last);
void journal_clean_list(struct journal *j, const struct journal_survivor *list, uint32_t count);
const uint8_t *journal_clean_next(struct journal *j, struct journal_survivor *fact);
void journal_clean_judge(struct journal *j, bool right);
void journal_clean_give_up(struct journal *j);
bool journal_clean_running(const struct journal *j);
/* journal_clean_most: facts of at least `least` bytes that one keep segment can hold. */
uint32_t journal_clean_most(const struct journal_config *c, uint32_t least);

/* journal_kept: the body lies in a keep segment, where nothing lies beside it that lay beside it in its block. */
bool journal_kept(const struct journal *j, struct lsn lsn);

/* A backup: files that are together a data directory as of one durable position, read while the log goes on. begin:
 * false until everything appended before the first call is durable and no checkpoint is being written (ask again after
 * a step); the position is then journal_durable(). The caller reads files in order; reading one lets go of those before
 * it. Segments that were not read yet are not recycled, and of the two areas for checkpoints one is not written before
 * it was read; a backup that does not read for a minute, or without which the log would have the room that it lacks, is
 * lost: then running is false, and reads say LEAT_BACKUP_LOST. end: at any moment, also before it has begun.
 *
 * A copy is `bytes` of each file, then zeros up to `size`. Until the manifest, the last of them, is whole, there is no
 * copy. Whoever opens a copy leaps to epochs that neither the original nor another copy is likely to use. */
enum { JOURNAL_BACKUP_READ = 1024 * 1024 };
struct journal_backup {
    uint64_t cluster, position, bytes;
    uint32_t epoch, files;
};
struct journal_backup_file {
    char name[DISK_NAME_MAX];
    uint64_t bytes, size;
};
bool journal_backup_begin(struct journal *j);
bool journal_backup_running(const struct journal *j);
struct journal_backup journal_backup(const struct journal *j);
struct journal_backup_file journal_backup_file(const struct journal *j, uint32_t i);
/* journal_backup_read: starts reading; offset and size are multiples of DISK_BLOCK, size at most JOURNAL_BACKUP_READ,
 * both within `bytes`; `data` is DISK_BLOCK-aligned and lent until journal_backup_read_done() gives the tag (LEAT_OK,
 * LEAT_DISK_ERROR, LEAT_BACKUP_LOST), also when the backup has ended. LEAT_OVERLOADED: too many reads;
 * LEAT_BACKUP_LOST, LEAT_BAD_VALUE. */
enum leat_status journal_backup_read(struct journal *j, uint32_t file, uint64_t offset, uint32_t size, uint8_t *data,
                                     uint64_t tag);
bool journal_backup_read_done(struct journal *j, uint64_t *tag, enum leat_status *status);
void journal_backup_end(struct journal *j);

/* For the operator: sizes and counters. */
struct journal_counters {
    uint64_t blocks, bytes, payload_bytes, flushes, fetches, segments, free_segments, disk_bytes, checkpoints,
        torn_tails, backups, backups_lost, backup_bytes;
    uint64_t replayed_image, replayed_bytes;  /* that the start had to read: of the checkpoint, of blocks behind it */
    uint64_t keep_segments, live, live_bytes; /* now; live bodies and their bytes */
    uint64_t settled, settled_live, settled_bytes; /* now, before the newest checkpoint: segments that hold anything */
    uint64_t cleanings, cleaned_bytes, cleaned_segments, cleanings_given_up;
    uint64_t segment_bytes; /* of each, in this directory */
    uint64_t clean_looks;   /* after which nothing was left to clean */
};
struct journal_counters journal_counters(const struct journal *j);

/* journal_fact_max: the largest fact that a block of this directory holds for every purpose. */
uint32_t journal_fact_max(const struct journal *j);

/* journal_memory: bytes that a journal of this config takes at most, once it runs; for the caller's budget. */
uint64_t journal_memory(const struct journal_config *config);

/* journal_idle: nothing is under way, nothing waits to be written: a good moment to close. */
bool journal_idle(const struct journal *j);

/* journal_close: call after journal_step() until journal_idle(); before that it is like a crash of the process, after
 * which the disk must be closed without another use of it. Frees everything; the disk stays the caller's. */
void journal_close(struct journal *j);

#endif
