/* session.h - at most once: who asks, what was answered last, in fixed memory.
 *
 * A session has a window of W request slots; request n uses slot n % W, and a client may send n only after it has the
 * answer of n - W. So one kept answer per slot is enough to repeat any answer that may still be asked for: a request
 * that comes again is answered again and not executed again. Requests execute in the order of their numbers. Source of
 * the idea: eRPC (NSDI 2019).
 *
 *   open --> for each number: arrive -> EXECUTE -> begin, note (per entry) ..., finish -> REPEAT as often as asked -->
 * close
 *
 * A batch notes each entry as its fact becomes true, so that after a crash between two entries the retry goes on at the
 * first entry that is not in the log. Entries with one outcome make a run, and an answer has at most RUNS_MAX of them:
 * session_fits() says when a batch must be cut.
 *
 * Units: request numbers from 1; entries of a batch. Memory: about 6 KiB a session, reserved for the capacity at
 * session_open_table(). Failure: SLAB_NONE, false, or a verdict. Thread: owned by one shard. Everything here is changed
 * by facts alone, except begin and finish of the leader, so it is checkpointed as it is (slab_image_open). */
#ifndef LEAT_SESSION_SESSION_H
#define LEAT_SESSION_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "limits.h"
#include "reply.h"
#include "slab.h"
#include "units.h"

enum session_verdict {
    SESSION_EXECUTE,  /* the next one: go */
    SESSION_CONTINUE, /* partly in the log: go on at entry session_done() */
    SESSION_REPEAT,   /* answered: send the kept answer again */
    SESSION_WAIT,     /* under way (a parked take): its answer will come */
    SESSION_GAP,      /* too far ahead: ask for session_next() */
    SESSION_OLD,      /* the client has this answer: drop */
};

struct session_slot {
    uint64_t number;  /* newest request of this slot; 0: none yet */
    uint64_t reveals; /* highest block whose facts the answer tells of */
    uint16_t done;    /* entries noted */
    uint8_t op;
    uint8_t status; /* of the whole request */
    uint8_t answered;
    uint8_t runs_count;
    uint16_t zero;
    struct reply_run runs[RUNS_MAX];
};

struct session {
    uint32_t free_link;
    uint32_t handle; /* slot | generation << 16 */
    uint64_t secret;
    uint64_t next;   /* number that executes next; 0 until the client has said it after a restart */
    uint16_t window; /* a power of 2, so that the slot of a number costs no division */
    uint16_t live;
    uint32_t generation;
    struct session_slot slots[WINDOW_MAX];
};

struct session_table {
    struct slab sessions;
};

enum leat_status session_open_table(struct session_table *t, uint32_t capacity);
void session_close_table(struct session_table *t);

/* session_next_handle: what the next session will be called in this epoch, or 0 if the table is full. A handle is not
 * used again for 1023 sessions of its slot, or 64 starts of the broker, whatever a crash has taken away.
 * session_may_open: whether a fact of the log can say that this one was opened next. */
uint32_t session_next_handle(const struct session_table *t, uint32_t epoch);
bool session_may_open(const struct session_table *t, uint32_t handle);
/* session_open, session_end: as facts say. */
struct session *session_open(struct session_table *t, uint32_t handle, uint16_t window, uint64_t secret);
void session_end(struct session_table *t, uint32_t handle);
/* session_find, session_write: to read, to change; NULL if there is none of this handle. What session_open() and
 * session_write() give is good until the table's next image begins: ask again in every step. */
const struct session *session_find(const struct session_table *t, uint32_t handle);
struct session *session_write(struct session_table *t, uint32_t handle);

/* session_sound: whether a table loaded from an image is one that facts could have made. */
bool session_sound(const struct session_table *t);
/* session_restarted: after replay, every live session waits for its client's session_resume(). */
void session_restarted(struct session_table *t);
/* session_resume: the client has every answer before `oldest`, and of those behind it the ones whose bit is set in
 * `answered` (bit i: oldest + i); it will send the others again, in order. False: not possible with what it
 * was answered before. */
bool session_resume(struct session *s, uint64_t oldest, uint64_t answered);

enum session_verdict session_arrive(const struct session *s, uint64_t number);
uint16_t session_done(const struct session *s, uint64_t number);

/* session_begin: the request starts. session_note: one more entry has its outcome (a fact was applied, or the entry was
 * refused); `block` is its fact's, or 0. session_finish: the answer is complete; `status` of the whole request (LEAT_OK
 * with runs). */
void session_begin(struct session *s, uint64_t number, uint8_t op);
bool session_fits(const struct session *s, uint64_t number, enum leat_status status, uint32_t epoch, struct lsn lsn);
void session_note(struct session *s, uint64_t number, uint8_t op, uint16_t entry, enum leat_status status,
                  uint32_t epoch, struct lsn lsn, uint64_t block);
void session_finish(struct session *s, uint64_t number, enum leat_status status);

/* session_kept: the slot of a request, to write its answer from; the number must be the slot's newest. */
const struct session_slot *session_kept(const struct session *s, uint64_t number);

#endif
