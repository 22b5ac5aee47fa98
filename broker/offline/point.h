/* point.h - a checkpoint, read back: the engine and the sessions that it holds, and its index of the log.
 *
 * Every chunk is judged before a byte of it is used, the image by its own checksum and by its own sense
 * (queue/sound.h), and the index is kept as bytes that point_index_next() walks.
 *
 * Units: bytes, block numbers. Memory: what the image holds, within the capacities of the manifest; the index, at most
 * POINT_INDEX_MAX. Failure: one sentence, and the range of bytes that is damaged. Thread: one; blocks. */
#ifndef LEAT_OFFLINE_POINT_H
#define LEAT_OFFLINE_POINT_H

#include "engine.h"
#include "session.h"
#include "source.h"

enum { POINT_INDEX_MAX = 256 * 1024 * 1024, POINT_BLOB = 48 };

struct point {
    struct engine engine;
    struct session_table sessions;
    bool loaded;    /* engine and sessions are what the checkpoint says, or empty where there is none */
    uint64_t block; /* its position; 0: there is none */
    uint8_t *index;
    uint64_t index_bytes, index_room;
    uint64_t position_hash, position_tail;
    uint64_t bad_from, bad_end; /* damaged bytes of the area */
};

/* point_capacity: what the manifest says that the engine must hold, or what no version allows: LEAT_BAD_VALUE. */
enum leat_status point_capacity(const struct source *s, struct engine_capacity *capacity, uint32_t *sessions,
                                char error[SOURCE_ERROR]);

/* point_read: the checkpoint that the manifest names, into an engine of this capacity. LEAT_CORRUPT with a sentence;
 * p->bad_* when bytes are to blame; LEAT_BAD_VALUE when the capacity is too small. point_load: with the capacities that
 * the manifest names. point_close: always, after either. */
enum leat_status point_read(struct point *p, struct source *s, const struct engine_capacity *capacity,
                            uint32_t sessions, char error[SOURCE_ERROR]);
enum leat_status point_load(struct point *p, struct source *s, char error[SOURCE_ERROR]);
void point_close(struct point *p);

/* One segment of the index; `at` starts at 0; false at the end. */
struct point_segment {
    uint32_t number, incarnation;
    uint64_t first;
    uint32_t blocks;
    const uint8_t *offsets; /* u16 each, in units of DISK_BLOCK */
};
bool point_index_next(const struct point *p, uint64_t *at, struct point_segment *segment);

#endif
