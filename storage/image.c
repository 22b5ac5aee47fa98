/* image.c - see image.h. Every chunk is judged before a byte of it is given out, and the last one's hash is compared
 * with the manifest's before the end is. */
#include "image.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "byteorder.h"
#include "chunk.h"
#include "mark.h"
#include "must.h"
#include "recover.h"

enum { INDEX_HEADER = 24, INDEX_SEGMENT = 24 };

static enum leat_status image_corrupt(const struct journal *j, uint64_t from, uint64_t end, char error[256])
{
    return recover_say(LEAT_CORRUPT, error, "checkpoint-%u, bytes %" PRIu64 "..%" PRIu64 ": the checkpoint is damaged",
                       j->ledger.m.checkpoint_area, from, end - 1);
}

/* Next chunk; its payload is in `left`, or has been added to the index. */
static enum leat_status image_load(struct journal *j, struct image *image, struct window *w, char error[256])
{
    const struct manifest *m = &j->ledger.m;
    uint64_t available;
    uint32_t file = j->checkpoint.files[m->checkpoint_area];
    const uint8_t *bytes = window_get(j, w, file, m->checkpoint_bytes, image->offset, CHUNK_BYTES, &available);
    struct chunk_header h = {
        .cluster = m->cluster, .position = m->checkpoint_block, .number = image->number, .previous = image->hash};
    if (!chunk_open(&h, bytes, available))
        return image_corrupt(j, image->offset, image->offset + (available < CHUNK_BYTES ? available : CHUNK_BYTES),
                             error);
    image->hash = chunk_hash(bytes);
    image->number++;
    image->offset += chunk_disk_size(h.payload_size);
    if (h.kind == CHUNK_IMAGE) {
        image->payload = bytes + CHUNK_HEADER;
        image->left = h.payload_size;
        return LEAT_OK;
    }
    if (image->index_room == 0) {
        image->index_room = m->checkpoint_bytes - image->offset + CHUNK_BYTES;
        image->index = malloc(image->index_room);
        if (!image->index)
            return recover_say(LEAT_NO_MEMORY, error, "no memory for the index of the log");
    }
    must(image->index_bytes + h.payload_size <= image->index_room);
    memcpy(image->index + image->index_bytes, bytes + CHUNK_HEADER, h.payload_size);
    image->index_bytes += h.payload_size;
    return LEAT_OK;
}

/* The next log segment of the order, from `order` on. */
static uint32_t image_next_log(const struct journal *j, uint32_t order)
{
    while (order < j->segments.log_count && segment_at(j, order)->keep)
        order++;
    return order;
}

/* Since the checkpoint was taken the cleaner has put a keep segment in the place of the one that began there. */
static bool image_was_cleaned(const struct journal *j, uint64_t first)
{
    uint32_t order = segment_find(j, first);
    return order != SEGMENT_NONE && segment_at(j, order)->keep && first <= segment_at(j, order)->last;
}

/* The first block begins the segment, each next one lies behind it. */
static bool image_offsets_rise(const struct segment *s, uint64_t segment_bytes)
{
    bool rise = true;
    for (uint32_t i = 0; i < s->blocks && rise; i++)
        rise = i == 0 ? s->index[0] == 0 : s->index[i] > s->index[i - 1];
    return rise && (s->blocks == 0 || s->index[s->blocks - 1] < segment_bytes / DISK_BLOCK);
}

static bool image_tail_fits(const struct segment *last, uint64_t tail, uint64_t segment_bytes)
{
    return tail % DISK_BLOCK == 0 && tail <= segment_bytes && last->blocks > 0 &&
           tail > last->index[last->blocks - 1] * (uint64_t)DISK_BLOCK;
}

/* One segment of the index, and the order that is then reached; bytes used, or 0 when it does not match the manifest.
 */
static uint64_t image_index_segment(struct journal *j, uint32_t *order, const uint8_t *p, uint64_t left)
{
    if (left < INDEX_SEGMENT)
        return 0;
    uint32_t blocks = le32_get(p + 16);
    uint64_t first = le64_get(p + 8), used = INDEX_SEGMENT + (uint64_t)blocks * 2;
    if (blocks > j->segments.bytes / DISK_BLOCK || left < used)
        return 0;
    if (image_was_cleaned(j, first)) {
        mark(index_names_cleaned_segment);
        return used;
    }
    *order = image_next_log(j, *order);
    if (*order >= j->segments.log_count)
        return 0;
    struct segment *s = segment_at(j, (*order)++);
    if (le32_get(p) != s->name || le32_get(p + 4) != s->incarnation || first != s->first)
        return 0;
    for (uint32_t i = 0; i < blocks; i++)
        s->index[i] = le16_get(p + INDEX_SEGMENT + i * 2);
    s->blocks = blocks;
    return image_offsets_rise(s, j->segments.bytes) ? used : 0;
}

static enum leat_status image_index(struct journal *j, const struct image *image, char error[256])
{
    const struct manifest *m = &j->ledger.m;
    const uint8_t *p = image->index;
    uint64_t used = INDEX_HEADER;
    if (image->index_bytes < INDEX_HEADER)
        return image_corrupt(j, 0, m->checkpoint_bytes, error);
    uint64_t tail = le64_get(p + 8);
    uint32_t segments = le32_get(p + 16), order = 0;
    for (uint32_t i = 0; i < segments; i++) {
        uint64_t n = image_index_segment(j, &order, p + used, image->index_bytes - used);
        if (n == 0)
            return recover_say(LEAT_CORRUPT, error, "checkpoint-%u: its index does not match the manifest",
                               m->checkpoint_area);
        used += n;
    }
    const struct segment *last = order > 0 ? segment_at(j, order - 1) : NULL;
    if (order != j->segments.log_count || !last || last->first + last->blocks != m->checkpoint_block + 1 ||
        !image_tail_fits(last, tail, j->segments.bytes) || le64_get(p) != m->tail_hash)
        return recover_say(LEAT_CORRUPT, error, "checkpoint-%u: its index does not match the manifest",
                           m->checkpoint_area);
    j->segments.tail = tail;
    j->previous = m->tail_hash;
    j->sealed = m->checkpoint_block;
    return LEAT_OK;
}

uint32_t image_read(struct journal *j, struct image *image, struct window *w, uint8_t *bytes, uint32_t max,
                    enum leat_status *status, char error[256])
{
    const struct manifest *m = &j->ledger.m;
    *status = LEAT_OK;
    while (image->left == 0 && image->offset < m->checkpoint_bytes && *status == LEAT_OK)
        *status = image_load(j, image, w, error);
    if (*status != LEAT_OK)
        return 0;
    if (image->left == 0) {
        if (!image->done && image->hash != m->checkpoint_hash)
            *status = image_corrupt(j, 0, m->checkpoint_bytes, error);
        else if (!image->done)
            *status = image_index(j, image, error);
        image->done = *status == LEAT_OK;
        return 0;
    }
    uint32_t n = image->left < max ? image->left : max;
    memcpy(bytes, image->payload, n);
    image->payload += n;
    image->left -= n;
    return n;
}
