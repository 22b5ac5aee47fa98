/* salvage_state.h - what the files of the salvage share. Not for other rooms: they include salvage.h.
 *
 *   salvage_base    where the state begins: a checkpoint that is whole, or nothing; a manifest made anew
 *   salvage_gather  what stands behind the hole: puts, what became of them, queues
 *   salvage_close   the facts that close the gap, one after the other, planned on the state
 *   salvage_keep    keep segments whose directories are damaged
 *   salvage_write   blocks and files
 *   salvage         the order of all that, and the report
 *
 * Thread: one. */
#ifndef LEAT_OFFLINE_SALVAGE_STATE_H
#define LEAT_OFFLINE_SALVAGE_STATE_H

#include "apply.h"
#include "fact.h"
#include "follow.h"
#include "judge.h"
#include "salvage.h"

/* A put behind the hole. */
struct salvage_put {
    struct lsn lsn;
    struct instant due;
    uint32_t where8;  /* offset of the fact in its segment, in units of 8 bytes */
    uint32_t queue;   /* in salvage.queues */
    uint16_t segment; /* in scan.segments */
    bool gone;
};

/* A queue as the log behind the hole knows it. */
struct salvage_queue {
    struct name name;
    struct queue_attributes attributes;
    uint32_t number; /* in the engine; SLAB_NONE: to be made */
    uint32_t was;    /* its number behind the hole */
    bool dropped;
    bool nameless; /* it was made in the hole: only its number is known */
};

/* What a segment says of itself, for a manifest made anew. */
struct salvage_found {
    struct manifest_segment segment;
    uint64_t last; /* keep */
    bool whole;    /* keep: each survivor that it lists */
    bool taken;
};

struct salvage_lsns {
    uint64_t *n;
    uint64_t count, room;
};

struct salvage_counts {
    uint64_t prefix_blocks, prefix_messages, behind_blocks;
    uint64_t puts, puts_gone, puts_damaged;
    uint64_t acks_kept, acks_unknown, acks_forgotten;
    uint64_t leases, sessions, queues_made, queues_dropped, queues_kept;
    uint64_t lost, lost_stay;
};

struct salvage {
    const struct salvage_options *o;
    struct disk *disk;
    struct source source;
    struct point point; /* base: its engine becomes the state */
    struct scan scan;
    struct judge judge;
    struct follow follow;
    struct engine *engine;       /* the point's */
    char base[96];               /* in words */
    bool manifest_made;          /* anew */
    struct salvage_found *found; /* for a manifest made anew: segments by their own word */
    uint32_t found_count;
    uint32_t area_named; /* the checkpoint's, as the manifest was found */
    bool base_changed;   /* not the checkpoint that the manifest named */
    bool files;          /* some file must be made or put aside */
    bool needed;

    struct instant now;
    uint32_t epoch;
    bool known_clock;
    struct fact clock; /* the newest epoch fact */

    struct salvage_put *puts;
    uint64_t puts_count, puts_room;
    struct salvage_queue *queues;
    uint32_t queues_count, queues_room;
    uint32_t *current;        /* by number: the queue that has it now, or SLAB_NONE */
    struct salvage_lsns gone; /* messages of the state that must not live on, sorted */
    struct salvage_lsns hole; /* messages that are known to have stood in the hole, sorted at the end */
    struct salvage_lsns lost; /* live messages whose bodies are damaged, sorted */
    bool no_memory;
    const struct scan_segment *reading; /* whose file the source shows */

    /* writing */
    struct manifest *next;
    uint8_t *block;
    uint32_t block_room, payload, facts;
    uint64_t number, previous;
    int file; /* the new segment; -1: none yet */
    uint32_t file_number;
    uint64_t offset;    /* in it */
    uint32_t first_new; /* number of the first new file */
    struct salvage_counts count;
};

bool salvage_gather_add(struct salvage *s, struct salvage_lsns *l, struct lsn lsn);
void salvage_gather_sort(struct salvage_lsns *l);
bool salvage_gather_has(const struct salvage_lsns *l, struct lsn lsn);

/* salvage_base_find: point, scan and judge of the best base; sets base, needed. */
enum leat_status salvage_base_find(struct salvage *s, char error[SOURCE_ERROR]);
/* salvage_base_replay: the state at the end of the prefix. */
enum leat_status salvage_base_replay(struct salvage *s, char error[SOURCE_ERROR]);

/* salvage_gather_behind: reads what stands behind the prefix. salvage_gather_lost: bodies that the state needs. */
enum leat_status salvage_gather_behind(struct salvage *s, char error[SOURCE_ERROR]);
enum leat_status salvage_gather_lost(struct salvage *s, char error[SOURCE_ERROR]);

/* salvage_close_gap: all the facts. */
enum leat_status salvage_close_gap(struct salvage *s, char error[SOURCE_ERROR]);

/* salvage_keep_again: keep segments whose directories are damaged are written anew, with what is whole of them. */
enum leat_status salvage_keep_again(struct salvage *s, char error[SOURCE_ERROR]);

/* salvage_write_begin: room. salvage_write_fact: f->lsn and place are set, the fact is written and applied.
 * salvage_write_end: the last block, flushed, and the manifest. salvage_write_tidy: files put aside and removed.
 * salvage_write_aside: one, as disk_rename(). */
enum leat_status salvage_write_bytes(struct salvage *s, uint32_t file, uint64_t offset, uint8_t *data, uint64_t size,
                                     const char *name, char error[SOURCE_ERROR]);
enum leat_status salvage_write_flush(struct salvage *s, uint32_t file, const char *name, char error[SOURCE_ERROR]);
enum leat_status salvage_write_begin(struct salvage *s, char error[SOURCE_ERROR]);
enum leat_status salvage_write_fact(struct salvage *s, struct fact *f, char error[SOURCE_ERROR]);
enum leat_status salvage_write_end(struct salvage *s, char error[SOURCE_ERROR]);
int salvage_write_aside(struct salvage *s, const char *name);
enum leat_status salvage_write_tidy(struct salvage *s, char error[SOURCE_ERROR]);

#endif
