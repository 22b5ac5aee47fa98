/* raw_frame.c - see raw_frame.h; the places are those of PROTOCOL.md. */
#include "raw_frame.h"

#include <string.h>

#include "crc32c.h"
#include "must.h"
#include "tally.h"

enum { NUMBER_AT = FRAME_HEADER + 8, BODY_CRC_AT = 12 };

uint32_t raw_frame_room(uint32_t count, uint32_t body_size, uint32_t max)
{
    uint64_t size = FRAME_HEADER + REQUEST_FIXED_MAX + (uint64_t)count * request_put_size(body_size, 0);
    return size <= max ? (uint32_t)size : 0;
}

/* Entries are of one size, and the frame ends with the last. */
static uint8_t *first_entry(const struct raw_frame *f)
{
    return f->bytes + f->size - (size_t)f->count * request_put_size(f->body_size, 0);
}

void raw_frame_make(struct raw_frame *f, uint32_t session, struct queue_ref queue, enum durability durability)
{
    struct request r = {.op = OP_PUT, .number = 1, .queue = queue};
    uint8_t *op = f->bytes + FRAME_HEADER, body[RAW_FRAME_BODY_MAX];
    frame_begin(f->bytes, 0, session);
    uint32_t size = request_encode(op, &r);
    must(f->body_size <= sizeof body);
    for (uint32_t k = 0; k < f->count; k++) {
        struct request_put_entry e = {
            .delay = {UINT64_MAX}, .body = body, .body_size = f->body_size, .durability = (uint8_t)durability};
        tally_write(body, f->body_size, k);
        size += request_add_put(op + size, &e);
    }
    request_seal(op, size, (uint16_t)f->count);
    f->size = FRAME_HEADER + size;
    frame_end(f->bytes, f->size);
}

void raw_frame_stamp(const struct raw_frame *f, uint64_t number, uint64_t first)
{
    uint32_t stride = request_put_size(f->body_size, 0);
    uint8_t *entry = first_entry(f);
    memcpy(f->bytes + NUMBER_AT, &number, sizeof number);
    for (uint32_t k = 0; k < f->count; k++, entry += stride) {
        uint8_t *body = entry + REQUEST_PUT_ENTRY;
        tally_stamp(body, f->body_size, first + k);
        uint32_t crc = crc32c(0, body, f->body_size);
        memcpy(entry + BODY_CRC_AT, &crc, sizeof crc);
    }
}
