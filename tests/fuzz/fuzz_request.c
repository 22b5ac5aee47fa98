/* fuzz_request.c - what the broker does first with bytes from a stranger: frames, operations, requests.
 *
 * The input is a stream: whole frames one behind the other, as TCP gives them and as a datagram holds them. Every frame
 * is decoded from a block of its own exact size. Held against it: nothing lies outside its frame, a request that is
 * accepted says the same after it was written again, and its bytes come back but for padding. */
#include <stdlib.h>
#include <string.h>

#include "byteorder.h"
#include "must.h"
#include "request.h"
#include "target.h"

enum { MAX = 128 * 1024 };

static bool inside(const uint8_t *p, uint64_t size, const uint8_t *start, uint64_t whole)
{
    return p >= start && size <= whole && (uint64_t)(p - start) <= whole - size;
}

/* The request's bytes again, as a client would write them. */
static uint8_t *write_again(const struct request *r, uint32_t size)
{
    uint8_t *out = malloc(size + REQUEST_FIXED_MAX);
    must(out != NULL);
    uint32_t at = request_encode(out, r), offset = 0;
    struct request_put_entry entry;
    const uint8_t *receipt;
    bool batch = r->op == OP_PUT || r->op == OP_ACK || r->op == OP_NACK || r->op == OP_EXTEND;
    unsigned entries = 0;
    while (r->op == OP_PUT && request_next_put(r, &offset, &entry)) {
        must(inside(entry.attrs, entry.attrs_size, r->entries, r->entries_size));
        must(inside(entry.body, entry.body_size, r->entries, r->entries_size));
        must(at + request_put_size(entry.body_size, entry.attrs_size) <= size);
        at += request_add_put(out + at, &entry);
        entries++;
    }
    while (batch && r->op != OP_PUT && request_next_receipt(r, &offset, &receipt)) {
        must(inside(receipt, RECEIPT_BYTES, r->entries, r->entries_size));
        must(at + RECEIPT_BYTES <= size);
        at += request_add_receipt(out + at, receipt);
        entries++;
    }
    must(at == size);
    if (batch) {
        must(entries == r->count && entries >= 1);
        request_seal(out, at, r->count);
    }
    return out;
}

/* Padding behind attributes and bodies is the only place where two spellings of one request may differ. */
static void clear_padding(uint8_t *op, const struct request *r, const uint8_t *origin)
{
    uint32_t offset = 0;
    struct request_put_entry e;
    while (r->op == OP_PUT && request_next_put(r, &offset, &e)) {
        uint8_t *attrs = op + (e.attrs - origin), *body = op + (e.body - origin);
        memset(attrs + e.attrs_size, 0, round_up(e.attrs_size, 8) - e.attrs_size);
        memset(body + e.body_size, 0, round_up(e.body_size, 8) - e.body_size);
    }
}

static void check_request(const uint8_t *bytes, uint32_t size)
{
    uint8_t *copy = target_copy(bytes, size);
    struct frame_op op;
    struct request r, again;
    must(frame_op_decode(&op, copy, size) == LEAT_OK);
    must(inside(op.body, op.body_size, copy, size));
    if (request_decode(&r, &op) == LEAT_OK) {
        must(frame_op_known(r.op));
        must(r.count <= BATCH_MAX && r.max <= BATCH_MAX);
        uint8_t *written = write_again(&r, size);
        must(frame_op_decode(&op, written, size) == LEAT_OK);
        must(request_decode(&again, &op) == LEAT_OK);
        uint8_t *plain = target_copy(copy, size);
        clear_padding(plain, &r, copy);
        must(memcmp(plain, written, size) == 0);
        target_free(plain);
        free(written);
    }
    target_free(copy);
}

static void check_fragment(const struct frame *f)
{
    struct frame_fragment piece;
    enum leat_status status = frame_fragment_decode(&piece, f);
    if (status != LEAT_OK && status != LEAT_BATCH_TOO_LARGE)
        return;
    must(piece.piece_size > 0);
    must((piece.total > REQUEST_MAX) == (status == LEAT_BATCH_TOO_LARGE));
    must(piece.offset <= piece.total && piece.piece_size <= piece.total - piece.offset);
    must(inside(piece.piece, piece.piece_size, f->body, f->body_size));
    uint8_t header[FRAME_FRAGMENT_HEADER];
    frame_fragment_encode(header, piece.number, piece.offset, piece.total);
    frame_fragment_mark(header, piece.answer);
    must(memcmp(header, f->body, sizeof header) == 0);
    if (piece.offset == 0 && piece.piece_size == piece.total) {
        struct frame_op op;
        if (frame_op_decode(&op, piece.piece, piece.piece_size) == LEAT_OK)
            check_request(piece.piece, piece.piece_size);
    }
}

static void check_frame(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = target_copy(bytes, size);
    struct frame f;
    if (frame_decode(&f, copy, size) == LEAT_OK) {
        must(f.body == copy + FRAME_HEADER && f.body_size == size - FRAME_HEADER);
        if (f.flags & FRAME_FRAGMENT) {
            check_fragment(&f);
        } else {
            struct frame_op op;
            enum leat_status status = LEAT_OK;
            uint32_t offset = 0, before = 0;
            for (; frame_next_op(&f, &offset, &op, &status); before = offset) {
                must(offset <= f.body_size && offset - before == FRAME_OP_HEADER + op.body_size);
                must(op.body == f.body + before + FRAME_OP_HEADER);
                check_request(f.body + before, offset - before);
            }
            must(status == LEAT_BAD_FRAME || offset == f.body_size);
        }
    }
    target_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > MAX)
        return 0;
    uint8_t *stream = target_copy(data, size);
    int32_t whole;
    for (size_t at = 0; (whole = frame_size(stream + at, size - at)) > 0; at += (size_t)whole) {
        must(whole >= FRAME_HEADER && whole <= FRAME_MAX && whole % 8 == 0);
        if ((size_t)whole > size - at) {
            struct frame f;
            must(frame_decode(&f, stream + at, size - at) == LEAT_BAD_FRAME);
            break;
        }
        check_frame(stream + at, (size_t)whole);
    }
    target_free(stream);
    return 0;
}

/* Frames that carry a checksum are given the right one. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    size = LLVMFuzzerMutate(data, size, max_size);
    int32_t whole;
    for (size_t at = 0; seed % 8 != 0 && (whole = frame_size(data + at, size - at)) > 0; at += (size_t)whole) {
        if ((size_t)whole > size - at)
            break;
        frame_end(data + at, (uint32_t)whole);
    }
    return size;
}
