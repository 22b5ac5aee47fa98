/* fact.c - facts to bytes and back. */
#include "fact.h"

#include <string.h>

#include "crc32c.h"
#include "cursor.h"
#include "must.h"

static uint32_t fixed_bytes(uint8_t kind)
{
    switch (kind) {
#define FACT(NAME, name, code, bytes, help)                                                                            \
    case code:                                                                                                         \
        return bytes;
#include "fact_table.h"
#undef FACT
    default:
        return 0;
    }
}

const char *fact_name(uint8_t kind)
{
    switch (kind) {
#define FACT(NAME, name, code, bytes, help)                                                                            \
    case code:                                                                                                         \
        return #name;
#include "fact_table.h"
#undef FACT
    default:
        return "unknown";
    }
}

static uint32_t payload_bytes(const struct fact_put *p)
{
    return (uint32_t)(round_up(p->attrs_size, 8) + round_up(p->body_size, 8));
}

uint32_t fact_size(const struct fact *f)
{
    uint32_t size = FACT_HEADER + fixed_bytes(f->kind);
    return f->kind == FACT_PUT ? size + payload_bytes(&f->put) : size;
}

/* Everything but the CRC's own field and the body, seeded with the position. */
static uint32_t header_crc(const uint8_t *bytes, uint32_t size, struct lsn lsn)
{
    uint32_t seed = (uint32_t)(lsn.n * 0x9e3779b97f4a7c15ull >> 32);
    return crc32c(crc32c(seed, bytes, 28), bytes + FACT_HEADER, size - FACT_HEADER);
}

static void encode_put(struct writer *w, const struct fact_put *p)
{
    write_u32(w, p->queue);
    write_u32(w, p->slot);
    write_u64(w, p->due.ns);
    write_u32(w, p->body_size);
    write_u32(w, p->body_crc);
    write_u16(w, p->attrs_size);
    write_u8(w, p->durability);
    write_zeros(w, 1);
    write_u32(w, p->epoch);
    write_padded(w, p->attrs, p->attrs_size);
    write_padded(w, p->body, p->body_size);
}

static void decode_put(struct reader *r, struct fact_put *p)
{
    p->queue = read_u32(r);
    p->slot = read_u32(r);
    p->due.ns = read_u64(r);
    p->body_size = read_u32(r);
    p->body_crc = read_u32(r);
    p->attrs_size = read_u16(r);
    p->durability = read_u8(r);
    read_u8(r);
    p->epoch = read_u32(r);
    p->attrs = r->at;
    p->body = p->attrs + round_up(p->attrs_size, 8);
}

static void encode_queue(struct writer *w, const struct fact *f)
{
    const struct fact_queue *q = &f->queue;
    write_u32(w, q->number);
    if (f->kind != FACT_QUEUE_CREATED) {
        write_u32(w, f->kind == FACT_REAPED ? q->count : 0);
        return;
    }
    write_u32(w, q->incarnation);
    write_u32(w, q->dead_letter);
    write_u32(w, 0);
    name_encode(w->at, &q->name);
    name_attributes_encode(w->at + NAME_BYTES, &q->attributes);
}

static bool decode_queue(struct reader *r, struct fact *f)
{
    struct fact_queue *q = &f->queue;
    q->number = read_u32(r);
    if (f->kind != FACT_QUEUE_CREATED) {
        uint32_t count = read_u32(r);
        q->count = count;
        return f->kind == FACT_REAPED || count == 0;
    }
    q->incarnation = read_u32(r);
    q->dead_letter = read_u32(r);
    read_u32(r);
    return name_decode(&q->name, r->at) && name_attributes_decode(&q->attributes, r->at + NAME_BYTES);
}

static void encode_epoch(struct writer *w, const struct fact_epoch *e)
{
    write_u32(w, e->epoch);
    write_u32(w, e->same_boot);
    write_u64(w, e->boot.ns);
    write_u64(w, e->wall_ns);
    write_padded(w, e->boot_id, sizeof e->boot_id);
}

static bool decode_epoch(struct reader *r, struct fact_epoch *e)
{
    e->epoch = read_u32(r);
    uint32_t same_boot = read_u32(r);
    e->same_boot = same_boot == 1;
    e->boot.ns = read_u64(r);
    e->wall_ns = read_u64(r);
    memcpy(e->boot_id, r->at, sizeof e->boot_id);
    return same_boot <= 1;
}

static void encode_leased(struct writer *w, const struct fact_leased *l)
{
    write_u32(w, l->queue);
    write_u32(w, l->slot);
    write_u32(w, l->generation);
    write_u32(w, l->epoch);
    write_u64(w, l->message.n);
    write_u64(w, l->deadline.ns);
}

static void decode_leased(struct reader *r, struct fact_leased *l)
{
    l->queue = read_u32(r);
    l->slot = read_u32(r);
    l->generation = read_u32(r);
    l->epoch = read_u32(r);
    l->message.n = read_u64(r);
    l->deadline.ns = read_u64(r);
}

static void encode_session(struct writer *w, const struct fact *f)
{
    if (f->kind == FACT_REFUSED) {
        write_u16(w, f->refused.status);
        write_u16(w, f->refused.count);
        write_u32(w, 0);
        return;
    }
    write_u32(w, f->client.handle);
    if (f->kind == FACT_SESSION_ENDED) {
        write_u32(w, 0);
        return;
    }
    write_u16(w, f->client.window);
    write_u16(w, 0);
    write_u64(w, f->client.secret);
}

static void decode_session(struct reader *r, struct fact *f)
{
    if (f->kind == FACT_REFUSED) {
        f->refused.status = read_u16(r);
        f->refused.count = read_u16(r);
        return;
    }
    f->client.handle = read_u32(r);
    if (f->kind == FACT_SESSION_ENDED)
        return;
    f->client.window = read_u16(r);
    read_u16(r);
    f->client.secret = read_u64(r);
}

static void encode_fixed(struct writer *w, const struct fact *f)
{
    switch (f->kind) {
    case FACT_QUEUE_CREATED:
    case FACT_QUEUE_DROPPED:
    case FACT_REAPED:
        encode_queue(w, f);
        return;
    case FACT_PUT:
        encode_put(w, &f->put);
        return;
    case FACT_LEASED:
        encode_leased(w, &f->leased);
        return;
    case FACT_EPOCH:
        encode_epoch(w, &f->epoch);
        return;
    case FACT_SESSION_OPENED:
    case FACT_SESSION_ENDED:
    case FACT_REFUSED:
        encode_session(w, f);
        return;
    default:
        write_u32(w, f->slot.slot);
        write_u32(w, f->slot.generation);
        if (f->kind == FACT_MOVED) {
            write_u32(w, f->slot.target);
            write_u32(w, 0);
        } else if (f->kind == FACT_RETURNED || f->kind == FACT_EXTENDED) {
            write_u64(w, f->slot.due.ns);
        }
        return;
    }
}

void fact_encode(uint8_t *out, const struct fact *f)
{
    uint32_t size = fact_size(f);
    must(size > FACT_HEADER);
    must(f->lsn.n != 0);
    struct writer w = {out};
    write_u32(&w, size);
    write_u8(&w, f->kind);
    write_u8(&w, FACT_FORMAT);
    write_u16(&w, f->entry);
    write_u64(&w, f->at.ns);
    write_u64(&w, f->number);
    write_u32(&w, f->session);
    write_u32(&w, 0);
    encode_fixed(&w, f);
    uint32_t body = f->kind == FACT_PUT ? (uint32_t)round_up(f->put.body_size, 8) : 0;
    le32_put(out + 28, header_crc(out, size - body, f->lsn));
}

static enum leat_status decode_fixed(struct fact *f, const uint8_t *bytes, uint32_t size)
{
    struct reader r = {bytes + FACT_HEADER};
    uint32_t body = 0;
    if (f->kind == FACT_PUT) {
        decode_put(&r, &f->put);
        if (f->put.body_size > REQUEST_MAX || size != FACT_PUT_FIXED + payload_bytes(&f->put))
            return LEAT_CORRUPT;
        body = (uint32_t)round_up(f->put.body_size, 8);
    }
    if (le32_get(bytes + 28) != header_crc(bytes, size - body, f->lsn))
        return LEAT_CORRUPT;
    switch (f->kind) {
    case FACT_PUT:
        return LEAT_OK;
    case FACT_QUEUE_CREATED:
    case FACT_QUEUE_DROPPED:
    case FACT_REAPED:
        return decode_queue(&r, f) ? LEAT_OK : LEAT_CORRUPT;
    case FACT_LEASED:
        decode_leased(&r, &f->leased);
        return LEAT_OK;
    case FACT_EPOCH:
        return decode_epoch(&r, &f->epoch) ? LEAT_OK : LEAT_CORRUPT;
    case FACT_SESSION_OPENED:
    case FACT_SESSION_ENDED:
    case FACT_REFUSED:
        decode_session(&r, f);
        return LEAT_OK;
    default:
        f->slot.slot = read_u32(&r);
        f->slot.generation = read_u32(&r);
        if (f->kind == FACT_MOVED)
            f->slot.target = read_u32(&r);
        else if (f->kind == FACT_RETURNED || f->kind == FACT_EXTENDED)
            f->slot.due.ns = read_u64(&r);
        return LEAT_OK;
    }
}

enum leat_status fact_decode(struct fact *f, const uint8_t *bytes, uint32_t available, struct lsn lsn, bool check_body)
{
    if (available < FACT_HEADER + 8)
        return LEAT_CORRUPT;
    memset(f, 0, sizeof *f);
    struct reader r = {bytes};
    uint32_t size = read_u32(&r);
    f->kind = read_u8(&r);
    uint8_t format = read_u8(&r);
    f->entry = read_u16(&r);
    f->at.ns = read_u64(&r);
    f->number = read_u64(&r);
    f->session = read_u32(&r);
    f->lsn = lsn;
    if (size % 8 != 0 || size < FACT_HEADER + 8 || size > available)
        return LEAT_CORRUPT;
    uint32_t fixed = fixed_bytes(f->kind);
    if (fixed == 0 || format != FACT_FORMAT)
        return LEAT_TOO_NEW;
    if (size < FACT_HEADER + fixed || (f->kind != FACT_PUT && size != FACT_HEADER + fixed))
        return LEAT_CORRUPT;
    enum leat_status status = decode_fixed(f, bytes, size);
    if (status == LEAT_OK && f->kind == FACT_PUT && check_body &&
        crc32c(0, f->put.body, f->put.body_size) != f->put.body_crc)
        return LEAT_CORRUPT;
    return status;
}
