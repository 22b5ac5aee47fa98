/* rot.c - see rot.h. What is changed within a file is a lie of the fake disk, which remembers what was right; whole
 * files are renamed and come back. */
#include "rot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "byteorder.h"
#include "crc32c.h"
#include "keep.h"
#include "mark.h"
#include "must.h"
#include "record.h"
#include "rot_scan.h"

#define KEPT "kept aside"
#define EXTRA "log-99999999"

const char *rot_name(unsigned kind)
{
    static const char *const names[ROTS] = {
#define ROT(NAME, refused, help) help,
#include "rot_table.h"
#undef ROT
    };
    return names[kind];
}

bool rot_must_be_refused(unsigned kind)
{
    static const bool refused_[ROTS] = {
#define ROT(NAME, refused, help) refused,
#include "rot_table.h"
#undef ROT
    };
    return refused_[kind];
}

/* ---- pages as they were ---- */

void rot_forget(struct rot_memory *old)
{
    for (unsigned i = 0; i < ROT_PAGES; i++)
        old->page[i].name[0] = 0;
}

void rot_remember(struct rot_memory *old, struct disk *d, struct prng *prng)
{
    for (unsigned i = 0; i < 4; i++) {
        struct rot_page *p = &old->page[prng_below(prng, ROT_PAGES)];
        char names[16][DISK_NAME_MAX];
        unsigned n = 0;
        while (n < 16 && disk_list(d, n, names[n]))
            n++;
        if (n == 0)
            return;
        memcpy(p->name, names[prng_below(prng, n)], DISK_NAME_MAX);
        int64_t size = fake_disk_size_of(d, p->name);
        p->offset = prng_below(prng, size > 16 * DISK_BLOCK ? 16 : (uint64_t)size / DISK_BLOCK + 1) * DISK_BLOCK;
        if (!fake_disk_peek(d, p->name, p->offset, p->bytes, DISK_BLOCK))
            p->name[0] = 0;
    }
}

static const struct rot_page *old_page(const struct rot_memory *old, const struct rot *r, struct prng *prng)
{
    uint64_t from = prng_below(prng, ROT_PAGES);
    for (unsigned i = 0; i < ROT_PAGES; i++) {
        const struct rot_page *p = &old->page[(from + i) % ROT_PAGES];
        if (strcmp(p->name, r->file) == 0 && p->offset >= r->offset && p->offset + DISK_BLOCK <= r->offset + r->size)
            return p;
    }
    return NULL;
}

/* ---- changes ---- */

/* r->offset and r->size say where it may be; then where it was. Without `old`: nothing that was ever right. */
static bool change(struct rot *r, struct disk *d, struct prng *prng, const struct rot_memory *old)
{
    uint8_t was[DISK_BLOCK], is[DISK_BLOCK];
    uint64_t at = (r->offset + prng_below(prng, r->size)) / DISK_BLOCK * DISK_BLOCK;
    unsigned how = (unsigned)prng_below(prng, r->kind == ROT_MANIFESTS ? 1 : old ? 5 : 3);
    const struct rot_page *once = how == 0 && old ? old_page(old, r, prng) : NULL;
    uint64_t elsewhere = prng_below(prng, (uint64_t)fake_disk_size_of(d, r->file) / DISK_BLOCK) * DISK_BLOCK;
    at = once ? once->offset : at < r->offset ? r->offset : at;
    must(fake_disk_peek(d, r->file, at, was, sizeof was));
    memcpy(is, was, sizeof is);
    if (once)
        memcpy(is, once->bytes, sizeof is);
    else if (how == 1)
        memset(is, 0, sizeof is);
    else if (how == 2)
        memset(is + prng_below(prng, 8) * 512, 0, 512);
    else if (how == 3)
        must(fake_disk_peek(d, r->file, elsewhere, is, sizeof is));
    if (memcmp(was, is, sizeof is) == 0)
        is[prng_chance(prng, 60) ? prng_below(prng, RECORD_HEADER) : prng_below(prng, DISK_BLOCK)] ^=
            (uint8_t)(1u << prng_below(prng, 8));
    mark(sim_rot);
    r->offset = at;
    r->size = DISK_BLOCK;
    return fake_disk_damage(d, r->file, at, is, sizeof is);
}

/* The newest block that is known to be durable, or one of those just before it. */
static const struct rot_found *choose(const struct rot_scan *s, struct prng *prng)
{
    uint64_t back = prng_chance(prng, 50) ? 0 : prng_below(prng, 4);
    if (s->known <= back || s->known - back <= s->m.checkpoint_block)
        return NULL;
    return rot_scan_block(s, s->known - back);
}

static bool at_block(struct rot *r, const struct rot_found *f)
{
    if (!f || f->number == 0)
        return false;
    snprintf(r->file, sizeof r->file, "log-%08u", f->file);
    r->offset = f->offset;
    r->size = f->size;
    r->block = f->number;
    return true;
}

/* Some keep segment: its directory comes first, then the bodies. */
static bool at_keep(struct rot *r, struct disk *d, struct prng *prng, const struct rot_scan *s)
{
    uint32_t keeps = 0;
    uint8_t head[KEEP_HEADER];
    for (uint32_t i = 0; i < s->m.segments; i++)
        if (s->m.segment[i].keep && prng_below(prng, ++keeps) == 0)
            snprintf(r->file, sizeof r->file, "log-%08u", s->m.segment[i].file);
    if (keeps == 0)
        return false;
    if (!fake_disk_peek(d, r->file, 0, head, sizeof head) || memcmp(head, "leat kep", 8) != 0)
        return false;
    uint64_t directory = (uint64_t)le32_get(head + 44) * DISK_BLOCK;
    mark(sim_rot_in_keep);
    r->offset = r->kind == ROT_KEEP ? directory : 0;
    r->size = r->kind == ROT_KEEP ? s->m.segment_bytes - directory : directory;
    return r->size > 0;
}

static bool at_manifest(struct rot *r, unsigned copy)
{
    snprintf(r->file, sizeof r->file, "manifest");
    r->offset = copy * (uint64_t)MANIFEST_BYTES;
    r->size = DISK_BLOCK; /* behind it are zeros mostly */
    return true;
}

static bool at_checkpoint(struct rot *r, struct disk *d, const struct manifest *m, uint32_t area)
{
    snprintf(r->file, sizeof r->file, "checkpoint-%u", area);
    r->offset = 0;
    r->size = m->checkpoint_bytes;
    if (area != m->checkpoint_area)
        r->size = (uint64_t)fake_disk_size_of(d, r->file);
    return m->checkpoint_block > 0 && r->size > 0;
}

static bool change_file(struct rot *r, struct disk *d, struct prng *prng, const struct rot_scan *s)
{
    char other[DISK_NAME_MAX];
    snprintf(other, sizeof other, "log-%08u", s->m.segment[prng_below(prng, s->m.segments)].file);
    switch (r->kind) {
    case ROT_LOST:
    case ROT_LOST_MANIFEST:
        return fake_disk_rename(d, r->file, KEPT);
    case ROT_EXTRA:
        return fake_disk_copy(d, r->file, EXTRA);
    case ROT_CUT:
        return fake_disk_rename(d, r->file, KEPT) && fake_disk_copy(d, KEPT, r->file) &&
               fake_disk_cut(d, r->file, prng_below(prng, s->m.segment_bytes / DISK_BLOCK) * DISK_BLOCK);
    default:
        return strcmp(other, r->file) != 0 && fake_disk_rename(d, r->file, KEPT) && fake_disk_copy(d, other, r->file);
    }
}

/* Every block of this copy of a segment says that it belongs to somebody else. */
static bool make_foreign(struct rot *r, struct disk *d)
{
    uint8_t h[RECORD_HEADER];
    if (!fake_disk_rename(d, r->file, KEPT) || !fake_disk_copy(d, KEPT, r->file))
        return false;
    for (uint64_t at = 0; fake_disk_peek(d, r->file, at, h, sizeof h); at += DISK_BLOCK) {
        if (memcmp(h, "leat blk", 8) != 0)
            continue;
        h[16] ^= 1;
        le32_put(h + 76, crc32c(0, h, 76));
        must(fake_disk_poke(d, r->file, at, h, sizeof h));
    }
    return true;
}

static bool strike_file(struct rot *r, struct disk *d, struct prng *prng, const struct rot_scan *s)
{
    r->offset = r->size = 0;
    if (r->kind == ROT_FOREIGN)
        return make_foreign(r, d);
    if (r->kind == ROT_EXTRA)
        return change_file(r, d, prng, s) && snprintf(r->file, sizeof r->file, EXTRA) > 0;
    return change_file(r, d, prng, s);
}

static bool strike(struct rot *r, struct disk *d, struct prng *prng, const struct rot_memory *old,
                   const struct rot_scan *s)
{
    const struct rot_found *f;
    switch (r->kind) {
    case ROT_BLOCK:
        return at_block(r, choose(s, prng)) && change(r, d, prng, old);
    case ROT_UNREADABLE:
        return at_block(r, choose(s, prng)) && fake_disk_spoil(d, r->file, r->offset);
    case ROT_SEALED:
        return at_block(r, &s->sealed) && change(r, d, prng, old);
    case ROT_KEEP_DIRECTORY:
    case ROT_KEEP:
        return at_keep(r, d, prng, s) && change(r, d, prng, NULL);
    case ROT_MANIFEST:
        return s->copies_equal && at_manifest(r, (unsigned)prng_below(prng, 2)) && change(r, d, prng, old);
    case ROT_MANIFESTS:
        /* two old ones would be an old manifest, and nobody could know */
        return at_manifest(r, 0) && change(r, d, prng, NULL) && at_manifest(r, 1) && change(r, d, prng, NULL);
    case ROT_CHECKPOINT:
        return at_checkpoint(r, d, &s->m, s->m.checkpoint_area) && change(r, d, prng, old);
    case ROT_OLD_CHECKPOINT:
        return at_checkpoint(r, d, &s->m, !s->m.checkpoint_area) && change(r, d, prng, old);
    case ROT_LOST_MANIFEST:
        return at_manifest(r, 0) && strike_file(r, d, prng, s);
    case ROT_DOUBLE: /* it may pass for an older life of the file, so somebody else must speak of its blocks */
        f = choose(s, prng);
        return f && rot_scan_known_without(s, f->file) >= f->number && at_block(r, f) && strike_file(r, d, prng, s);
    default:
        return at_block(r, choose(s, prng)) && strike_file(r, d, prng, s);
    }
}

bool rot_strike(struct rot *r, struct disk *d, struct prng *prng, const struct rot_memory *old)
{
    static struct rot_scan s;
    *r = (struct rot){.kind = (uint8_t)prng_below(prng, ROTS)};
    rot_scan(&s, d, prng, 0);
    if (!s.manifest_good || s.m.segments == 0)
        return false;
    if (strike(r, d, prng, old, &s))
        return true;
    rot_mend(r, d); /* what was begun */
    return false;
}

void rot_mend(const struct rot *r, struct disk *d)
{
    fake_disk_show(d, true);
    fake_disk_forget_lies(d);
    fake_disk_heal(d, r->file);
    fake_disk_lose(d, EXTRA);
    if (fake_disk_size_of(d, KEPT) < 0)
        return;
    fake_disk_lose(d, r->file);
    must(fake_disk_rename(d, KEPT, r->file));
}

/* ---- sentences ---- */

bool rot_is_named(const struct rot *r, const char *sentence)
{
    char block[40];
    snprintf(block, sizeof block, "block %llu ", (unsigned long long)r->block);
    if (r->block > 0 && (strstr(sentence, block) || r->size == 0) && strstr(sentence, "is damaged or missing"))
        return true; /* where a block should be is not always where it was */
    const char *bytes = strstr(sentence, "bytes ");
    unsigned long long from, last;
    if (!strstr(sentence, r->file))
        return false;
    if (r->size == 0 || !bytes || sscanf(bytes, "bytes %llu..%llu", &from, &last) != 2)
        return true;
    return from < r->offset + r->size && r->offset <= last;
}

bool rot_lie_is_named(const struct disk *d, const char *sentence)
{
    for (unsigned i = 0; i < fake_disk_lies(d); i++)
        if (strstr(sentence, fake_disk_lie(d, i).name))
            return true;
    return strstr(sentence, "is damaged or missing") || strstr(sentence, "manifest");
}

/* ---- lies ---- */

/* A block that stands where it should; a stray one proves nothing. */
static bool same_place(const struct rot_found *a, const struct rot_found *b)
{
    return a->number == b->number && a->file == b->file && a->offset == b->offset;
}

bool rot_can_be_known(struct disk *d)
{
    static struct rot_scan is, was;
    rot_scan(&is, d, NULL, 0);
    fake_disk_show(d, true);
    rot_scan(&was, d, NULL, 0);
    uint64_t known = is.listed;
    for (unsigned i = 0; i < ROT_SCAN_BLOCKS; i++)
        if (same_place(&is.block[i], &was.block[i]) && is.block[i].durable > known)
            known = is.block[i].durable;
    rot_scan(&was, d, NULL, known);
    fake_disk_show(d, false);
    if (!is.manifest_good)
        return was.manifest_good;
    return was.manifest_good && is.m.sequence == was.m.sequence && !was.lied_above;
}
