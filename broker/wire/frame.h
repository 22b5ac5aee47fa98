/* frame.h - frames and operation headers: what comes off a port, before anybody asks what it means.
 *
 * A frame is one session's: a 16-byte header, then operations (each with a 16-byte header of its own), or, with
 * FRAME_FRAGMENT, a 16-byte fragment header and a piece of one operation that is larger than a frame or a datagram. The
 * same frames run over TCP (back to back) and in datagrams (one or more whole frames each). PROTOCOL.md says the bytes.
 *
 * Units: bytes; every size is a multiple of 8 and every structure starts on a multiple of 8 from the frame's start.
 * Memory: decoding points into the caller's bytes and copies nothing. Failure: LEAT_BAD_FRAME, LEAT_BAD_VERSION; a
 * length is compared with what is there before it is used. Thread: any (pure). */
#ifndef LEAT_WIRE_FRAME_H
#define LEAT_WIRE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

enum {
    FRAME_MAGIC = 0x7a1e,
    FRAME_HEADER = 16,
    FRAME_OP_HEADER = 16,
    FRAME_FRAGMENT_HEADER = 16,
};

enum frame_flags {
    FRAME_REPLY = 1,    /* from broker to client */
    FRAME_FRAGMENT = 2, /* one piece of an operation */
    FRAME_CRC = 4,      /* the crc field is set and must match (always on datagrams of a network) */
};

struct frame {
    uint32_t session; /* handle; 0 before hello */
    uint8_t flags;
    const uint8_t *body; /* after the header */
    uint32_t body_size;
};

struct frame_op {
    uint8_t op;     /* enum op, or a code that we do not know */
    uint8_t status; /* replies: enum leat_status; requests: 0 */
    uint16_t count; /* entries */
    uint64_t number;
    const uint8_t *body; /* after the operation header */
    uint32_t body_size;  /* padding included */
};

struct frame_fragment {
    uint64_t number;
    uint32_t offset; /* of this piece in the operation, header included */
    uint32_t total;  /* bytes of the whole operation */
    const uint8_t *piece;
    uint32_t piece_size;
    uint16_t answer; /* replies: pieces of answers with different marks do not belong together; requests: 0 */
};

enum op {
#define OP(NAME, name, code, min_body, max_count, help) OP_##NAME = (code),
#include "ops_table.h"
#undef OP
};

/* frame_size: whole size of the frame that starts at `bytes`, or 0 if fewer than FRAME_HEADER bytes are there, or -1 if
 * it can be no frame of ours (wrong magic or size): a stream with that cannot be followed any more. */
int32_t frame_size(const uint8_t *bytes, size_t available);

/* frame_decode: takes one whole frame of `size` bytes apart. */
enum leat_status frame_decode(struct frame *f, const uint8_t *bytes, size_t size);

/* frame_next_op: the operation at `*offset` of a frame without FRAME_FRAGMENT; moves the offset behind it. False at the
 * end; a malformed rest sets *status to LEAT_BAD_FRAME and ends the walk. */
bool frame_next_op(const struct frame *f, uint32_t *offset, struct frame_op *op, enum leat_status *status);

/* frame_op_decode: one whole operation (as reassembled from fragments). */
enum leat_status frame_op_decode(struct frame_op *op, const uint8_t *bytes, size_t size);

/* frame_fragment_decode: the piece in a frame with FRAME_FRAGMENT, which lies inside its total. LEAT_BATCH_TOO_LARGE:
 * so it does, but the total is larger than REQUEST_MAX. */
enum leat_status frame_fragment_decode(struct frame_fragment *fr, const struct frame *f);

/* Writing. frame_begin writes a header whose size is set by frame_end(start, size), which also seals it with a CRC if
 * the flags of frame_begin had FRAME_CRC. `size` is the whole frame's. */
void frame_begin(uint8_t *start, uint8_t flags, uint32_t session);
void frame_end(uint8_t *start, uint32_t size);

/* frame_op_encode: an operation header at `p`; body_size is rounded up to 8 (the caller writes zero padding). */
void frame_op_encode(uint8_t *p, uint8_t op, uint8_t status, uint16_t count, uint32_t body_size, uint64_t number);

/* frame_fragment_encode: a fragment header at `p`. */
void frame_fragment_encode(uint8_t *p, uint64_t number, uint32_t offset, uint32_t total);
/* frame_fragment_mark: puts an answer's mark into a fragment header. */
void frame_fragment_mark(uint8_t *p, uint16_t answer);

/* Names of operations, for metrics and messages; "unknown" for codes without a row. */
const char *frame_op_name(uint8_t op);

/* Whether the code has a row in ops_table.h. */
bool frame_op_known(uint8_t op);

#endif
