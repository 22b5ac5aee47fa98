/* rot.c - reads manifest and segments as the format says, behind the broker's back. */
#include "rot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "byteorder.h"
#include "keep.h"
#include "manifest.h"
#include "mark.h"
#include "must.h"
#include "record.h"

enum { ROT_BLOCKS_MAX = 64 };

struct found {
    uint64_t number, offset;
    uint32_t file, size;
};

struct scan {
    struct disk *d;
    struct manifest m;
    struct found blocks[ROT_BLOCKS_MAX]; /* the newest, as a ring by number */
    uint64_t known;                      /* highest block that was told to be durable */
};

/* A whole block of this life of the segment at `at`: its size, else 0. */
static uint32_t block_at(const struct scan *s, const struct manifest_segment *segment, const char *name, uint64_t at,
                         struct record *found)
{
    uint8_t h[RECORD_HEADER];
    if (!fake_disk_peek(s->d, name, at, h, sizeof h) || memcmp(h, "leat blk", 8) != 0)
        return 0;
    struct record expected = {.cluster = s->m.cluster, .incarnation = segment->incarnation, .number = le64_get(h + 24)};
    uint32_t size = record_disk_size(le32_get(h + 56) % RECORD_MAX);
    uint8_t *bytes = malloc(size);
    must(bytes != NULL);
    bool whole = fake_disk_peek(s->d, name, at, bytes, size) && record_open(found, bytes, size, &expected) == RECORD_OK;
    free(bytes);
    return whole ? size : 0;
}

static void scan_segment(struct scan *s, const struct manifest_segment *segment)
{
    char name[DISK_NAME_MAX];
    snprintf(name, sizeof name, "log-%08u", segment->file);
    for (uint64_t at = 0; at < s->m.segment_bytes;) {
        struct record found;
        uint32_t size = block_at(s, segment, name, at, &found);
        at += size > 0 ? size : DISK_BLOCK;
        if (size == 0)
            continue;
        if (found.number >= s->blocks[found.number % ROT_BLOCKS_MAX].number)
            s->blocks[found.number % ROT_BLOCKS_MAX] = (struct found){found.number, at - size, segment->file, size};
        if (found.durable > s->known)
            s->known = found.durable;
    }
}

static bool read_manifest(struct scan *s)
{
    unsigned damaged;
    uint8_t *copies = malloc(2ul * MANIFEST_BYTES);
    must(copies != NULL);
    bool good = fake_disk_peek(s->d, "manifest", 0, copies, 2ul * MANIFEST_BYTES) &&
                manifest_decode(&s->m, copies, &damaged) == LEAT_OK;
    free(copies);
    return good;
}

/* The newest block that is known to be durable, or one of those just before it. */
static const struct found *choose(const struct scan *s, struct prng *prng)
{
    uint64_t back = prng_chance(prng, 50) ? 0 : prng_below(prng, 4);
    if (s->known <= back || s->known - back <= s->m.checkpoint_block)
        return NULL;
    const struct found *f = &s->blocks[(s->known - back) % ROT_BLOCKS_MAX];
    return f->number == s->known - back ? f : NULL;
}

/* A page of the directory of some keep segment; false: there is none. */
static bool choose_page(const struct scan *s, struct prng *prng, struct found *f)
{
    uint32_t keeps = 0;
    uint8_t head[KEEP_HEADER];
    char name[DISK_NAME_MAX];
    for (uint32_t i = 0; i < s->m.segments; i++) {
        const struct manifest_segment *k = &s->m.segment[i];
        snprintf(name, sizeof name, "log-%08u", k->file);
        if (!k->keep || prng_below(prng, ++keeps) != 0)
            continue;
        must(fake_disk_peek(s->d, name, 0, head, sizeof head) && memcmp(head, "leat kep", 8) == 0);
        *f = (struct found){k->first, prng_below(prng, le32_get(head + 44)) * DISK_BLOCK, k->file, DISK_BLOCK};
    }
    return keeps > 0;
}

bool rot_strike(struct rot *r, struct disk *d, struct prng *prng)
{
    struct scan *s = calloc(1, sizeof *s);
    must(s != NULL);
    s->d = d;
    const struct found *f = NULL;
    struct found page;
    bool manifest = read_manifest(s);
    if (manifest && prng_chance(prng, 30) && choose_page(s, prng, &page)) {
        mark(sim_rot_in_keep);
        f = &page;
    } else if (manifest) {
        for (uint32_t i = 0; i < s->m.segments; i++)
            scan_segment(s, &s->m.segment[i]);
        f = choose(s, prng);
    }
    if (f) {
        uint64_t in = prng_chance(prng, 60) ? prng_below(prng, RECORD_HEADER) : prng_below(prng, f->size);
        snprintf(r->file, sizeof r->file, "log-%08u", f->file);
        r->offset = f->offset + in;
        r->block = f->number;
        must(fake_disk_peek(d, r->file, r->offset, &r->was, 1));
        uint8_t rotten = r->was ^ (uint8_t)(1u << prng_below(prng, 8));
        must(fake_disk_poke(d, r->file, r->offset, &rotten, 1));
    }
    free(s);
    return f != NULL;
}

void rot_mend(const struct rot *r, struct disk *d)
{
    must(fake_disk_poke(d, r->file, r->offset, &r->was, 1));
}
