/* raw_frame.h - the frame of a put that is sent again and again, with other numbers each time.
 *
 * Encoding a put anew costs copies of its bodies; here the frame is made once, by the wire room's own functions, and
 * then only what differs is written into it: the request's number, the bodies' numbers, their checksums.
 *
 * Units: bytes. Memory: the caller lends `bytes`, raw_frame_room() of them, 8-byte aligned. Failure: none. Thread: any.
 */
#ifndef LEAT_PERF_RAW_FRAME_H
#define LEAT_PERF_RAW_FRAME_H

#include "request.h"

enum { RAW_FRAME_BODY_MAX = 4096 };

struct raw_frame {
    uint8_t *bytes;
    uint32_t size;             /* of the frame; set by raw_frame_make() */
    uint32_t count, body_size; /* bodies, and bytes of each: TALLY_BODY_MIN..RAW_FRAME_BODY_MAX */
};

/* Bytes to reserve; 0 when the frame would not fit `max`. */
uint32_t raw_frame_room(uint32_t count, uint32_t body_size, uint32_t max);

void raw_frame_make(struct raw_frame *f, uint32_t session, struct queue_ref queue, enum durability durability);

/* The request's number, and the bodies': first, first + 1, ... */
void raw_frame_stamp(const struct raw_frame *f, uint64_t number, uint64_t first);

#endif
