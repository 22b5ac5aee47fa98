/* rot_scan.c - see rot_scan.h. */
#include "rot_scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "byteorder.h"
#include "must.h"
#include "record.h"

/* A whole block of this life of the segment at `at`: its size, else 0. */
static uint32_t block_at(const struct rot_scan *s, const struct manifest_segment *segment, const char *name,
                         uint64_t at, struct record *found)
{
    static uint8_t bytes[RECORD_MAX];
    uint8_t h[RECORD_HEADER];
    if (!fake_disk_peek(s->d, name, at, h, sizeof h) || memcmp(h, "leat blk", 8) != 0)
        return 0;
    struct record expected = {.cluster = s->m.cluster, .incarnation = segment->incarnation, .number = le64_get(h + 24)};
    uint32_t size = record_disk_size(le32_get(h + 56) % RECORD_MAX);
    bool whole = size <= sizeof bytes && fake_disk_peek(s->d, name, at, bytes, size) &&
                 record_open(found, bytes, size, &expected) == RECORD_OK;
    return whole ? size : 0;
}

static bool lied_about(struct disk *d, const char *name, uint64_t from, uint64_t end)
{
    for (unsigned i = 0; i < fake_disk_lies(d); i++) {
        struct fake_disk_lie l = fake_disk_lie(d, i);
        if (l.offset >= from && l.offset < end && strcmp(l.name, name) == 0)
            return true;
    }
    return false;
}

static void scan_segment(struct rot_scan *s, const struct manifest_segment *segment, struct prng *prng)
{
    char name[DISK_NAME_MAX];
    snprintf(name, sizeof name, "log-%08u", segment->file);
    for (uint64_t at = 0; at < s->m.segment_bytes;) {
        struct record found;
        uint32_t size = block_at(s, segment, name, at, &found);
        at += size > 0 ? size : DISK_BLOCK;
        if (size == 0)
            continue;
        struct rot_found f = {found.number, at - size, found.durable, segment->file, size};
        if (found.number >= s->block[found.number % ROT_SCAN_BLOCKS].number)
            s->block[found.number % ROT_SCAN_BLOCKS] = f;
        if (found.number <= s->m.checkpoint_block && prng && prng_below(prng, ++s->sealed_seen) == 0)
            s->sealed = f;
        if (found.number > s->limit && lied_about(s->d, name, at - size, at))
            s->lied_above = true;
        s->known = found.durable > s->known ? found.durable : s->known;
        s->highest = found.number > s->highest ? found.number : s->highest;
    }
}

static void read_manifest(struct rot_scan *s)
{
    static uint8_t copies[2 * MANIFEST_BYTES];
    unsigned damaged = 0;
    memset(copies, 0, sizeof copies);
    s->manifest_good = fake_disk_peek(s->d, "manifest", 0, copies, sizeof copies) &&
                       manifest_decode(&s->m, copies, &damaged) == LEAT_OK;
    s->copies_equal = s->manifest_good && memcmp(copies, copies + MANIFEST_BYTES, MANIFEST_BYTES) == 0;
}

void rot_scan(struct rot_scan *s, struct disk *d, struct prng *prng, uint64_t limit)
{
    memset(s, 0, sizeof *s);
    s->limit = limit;
    s->d = d;
    read_manifest(s);
    if (!s->manifest_good)
        return;
    s->listed = s->m.checkpoint_block;
    for (uint32_t i = 0; i < s->m.segments; i++)
        s->listed = s->m.segment[i].first > s->listed ? s->m.segment[i].first : s->listed;
    s->known = s->listed;
    for (uint32_t i = 0; i < s->m.segments; i++)
        scan_segment(s, &s->m.segment[i], prng);
}

/* A segment that somebody in it speaks for: who looks for blocks far behind a missing one begins at its head. */
static bool begins_whole(const struct rot_scan *s, uint32_t file)
{
    for (unsigned i = 0; i < ROT_SCAN_BLOCKS; i++)
        if (s->block[i].file == file && s->block[i].number > 0 && s->block[i].offset == 0)
            return true;
    return false;
}

uint64_t rot_scan_known_without(const struct rot_scan *s, uint32_t file)
{
    uint64_t known = s->listed;
    for (unsigned i = 0; i < ROT_SCAN_BLOCKS; i++)
        if (s->block[i].file != file && s->block[i].durable > known && begins_whole(s, s->block[i].file))
            known = s->block[i].durable;
    return known;
}

const struct rot_found *rot_scan_block(const struct rot_scan *s, uint64_t number)
{
    const struct rot_found *f = &s->block[number % ROT_SCAN_BLOCKS];
    return number > 0 && f->number == number ? f : NULL;
}
