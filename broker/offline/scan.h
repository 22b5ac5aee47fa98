/* scan.h - every byte of the log, read once: which whole blocks stand where.
 *
 * A segment is read from front to back. Whole blocks of this directory and of the segment's present life that follow
 * each other are a run (the block behind the checkpoint begins a new one); between runs lies what is no such block:
 * damage, or bytes of an earlier life. Whether a gap is damage is not said here: judge.h knows what should stand there.
 *
 * Units: bytes, block numbers. Memory: 72 bytes a run, at most SCAN_RUNS of them. Failure: LEAT_TOO_NEW for a block of
 * a newer version; LEAT_CORRUPT for a segment that is missing is a finding in its `missing`. Thread: one; blocks. */
#ifndef LEAT_OFFLINE_SCAN_H
#define LEAT_OFFLINE_SCAN_H

#include "record.h"
#include "source.h"

enum { SCAN_RUNS = 100000 };

/* Whole blocks one behind the other, each chained to the one before. */
struct scan_run {
    uint32_t segment;   /* in scan.segments */
    uint32_t count;     /* blocks */
    uint32_t size;      /* of the first one, bytes */
    uint64_t from, end; /* bytes */
    uint64_t first;     /* number of the first block */
    uint64_t previous;  /* hash that the first one names */
    uint64_t hash;      /* of the last one */
    uint64_t durable;   /* highest that one of them knows */
    uint32_t epoch;     /* of the last one */
    bool taken;         /* judge.h: it stands where the log has it */
};

/* Number of the last block; numbers may be as large as 64 bits can say. */
static inline uint64_t scan_last(const struct scan_run *r)
{
    return r->first - 1 + r->count;
}

struct scan_segment {
    uint32_t number; /* in its name */
    uint32_t incarnation;
    uint64_t listed_first;                /* what the manifest says; 0: a spare, or not known */
    int64_t size;                         /* bytes of the file; -1: missing */
    uint64_t bad_from, bad_end, bad_last; /* unreadable, as in source.h */
    bool newer;                           /* it begins with a block of a later life than the manifest knows */
    bool kept_broken;                     /* pages of its directory are damaged, or all of it is missing */
    bool keep;                            /* it holds survivors of blocks listed_first..kept_last */
    uint64_t kept_last;
    uint64_t kept, kept_bad;      /* facts that are whole; that are not, directory pages included ... */
    uint64_t kept_from, kept_end; /* ... and where the first of those is */
    uint32_t runs_from, runs;     /* in scan.runs */
};

/* One whole block, or one fact of a keep segment as if it were a block of its own, whose payload is that fact; `bytes`
 * is good until the visitor returns. */
struct scan_block {
    const struct scan_segment *segment;
    uint64_t offset;
    uint32_t size;
    struct record r;
    const uint8_t *bytes, *payload;
    bool kept;
    uint32_t index; /* of its first fact */
};
typedef void scan_visit(void *context, const struct scan_block *block);

struct scan {
    struct source *source;
    struct scan_segment *segments; /* in the order of the manifest */
    uint32_t segments_count;
    struct scan_run *runs;
    uint32_t runs_count, runs_room;
    uint64_t blocks, blocks_bytes;
    uint64_t *kept; /* positions of the whole facts of keep segments */
    uint64_t kept_count, kept_room;
    bool too_many; /* runs */
};

/* scan_open: names the segments; nothing is read yet. */
enum leat_status scan_open(struct scan *s, struct source *source, char error[SOURCE_ERROR]);
void scan_close(struct scan *s);

/* scan_headless: a log segment does not begin with the block that the manifest says; a start looks at that. */
bool scan_headless(const struct scan *s, uint32_t i);

/* scan_segment: reads segment `i` of s->segments; each whole block is shown to `visit` (or NULL). */
enum leat_status scan_read(struct scan *s, uint32_t i, scan_visit *visit, void *context, char error[SOURCE_ERROR]);

/* scan_keep: the same for a keep segment. */
enum leat_status scan_keep(struct scan *s, uint32_t i, scan_visit *visit, void *context, char error[SOURCE_ERROR]);

/* scan_again: the blocks of [from, end) of a segment, of which a scan said that they are whole. */
enum leat_status scan_again(struct scan *s, uint32_t i, uint64_t from, uint64_t end, scan_visit *visit, void *context,
                            char error[SOURCE_ERROR]);

#endif
