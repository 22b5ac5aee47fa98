/* cursor.h - fields one after the other, read or written; the caller has checked that they fit. Little-endian. Thread:
 * any (pure). */
#ifndef LEAT_WIRE_CURSOR_H
#define LEAT_WIRE_CURSOR_H

#include "byteorder.h"

struct reader {
    const uint8_t *at;
};
struct writer {
    uint8_t *at;
};

static inline uint8_t read_u8(struct reader *r)
{
    return *r->at++;
}
static inline uint16_t read_u16(struct reader *r)
{
    uint16_t v = le16_get(r->at);
    r->at += 2;
    return v;
}
static inline uint32_t read_u32(struct reader *r)
{
    uint32_t v = le32_get(r->at);
    r->at += 4;
    return v;
}
static inline uint64_t read_u64(struct reader *r)
{
    uint64_t v = le64_get(r->at);
    r->at += 8;
    return v;
}
static inline void write_u8(struct writer *w, uint8_t v)
{
    *w->at++ = v;
}
static inline void write_u16(struct writer *w, uint16_t v)
{
    le16_put(w->at, v);
    w->at += 2;
}
static inline void write_u32(struct writer *w, uint32_t v)
{
    le32_put(w->at, v);
    w->at += 4;
}
static inline void write_u64(struct writer *w, uint64_t v)
{
    le64_put(w->at, v);
    w->at += 8;
}
static inline void write_zeros(struct writer *w, uint32_t n)
{
    memset(w->at, 0, n);
    w->at += n;
}
/* Bytes, then zeros up to a multiple of 8 of their own size. */
static inline void write_padded(struct writer *w, const uint8_t *bytes, uint32_t size)
{
    if (size)
        memcpy(w->at, bytes, size);
    w->at += size;
    write_zeros(w, (uint32_t)(round_up(size, 8) - size));
}

#endif
