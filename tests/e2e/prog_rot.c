/* prog_rot.c - a disk that lies, in one place: damages a stopped broker's directory, and says what must come of it.
 *
 *   prog_rot DIR SEED KIND PLACE OTHER HURT     prints "EXPECT FILE FROM END WHAT"
 *
 * KIND is flip, zero, misdirect (bytes of another place), stale (bytes that OTHER, an older copy of DIR, has there),
 * cut (the file is shorter), lost, extra, twin (a second segment has this one's bytes), foreign (OTHER is another
 * broker's directory). PLACE is sealed, tail, kept (a keep segment), manifest (one copy), manifests (both) or
 * checkpoint. EXPECT is
 *
 *   refused    the broker does not start, and names the place
 *   harmless   nobody needs what stood there: everything is delivered
 *   cold       bodies that nobody reads at the start: the broker starts, and never delivers those in HURT, numbers of
 *              messages, with other bytes than they were put with
 *   either     whole, but old: refused, or harmless
 *
 * What stands where is read here from the files by FORMAT.md, without the broker's own recovery. The last blocks before
 * a crash, which no later block proves, are not damaged: rot there looks like a torn tail, and no promise covers it.
 *
 * Exit: 0; 1 with a sentence; 3: this draw damages nothing, or more than is promised. */
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fact.h"
#include "history.h"
#include "keep.h"
#include "manifest.h"
#include "must.h"
#include "record.h"

enum { FILES_MAX = 256, FILE_NAME = 32, NO_DRAW = 3 };

__attribute__((format(printf, 1, 2))) _Noreturn static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("prog_rot: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(1);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* -- a directory in memory -- */

struct file {
    char name[FILE_NAME];
    uint8_t *bytes;
    uint64_t size;
};

struct directory {
    struct file files[FILES_MAX];
    unsigned count;
};

static void read_file(struct file *f, const char *dir)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, f->name);
    FILE *in = fopen(path, "rb");
    if (!in || fseek(in, 0, SEEK_END) != 0)
        fail("%s: %s", path, strerror(errno));
    f->size = (uint64_t)ftell(in);
    rewind(in);
    f->bytes = calloc(1, f->size + DISK_BLOCK);
    must(f->bytes != NULL);
    if (fread(f->bytes, 1, f->size, in) != f->size)
        fail("%s: cannot be read", path);
    fclose(in);
}

static void write_file(const struct file *f, const char *dir)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, f->name);
    FILE *out = fopen(path, "wb");
    if (!out || fwrite(f->bytes, 1, f->size, out) != f->size || fclose(out) != 0)
        fail("%s: %s", path, strerror(errno));
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct file *)a)->name, ((const struct file *)b)->name);
}

static void read_directory(struct directory *d, const char *dir)
{
    DIR *names = opendir(dir);
    if (!names)
        fail("%s: %s", dir, strerror(errno));
    d->count = 0;
    for (struct dirent *e = readdir(names); e; e = readdir(names)) {
        if (strncmp(e->d_name, "log-", 4) != 0 && strncmp(e->d_name, "checkpoint-", 11) != 0 &&
            strcmp(e->d_name, "manifest") != 0)
            continue;
        if (strchr(e->d_name, '.'))
            continue; /* it was being made when the broker died */
        must(d->count < FILES_MAX);
        struct file *f = &d->files[d->count++];
        snprintf(f->name, sizeof f->name, "%.31s", e->d_name);
        read_file(f, dir);
    }
    closedir(names);
    qsort(d->files, d->count, sizeof d->files[0], by_name);
}

static struct file *find_file(struct directory *d, const char *name)
{
    struct file key = {0};
    snprintf(key.name, sizeof key.name, "%s", name);
    return bsearch(&key, d->files, d->count, sizeof d->files[0], by_name);
}

/* -- what stands where -- */

struct block {
    const struct file *file;
    uint64_t offset, number, durable;
    uint32_t size, facts;
    bool head; /* its number stands in the manifest */
};

static struct directory was, now, other; /* as it was found, as it will be, the older or foreign one */
static struct prng prng;
static struct {
    struct manifest m;
    struct block *blocks; /* in the order of the log */
    unsigned count;
} map; /* of `was` */

static void segment_name(char name[FILE_NAME], const struct manifest_segment *s)
{
    snprintf(name, FILE_NAME, "log-%08u", s->file);
}

static void map_blocks(const struct file *f, const struct manifest_segment *s)
{
    struct record r, expected = {.cluster = map.m.cluster, .incarnation = s->incarnation};
    for (uint64_t at = 0; at + DISK_BLOCK <= f->size; at += record_disk_size(r.payload_size)) {
        expected.number = le64_get(f->bytes + at + 24);
        if (record_open(&r, f->bytes + at, f->size - at, &expected) != RECORD_OK)
            return;
        map.blocks = realloc(map.blocks, (map.count + 1) * sizeof *map.blocks);
        must(map.blocks != NULL);
        map.blocks[map.count++] = (struct block){.file = f,
                                                 .offset = at,
                                                 .number = r.number,
                                                 .durable = r.durable,
                                                 .size = record_disk_size(r.payload_size),
                                                 .facts = r.facts,
                                                 .head = at == 0 && s->first != 0};
    }
}

static void map_directory(struct directory *d)
{
    unsigned damaged = 0;
    struct file *manifest = find_file(d, "manifest");
    if (!manifest || manifest_decode(&map.m, manifest->bytes, &damaged) != LEAT_OK || damaged > 0)
        fail("the manifest is not whole to begin with");
    for (uint32_t i = 0; i < map.m.segments; i++) {
        char name[FILE_NAME];
        segment_name(name, &map.m.segment[i]);
        struct file *f = find_file(d, name);
        if (!f)
            fail("%s is missing to begin with", name);
        map_blocks(f, &map.m.segment[i]);
    }
    if (map.count == 0)
        fail("no blocks");
}

/* -- the damage -- */

struct damage {
    struct file *file;
    uint64_t from, end; /* bytes that have changed; a cut: from the new end on */
    bool cut;
};

/* A keep segment, and a byte at its beginning, where its directory and its messages are. */
static struct file *pick_kept(uint64_t *at)
{
    char name[FILE_NAME];
    for (unsigned tries = 0; tries < 1000; tries++) {
        const struct manifest_segment *s = &map.m.segment[prng_below(&prng, map.m.segments)];
        if (!s->keep)
            continue;
        segment_name(name, s);
        *at = prng_below(&prng, prng_chance(&prng, 50) ? DISK_BLOCK : 64 * 1024);
        return find_file(&now, name);
    }
    return NULL;
}

/* The file that a damage at this place hits; *at: a byte of something that is in use there. */
static struct file *pick_file(const char *place, uint64_t *at)
{
    char name[FILE_NAME] = "manifest";
    *at = prng_below(&prng, 2 * MANIFEST_BYTES);
    if (strcmp(place, "manifests") == 0)
        *at = 0;
    if (strcmp(place, "checkpoint") == 0) {
        snprintf(name, sizeof name, "checkpoint-%u", map.m.checkpoint_area ^ prng_chance(&prng, 10));
        *at = prng_below(&prng, map.m.checkpoint_bytes + 1);
    }
    if (strcmp(place, "kept") == 0)
        return pick_kept(at);
    if (strcmp(place, "sealed") != 0 && strcmp(place, "tail") != 0)
        return find_file(&now, name);
    const struct file *last = map.blocks[map.count - 1].file;
    for (unsigned tries = 0; tries < 1000; tries++) {
        const struct block *b = &map.blocks[prng_below(&prng, map.count)];
        if ((b->file == last) != (strcmp(place, "tail") == 0))
            continue;
        *at = b->offset + (prng_chance(&prng, 20) ? prng_below(&prng, RECORD_HEADER) : prng_below(&prng, b->size));
        return find_file(&now, b->file->name);
    }
    return NULL;
}

/* A place that bytes could have been meant for: the same file, or another of its kind. */
static const uint8_t *wrong_place(const struct file *f, uint64_t size)
{
    const struct file *from = f;
    for (unsigned tries = 0; tries < 10; tries++) {
        const struct file *g = &now.files[prng_below(&prng, now.count)];
        if (g->name[0] == f->name[0] && g->size >= size)
            from = g;
    }
    if (from->size < size)
        return NULL;
    return from->bytes + prng_below(&prng, (from->size - size) / DISK_BLOCK + 1) * DISK_BLOCK;
}

static void change_pages(struct file *f, uint64_t at, const char *kind)
{
    uint64_t pages = prng_chance(&prng, 50) ? 1 : 1 + prng_below(&prng, 32), size = pages * DISK_BLOCK;
    bool whole = strcmp(f->name, "manifest") == 0; /* copies are written whole */
    at = whole ? at / MANIFEST_BYTES * MANIFEST_BYTES : at / DISK_BLOCK * DISK_BLOCK;
    size = least(whole ? MANIFEST_BYTES : size, f->size - at);
    const struct file *old = find_file(&other, f->name);
    const uint8_t *bytes = NULL;
    if (strcmp(kind, "misdirect") == 0)
        bytes = wrong_place(f, size);
    else if (old && old->size >= at + size)
        bytes = old->bytes + at;
    if (!bytes)
        exit(NO_DRAW);
    memmove(f->bytes + at, bytes, size);
}

static void change(struct file *f, uint64_t at, const char *kind)
{
    at = least(at, f->size - 1);
    if (strcmp(kind, "flip") == 0) {
        f->bytes[at] ^= (uint8_t)(1 << prng_below(&prng, 8));
    } else if (strcmp(kind, "zero") == 0) {
        uint64_t sectors = prng_chance(&prng, 50) ? 1 : 1 + prng_below(&prng, 64);
        uint64_t end = strcmp(f->name, "manifest") == 0 && at < MANIFEST_BYTES ? MANIFEST_BYTES : f->size;
        at = at / 512 * 512;
        memset(f->bytes + at, 0, least(sectors * 512, end - at));
    } else {
        change_pages(f, at, kind);
    }
}

/* What is different from what it was. */
static struct damage changed(struct file *f)
{
    const struct file *before = find_file(&was, f->name);
    struct damage d = {.file = f, .from = UINT64_MAX, .cut = f->size < before->size};
    for (uint64_t i = 0; i < f->size; i++) {
        if (f->bytes[i] == before->bytes[i])
            continue;
        d.from = d.from == UINT64_MAX ? i : d.from;
        d.end = i + 1;
    }
    if (d.cut) {
        d.from = f->size;
        d.end = before->size;
    }
    if (d.from == UINT64_MAX)
        exit(NO_DRAW);
    return d;
}

static struct damage damage_bytes(const char *kind, const char *place)
{
    uint64_t at = 0;
    struct file *f = pick_file(place, &at);
    if (!f || f->size == 0)
        exit(NO_DRAW);
    if (strcmp(kind, "cut") == 0) {
        f->size = strcmp(place, "manifest") == 0    ? MANIFEST_BYTES + prng_below(&prng, MANIFEST_BYTES)
                  : strcmp(place, "manifests") == 0 ? prng_below(&prng, MANIFEST_BYTES)
                                                    : prng_below(&prng, f->size);
    } else {
        change(f, at, kind);
        if (strcmp(place, "manifests") == 0)
            change(f, MANIFEST_BYTES + at, kind);
    }
    return changed(f);
}

/* -- what must come of it -- */

static bool hits(const struct damage *d, const struct block *b, uint64_t from, uint64_t end)
{
    return strcmp(d->file->name, b->file->name) == 0 && d->from < end && from < d->end;
}

static bool hits_block(const struct damage *d, const struct block *b)
{
    return hits(d, b, b->offset, b->offset + b->size);
}

static const char *judge_manifest(const struct damage *d)
{
    static struct manifest m;
    unsigned damaged;
    if (!d->cut && (d->from >= MANIFEST_BYTES || d->end <= MANIFEST_BYTES))
        return "harmless";
    bool whole = !d->cut && manifest_decode(&m, d->file->bytes, &damaged) == LEAT_OK; /* an old one, or one twice */
    return whole ? "either" : "refused";
}

static const char *judge_checkpoint(const struct damage *d)
{
    char name[FILE_NAME];
    snprintf(name, sizeof name, "checkpoint-%u", map.m.checkpoint_area);
    bool used = map.m.checkpoint_block != 0 && strcmp(name, d->file->name) == 0;
    return used && d->from < map.m.checkpoint_bytes ? "refused" : "harmless";
}

/* Blocks that are known to have been durable, by what is still whole. */
static uint64_t still_known(const struct damage *d)
{
    uint64_t known = map.m.checkpoint_block;
    for (uint32_t i = 0; i < map.m.segments; i++)
        known = map.m.segment[i].first > known ? map.m.segment[i].first : known;
    for (unsigned i = 0; i < map.count; i++) {
        const struct block *b = &map.blocks[i];
        if (b->number > map.m.checkpoint_block && b->durable > known && !hits_block(d, b))
            known = b->durable;
    }
    return known;
}

/* Messages of a block whose bytes were hit. */
static void list_hurt(const struct damage *d, const struct block *b, FILE *hurt)
{
    uint32_t at = RECORD_HEADER;
    struct fact f;
    for (uint32_t i = 0; i < b->facts; i++, at += fact_size(&f)) {
        uint64_t from = b->offset + at;
        if (fact_decode(&f, b->file->bytes + from, b->size - at, lsn_make(b->number, i), false) != LEAT_OK)
            fail("block %llu has a fact that is none", (unsigned long long)b->number);
        if (f.kind == FACT_PUT && hits(d, b, from, from + fact_size(&f)))
            fprintf(hurt, "%llu\n", (unsigned long long)history_whose(f.put.body, f.put.body_size));
    }
}

static const struct manifest_segment *in_manifest(const struct file *f)
{
    char name[FILE_NAME];
    for (uint32_t i = 0; i < map.m.segments; i++) {
        segment_name(name, &map.m.segment[i]);
        if (strcmp(name, f->name) == 0)
            return &map.m.segment[i];
    }
    return NULL;
}

/* A keep segment: a page of its directory is refused, a message in it is cold. */
static const char *judge_kept(const struct damage *d, const struct manifest_segment *s, FILE *hurt)
{
    const struct file *f = find_file(&was, d->file->name);
    struct keep_page page = {.pages = 1};
    bool cold = false;
    for (uint32_t i = 0; i < page.pages; i++) {
        const uint8_t *bytes = f->bytes + (uint64_t)i * DISK_BLOCK;
        page =
            (struct keep_page){.cluster = map.m.cluster, .first = s->first, .incarnation = s->incarnation, .number = i};
        if (!keep_open(&page, bytes))
            fail("%s: page %u of its directory is not whole to begin with", f->name, i);
        if (d->from < (uint64_t)page.pages * DISK_BLOCK)
            return "refused";
        for (uint32_t k = 0; k < page.entries; k++) {
            struct keep_entry e = keep_get(bytes, k);
            uint64_t from = e.offset8 * 8ull, end = from + e.size8 * 8ull;
            struct fact fact;
            if (d->from >= end || from >= d->end)
                continue;
            if (fact_decode(&fact, f->bytes + from, (uint32_t)(end - from), e.lsn, true) != LEAT_OK)
                fail("%s has a fact that is none", f->name);
            fprintf(hurt, "%llu\n", (unsigned long long)history_whose(fact.put.body, fact.put.body_size));
            cold = true;
        }
    }
    return cold ? "cold" : "harmless";
}

static const char *judge_log(const struct damage *d, FILE *hurt)
{
    uint64_t known = still_known(d);
    const struct manifest_segment *s = in_manifest(d->file);
    bool in_log = false, refused = d->cut || !s, cold = false;
    if (!refused && s->keep)
        return judge_kept(d, s, hurt);
    for (unsigned i = 0; i < map.count && !refused; i++) {
        const struct block *b = &map.blocks[i];
        in_log |= strcmp(b->file->name, d->file->name) == 0;
        if (!hits_block(d, b))
            continue;
        if (b->number > known && b->facts > 0)
            exit(NO_DRAW);
        bool replayed = b->number > map.m.checkpoint_block;
        uint64_t looked_at = !b->head ? 0 : b->size == DISK_BLOCK ? DISK_BLOCK : RECORD_HEADER;
        refused = replayed ? b->number <= known : looked_at > 0 && d->from < b->offset + looked_at;
        cold |= !replayed;
        if (!replayed && !refused)
            list_hurt(d, b, hurt);
    }
    return refused ? "refused" : cold ? "cold" : in_log ? "harmless" : "either";
}

static const char *judge(const struct damage *d, FILE *hurt)
{
    switch (d->file->name[0]) {
    case 'm':
        return judge_manifest(d);
    case 'c':
        return judge_checkpoint(d);
    default:
        return judge_log(d, hurt);
    }
}

static void say(const char *expect, const struct damage *d, const char *what)
{
    printf("%s %s %llu %llu %s\n", expect, d->file->name, (unsigned long long)d->from, (unsigned long long)d->end,
           what);
}

static void run_bytes(const char *dir, const char *kind, const char *place, FILE *hurt)
{
    struct damage d = damage_bytes(kind, place);
    write_file(d.file, dir);
    say(judge(&d, hurt), &d, d.cut ? "cut" : "changed");
}

/* -- whole files -- */

static const struct file *pick_segment(struct directory *d)
{
    for (unsigned tries = 0; tries < 1000; tries++) {
        const struct file *f = &d->files[prng_below(&prng, d->count)];
        if (f->name[0] == 'l' && f->size > 0 && f->bytes[0] != 0)
            return f;
    }
    exit(NO_DRAW);
}

static void run_lost(const char *dir)
{
    const struct file *one = pick_segment(&now);
    struct damage d = {.file = find_file(&now, one->name), .end = one->size};
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, one->name);
    if (unlink(path) != 0)
        fail("%s: %s", path, strerror(errno));
    say("refused", &d, "lost");
}

static void run_extra(const char *dir)
{
    struct file extra = *pick_segment(&now);
    struct damage d = {.file = &extra, .end = extra.size};
    snprintf(extra.name, sizeof extra.name, "log-%08u", 900u + (unsigned)prng_below(&prng, 99));
    write_file(&extra, dir);
    say("refused", &d, "extra");
}

/* One of ours gets the bytes of another. */
static void run_exchanged(const char *dir, const char *kind, struct directory *theirs)
{
    struct file *to = find_file(&now, pick_segment(&now)->name);
    const struct file *from = pick_segment(theirs);
    struct damage d = {.file = to, .end = to->size};
    const struct manifest_segment *s = in_manifest(to);
    bool in_log = s && s->keep;
    uint64_t known = still_known(&d);
    if (from == to || from->size != to->size)
        exit(NO_DRAW);
    for (unsigned i = 0; i < map.count; i++) {
        const struct block *b = &map.blocks[i];
        in_log |= hits_block(&d, b);
        if (hits_block(&d, b) && b->number > known && b->facts > 0)
            exit(NO_DRAW);
    }
    memcpy(to->bytes, from->bytes, to->size);
    write_file(to, dir);
    say(in_log ? "refused" : "either", &d, kind);
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "usage: prog_rot DIR SEED KIND PLACE OTHER HURT\n");
        return 64;
    }
    const char *kind = argv[3];
    prng = prng_seed(strtoull(argv[2], NULL, 10), 2);
    FILE *hurt = fopen(argv[6], "w");
    if (!hurt)
        fail("%s: %s", argv[6], strerror(errno));
    read_directory(&now, argv[1]);
    read_directory(&other, argv[5]);
    read_directory(&was, argv[1]);
    map_directory(&was);
    if (strcmp(kind, "lost") == 0)
        run_lost(argv[1]);
    else if (strcmp(kind, "extra") == 0)
        run_extra(argv[1]);
    else if (strcmp(kind, "twin") == 0 || strcmp(kind, "foreign") == 0)
        run_exchanged(argv[1], kind, kind[0] == 't' ? &now : &other);
    else
        run_bytes(argv[1], kind, argv[4], hurt);
    return fclose(hurt) == 0 ? 0 : 1;
}
