/* image.c - the stream: header, the items of each slab, trailer; written and read by the same walk over those parts.
 *
 * Whoever changes a byte: raise IMAGE_FORMAT, keep the old reader, add a golden file, say it in image.h and in
 * CHANGELOG.md. */
#include "image.h"

#include <stdio.h>
#include <string.h>

#include "apply.h"
#include "crc32c.h"
#include "cursor.h"
#include "mark.h"
#include "must.h"
#include "sound.h"

static const char magic[8] = {'l', 'e', 'a', 't', ' ', 'i', 'm', 'g'};
enum { HEADER_CRC = IMAGE_HEADER - 8 };

static void name_slabs(struct image *i, struct engine *e, const struct image_slab *more, uint32_t more_count)
{
    must(more_count <= IMAGE_MORE_MAX);
    i->slabs[0] = (struct image_slab){&e->queues, "queues_max"};
    i->slabs[1] = (struct image_slab){&e->slots, "leases_max"};
    i->slabs[2] = (struct image_slab){&e->chunks, "ready_max"};
    for (uint32_t k = 0; k < more_count; k++)
        i->slabs[3 + k] = more[k];
    i->slabs_count = 3 + more_count;
}

static void encode_engine(struct writer *w, const struct engine *e)
{
    write_u32(w, e->incarnations);
    write_u32(w, e->walls_count);
    write_u64(w, e->latest.ns);
    write_u32(w, e->epoch.epoch);
    write_u32(w, 0);
    write_u64(w, e->epoch.at.ns);
    write_u64(w, e->epoch.boot.ns);
    write_u64(w, e->epoch.wall_ns);
    write_padded(w, e->epoch.boot_id, sizeof e->epoch.boot_id);
    for (unsigned k = 0; k < ENGINE_WALLS; k++) {
        struct engine_wall wall = k < e->walls_count ? e->walls[k] : (struct engine_wall){0};
        write_u32(w, wall.epoch);
        write_u32(w, 0);
        write_u64(w, wall.at.ns);
        write_u64(w, wall.wall_ns);
    }
}

static bool decode_engine(struct reader *r, struct engine *e)
{
    e->incarnations = read_u32(r);
    e->walls_count = read_u32(r);
    e->latest.ns = read_u64(r);
    e->epoch.epoch = read_u32(r);
    read_u32(r);
    e->epoch.at.ns = read_u64(r);
    e->epoch.boot.ns = read_u64(r);
    e->epoch.wall_ns = read_u64(r);
    memcpy(e->epoch.boot_id, r->at, sizeof e->epoch.boot_id);
    r->at += sizeof e->epoch.boot_id;
    for (unsigned k = 0; k < ENGINE_WALLS; k++) {
        e->walls[k].epoch = read_u32(r);
        read_u32(r);
        e->walls[k].at.ns = read_u64(r);
        e->walls[k].wall_ns = read_u64(r);
    }
    return e->walls_count <= ENGINE_WALLS;
}

void image_begin(struct image *i, struct engine *e, const struct image_slab *more, uint32_t more_count)
{
    memset(i, 0, sizeof *i);
    name_slabs(i, e, more, more_count);
    i->bytes = IMAGE_HEADER + IMAGE_TRAILER;
    for (uint32_t k = 0; k < i->slabs_count; k++) {
        slab_image_begin(i->slabs[k].slab);
        i->bytes += i->slabs[k].slab->image.bytes;
    }
    struct writer w = {i->header};
    write_padded(&w, (const uint8_t *)magic, sizeof magic);
    write_u32(&w, IMAGE_FORMAT);
    write_u32(&w, i->slabs_count);
    write_u64(&w, i->bytes);
    encode_engine(&w, e);
    for (uint32_t k = 0; k < i->slabs_count; k++) {
        const struct slab *s = i->slabs[k].slab;
        write_u32(&w, s->item_bytes);
        write_u32(&w, s->image.head.used);
        write_u32(&w, s->image.head.taken);
        write_u32(&w, s->image.head.free);
    }
    le32_put(i->header + HEADER_CRC, crc32c(0, i->header, HEADER_CRC));
}

uint64_t image_bytes(const struct image *i)
{
    return i->bytes;
}

/* A piece of the part where the stream stands; 0 when a slab has no more. */
static uint32_t piece(struct image *i, uint8_t *out, uint32_t max)
{
    uint8_t trailer[IMAGE_TRAILER] = {0};
    if (i->at >= IMAGE_HEADER && i->slab < i->slabs_count) {
        uint32_t n = slab_image_read(i->slabs[i->slab].slab, out, max);
        i->crc = crc32c(i->crc, out, n);
        i->slab += n == 0;
        return n;
    }
    le32_put(trailer, i->crc);
    const uint8_t *part = i->at < IMAGE_HEADER ? i->header + i->at : trailer + IMAGE_TRAILER - (i->bytes - i->at);
    uint64_t left = i->at < IMAGE_HEADER ? IMAGE_HEADER - i->at : i->bytes - i->at;
    uint32_t n = left < max ? (uint32_t)left : max;
    memcpy(out, part, n);
    return n;
}

uint32_t image_next(struct image *i, void *out, uint32_t max)
{
    uint32_t done = 0;
    while (done < max && i->at < i->bytes) {
        uint32_t n = piece(i, (uint8_t *)out + done, max - done);
        i->at += n;
        done += n;
    }
    return done;
}

void image_end(struct image *i)
{
    for (uint32_t k = 0; k < i->slabs_count; k++)
        slab_image_end(i->slabs[k].slab);
}

void image_load_begin(struct image_load *l, struct engine *e, const struct image_slab *more, uint32_t more_count)
{
    memset(l, 0, sizeof *l);
    l->engine = e;
    name_slabs(&l->i, e, more, more_count);
}

static enum leat_status load_slab_head(const struct image_slab *s, struct reader *r, uint64_t *bytes, char *error)
{
    uint32_t item_bytes = read_u32(r);
    struct slab_head head = {.used = read_u32(r)};
    head.taken = read_u32(r);
    head.free = read_u32(r);
    if (item_bytes != s->slab->item_bytes) {
        snprintf(error, IMAGE_ERROR, "the checkpoint counts %u bytes where %s counts %u", item_bytes, s->limit,
                 s->slab->item_bytes);
        return LEAT_CORRUPT;
    }
    if (head.used > s->slab->capacity) {
        snprintf(error, IMAGE_ERROR, "the checkpoint needs room for %u where %s gives room for %u", head.used, s->limit,
                 s->slab->capacity);
        return LEAT_BAD_VALUE;
    }
    if (!slab_load_head(s->slab, &head)) {
        snprintf(error, IMAGE_ERROR, "the checkpoint's table of %s has an impossible head", s->limit);
        return LEAT_CORRUPT;
    }
    *bytes += (uint64_t)head.used * item_bytes;
    return LEAT_OK;
}

static enum leat_status load_header(struct image_load *l, char *error)
{
    struct reader r = {l->i.header + sizeof magic};
    uint32_t format = read_u32(&r), slabs = read_u32(&r);
    if (memcmp(l->i.header, magic, sizeof magic) != 0) {
        snprintf(error, IMAGE_ERROR, "the checkpoint does not begin like one");
        return LEAT_CORRUPT;
    }
    if (format != IMAGE_FORMAT) {
        snprintf(error, IMAGE_ERROR, "the checkpoint has format %u, this version reads %u", format, IMAGE_FORMAT);
        return format > IMAGE_FORMAT ? LEAT_TOO_NEW : LEAT_CORRUPT;
    }
    uint64_t bytes = IMAGE_HEADER + IMAGE_TRAILER;
    l->i.bytes = read_u64(&r);
    bool fits = crc32c(0, l->i.header, HEADER_CRC) == le32_get(l->i.header + HEADER_CRC) &&
                decode_engine(&r, l->engine) && slabs == l->i.slabs_count;
    for (uint32_t k = 0; fits && k < slabs; k++) {
        enum leat_status status = load_slab_head(&l->i.slabs[k], &r, &bytes, error);
        if (status != LEAT_OK)
            return status;
    }
    if (fits && bytes == l->i.bytes)
        return LEAT_OK;
    snprintf(error, IMAGE_ERROR, "the checkpoint's header is damaged");
    return LEAT_CORRUPT;
}

/* Takes a piece of the part where the stream stands; 0 when a slab has no more. */
static uint32_t take_piece(struct image_load *l, const uint8_t *bytes, uint32_t size)
{
    struct image *i = &l->i;
    if (i->at >= IMAGE_HEADER && i->slab < i->slabs_count) {
        struct slab *s = i->slabs[i->slab].slab;
        uint64_t left = (uint64_t)s->used * s->item_bytes - l->slab_at;
        uint32_t n = left < size ? (uint32_t)left : size;
        slab_load_items(s, l->slab_at, bytes, n);
        i->crc = crc32c(i->crc, bytes, n);
        l->slab_at = n == left ? 0 : l->slab_at + n;
        i->slab += n == left;
        return n;
    }
    uint8_t *part = i->at < IMAGE_HEADER ? i->header + i->at : l->trailer + IMAGE_TRAILER - (i->bytes - i->at);
    uint64_t left = i->at < IMAGE_HEADER ? IMAGE_HEADER - i->at : i->bytes - i->at;
    uint32_t n = left < size ? (uint32_t)left : size;
    memcpy(part, bytes, n);
    return n;
}

enum leat_status image_load(struct image_load *l, const void *bytes, uint32_t size, char error[IMAGE_ERROR])
{
    uint32_t done = 0;
    while (l->status == LEAT_OK && done < size) {
        if (l->i.at >= IMAGE_HEADER && l->i.at == l->i.bytes) {
            snprintf(error, IMAGE_ERROR, "the checkpoint goes on behind its end");
            return l->status = LEAT_CORRUPT;
        }
        uint32_t n = take_piece(l, (const uint8_t *)bytes + done, size - done);
        l->i.at += n;
        done += n;
        if (n > 0 && l->i.at == IMAGE_HEADER)
            l->status = load_header(l, error);
    }
    return l->status;
}

enum leat_status image_load_end(struct image_load *l, char error[IMAGE_ERROR])
{
    if (l->status != LEAT_OK)
        return l->status;
    if (l->i.at < IMAGE_HEADER || l->i.at != l->i.bytes) {
        snprintf(error, IMAGE_ERROR, "the checkpoint is cut off after %llu bytes", (unsigned long long)l->i.at);
        return LEAT_CORRUPT;
    }
    if (le32_get(l->trailer) != l->i.crc) {
        snprintf(error, IMAGE_ERROR, "the checkpoint's checksum does not match");
        return LEAT_CORRUPT;
    }
    const char *wrong = sound_check(l->engine);
    if (wrong) {
        snprintf(error, IMAGE_ERROR, "the checkpoint contradicts itself: %s", wrong);
        return LEAT_CORRUPT;
    }
    apply_derive(l->engine);
    mark(image_loaded);
    return LEAT_OK;
}
