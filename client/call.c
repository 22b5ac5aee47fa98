/* call.c - requests put together, answers taken apart. */
#include "call.h"

#include <stdlib.h>

#include "byteorder.h"
#include "crc32c.h"
#include "mark.h"
#include "must.h"

enum { SMALLEST_BUFFER = 1024 };

void call_release(struct call_buffer *b, struct call_memory *m)
{
    m->held -= b->capacity;
    free(b->bytes);
    *b = (struct call_buffer){NULL, 0};
}

bool call_reserve(struct call_buffer *b, struct call_memory *m, size_t size)
{
    if (size <= b->capacity)
        return true;
    size_t capacity = SMALLEST_BUFFER;
    while (capacity < size)
        capacity *= 2;
    if (m->held - b->capacity + capacity > m->budget)
        return false;
    call_release(b, m);
    b->bytes = malloc(capacity);
    if (!b->bytes)
        return false;
    b->capacity = capacity;
    m->held += capacity;
    return true;
}

bool call_is_batch(uint8_t op)
{
    return op == OP_PUT || op == OP_ACK || op == OP_NACK || op == OP_EXTEND;
}

static bool is_backup(uint8_t op)
{
    return op == OP_BACKUP_BEGIN || op == OP_BACKUP_READ || op == OP_BACKUP_END;
}

static bool is_for_messages(uint8_t op)
{
    return call_is_batch(op) || op == OP_TAKE || op == OP_PEEK;
}

static enum leat_status check_puts(const struct client_op *op, uint32_t body_max, uint64_t *size)
{
    for (unsigned i = 0; i < op->count; i++) {
        const struct request_put_entry *e = &op->puts[i];
        if (e->body_size > body_max)
            return LEAT_TOO_LARGE;
        if (e->attrs_size > ATTRS_MAX || e->durability > CLASS_DISK)
            return LEAT_BAD_VALUE;
        *size += request_put_size(e->body_size, e->attrs_size);
    }
    return LEAT_OK;
}

static enum leat_status check_name(const struct client_op *op)
{
    const struct name *name = &op->request.name;
    const struct name *dead = &op->request.attributes.dead_letter;
    if (name->size == 0)
        return is_for_messages(op->request.op) || is_backup(op->request.op) || op->request.op == OP_QUEUE_LIST
                   ? LEAT_OK
                   : LEAT_BAD_NAME;
    if (op->request.op == OP_QUEUE_CREATE && dead->size && !name_valid(dead->text, dead->size))
        return LEAT_BAD_NAME;
    return name_valid(name->text, name->size) ? LEAT_OK : LEAT_BAD_NAME;
}

enum leat_status call_check(const struct client_op *op, uint32_t body_max, uint32_t batch_max, uint32_t *request_size)
{
    uint8_t code = op->request.op;
    must(frame_op_known(code) && code != OP_HELLO && code != OP_PING && code != OP_BYE);
    enum leat_status status = check_name(op);
    if (status != LEAT_OK)
        return status;
    uint64_t size = REQUEST_FIXED_MAX;
    if (call_is_batch(code)) {
        if (op->count == 0)
            return LEAT_BAD_REQUEST;
        if (op->count > batch_max)
            return LEAT_BATCH_TOO_LARGE;
    } else if (code == OP_TAKE || code == OP_PEEK || code == OP_QUEUE_LIST) {
        if (op->request.max < 1 || op->request.max > BATCH_MAX)
            return LEAT_BAD_VALUE;
    }
    if (code == OP_PUT)
        status = check_puts(op, body_max, &size);
    else if (call_is_batch(code))
        size += (uint64_t)op->count * RECEIPT_BYTES;
    if (status == LEAT_OK && size > REQUEST_MAX)
        return LEAT_BATCH_TOO_LARGE;
    *request_size = (uint32_t)size;
    return status;
}

void call_encode(struct call *call, const struct client_op *op)
{
    struct request request = op->request;
    request.number = 0;
    request.count = 0;
    uint8_t *out = call->request.bytes;
    uint32_t size = request_encode(out, &request);
    if (call_is_batch(request.op)) {
        for (unsigned i = 0; i < op->count; i++) {
            if (request.op != OP_PUT) {
                size += request_add_receipt(out + size, op->receipts[i]);
                continue;
            }
            struct request_put_entry entry = op->puts[i];
            entry.body_crc = crc32c(0, entry.body, entry.body_size);
            size += request_add_put(out + size, &entry);
        }
        request_seal(out, size, op->count);
    }
    must(size <= call->request.capacity);
    call->request_size = size;
    call->op = request.op;
    call->entries = call_is_batch(request.op) ? op->count : 0;
    call->covered = 0;
    call->runs_count = 0;
    call->reply_size = call->reply_count = 0;
    call->pieces = (struct call_pieces){0};
    call->status = LEAT_OK;
    call->name = op->request.name;
    call->by_name = is_for_messages(request.op) && call->name.size != 0;
    call->looking_up = call->looked_up = call->repeated = call->forgotten = false;
}

void call_set_number(struct call *call, uint64_t number)
{
    call->number = number;
    if (!call->looking_up) {
        le64_put(call->request.bytes + 8, number);
        return;
    }
    struct request request = {.op = OP_QUEUE_STAT, .number = number, .name = call->name};
    must(request_encode(call->question, &request) == sizeof call->question);
}

void call_set_queue(struct call *call, struct queue_ref queue)
{
    le32_put(call->request.bytes + FRAME_OP_HEADER, queue.number);
    le32_put(call->request.bytes + FRAME_OP_HEADER + 4, queue.incarnation);
}

const uint8_t *call_bytes(const struct call *call, uint32_t *size)
{
    *size = call->looking_up ? (uint32_t)sizeof call->question : call->request_size;
    return call->looking_up ? call->question : call->request.bytes;
}

void call_add_run(struct call *call, const struct reply_run *run)
{
    must(run->count > 0);
    must(run->count <= call->entries - call->covered);
    struct reply_run *mine = (struct reply_run *)(void *)call->reply.bytes + call->runs_count++;
    *mine = *run;
    if (call->repeated && run->status != LEAT_OK && call->op != OP_EXTEND) {
        mark(client_repeated_receipt_is_stale);
        mine->status = LEAT_UNKNOWN_OUTCOME; /* stale, or refused for another reason: the first try may have worked */
    }
    if (call->status == LEAT_OK)
        call->status = mine->status;
    call->covered = (uint16_t)(call->covered + run->count);
}

void call_shift(struct call *call, uint16_t covered_before)
{
    uint32_t fixed = FRAME_OP_HEADER + (call->op == OP_PUT ? 8 : 16), skip = 0;
    unsigned n = (unsigned)(call->covered - covered_before);
    must(call->covered < call->entries);
    uint8_t *bytes = call->request.bytes;
    while (n--) {
        const uint8_t *entry = bytes + fixed + skip;
        skip += call->op == OP_PUT ? request_put_size(le32_get(entry + 8), le16_get(entry + 16)) : RECEIPT_BYTES;
    }
    must(fixed + skip < call->request_size);
    memmove(bytes + fixed, bytes + fixed + skip, call->request_size - fixed - skip);
    call->request_size -= skip;
    request_seal(bytes, call->request_size, (uint16_t)(call->entries - call->covered));
}

void call_refuse(struct call *call, enum leat_status status)
{
    must(status != LEAT_OK);
    if (call->entries) {
        struct reply_run run = {.status = (uint16_t)status, .count = (uint16_t)(call->entries - call->covered)};
        call_add_run(call, &run);
        return;
    }
    call->status = status;
    call->reply_size = call->reply_count = 0;
}

/* The list of files, a piece with its checksum looked at, or nothing. */
static bool read_backup(struct call *call, const struct frame_op *op)
{
    struct reply_backup b;
    struct reply_backup_file f;
    struct reply_piece p;
    uint32_t offset, n = 0;
    call->status = op->status;
    call->reply_count = 0;
    if (op->status != LEAT_OK || call->op == OP_BACKUP_END)
        return op->body_size == 0;
    if (call->op == OP_BACKUP_READ) {
        if (!reply_piece_decode(op, &p))
            return false;
        if (crc32c(0, p.bytes, p.size) != p.crc)
            call->status = LEAT_BAD_CHECKSUM;
        return true;
    }
    if (!reply_backup_decode(op, &offset, &b))
        return false;
    while (reply_next_backup_file(op, &offset, &f))
        n++;
    return n == b.files;
}

/* Messages with their bodies checked, or stats: whether they fill the answer exactly. */
bool call_read_answer(struct call *call)
{
    struct frame_op op;
    if (frame_op_decode(&op, call->reply.bytes, call->reply_size) != LEAT_OK)
        return false;
    if (is_backup(call->op))
        return read_backup(call, &op);
    uint32_t offset = 0;
    unsigned n = 0;
    struct reply_message m;
    struct reply_stat stat;
    call->status = op.status;
    if (call->op == OP_TAKE || call->op == OP_PEEK)
        while (reply_next_message(&op, &offset, &m)) {
            n++;
            if (op.status == LEAT_CORRUPT && m.attrs_size + m.body_size > 0)
                return false; /* damaged messages have none */
            if (crc32c(0, m.body, m.body_size) != m.body_crc)
                call->status = LEAT_BAD_CHECKSUM;
        }
    else
        while (reply_next_stat(&op, &offset, &stat))
            n++;
    if (offset != op.body_size || n > BATCH_MAX)
        return false;
    if ((call->op == OP_QUEUE_STAT || call->op == OP_QUEUE_CREATE) && n != (call->status == LEAT_OK))
        return false;
    call->reply_count = (uint16_t)n;
    return true;
}

/* A piece of another reply than the ones before it (or the first): starts anew. */
static enum leat_status start_pieces(struct call *call, struct call_memory *m, const struct frame_fragment *piece,
                                     uint32_t size)
{
    uint32_t total = piece->total, pieces = (total + size - 1) / size;
    if (!call_reserve(&call->reply, m, total + pieces / 8 + 1))
        return LEAT_NO_MEMORY;
    memset(call->reply.bytes + total, 0, pieces / 8 + 1);
    call->pieces = (struct call_pieces){.total = total, .size = size, .missing = pieces, .answer = piece->answer};
    return LEAT_OK;
}

enum leat_status call_add_piece(struct call *call, struct call_memory *m, const struct frame_fragment *piece)
{
    struct call_pieces *p = &call->pieces;
    bool last = piece->offset + piece->piece_size == piece->total;
    bool same = piece->total == p->total && piece->answer == p->answer;
    if (last && piece->offset != 0 && !same)
        return LEAT_PARKED; /* how large the others are is not known yet: it will come again */
    uint32_t size = last && piece->offset != 0 ? p->size : piece->piece_size;
    if (!same || size != p->size) {
        enum leat_status status = start_pieces(call, m, piece, size);
        if (status != LEAT_OK)
            return status;
    }
    if (piece->offset % size != 0 || (last && piece->piece_size > size))
        return LEAT_BAD_FRAME;
    uint8_t *bitmap = call->reply.bytes + p->total;
    uint32_t i = piece->offset / size;
    if (bitmap[i / 8] & 1 << i % 8)
        return LEAT_PARKED;
    bitmap[i / 8] = (uint8_t)(bitmap[i / 8] | 1 << i % 8);
    memcpy(call->reply.bytes + piece->offset, piece->piece, piece->piece_size);
    if (--p->missing)
        return LEAT_PARKED;
    call->reply_size = p->total;
    p->total = 0;
    mark(client_reply_in_pieces);
    return LEAT_OK;
}
