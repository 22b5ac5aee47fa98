/* judge.h - what a scan means: where the log ends, whether its tail is torn, and what is rotten (storage/DESIGN.md).
 *
 * What should stand in a segment is known from three sides: the manifest says its first block, the checkpoint's index
 * how many blocks it had, and the next segment's first block where it ended. W, the highest block that anything on the
 * disk calls durable, parts a torn tail from rot as a start does: the two must agree, and a test holds them to it.
 *
 * Units: bytes, block numbers. Memory: a list of gaps, at most JUDGE_GAPS. Failure: none; what is wrong is a gap.
 * Thread: any (pure). */
#ifndef LEAT_OFFLINE_JUDGE_H
#define LEAT_OFFLINE_JUDGE_H

#include "point.h"
#include "scan.h"

enum { JUDGE_GAPS = 20000 };

enum judge_what {
    JUDGE_DAMAGED,    /* bytes where blocks should be, and no whole block is */
    JUDGE_UNCHAINED,  /* whole, but it does not name the block before */
    JUDGE_MISSING,    /* the file */
    JUDGE_CUT,        /* the file is shorter than a segment */
    JUDGE_UNREADABLE, /* the disk says so */
    JUDGE_EXTRA,      /* blocks where the log has none */
    JUDGE_LIST,       /* the manifest's own list cannot be */
    JUDGE_NEWER,      /* of a later life than the manifest knows: one of the two is not of now */
    JUDGE_KEPT,       /* a fact of a keep segment, or a page of its directory */
};

struct judge_gap {
    uint8_t what; /* enum judge_what */
    uint32_t segment;
    uint64_t from, end;   /* bytes */
    uint64_t first, last; /* blocks that should be there; last 0: nobody knows how many */
};

struct judge {
    uint64_t known; /* W */
    uint64_t next;  /* number of the first block that is not in the log: all before it (from the checkpoint on) are */
    uint64_t previous; /* hash of the last block in it */
    uint32_t segment;  /* where block `next` would begin ... */
    uint64_t offset;
    uint32_t epoch;   /* highest of any block */
    bool rotten;      /* block `next` was durable: the log behind the checkpoint is broken there */
    bool torn;        /* it was begun, or blocks stand behind it that were in flight with it */
    uint64_t dropped; /* such blocks */
    uint32_t astray;  /* run + 1 that begins with block `next`, whole, at the start of the next segment; 0: none */
    struct judge_gap *gaps;
    uint32_t count, room;
    bool more; /* than fit */
};

/* judge_log: after every segment was scanned; marks the runs that are part of the log. `p` may be one that could not be
 * loaded. judge_close frees the list. */
void judge_log(struct judge *j, const struct scan *s, const struct point *p);
void judge_close(struct judge *j);

/* judge_is_astray: whether that run is the one. */
bool judge_is_astray(const struct judge *j, const struct scan *s, const struct scan_run *r);

/* judge_words: a gap as the middle of a sentence. */
const char *judge_words(uint8_t what);

#endif
