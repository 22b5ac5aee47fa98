/* log.h - what the files of the journal share. Not for other rooms: they include journal.h.
 *
 * Six things work together: the open block and the blocks in flight (flight.c), the last blocks in memory (hot.c), the
 * segments in log order (segment.c), the manifest and its writer (ledger.c), the checkpoint (checkpoint.c), and the
 * cleaner, which puts keep segments in the place of sparse old ones (clean.c). A tag says whose a completion is.
 *
 * Units: bytes, block numbers. Memory: all of struct journal is allocated at open. Thread: the shard's. */
#ifndef LEAT_STORAGE_LOG_H
#define LEAT_STORAGE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "journal.h"
#include "keep.h"
#include "manifest.h"
#include "record.h"

enum {
    LOG_DEPTH_MAX = 8,
    LOG_READS = 64,
    LOG_CHUNKS = 4, /* of a checkpoint that are filled or written at the same time */
    LOG_BACKUP_READS = 4,
    LOG_START_BYTES = 4 * DISK_BLOCK, /* at the end of a full log, for the facts that open epochs: a few starts */
    LOG_SEGMENT_MAX = 256 * 1024 * 1024,
    LOG_CLEAN_PIECE = 64 * 1024, /* what the cleaner reads or writes at a time, unless one fact is larger */
};
/* Room for a piece and the largest fact behind it. */
#define LOG_CLEAN_BYTES(block_max) ((uint64_t)(block_max) + LOG_CLEAN_PIECE + 2 * DISK_BLOCK)

enum log_tag {
    LOG_WRITE = 1,
    LOG_FLUSH,
    LOG_MANIFEST,
    LOG_MANIFEST_FLUSH,
    LOG_READ,
    LOG_CHUNK_WRITE,
    LOG_CHUNK_FLUSH,
    LOG_CREATE,
    LOG_ERASE,
    LOG_ERASE_FLUSH,
    LOG_BACKUP_READ,
    LOG_CLEAN,
    LOG_BLOCKING,
};

static inline uint64_t log_tag(enum log_tag kind, uint64_t index)
{
    return (uint64_t)kind << 56 | index;
}

/* -- segments: a pool, named by slot, and the order of the log -- */

enum { SEGMENT_NONE = UINT16_MAX };

/* One item of the order: a log segment holds all blocks of its interval, a keep segment what survives of them. The
 * intervals are disjoint and rise. */
struct segment {
    uint32_t name; /* the number in it */
    uint32_t incarnation;
    uint32_t file;   /* of the disk */
    uint32_t blocks; /* log */
    uint32_t pages;  /* keep: of its directory */
    uint64_t first;  /* number of its first block; 0: a spare */
    uint64_t last;   /* keep: the last block of its interval */
    uint64_t pins;   /* live bodies ... */
    uint64_t live;   /* ... and their bytes */
    uint64_t ready;  /* version of the manifest that lists this life of it */
    uint16_t *index; /* log: where each block starts, in DISK_BLOCKs; keep: its fences (kept.c) */
    uint64_t wipe;   /* recovery: bytes from here ... */
    uint64_t wipe_end;
    uint16_t reads; /* under way: it is not written meanwhile */
    bool keep;
    bool dead;   /* no live body when the running checkpoint began */
    bool held;   /* a backup has yet to read it: it is neither recycled nor cleaned */
    bool rotten; /* the cleaner found wrong bytes in it: it stays as it is */
};

enum log_creating { CREATING_NOTHING, CREATING_SEGMENT, CREATING_AREA };
enum log_trim { TRIM_NOTHING, TRIM_ERASING, TRIM_FLUSHING, TRIM_LISTED };

/* Spares in memory that are none on the disk before this version of the manifest is durable. */
struct credit {
    uint64_t version;
    uint32_t spares;
};

struct segments {
    struct segment *pool;
    uint16_t *order; /* slots: log_count that hold the log, then the spares in the order in which they are entered */
    uint16_t *unused;
    uint16_t *indices; /* of all */
    uint32_t unused_count;
    uint32_t max;       /* segments on the disk */
    uint32_t total;     /* in order */
    uint32_t log_count; /* the last of them is the current one */
    uint16_t borrowed;  /* slot of the one that the cleaner writes; it is not in the order, but listed as a spare */
    bool lend;          /* the cleaner wants one spare more */
    struct credit credit[2];
    uint32_t next_name;
    uint64_t bytes;       /* of each */
    uint64_t tail;        /* offset of the next block in the current one */
    uint32_t emptied;     /* segments whose last body has ended since a checkpoint was begun */
    uint8_t creating;     /* enum log_creating: the one file that is being made in the background */
    bool full;            /* the last one could not be made */
    uint32_t affordable;  /* segments that the file system has room for, at the last look ... */
    struct instant retry; /* ... and while it is short or full, it is tried again then */
    uint8_t trim;         /* enum log_trim */
    uint16_t trim_slot;
    uint64_t trim_version; /* of the manifest that no longer lists it */
    uint8_t *zeros;
};

/* -- blocks -- */

struct open_block {
    uint64_t number; /* 0: none */
    uint8_t *bytes;
    uint32_t payload;
    uint32_t facts;
    uint32_t reserved; /* bytes handed out behind the payload */
    bool waited;
    bool full;            /* somebody found no room in it */
    struct instant since; /* its first fact */
    uint64_t pins, live;
};

enum flight_state { FLIGHT_NONE, FLIGHT_QUEUED, FLIGHT_WRITING, FLIGHT_WRITTEN, FLIGHT_FLUSHING, FLIGHT_SAFE };

struct flight {
    uint8_t state;
    uint8_t leader; /* FLUSHING: the slot whose flush covers it */
    uint16_t tries;
    uint32_t file;
    uint64_t number;
    uint64_t offset; /* in the file */
    uint8_t *bytes;
    uint32_t size, done;
    uint64_t proves; /* `durable` in its header */
};

struct hot_slot {
    uint64_t number;
    uint64_t at; /* position on the endless tape of which the ring keeps the last `bytes` */
    uint32_t size;
};

struct hot {
    uint8_t *ring;
    uint64_t bytes;
    struct hot_slot *slots; /* by number, mask + 1 of them */
    uint64_t mask;
    uint64_t at;      /* end of the newest sealed block on the tape */
    uint64_t guard;   /* the tape is not written beyond this before the next step */
    uint64_t settled; /* blocks <= this may be overwritten */
};

/* -- manifest -- */

struct ledger {
    struct manifest m; /* what the next version says, but for the segments */
    uint32_t file;
    uint8_t *buffer;  /* one copy */
    uint64_t started; /* version that was last begun to be written */
    uint64_t durable; /* version that is on stable storage */
    uint8_t owed;     /* copies still to be written of what stands in memory */
    uint8_t writing;  /* enum ledger_state */
    uint32_t done;    /* of a short write */
};

/* -- checkpoint -- */

enum checkpoint_state {
    CHECKPOINT_IDLE,
    CHECKPOINT_IMAGE,
    CHECKPOINT_INDEX,
    CHECKPOINT_WRITTEN,
    CHECKPOINT_FLUSHING,
    CHECKPOINT_SAFE,
    CHECKPOINT_PUBLISHING,
    CHECKPOINT_ABANDONED
};

enum chunk_state { CHUNK_FREE, CHUNK_FILLING, CHUNK_FULL, CHUNK_WRITING };

struct chunk {
    uint8_t *bytes;
    uint64_t offset; /* in the area */
    uint32_t size, done;
    uint8_t state;
    uint16_t tries;
};

struct checkpoint_index {
    uint8_t *bytes; /* a piece of the index that waits for room in a chunk */
    uint32_t order, block;
};

struct checkpoint {
    uint8_t state;
    uint32_t area; /* the one that is written */
    uint32_t files[2];
    uint64_t sizes[2];
    uint64_t room; /* bytes that this image was said to need */
    struct chunk chunks[LOG_CHUNKS];
    uint32_t filling; /* the chunk that is being filled, or LOG_CHUNKS */
    uint32_t fill;    /* payload bytes in it */
    uint32_t kind;    /* of the chunks now */
    uint32_t count;   /* chunks sealed */
    uint64_t offset;  /* of the next chunk */
    uint64_t hash;    /* of the last one */
    bool area_ready;
    uint64_t position; /* block */
    uint64_t position_hash;
    uint64_t position_tail;            /* offset of the block behind it */
    uint32_t order;                    /* the segment of the position */
    uint32_t blocks;                   /* of that segment, up to it */
    uint32_t index_order, index_block; /* what the index has written */
    uint64_t bytes_at_begin;
    uint64_t version; /* of the manifest that publishes it */
    struct instant retry;
};

/* -- reading bodies -- */

struct read_slot {
    uint64_t tag;
    uint32_t size;  /* of the read */
    uint16_t owner; /* slot of the segment, or SEGMENT_NONE */
    bool paging;    /* a page of a keep segment's directory is read first ... */
    bool queued;
    uint32_t life; /* of the segment, its incarnation */
    uint32_t page; /* ... this one, into this slot's place in `pages` */
    struct lsn lsn;
    uint32_t body; /* bytes of the fact */
    uint64_t offset;
    uint8_t *data; /* where the fact shall go ... */
    uint32_t *skip;
};

struct reads {
    struct read_slot slots[LOG_READS];
    uint8_t unused[LOG_READS], done[LOG_READS];
    uint8_t status[LOG_READS];
    uint32_t unused_count, done_head, done_count;
    uint32_t queued; /* slots whose second read has found no room on the way to the disk */
    uint8_t *pages;
};

/* -- cleaning -- */

enum clean_state {
    CLEAN_IDLE,
    CLEAN_LISTING,    /* the caller gathers the survivors */
    CLEAN_DIRECTORY,  /* it is written */
    CLEAN_COPYING,    /* survivors are read, judged and written */
    CLEAN_FLUSHING,   /* all is written */
    CLEAN_SAFE,       /* and on stable storage */
    CLEAN_PUBLISHING, /* the manifest is being told */
};

enum clean_op { CLEAN_NOTHING, CLEAN_WRITE, CLEAN_PAGE, CLEAN_READ, CLEAN_FLUSH };

struct clean {
    uint8_t state;
    uint8_t op; /* the one that is under way */
    bool look;  /* there may be something to clean */
    bool given_up;
    uint64_t first, last; /* the interval */
    uint64_t position;    /* newest block when the list was complete */
    uint64_t version;     /* of the manifest that publishes it */
    const struct journal_survivor *list;
    uint32_t count, pages;
    uint32_t listed;  /* of the list, in the directory */
    uint32_t read;    /* in the window or behind it */
    uint32_t judged;  /* and copied */
    uint64_t offset8; /* of the next fact that is listed */
    uint8_t *window, *page, *out;
    uint16_t window_owner, page_owner; /* whose bytes they show */
    uint32_t page_number, page_entries;
    uint64_t window_at;
    uint32_t op_size;  /* bytes of the operation under way */
    uint32_t out_used; /* bytes gathered */
    uint32_t out_done; /* of them, written */
    uint32_t out_goal; /* of them, to be written now; 0: none */
    uint64_t out_at;   /* offset in the file of the first */
    uint64_t copied;   /* bytes of facts, in this run */
    uint16_t tries;
    struct instant paced; /* no read before */
};

/* -- a backup -- */

enum backup_state { BACKUP_NONE, BACKUP_WANTED, BACKUP_RUNNING, BACKUP_LOST };

struct backup_read {
    uint8_t state; /* enum backup_read_state */
    uint8_t status;
    uint32_t file, size;
    uint64_t tag;
    uint64_t serial; /* of its backup */
};

struct backup {
    uint8_t state;
    bool in_the_way; /* a segment could be recycled or cleaned without it */
    bool let_go;     /* and then it has read them, or ended: another checkpoint frees them, if only at the same place */
    uint64_t wanted; /* WANTED: when this block is durable */
    uint64_t serial; /* of the running one */
    uint64_t position;
    uint32_t area; /* of the checkpoint; held until `passed` is beyond it */
    uint64_t area_bytes;
    uint32_t segments; /* held ones: slots, in the order of the log */
    uint16_t *slots;
    uint64_t tail;   /* bytes of the last of them */
    uint32_t passed; /* files that have been read */
    struct instant heard;
    uint8_t *manifest; /* one copy */
    struct backup_read reads[LOG_BACKUP_READS];
};

/* -- start-up -- */

struct replay;

enum journal_life { JOURNAL_REPLAYING, JOURNAL_RUNNING };

struct journal {
    uint32_t magic;
    uint8_t life;
    struct disk *disk;
    struct journal_config config;
    bool durable_writes;
    enum leat_status error, refusal;
    struct instant now;
    uint32_t block_max;

    uint64_t sealed;    /* newest block that was submitted */
    uint64_t durable;   /* all blocks up to here are on stable storage ... */
    uint64_t proven;    /* ... and a block on the disk says so for all up to here */
    uint64_t last_full; /* newest block with facts */
    uint64_t previous;  /* hash of block `sealed` */
    struct instant durable_at;
    uint32_t epoch;
    uint64_t tail_bytes; /* appended since the newest published checkpoint */

    struct open_block open;
    struct flight flights[LOG_DEPTH_MAX]; /* by number % LOG_DEPTH_MAX */
    uint32_t flying;                      /* blocks submitted and not durable */
    uint32_t writes;                      /* of them, not yet written */

    struct hot hot;
    struct segments segments;
    struct ledger ledger;
    struct checkpoint checkpoint;
    struct reads reads;
    struct backup backup;
    struct clean clean;
    struct replay *replay;
    struct journal_counters counters;
};

/* The disk has failed: nothing is acknowledged any more. */
void journal_fail(struct journal *j, enum leat_status status);

/* hot.c. hot_open: room on the ring for the largest block, or false until the next step. */
bool hot_open(struct journal *j);
void hot_seal(struct journal *j, uint32_t size);
void hot_step(struct journal *j);

/* flight.c. flight_launch: seals the open block and submits it; false: `depth` are in flight or no segment has room. */
bool flight_launch(struct journal *j);
unsigned flight_step(struct journal *j);
void flight_written(struct journal *j, uint32_t slot, int32_t result);
void flight_flushed(struct journal *j, uint32_t slot, int32_t result);
struct instant flight_next_due(const struct journal *j);

/* segment.c. segment_room: a block of `size` has a place now; segment_place takes it. */
bool segment_room(const struct journal *j, uint32_t size);
struct segment *segment_place(struct journal *j, uint64_t number, uint32_t size, uint64_t *offset);
/* segment_note: recovery found block `number` at the current segment's tail. */
void segment_note(struct journal *j, uint64_t number, uint32_t size);
/* The next spare holds block `number` as its first. */
void segment_enter(struct journal *j, uint64_t number);
/* Position in the order of the segment that holds `block`, or SEGMENT_NONE. */
uint32_t segment_find(const struct journal *j, uint64_t block);
struct segment *segment_at(const struct journal *j, uint32_t order);
/* The last block of its interval. */
uint64_t segment_last(const struct segment *s);
/* Files that there are. */
uint32_t segment_count(const struct journal *j);
/* Free segments by what the manifest on the disk says, those that may still be made included; and whether more may come
 * without a checkpoint. */
uint32_t segment_free(const struct journal *j);
bool segment_coming(const struct journal *j);
/* Whether a fact of this purpose would leave too few segments to what comes after it. */
bool segment_refuses(const struct journal *j, enum journal_purpose purpose);
/* segment_dying: the next checkpoint frees one. */
bool segment_dying(const struct journal *j);
/* A file joins the end of the order; its slot. */
uint32_t segment_add(struct journal *j, uint32_t name, uint32_t incarnation, uint32_t file);
void segment_name(char name[DISK_NAME_MAX], uint32_t number);
void segment_mark_dead(struct journal *j, uint32_t before);
void segment_recycle(struct journal *j);
/* A spare for the cleaner, out of the order, if it can be had now (segment_lends): its slot. segment_give_back: unused,
 * with a new life. segment_replace: as a keep segment, in the place of all items of the interval first..last, which
 * become spares; returns the version of the manifest that says so. */
bool segment_lends(const struct journal *j);
uint32_t segment_borrow(struct journal *j);
void segment_give_back(struct journal *j);
uint64_t segment_replace(struct journal *j, uint64_t first, uint64_t last);
unsigned segment_step(struct journal *j);
void segment_created(struct journal *j, int32_t result);
void segment_afford(struct journal *j);
void segment_erased(struct journal *j, enum log_tag kind, int32_t result);
struct instant segment_next_due(const struct journal *j);

/* ledger.c. ledger_change: what stands in memory is to be written; returns the version that will say so. */
uint64_t ledger_change(struct journal *j);
unsigned ledger_step(struct journal *j);
bool ledger_idle(const struct journal *j);
void ledger_completed(struct journal *j, enum log_tag kind, int32_t result);
/* Start-up: writes both copies and waits. */
enum leat_status ledger_write_now(struct journal *j);

/* checkpoint.c. checkpoint_next_area: the one that the next checkpoint is written to. */
uint32_t checkpoint_next_area(const struct journal *j);
unsigned checkpoint_step(struct journal *j);
void checkpoint_completed(struct journal *j, enum log_tag kind, uint32_t index, int32_t result);
void checkpoint_grown(struct journal *j, int32_t result);

/* fetch.c */
void fetch_completed(struct journal *j, uint32_t slot, int32_t result);
unsigned fetch_step(struct journal *j);

/* kept.c. A keep segment in memory: first position of each page of its directory. kept_pages_max: pages that there is
 * memory for. kept_page: the one that would list this fact. kept_open: whether `bytes` are that page; its entries. */
uint32_t kept_pages_max(const struct journal *j);
void kept_set_fence(struct segment *s, uint32_t page, struct lsn lsn);
uint32_t kept_page(const struct segment *s, struct lsn lsn);
bool kept_open(const struct journal *j, const struct segment *s, uint32_t page, const uint8_t *bytes,
               uint32_t *entries);
/* Start-up: reads and checks the directories of all keep segments. */
struct window;
enum leat_status kept_load(struct journal *j, struct window *w, char error[256]);

/* clean.c */
unsigned clean_step(struct journal *j);
void clean_completed(struct journal *j, int32_t result);
struct instant clean_next_due(const struct journal *j);

/* backup.c. backup_holds_area: this area of checkpoints is not written now. backup_waits: it begins when no checkpoint
 * and no keep segment is being written. */
bool backup_holds_area(const struct journal *j, uint32_t area);
bool backup_waits(const struct journal *j);
unsigned backup_step(struct journal *j);
void backup_completed(struct journal *j, uint32_t slot, int32_t result);
bool backup_idle(const struct journal *j);
struct instant backup_next_due(const struct journal *j);

/* replay.c: the image and the blocks behind it; journal_start() ends it. */
enum leat_status replay_open(struct journal *j, char error[256]);
void replay_close(struct journal *j);

#endif
