/* reply.c - replies, written once by the shard and read once by the client.
 *
 * Layouts (after the operation header):
 *   runs     u16 status, u16 count, u32 epoch, u64 lsn                        each, at most RUNS_MAX
 *   hello    see encode below; 80 bytes        stat  336 bytes a queue        take, peek  72-byte header, attributes,
 * body, each padded */
#include "reply.h"

#include <string.h>

#include "crc32c.h"
#include "cursor.h"
#include "must.h"

uint32_t reply_status(uint8_t *out, uint8_t op, uint64_t number, enum leat_status status)
{
    frame_op_encode(out, op, (uint8_t)status, 0, 0, number);
    return FRAME_OP_HEADER;
}

uint32_t reply_gap(uint8_t *out, uint64_t expected)
{
    return reply_status(out, OP_PING, expected, LEAT_GAP);
}

uint32_t reply_runs(uint8_t *out, uint8_t op, uint64_t number, const struct reply_run *runs, unsigned n)
{
    must(n <= RUNS_MAX);
    frame_op_encode(out, op, LEAT_OK, (uint16_t)n, n * REPLY_RUN_BYTES, number);
    struct writer w = {out + FRAME_OP_HEADER};
    for (unsigned i = 0; i < n; i++) {
        write_u16(&w, runs[i].status);
        write_u16(&w, runs[i].count);
        write_u32(&w, runs[i].epoch);
        write_u64(&w, runs[i].lsn.n);
    }
    return (uint32_t)(w.at - out);
}

bool reply_next_run(const struct frame_op *op, uint32_t *offset, struct reply_run *run)
{
    if (*offset >= op->body_size || op->body_size - *offset < REPLY_RUN_BYTES)
        return false;
    struct reader r = {op->body + *offset};
    run->status = read_u16(&r);
    run->count = read_u16(&r);
    run->epoch = read_u32(&r);
    run->lsn.n = read_u64(&r);
    *offset += REPLY_RUN_BYTES;
    return true;
}

uint32_t reply_hello(uint8_t *out, uint64_t number, const struct reply_hello *h)
{
    frame_op_encode(out, OP_HELLO, LEAT_OK, 0, REPLY_HELLO_BYTES, number);
    struct writer w = {out + FRAME_OP_HEADER};
    write_u16(&w, h->version);
    write_u16(&w, h->window);
    write_u32(&w, h->session);
    write_u64(&w, h->secret);
    write_u64(&w, h->next);
    write_u32(&w, h->epoch);
    write_u16(&w, h->cell);
    write_u8(&w, h->shard);
    write_u8(&w, h->shards);
    write_u32(&w, h->body_max);
    write_u32(&w, h->batch_max);
    write_u32(&w, h->frame_max);
    write_u32(&w, 0);
    write_u64(&w, h->session_timeout.ns);
    write_u64(&w, h->lease_max.ns);
    write_u64(&w, h->delay_max.ns);
    write_u64(&w, h->wait_max.ns);
    return (uint32_t)(w.at - out);
}

bool reply_hello_decode(const struct frame_op *op, struct reply_hello *h)
{
    if (op->body_size < REPLY_HELLO_BYTES)
        return false;
    struct reader r = {op->body};
    h->version = read_u16(&r);
    h->window = read_u16(&r);
    h->session = read_u32(&r);
    h->secret = read_u64(&r);
    h->next = read_u64(&r);
    h->epoch = read_u32(&r);
    h->cell = read_u16(&r);
    h->shard = read_u8(&r);
    h->shards = read_u8(&r);
    h->body_max = read_u32(&r);
    h->batch_max = read_u32(&r);
    h->frame_max = read_u32(&r);
    read_u32(&r);
    h->session_timeout.ns = read_u64(&r);
    h->lease_max.ns = read_u64(&r);
    h->delay_max.ns = read_u64(&r);
    h->wait_max.ns = read_u64(&r);
    return h->window >= WINDOW_MIN && h->window <= WINDOW_MAX && h->frame_max >= DATAGRAM_MIN;
}

/* The numbers of a stat, in the order in which they travel. */
#define STAT_NUMBERS(X)                                                                                                \
    X(ready)                                                                                                           \
    X(leased)                                                                                                          \
    X(delayed)                                                                                                         \
    X(dead)                                                                                                            \
    X(bytes)                                                                                                           \
    X(puts)                                                                                                            \
    X(takes)                                                                                                           \
    X(acks)                                                                                                            \
    X(nacks)                                                                                                           \
    X(expiries)                                                                                                        \
    X(dead_letters)                                                                                                    \
    X(oldest_ready.ns)                                                                                                 \
    X(oldest_leased.ns)                                                                                                \
    X(oldest_delayed.ns)

uint32_t reply_add_stat(uint8_t *out, const struct reply_stat *s)
{
    struct writer w = {out};
    write_u32(&w, s->queue.number);
    write_u32(&w, s->queue.incarnation);
    name_encode(w.at, &s->name);
    w.at += NAME_BYTES;
    name_attributes_encode(w.at, &s->attributes);
    w.at += NAME_ATTRIBUTES_BYTES;
#define X(field) write_u64(&w, s->field);
    STAT_NUMBERS(X)
#undef X
    write_u32(&w, s->parked);
    write_u32(&w, 0);
    must(w.at - out == REPLY_STAT_BYTES);
    return REPLY_STAT_BYTES;
}

bool reply_next_stat(const struct frame_op *op, uint32_t *offset, struct reply_stat *s)
{
    if (*offset >= op->body_size || op->body_size - *offset < REPLY_STAT_BYTES)
        return false;
    struct reader r = {op->body + *offset};
    s->queue.number = read_u32(&r);
    s->queue.incarnation = read_u32(&r);
    if (!name_decode(&s->name, r.at))
        return false;
    r.at += NAME_BYTES;
    if (!name_attributes_decode(&s->attributes, r.at))
        return false;
    r.at += NAME_ATTRIBUTES_BYTES;
#define X(field) s->field = read_u64(&r);
    STAT_NUMBERS(X)
#undef X
    s->parked = read_u32(&r);
    *offset += REPLY_STAT_BYTES;
    return true;
}

uint32_t reply_stat(uint8_t *out, uint8_t op, uint64_t number, const struct reply_stat *stat)
{
    frame_op_encode(out, op, LEAT_OK, 1, REPLY_STAT_BYTES, number);
    return FRAME_OP_HEADER + reply_add_stat(out + FRAME_OP_HEADER, stat);
}

uint32_t reply_message_size(uint32_t attrs_size, uint32_t body_size)
{
    return (uint32_t)(REPLY_MESSAGE_HEADER + round_up(attrs_size, 8) + round_up(body_size, 8));
}

uint32_t reply_add_message(uint8_t *out, const struct reply_message *m)
{
    struct writer w = {out};
    memcpy(w.at, m->receipt, RECEIPT_BYTES);
    w.at += RECEIPT_BYTES;
    write_u64(&w, m->lease_left.ns);
    write_u64(&w, m->sent_wall_ns);
    write_u32(&w, m->attempts);
    write_u32(&w, m->body_size);
    write_u32(&w, m->body_crc);
    write_u16(&w, m->attrs_size);
    write_u8(&w, m->state);
    write_u8(&w, 0);
    write_padded(&w, m->attrs, m->attrs_size);
    write_padded(&w, m->body, m->body_size);
    return (uint32_t)(w.at - out);
}

bool reply_next_message(const struct frame_op *op, uint32_t *offset, struct reply_message *m)
{
    if (*offset >= op->body_size || op->body_size - *offset < REPLY_MESSAGE_HEADER)
        return false;
    struct reader r = {op->body + *offset};
    memcpy(m->receipt, r.at, RECEIPT_BYTES);
    r.at += RECEIPT_BYTES;
    m->lease_left.ns = read_u64(&r);
    m->sent_wall_ns = read_u64(&r);
    m->attempts = read_u32(&r);
    m->body_size = read_u32(&r);
    m->body_crc = read_u32(&r);
    m->attrs_size = read_u16(&r);
    m->state = read_u8(&r);
    read_u8(&r);
    if (m->body_size > op->body_size || reply_message_size(m->attrs_size, m->body_size) > op->body_size - *offset)
        return false;
    m->attrs = r.at;
    m->body = r.at + round_up(m->attrs_size, 8);
    *offset += reply_message_size(m->attrs_size, m->body_size);
    return true;
}

uint32_t reply_add_backup(uint8_t *out, const struct reply_backup *b)
{
    struct writer w = {out};
    write_u64(&w, b->id);
    write_u64(&w, b->cluster);
    write_u64(&w, b->position);
    write_u64(&w, b->bytes);
    write_u32(&w, b->epoch);
    write_u32(&w, b->files);
    return (uint32_t)(w.at - out);
}

uint32_t reply_add_backup_file(uint8_t *out, const struct reply_backup_file *f)
{
    struct writer w = {out};
    size_t size = strlen(f->name);
    must(size >= 1 && size <= REPLY_FILE_NAME);
    write_u64(&w, f->bytes);
    write_u64(&w, f->size);
    write_u8(&w, (uint8_t)size);
    memcpy(w.at, f->name, size);
    w.at += size;
    write_zeros(&w, (uint32_t)(REPLY_FILE_NAME - size));
    return (uint32_t)(w.at - out);
}

uint32_t reply_piece(uint8_t *out, uint64_t number, const struct reply_piece *p)
{
    must(p->size % 8 == 0);
    frame_op_encode(out, OP_BACKUP_READ, LEAT_OK, 0, REPLY_PIECE_HEADER + p->size, number);
    struct writer w = {out + FRAME_OP_HEADER};
    write_u64(&w, p->offset);
    write_u32(&w, p->file);
    write_u32(&w, p->size);
    write_u32(&w, crc32c(0, p->bytes, p->size));
    write_u32(&w, 0);
    write_padded(&w, p->bytes, p->size);
    return (uint32_t)(w.at - out);
}

bool reply_backup_decode(const struct frame_op *op, uint32_t *offset, struct reply_backup *b)
{
    if (op->body_size < REPLY_BACKUP_BYTES)
        return false;
    struct reader r = {op->body};
    b->id = read_u64(&r);
    b->cluster = read_u64(&r);
    b->position = read_u64(&r);
    b->bytes = read_u64(&r);
    b->epoch = read_u32(&r);
    b->files = read_u32(&r);
    *offset = REPLY_BACKUP_BYTES;
    return (op->body_size - REPLY_BACKUP_BYTES) % REPLY_BACKUP_FILE_BYTES == 0 &&
           (op->body_size - REPLY_BACKUP_BYTES) / REPLY_BACKUP_FILE_BYTES == b->files;
}

/* A name that is no way out of a directory. */
static bool file_name_decode(char *out, const uint8_t *in)
{
    uint8_t size = in[0];
    if (size < 1 || size > REPLY_FILE_NAME)
        return false;
    for (uint8_t i = 0; i < size; i++) {
        char c = (char)in[1 + i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c == '-' && i > 0)))
            return false;
    }
    memcpy(out, in + 1, size);
    out[size] = 0;
    return true;
}

bool reply_next_backup_file(const struct frame_op *op, uint32_t *offset, struct reply_backup_file *f)
{
    if (*offset >= op->body_size || op->body_size - *offset < REPLY_BACKUP_FILE_BYTES)
        return false;
    struct reader r = {op->body + *offset};
    f->bytes = read_u64(&r);
    f->size = read_u64(&r);
    *offset += REPLY_BACKUP_FILE_BYTES;
    return f->bytes <= f->size && f->bytes % BACKUP_PIECE_UNIT == 0 && file_name_decode(f->name, r.at);
}

bool reply_piece_decode(const struct frame_op *op, struct reply_piece *p)
{
    if (op->body_size < REPLY_PIECE_HEADER)
        return false;
    struct reader r = {op->body};
    p->offset = read_u64(&r);
    p->file = read_u32(&r);
    p->size = read_u32(&r);
    p->crc = read_u32(&r);
    read_u32(&r);
    p->bytes = r.at;
    return p->size == op->body_size - REPLY_PIECE_HEADER;
}
