/* request.c - requests taken apart, with every bound checked, and put together again for the client.
 *
 * Layouts (after the operation header; all little-endian, see PROTOCOL.md):
 *   backup_read   u64 backup, u64 offset, u32 file, u32 size       backup_end   u64 backup
 *   hello         u16 version_min, u16 version_max, u32 session, u64 secret, u64 oldest, u16 window, u16 0, u32
 * datagram_max queue_create  name, attributes         queue_drop, queue_stat  name        queue_list  name, u16 max, 6
 * x 0 put           queue, then entries      take  queue, u16 max, 6 x 0, u64 wait, u64 lease ack nack extend  queue,
 * u64 time, then receipts        peek  queue, u16 max, 6 x 0 where queue is u32 number, u32 incarnation. */
#include "request.h"

#include "cursor.h"
#include "must.h"

static bool all_zero(const uint8_t *p, uint32_t n)
{
    while (n--)
        if (*p++)
            return false;
    return true;
}

uint32_t request_put_size(uint32_t body_size, uint32_t attrs_size)
{
    return (uint32_t)(REQUEST_PUT_ENTRY + round_up(attrs_size, 8) + round_up(body_size, 8));
}

static enum leat_status put_entry_at(const uint8_t *p, uint32_t available, struct request_put_entry *entry)
{
    if (available < REQUEST_PUT_ENTRY)
        return LEAT_BAD_REQUEST;
    struct reader r = {p};
    entry->delay.ns = read_u64(&r);
    entry->body_size = read_u32(&r);
    entry->body_crc = read_u32(&r);
    entry->attrs_size = read_u16(&r);
    entry->durability = read_u8(&r);
    if (!all_zero(r.at, 5))
        return LEAT_BAD_OP;
    if (entry->body_size > REQUEST_MAX || request_put_size(entry->body_size, entry->attrs_size) > available)
        return LEAT_BAD_REQUEST;
    if (entry->body_size > BODY_MAX || entry->attrs_size > ATTRS_MAX)
        return LEAT_TOO_LARGE;
    if (entry->durability > CLASS_DISK)
        return LEAT_BAD_VALUE;
    entry->attrs = p + REQUEST_PUT_ENTRY;
    entry->body = entry->attrs + round_up(entry->attrs_size, 8);
    return LEAT_OK;
}

static enum leat_status check_puts(const struct request *r)
{
    uint32_t offset = 0;
    for (unsigned i = 0; i < r->count; i++) {
        struct request_put_entry entry;
        enum leat_status status = put_entry_at(r->entries + offset, r->entries_size - offset, &entry);
        if (status != LEAT_OK)
            return status;
        offset += request_put_size(entry.body_size, entry.attrs_size);
    }
    return offset == r->entries_size ? LEAT_OK : LEAT_BAD_REQUEST;
}

static enum leat_status decode_hello(struct request *r, struct reader in)
{
    struct request_hello *h = &r->hello;
    h->version_min = read_u16(&in);
    h->version_max = read_u16(&in);
    h->session = read_u32(&in);
    h->secret = read_u64(&in);
    h->oldest = read_u64(&in);
    h->window = read_u16(&in);
    if (read_u16(&in) != 0)
        return LEAT_BAD_OP;
    h->datagram_max = read_u32(&in);
    h->answered = read_u64(&in);
    if (h->version_min > h->version_max || h->window < WINDOW_MIN || h->window > WINDOW_MAX)
        return LEAT_BAD_VALUE;
    if (h->version_min > PROTOCOL_VERSION || h->version_max < PROTOCOL_VERSION)
        return LEAT_BAD_VERSION;
    return LEAT_OK;
}

static enum leat_status decode_max(struct request *r, struct reader *in)
{
    r->max = read_u16(in);
    if (!all_zero(in->at, 6))
        return LEAT_BAD_OP;
    in->at += 6;
    return r->max >= 1 && r->max <= BATCH_MAX ? LEAT_OK : LEAT_BAD_VALUE;
}

static enum leat_status decode_named(struct request *r, struct reader in)
{
    if (!name_decode(&r->name, in.at))
        return LEAT_BAD_NAME;
    in.at += NAME_BYTES;
    if (r->op == OP_QUEUE_LIST)
        return decode_max(r, &in);
    if (r->name.size == 0)
        return LEAT_BAD_NAME;
    if (r->op == OP_QUEUE_CREATE && !name_attributes_decode(&r->attributes, in.at))
        return LEAT_BAD_VALUE;
    return LEAT_OK;
}

static enum leat_status decode_queued(struct request *r, struct reader in, const uint8_t *end)
{
    r->queue.number = read_u32(&in);
    r->queue.incarnation = read_u32(&in);
    enum leat_status status;
    switch (r->op) {
    case OP_PUT:
        break;
    case OP_TAKE:
        status = decode_max(r, &in);
        r->wait.ns = read_u64(&in);
        r->time.ns = read_u64(&in);
        return status;
    case OP_PEEK:
        return decode_max(r, &in);
    default:
        r->time.ns = read_u64(&in);
        break;
    }
    if (r->count == 0)
        return LEAT_BAD_REQUEST;
    r->entries = in.at;
    r->entries_size = (uint32_t)(end - in.at);
    if (r->op == OP_PUT)
        return check_puts(r);
    return r->entries_size == r->count * (uint32_t)RECEIPT_BYTES ? LEAT_OK : LEAT_BAD_REQUEST;
}

static enum leat_status decode_backup(struct request *r, struct reader in)
{
    struct request_backup *b = &r->backup;
    b->id = read_u64(&in);
    if (r->op == OP_BACKUP_END)
        return LEAT_OK;
    b->offset = read_u64(&in);
    b->file = read_u32(&in);
    b->size = read_u32(&in);
    bool whole = b->offset % BACKUP_PIECE_UNIT == 0 && b->size % BACKUP_PIECE_UNIT == 0;
    return whole && b->size > 0 && b->size <= BACKUP_PIECE_MAX ? LEAT_OK : LEAT_BAD_VALUE;
}

struct bound {
    uint16_t min_body, max_count;
};

static const struct bound *bound_of(uint8_t op)
{
    static const struct bound bounds[] = {
#define OP(NAME, name, code, min_body, max_count, help) [code] = {(min_body), (max_count)},
#include "ops_table.h"
#undef OP
    };
    return op < sizeof bounds / sizeof bounds[0] && frame_op_known(op) ? &bounds[op] : NULL;
}

/* Whether the body has the size that the table asks: exact for operations without entries. */
static enum leat_status check_size(const struct frame_op *op)
{
    const struct bound *b = bound_of(op->op);
    if (!b)
        return LEAT_BAD_OP;
    if (op->count > b->max_count)
        return b->max_count ? LEAT_BATCH_TOO_LARGE : LEAT_BAD_REQUEST;
    if (op->body_size < b->min_body || (b->max_count == 0 && op->body_size != b->min_body))
        return LEAT_BAD_REQUEST;
    return LEAT_OK;
}

enum leat_status request_decode(struct request *r, const struct frame_op *op)
{
    enum leat_status status = check_size(op);
    if (status != LEAT_OK)
        return status;
    if (op->status != 0)
        return LEAT_BAD_OP;
    memset(r, 0, sizeof *r);
    r->op = op->op;
    r->count = op->count;
    r->number = op->number;
    struct reader in = {op->body};
    switch (op->op) {
    case OP_HELLO:
        return decode_hello(r, in);
    case OP_PING:
    case OP_BYE:
    case OP_BACKUP_BEGIN:
        return LEAT_OK;
    case OP_BACKUP_READ:
    case OP_BACKUP_END:
        return decode_backup(r, in);
    case OP_QUEUE_CREATE:
    case OP_QUEUE_DROP:
    case OP_QUEUE_STAT:
    case OP_QUEUE_LIST:
        return decode_named(r, in);
    default:
        return decode_queued(r, in, op->body + op->body_size);
    }
}

bool request_next_put(const struct request *r, uint32_t *offset, struct request_put_entry *entry)
{
    if (*offset >= r->entries_size)
        return false;
    must(put_entry_at(r->entries + *offset, r->entries_size - *offset, entry) == LEAT_OK);
    *offset += request_put_size(entry->body_size, entry->attrs_size);
    return true;
}

bool request_next_receipt(const struct request *r, uint32_t *offset, const uint8_t **receipt)
{
    if (*offset >= r->entries_size)
        return false;
    *receipt = r->entries + *offset;
    *offset += RECEIPT_BYTES;
    return true;
}

static void encode_max(struct writer *w, uint16_t max)
{
    write_u16(w, max);
    write_zeros(w, 6);
}

static void encode_named(struct writer *w, const struct request *r)
{
    name_encode(w->at, &r->name);
    w->at += NAME_BYTES;
    if (r->op == OP_QUEUE_LIST)
        encode_max(w, r->max);
    if (r->op == OP_QUEUE_CREATE) {
        name_attributes_encode(w->at, &r->attributes);
        w->at += NAME_ATTRIBUTES_BYTES;
    }
}

static void encode_queued(struct writer *w, const struct request *r)
{
    write_u32(w, r->queue.number);
    write_u32(w, r->queue.incarnation);
    if (r->op == OP_TAKE || r->op == OP_PEEK)
        encode_max(w, r->max);
    if (r->op == OP_TAKE)
        write_u64(w, r->wait.ns);
    if (r->op != OP_PUT && r->op != OP_PEEK)
        write_u64(w, r->time.ns);
}

static void encode_hello(struct writer *w, const struct request_hello *h)
{
    write_u16(w, h->version_min);
    write_u16(w, h->version_max);
    write_u32(w, h->session);
    write_u64(w, h->secret);
    write_u64(w, h->oldest);
    write_u16(w, h->window);
    write_u16(w, 0);
    write_u32(w, h->datagram_max);
    write_u64(w, h->answered);
}

static void encode_backup(struct writer *w, const struct request *r)
{
    write_u64(w, r->backup.id);
    if (r->op == OP_BACKUP_END)
        return;
    write_u64(w, r->backup.offset);
    write_u32(w, r->backup.file);
    write_u32(w, r->backup.size);
}

uint32_t request_encode(uint8_t *out, const struct request *r)
{
    struct writer w = {out + FRAME_OP_HEADER};
    switch (r->op) {
    case OP_HELLO:
        encode_hello(&w, &r->hello);
        break;
    case OP_PING:
    case OP_BYE:
    case OP_BACKUP_BEGIN:
        break;
    case OP_BACKUP_READ:
    case OP_BACKUP_END:
        encode_backup(&w, r);
        break;
    case OP_QUEUE_CREATE:
    case OP_QUEUE_DROP:
    case OP_QUEUE_STAT:
    case OP_QUEUE_LIST:
        encode_named(&w, r);
        break;
    default:
        encode_queued(&w, r);
        break;
    }
    uint32_t size = (uint32_t)(w.at - out);
    frame_op_encode(out, r->op, 0, r->count, size - FRAME_OP_HEADER, r->number);
    return size;
}

uint32_t request_add_put(uint8_t *out, const struct request_put_entry *entry)
{
    struct writer w = {out};
    write_u64(&w, entry->delay.ns);
    write_u32(&w, entry->body_size);
    write_u32(&w, entry->body_crc);
    write_u16(&w, entry->attrs_size);
    write_u8(&w, entry->durability);
    write_zeros(&w, 5);
    write_padded(&w, entry->attrs, entry->attrs_size);
    write_padded(&w, entry->body, entry->body_size);
    return (uint32_t)(w.at - out);
}

uint32_t request_add_receipt(uint8_t *out, const uint8_t receipt[RECEIPT_BYTES])
{
    memcpy(out, receipt, RECEIPT_BYTES);
    return RECEIPT_BYTES;
}

void request_seal(uint8_t *op, uint32_t size, uint16_t count)
{
    must(size % 8 == 0 && size <= REQUEST_MAX);
    le16_put(op + 2, count);
    le32_put(op + 4, size);
}
