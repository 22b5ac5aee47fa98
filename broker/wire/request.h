/* request.h - what a client asks, decoded and bounded: the last place where bytes from a stranger are looked at as
 * bytes.
 *
 * request_decode() takes a frame_op apart into one struct request; entries of batches are walked with request_next_*(),
 * which cannot fail because request_decode() has walked them once. request_*_size() and request_encode_*() are the way
 * back, used by the client; the same structs serve both ends.
 *
 * Units: bytes, nanoseconds. Memory: pointers go into the operation's bytes. Failure: LEAT_BAD_OP, LEAT_BAD_REQUEST (a
 * length that does not fit), LEAT_BAD_VALUE, LEAT_BAD_NAME, LEAT_BATCH_TOO_LARGE. Thread: any (pure). */
#ifndef LEAT_WIRE_REQUEST_H
#define LEAT_WIRE_REQUEST_H

#include "frame.h"
#include "limits.h"
#include "name.h"
#include "receipt.h"
#include "units.h"

/* A queue is named by number and incarnation once it is known, so that a dropped and created queue is another one. */
struct queue_ref {
    uint32_t number;
    uint32_t incarnation;
};

struct request_hello {
    uint16_t version_min, version_max;
    uint32_t session;      /* 0: open a new one, else resume */
    uint64_t secret;       /* resume: as given by the first hello */
    uint64_t oldest;       /* resume: oldest request number without an answer, = next number if none */
    uint64_t answered;     /* resume: bit i: the client has the answer of oldest + i and will not send it again */
    uint16_t window;       /* wanted, WINDOW_MIN..WINDOW_MAX */
    uint32_t datagram_max; /* largest datagram payload that the client can take; 0 on streams */
};

struct request_put_entry {
    struct duration delay; /* UINT64_MAX: the queue's default */
    const uint8_t *body;
    const uint8_t *attrs;
    uint32_t body_size;
    uint32_t body_crc; /* crc32c of the body, by the client: checked at every hand-over up to the consumer */
    uint16_t attrs_size;
    uint8_t durability; /* enum durability */
};

struct request_backup {
    uint64_t id;     /* as backup_begin was answered */
    uint64_t offset; /* read */
    uint32_t file;   /* read: its place in the list; lets go of those before it */
    uint32_t size;   /* read: 1..BACKUP_PIECE_MAX */
};

struct request {
    uint8_t op;
    uint16_t count; /* entries of a batch, at least 1 for put, ack, nack, extend */
    uint64_t number;
    struct queue_ref queue; /* put take ack nack extend peek */
    struct request_hello hello;
    struct request_backup backup; /* backup_read, backup_end */
    struct name
        name; /* queue_create, queue_drop, queue_stat; queue_list: names after this one (size 0: from the start) */
    struct queue_attributes attributes;
    uint16_t max;           /* take, peek, queue_list: messages or queues wanted, 1..BATCH_MAX */
    struct duration wait;   /* take: park for so long; 0: answer at once */
    struct duration time;   /* take: lease (0: the queue's); nack: delay; extend: new lease from now */
    const uint8_t *entries; /* put, ack, nack, extend: walked by request_next_* */
    uint32_t entries_size;
};

enum leat_status request_decode(struct request *r, const struct frame_op *op);

/* Walks: start with *offset = 0; exactly r->count calls give true. */
bool request_next_put(const struct request *r, uint32_t *offset, struct request_put_entry *entry);
/* The receipt's bytes; receipt_decode() says whether it is one of ours. */
bool request_next_receipt(const struct request *r, uint32_t *offset, const uint8_t **receipt);

/* Encoding, whole operations with their header; each returns the bytes written (multiple of 8). `out` has room for
 * request_size(r) bytes, where for a put batch the entries are added one by one with request_add_put() behind
 * request_encode(), and for receipts with request_add_receipt(). */
uint32_t request_encode(uint8_t *out, const struct request *r); /* header and fixed part; batches: without entries */
uint32_t request_put_size(uint32_t body_size, uint32_t attrs_size);
uint32_t request_add_put(uint8_t *out, const struct request_put_entry *entry);
uint32_t request_add_receipt(uint8_t *out, const uint8_t receipt[RECEIPT_BYTES]);
/* request_seal: the operation at `op` has grown to `size` bytes and `count` entries: mends its header. */
void request_seal(uint8_t *op, uint32_t size, uint16_t count);

enum {
    REQUEST_FIXED_MAX = FRAME_OP_HEADER + 256, /* room for any request_encode() */
    REQUEST_PUT_ENTRY = 24,
    REQUEST_TAKE_BODY = 32,
};

#endif
