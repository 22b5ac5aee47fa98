/* call.h - one call: the request as it is sent, the entries that have an outcome, and the answer.
 *
 * A call outlives its request number: a batch that the broker has cut goes on under a new one, and so does a call whose
 * queue had to be looked up. The request is kept encoded, ready to be sent again, until it is answered.
 *
 * Units: bytes. Memory: two buffers a call, grown as needed within the budget of all (struct call_memory), kept for the
 * next call. Failure: false or LEAT_NO_MEMORY when the budget is used up. Thread: one. */
#ifndef LEAT_CLIENT_CALL_H
#define LEAT_CLIENT_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client.h"

struct call_memory {
    size_t held, budget;
};

struct call_buffer {
    uint8_t *bytes; /* 8-byte aligned */
    size_t capacity;
};

enum call_state { CALL_FREE, CALL_QUEUED, CALL_OUT, CALL_DONE };

/* A reply that comes in pieces. All pieces but the last have one size, so a piece's place in the bitmap (kept behind
 * the bytes) is its offset / that size. */
struct call_pieces {
    uint32_t total; /* 0: none has come */
    uint32_t size;  /* of each but the last */
    uint32_t missing;
    uint16_t answer; /* mark of the answer that they are of */
};

struct call {
    enum call_state state;
    uint8_t op;
    bool by_name;    /* the request's queue is found by its name */
    bool looking_up; /* what is under way is the question for the queue's number */
    bool looked_up;  /* it was asked for this very call: the answer no_queue is final */
    bool repeated;   /* sent again in another session */
    bool forgotten;
    uint16_t next; /* in the list that the call is in */
    uint16_t entries, covered;
    uint64_t user;
    uint64_t order; /* of submission */
    uint64_t number;
    struct name name;
    struct call_buffer request, reply;
    uint32_t request_size;
    enum leat_status status;
    uint32_t reply_size;  /* take, peek, stat, list: the answer as an operation, in `reply` */
    unsigned runs_count;  /* put, ack, nack, extend: the outcomes so far, in `reply` */
    uint16_t reply_count; /* messages or stats */
    struct call_pieces pieces;
    uint8_t question[FRAME_OP_HEADER + NAME_BYTES]; /* queue_stat, while looking up */
};

/* call_reserve: room for `size` bytes, whose old contents are lost. call_release: gives the memory back. */
bool call_reserve(struct call_buffer *b, struct call_memory *m, size_t size);
void call_release(struct call_buffer *b, struct call_memory *m);

/* Whether the operation has entries with runs for an answer: put, ack, nack, extend. */
bool call_is_batch(uint8_t op);

/* call_check: what can be said about an operation before it is sent. `request_size` gets the bytes it will need. */
enum leat_status call_check(const struct client_op *op, uint32_t body_max, uint32_t batch_max, uint32_t *request_size);
/* call_encode: the whole request, number 0; the buffers are large enough. */
void call_encode(struct call *call, const struct client_op *op);
void call_set_number(struct call *call, uint64_t number);
void call_set_queue(struct call *call, struct queue_ref queue);

/* What to send now. */
const uint8_t *call_bytes(const struct call *call, uint32_t *size);

/* call_add_run: an outcome for the next entries, no more than there are. call_shift: forgets the covered entries of the
 * request, so that what is left can be sent as a batch of its own. */
void call_add_run(struct call *call, const struct reply_run *run);
void call_shift(struct call *call, uint16_t covered_before);
/* call_refuse: all entries without an outcome, or the whole call, end with this status. */
void call_refuse(struct call *call, enum leat_status status);

/* call_read_answer: whether the answer in `reply` (messages or stats) is well formed; sets its count and the status. */
bool call_read_answer(struct call *call);

/* call_add_piece: one piece of the answer. LEAT_OK: complete, in `reply`; LEAT_PARKED: more to come; LEAT_NO_MEMORY;
 * LEAT_BAD_FRAME: it fits nowhere. */
enum leat_status call_add_piece(struct call *call, struct call_memory *m, const struct frame_fragment *piece);

#endif
