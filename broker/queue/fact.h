/* fact.h - what has been decided, in memory and as bytes in the log.
 *
 * A fact names slots, generations and instants, so that applying it needs no clock, no allocation and no choice. Its
 * bytes are a 32-byte header, a fixed part, and for a put the attributes and the body: the log is the message store.
 * The header's CRC covers everything but the body (which has the client's own) and is seeded with the fact's position
 * (the upper half of lsn * 0x9e3779b97f4a7c15), so that a fact read from the wrong place does not pass.
 *
 *   0 u32 size   4 u8 kind   5 u8 format   6 u16 entry   8 u64 instant   16 u64 request number   24 u32 session   28
 * u32 crc32c
 *
 * Units: bytes, nanoseconds; sizes are multiples of 8. Memory: decoding points into the caller's bytes. Failure:
 * LEAT_CORRUPT, LEAT_TOO_NEW for a kind or format that this version does not know. Thread: any (pure). */
#ifndef LEAT_QUEUE_FACT_H
#define LEAT_QUEUE_FACT_H

#include "name.h"
#include "request.h"
#include "status.h"
#include "units.h"

enum fact_kind {
#define FACT(NAME, name, code, bytes, help) FACT_##NAME = (code),
#include "fact_table.h"
#undef FACT
};

enum { FACT_HEADER = 32, FACT_FORMAT = 1, FACT_PUT_FIXED = FACT_HEADER + 32 };

struct fact_put {
    uint32_t queue;
    uint32_t slot; /* of a delayed message; SLAB_NONE: ready at once */
    struct instant due;
    uint32_t body_size, body_crc;
    uint16_t attrs_size;
    uint8_t durability;
    uint32_t epoch; /* of the put; message ids are made from it */
    const uint8_t *attrs, *body;
};
struct fact_leased {
    uint32_t queue, slot, generation, epoch;
    struct lsn message;
    struct instant deadline;
};
/* acked, returned, extended, expired, ripened, moved: what happens to the message in a slot. */
struct fact_slot {
    uint32_t slot, generation;
    struct instant due; /* returned: end of its delay or 0; extended: new deadline */
    uint32_t target;    /* moved: number of the dead-letter queue, or SLAB_NONE */
};
struct fact_queue {
    uint32_t number, incarnation;
    uint32_t dead_letter; /* created: number of the dead-letter queue, or SLAB_NONE */
    uint32_t count;       /* reaped: messages */
    struct name name;
    struct queue_attributes attributes;
};
struct fact_epoch {
    uint32_t epoch;
    bool same_boot; /* log time went on by the clock of the same boot; else another boot's wall clock was asked */
    struct instant boot;
    uint64_t wall_ns;
    uint8_t boot_id[16];
};
/* session_opened, session_ended: not the engine's. The session table of the same shard stands on them. */
struct fact_session {
    uint32_t handle;
    uint16_t window; /* opened */
    uint64_t secret; /* opened */
};
/* Not the engine's: so that replay knows where a batch stands. `count` entries from the fact's `entry` on. */
struct fact_refused {
    uint16_t status, count;
};

struct fact {
    uint8_t kind;
    uint16_t entry;    /* of its batch */
    uint32_t session;  /* 0: nobody's request */
    uint64_t number;   /* the request's */
    struct instant at; /* the leader's; never goes back in the log */
    struct lsn lsn;    /* where it stands; known when room is reserved, or by replay */
    uint32_t place;    /* byte offset in its block */
    union {
        struct fact_put put;
        struct fact_leased leased;
        struct fact_slot slot;
        struct fact_queue queue;
        struct fact_epoch epoch;
        struct fact_session client;
        struct fact_refused refused;
    };
};

/* fact_size: bytes in the log. */
uint32_t fact_size(const struct fact *f);

/* fact_encode: writes fact_size() bytes; f->lsn must be set, it seeds the CRC. */
void fact_encode(uint8_t *out, const struct fact *f);

/* fact_decode: the fact at `bytes`, which may go on behind it; sets everything but `place`. `check_body`: also compare
 * the body with its CRC. */
enum leat_status fact_decode(struct fact *f, const uint8_t *bytes, uint32_t available, struct lsn lsn, bool check_body);

const char *fact_name(uint8_t kind);

#endif
