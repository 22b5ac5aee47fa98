/* name.c - a name is 1 + 80 + 7 bytes: size, characters, zeros. Unused bytes must be zero, so that equal names are
 * equal bytes. */
#include "name.h"

#include <string.h>

#include "cursor.h"
#include "must.h"

bool name_valid(const char *text, size_t size)
{
    if (size < 1 || size > NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && c != '_' && c != '.' && c != '-')
            return false;
    }
    return true;
}

bool name_set(struct name *name, const char *text, size_t size)
{
    if (!name_valid(text, size))
        return false;
    memset(name, 0, sizeof *name);
    memcpy(name->text, text, size);
    name->size = (uint8_t)size;
    return true;
}

bool name_equal(const struct name *a, const struct name *b)
{
    return a->size == b->size && memcmp(a->text, b->text, a->size) == 0;
}

void name_encode(uint8_t out[NAME_BYTES], const struct name *name)
{
    must(name->size <= NAME_MAX_BYTES);
    memset(out, 0, NAME_BYTES);
    out[0] = name->size;
    memcpy(out + 1, name->text, name->size);
}

bool name_decode(struct name *name, const uint8_t in[NAME_BYTES])
{
    memset(name, 0, sizeof *name);
    if (in[0] > NAME_MAX_BYTES)
        return false;
    for (unsigned i = 1u + in[0]; i < NAME_BYTES; i++)
        if (in[i] != 0)
            return false;
    if (in[0] == 0)
        return true;
    return name_set(name, (const char *)in + 1, in[0]);
}

void name_attributes_encode(uint8_t out[NAME_ATTRIBUTES_BYTES], const struct queue_attributes *a)
{
    struct writer w = {out};
    write_u64(&w, a->lease.ns);
    write_u64(&w, a->delay.ns);
    write_u32(&w, a->max_attempts);
    write_u32(&w, a->body_max);
    write_u8(&w, a->durability);
    write_zeros(&w, 7);
    name_encode(w.at, &a->dead_letter);
}

bool name_attributes_decode(struct queue_attributes *a, const uint8_t in[NAME_ATTRIBUTES_BYTES])
{
    struct reader r = {in};
    a->lease.ns = read_u64(&r);
    a->delay.ns = read_u64(&r);
    a->max_attempts = read_u32(&r);
    a->body_max = read_u32(&r);
    a->durability = read_u8(&r);
    for (unsigned i = 0; i < 7; i++)
        if (read_u8(&r) != 0)
            return false;
    return a->durability <= CLASS_DISK && name_decode(&a->dead_letter, r.at);
}
