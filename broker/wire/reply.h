/* reply.h - what a broker answers: written by the shard, read by the client, each once.
 *
 * Every reply is one operation whose header repeats the request's op and number and carries a status. Bodies: runs for
 * put, ack, nack and extend; messages for take and peek; a fixed part for the rest. PROTOCOL.md says the bytes.
 *
 * Units: bytes, nanoseconds. Memory: decoding points into the reply's bytes. Failure: false or LEAT_BAD_FRAME for bytes
 * that do not fit; a client treats that as a broken connection. Thread: any (pure). */
#ifndef LEAT_WIRE_REPLY_H
#define LEAT_WIRE_REPLY_H

#include "frame.h"
#include "limits.h"
#include "receipt.h"
#include "request.h"
#include "units.h"

/* `count` neighbouring entries of a batch with one outcome. For puts that went well, the first entry's id is (epoch,
 * lsn) and each following one's lsn is one more; else epoch and lsn are 0. */
struct reply_run {
    uint16_t status;
    uint16_t count;
    uint32_t epoch;
    struct lsn lsn;
};
enum { REPLY_RUN_BYTES = 16, REPLY_MESSAGE_HEADER = 72 };

struct reply_hello {
    uint16_t version;
    uint16_t window;
    uint32_t session;
    uint64_t secret;
    uint64_t next; /* the number that the broker will execute next (1 for a new session) */
    uint32_t epoch;
    uint16_t cell;
    uint8_t shard, shards;                   /* map: shard i of `shards` listens on the first one's port + i */
    uint32_t body_max, batch_max, frame_max; /* frame_max: largest frame on this transport */
    struct duration session_timeout;
    struct duration lease_max, delay_max, wait_max;
};

struct reply_message {
    uint8_t receipt[RECEIPT_BYTES]; /* peek: only the id inside is set, the rest is 0 */
    struct duration lease_left;     /* take: when the answer was made; peek: 0 */
    uint64_t sent_wall_ns;          /* when it was put, UNIX time */
    uint32_t attempts;              /* this delivery included */
    uint32_t body_size, body_crc;
    uint16_t attrs_size;
    uint8_t state; /* peek: enum message_state of the queue room; take: 0 */
    const uint8_t *attrs, *body;
};

struct reply_stat {
    struct queue_ref queue;
    struct queue_attributes attributes;
    struct name name;
    uint64_t ready, leased, delayed, dead, bytes;
    uint64_t puts, takes, acks, nacks, expiries, dead_letters;   /* since creation */
    struct duration oldest_ready, oldest_leased, oldest_delayed; /* ages now; 0 if there is none */
    uint32_t parked;                                             /* takes that wait */
};

/* A backup: as begun, and the files that it has. A copy is `bytes` of each, then zeros up to `size`. */
struct reply_backup {
    uint64_t id;
    uint64_t cluster;
    uint64_t position; /* block: everything up to here is in it */
    uint64_t bytes;    /* of all files, to be read */
    uint32_t epoch;
    uint32_t files;
};
enum { REPLY_BACKUP_BYTES = 40, REPLY_BACKUP_FILE_BYTES = 48, REPLY_FILE_NAME = 31, REPLY_PIECE_HEADER = 24 };
struct reply_backup_file {
    char name[REPLY_FILE_NAME + 1]; /* 1..REPLY_FILE_NAME of [a-z0-9-] */
    uint64_t bytes, size;
};
struct reply_piece {
    uint64_t offset;
    uint32_t file, size;
    uint32_t crc; /* crc32c of the bytes */
    const uint8_t *bytes;
};

/* Encoding: whole operations with their header, sizes returned are multiples of 8. */
uint32_t reply_status(uint8_t *out, uint8_t op, uint64_t number, enum leat_status status); /* no body */
uint32_t reply_runs(uint8_t *out, uint8_t op, uint64_t number, const struct reply_run *runs, unsigned n);
uint32_t reply_hello(uint8_t *out, uint64_t number, const struct reply_hello *hello);
uint32_t reply_gap(uint8_t *out, uint64_t expected); /* op ping, status gap, number = the one expected */
uint32_t reply_stat(uint8_t *out, uint8_t op, uint64_t number,
                    const struct reply_stat *stat); /* queue_create and queue_stat */
/* The fixed part behind the operation header, which frame_op_encode() writes; for backup_begin the files follow. */
uint32_t reply_add_backup(uint8_t *out, const struct reply_backup *b);
uint32_t reply_add_backup_file(uint8_t *out, const struct reply_backup_file *f);
/* The whole answer to backup_read; `bytes` are copied and their checksum is computed here. */
uint32_t reply_piece(uint8_t *out, uint64_t number, const struct reply_piece *p);
enum { REPLY_FIXED_MAX = FRAME_OP_HEADER + 512 };

/* Messages: reply_message_size() bytes each, behind an operation header written by frame_op_encode(). Header fields,
 * attributes, body, padding. */
uint32_t reply_message_size(uint32_t attrs_size, uint32_t body_size);
uint32_t reply_add_message(uint8_t *out, const struct reply_message *m);

/* Decoding. */
bool reply_next_run(const struct frame_op *op, uint32_t *offset, struct reply_run *run);
bool reply_next_message(const struct frame_op *op, uint32_t *offset, struct reply_message *m);
bool reply_next_stat(const struct frame_op *op, uint32_t *offset, struct reply_stat *stat); /* queue_list gives many */
/* The fixed part; sets *offset for reply_next_backup_file(), which gives b->files of them. False for names that are
 * none, too. */
bool reply_backup_decode(const struct frame_op *op, uint32_t *offset, struct reply_backup *b);
bool reply_next_backup_file(const struct frame_op *op, uint32_t *offset, struct reply_backup_file *f);
bool reply_piece_decode(const struct frame_op *op, struct reply_piece *p); /* the checksum is the caller's to look at */
bool reply_hello_decode(const struct frame_op *op, struct reply_hello *hello);
uint32_t reply_add_stat(uint8_t *out, const struct reply_stat *stat);
enum { REPLY_STAT_BYTES = 336, REPLY_HELLO_BYTES = 80 };

#endif
