/* frame.c - frames and operation headers, taken apart and put together.
 *
 *   0 u16 magic   2 u8 version   3 u8 flags   4 u16 size / 8   6 u16 zero   8 u32 session   12 u32 crc32c or 0
 *
 * Every length is compared with what is there before it is used: these are the first eyes on a stranger's bytes. */
#include "frame.h"

#include "byteorder.h"
#include "crc32c.h"
#include "limits.h"
#include "must.h"

enum { KNOWN_FLAGS = FRAME_REPLY | FRAME_FRAGMENT | FRAME_CRC, FRAGMENT_SIZE = 0xffffff };
_Static_assert((int)REQUEST_MAX <= (int)FRAGMENT_SIZE, "an operation's size has three bytes in a fragment");

int32_t frame_size(const uint8_t *bytes, size_t available)
{
    if (available < FRAME_HEADER)
        return 0;
    uint32_t size = 8u * le16_get(bytes + 4);
    if (le16_get(bytes) != FRAME_MAGIC || size < FRAME_HEADER || size > FRAME_MAX)
        return -1;
    return (int32_t)size;
}

static uint32_t frame_checksum(const uint8_t *bytes, size_t size)
{
    static const uint8_t no_crc[4];
    uint32_t crc = crc32c(0, bytes, 12);
    crc = crc32c(crc, no_crc, 4);
    return crc32c(crc, bytes + FRAME_HEADER, size - FRAME_HEADER);
}

enum leat_status frame_decode(struct frame *f, const uint8_t *bytes, size_t size)
{
    int32_t whole = frame_size(bytes, size);
    if (whole <= 0 || (size_t)whole > size)
        return LEAT_BAD_FRAME;
    f->flags = bytes[3];
    f->session = le32_get(bytes + 8);
    f->body = bytes + FRAME_HEADER;
    f->body_size = (uint32_t)whole - FRAME_HEADER;
    if (bytes[2] != PROTOCOL_VERSION)
        return LEAT_BAD_VERSION;
    if (f->flags & ~KNOWN_FLAGS || le16_get(bytes + 6) != 0)
        return LEAT_BAD_FRAME;
    if ((f->flags & FRAME_CRC) && le32_get(bytes + 12) != frame_checksum(bytes, (size_t)whole))
        return LEAT_BAD_FRAME;
    return LEAT_OK;
}

/* The operation at the start of `bytes`, which may go on behind it. */
static bool frame_op_at(struct frame_op *op, const uint8_t *bytes, size_t available)
{
    if (available < FRAME_OP_HEADER)
        return false;
    uint32_t size = le32_get(bytes + 4);
    if (size < FRAME_OP_HEADER || size % 8 != 0 || size > available)
        return false;
    op->op = bytes[0];
    op->status = bytes[1];
    op->count = le16_get(bytes + 2);
    op->number = le64_get(bytes + 8);
    op->body = bytes + FRAME_OP_HEADER;
    op->body_size = size - FRAME_OP_HEADER;
    return true;
}

bool frame_next_op(const struct frame *f, uint32_t *offset, struct frame_op *op, enum leat_status *status)
{
    must(*offset <= f->body_size);
    *status = LEAT_OK;
    if (*offset == f->body_size)
        return false;
    if (!frame_op_at(op, f->body + *offset, f->body_size - *offset)) {
        *status = LEAT_BAD_FRAME;
        return false;
    }
    *offset += FRAME_OP_HEADER + op->body_size;
    return true;
}

enum leat_status frame_op_decode(struct frame_op *op, const uint8_t *bytes, size_t size)
{
    if (!frame_op_at(op, bytes, size) || FRAME_OP_HEADER + op->body_size != size)
        return LEAT_BAD_FRAME;
    return LEAT_OK;
}

enum leat_status frame_fragment_decode(struct frame_fragment *fr, const struct frame *f)
{
    if (f->body_size <= FRAME_FRAGMENT_HEADER)
        return LEAT_BAD_FRAME;
    fr->number = le64_get(f->body);
    fr->offset = le32_get(f->body + 8) & FRAGMENT_SIZE;
    fr->total = le32_get(f->body + 12) & FRAGMENT_SIZE;
    fr->answer = (uint16_t)(f->body[11] | f->body[15] << 8);
    fr->piece = f->body + FRAME_FRAGMENT_HEADER;
    fr->piece_size = f->body_size - FRAME_FRAGMENT_HEADER;
    if (fr->total % 8 != 0 || fr->offset % 8 != 0)
        return LEAT_BAD_FRAME;
    if (fr->offset > fr->total || fr->piece_size > fr->total - fr->offset)
        return LEAT_BAD_FRAME;
    return fr->total > REQUEST_MAX ? LEAT_BATCH_TOO_LARGE : LEAT_OK;
}

void frame_begin(uint8_t *start, uint8_t flags, uint32_t session)
{
    le16_put(start, FRAME_MAGIC);
    start[2] = PROTOCOL_VERSION;
    start[3] = flags;
    le32_put(start + 4, 0);
    le32_put(start + 8, session);
    le32_put(start + 12, 0);
}

void frame_end(uint8_t *start, uint32_t size)
{
    must(size >= FRAME_HEADER && size <= FRAME_MAX);
    must(size % 8 == 0);
    le16_put(start + 4, (uint16_t)(size / 8));
    if (start[3] & FRAME_CRC)
        le32_put(start + 12, frame_checksum(start, size));
}

void frame_op_encode(uint8_t *p, uint8_t op, uint8_t status, uint16_t count, uint32_t body_size, uint64_t number)
{
    p[0] = op;
    p[1] = status;
    le16_put(p + 2, count);
    le32_put(p + 4, (uint32_t)round_up(FRAME_OP_HEADER + body_size, 8));
    le64_put(p + 8, number);
}

void frame_fragment_encode(uint8_t *p, uint64_t number, uint32_t offset, uint32_t total)
{
    le64_put(p, number);
    le32_put(p + 8, offset);
    le32_put(p + 12, total);
}

void frame_fragment_mark(uint8_t *p, uint16_t answer)
{
    p[11] = (uint8_t)answer;
    p[15] = (uint8_t)(answer >> 8);
}

const char *frame_op_name(uint8_t op)
{
    switch (op) {
#define OP(NAME, name, code, min_body, max_count, help)                                                                \
    case code:                                                                                                         \
        return #name;
#include "ops_table.h"
#undef OP
    default:
        return "unknown";
    }
}

bool frame_op_known(uint8_t op)
{
    switch (op) {
#define OP(NAME, name, code, min_body, max_count, help) case code:
#include "ops_table.h"
#undef OP
        return true;
    default:
        return false;
    }
}
