/* receipt.h - message ids and receipts: names that work without a table.
 *
 * An id says where a message was born: cell, shard, epoch and log position; as text it is a UUID (version 8), and 16
 * check bits catch typing errors. A receipt is an id plus the lease that gave it away; a keyed hash, of 64 bits and not
 * a cryptographic one, keeps receipts that nobody was given from acting. As text it is base64url.
 *
 * Units: bytes. Thread: any (pure). */
#ifndef LEAT_WIRE_RECEIPT_H
#define LEAT_WIRE_RECEIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "units.h"

enum {
    MESSAGE_ID_BYTES = 16,
    MESSAGE_ID_TEXT = 37, /* with the final zero */
    RECEIPT_BYTES = 40,
    RECEIPT_TEXT = 55, /* with the final zero */
};

struct message_id {
    uint16_t cell; /* 10 bits */
    uint8_t shard;
    uint32_t epoch; /* 24 bits: of the put; 0: not known any more (a damaged message) */
    struct lsn lsn;
};

struct receipt {
    struct message_id id;
    uint32_t slot;        /* of the lease */
    uint32_t generation;  /* of the slot at that lease */
    uint32_t epoch;       /* of the lease: a lease whose fact was lost in a crash must not match a later one */
    uint32_t incarnation; /* of the queue */
    uint64_t hash;        /* keyed, over all of the above */
};

void receipt_id_encode(uint8_t out[MESSAGE_ID_BYTES], const struct message_id *id);
bool receipt_id_decode(struct message_id *id,
                       const uint8_t in[MESSAGE_ID_BYTES]); /* false: not an id of ours, or a check bit is wrong */
void receipt_id_text(char out[MESSAGE_ID_TEXT], const struct message_id *id);
bool receipt_id_parse(struct message_id *id, const char *text);

/* receipt_hash: what `hash` must be under the broker's key (16 bytes, kept in the manifest). */
uint64_t receipt_hash(const struct receipt *r, const uint8_t key[16]);

/* receipt_open: decodes bytes that must carry the right hash; false: not a receipt of ours. The hash covers the check
 * bits, so that nothing is computed twice: this is the way of every ack. */
bool receipt_open(struct receipt *r, const uint8_t in[RECEIPT_BYTES], const uint8_t key[16]);
/* receipt_slot: of bytes that nobody has looked at yet. */
uint32_t receipt_slot(const uint8_t in[RECEIPT_BYTES]);

void receipt_encode(uint8_t out[RECEIPT_BYTES], const struct receipt *r);
bool receipt_decode(struct receipt *r, const uint8_t in[RECEIPT_BYTES]);
void receipt_text(char out[RECEIPT_TEXT], const uint8_t in[RECEIPT_BYTES]);
bool receipt_parse(uint8_t out[RECEIPT_BYTES], const char *text, size_t size);

#endif
