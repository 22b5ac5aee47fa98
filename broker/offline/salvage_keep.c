/* salvage_keep.c - a keep segment whose directory is damaged, written anew: a directory of the facts that are whole,
 * and these facts, in a new file that takes its place in the list. The interval stays, for the checkpoint's index may
 * name blocks of it. A start wants a directory with an entry; where nothing is whole, it is an empty message that no
 * queue has. */
#include <stdlib.h>
#include <string.h>

#include "keep.h"
#include "mark.h"
#include "must.h"
#include "salvage_state.h"

struct keep_copy {
    struct salvage *s;
    struct keep_entry *entries;
    uint64_t count, room;
    uint32_t file;
    const char *name;
    uint64_t at;     /* in the file, of what the buffer holds */
    uint32_t filled; /* bytes in the buffer */
    enum leat_status status;
    char *error;
};

/* The buffer is written up to its last whole page, or all of it with zeros behind. */
static void keep_spill(struct keep_copy *c, bool all)
{
    uint8_t *block = c->s->block;
    uint32_t size = c->filled / DISK_BLOCK * DISK_BLOCK;
    if (all && size < c->filled) {
        size += DISK_BLOCK;
        memset(block + c->filled, 0, size - c->filled);
    }
    if (size == 0 || c->status != LEAT_OK)
        return;
    c->status = salvage_write_bytes(c->s, c->file, c->at, block, size, c->name, c->error);
    uint32_t rest = c->filled > size ? c->filled - size : 0;
    memmove(block, block + size, rest);
    c->at += size;
    c->filled = rest;
}

static void keep_add(struct keep_copy *c, struct lsn lsn, const uint8_t *fact, uint32_t size)
{
    if (c->filled + size > RECORD_MAX - DISK_BLOCK)
        keep_spill(c, false);
    if (c->status != LEAT_OK || c->count == c->room || c->filled + size > RECORD_MAX - DISK_BLOCK)
        return;
    c->entries[c->count++] =
        (struct keep_entry){.lsn = lsn, .offset8 = (uint32_t)((c->at + c->filled) / 8), .size8 = size / 8};
    memcpy(c->s->block + c->filled, fact, size);
    c->filled += size;
}

static void keep_visit(void *context, const struct scan_block *b)
{
    keep_add(context, lsn_make(b->r.number, b->index), b->payload, b->r.payload_size);
}

static void keep_add_nothing(struct keep_copy *c, uint64_t block)
{
    uint8_t bytes[FACT_PUT_FIXED];
    struct fact f = {.kind = FACT_PUT,
                     .lsn = lsn_make(block, 0),
                     .put = {.queue = SLAB_NONE, .slot = SLAB_NONE, .attrs = bytes, .body = bytes}};
    must(fact_size(&f) == sizeof bytes);
    fact_encode(bytes, &f);
    keep_add(c, f.lsn, bytes, sizeof bytes);
}

static void keep_directory(struct keep_copy *c, const struct scan_segment *g)
{
    uint32_t pages = keep_pages(c->count);
    for (uint32_t i = 0; i < pages && c->status == LEAT_OK; i++) {
        uint64_t left = c->count - (uint64_t)i * KEEP_ENTRIES;
        struct keep_page p = {.cluster = c->s->source.m.cluster,
                              .first = g->listed_first,
                              .last = g->kept_last,
                              .incarnation = 1,
                              .number = i,
                              .pages = pages,
                              .entries = left < KEEP_ENTRIES ? (uint32_t)left : KEEP_ENTRIES};
        for (uint32_t n = 0; n < p.entries; n++)
            keep_put(c->s->block, n, &c->entries[(uint64_t)i * KEEP_ENTRIES + n]);
        keep_seal(c->s->block, &p);
        c->status =
            salvage_write_bytes(c->s, c->file, i * (uint64_t)DISK_BLOCK, c->s->block, DISK_BLOCK, c->name, c->error);
    }
}

/* The list's entry of segment `i` names a new file from now on. */
static enum leat_status keep_one(struct salvage *s, uint32_t i, struct manifest_segment *listed,
                                 char error[SOURCE_ERROR])
{
    char name[DISK_NAME_MAX];
    const struct scan_segment *g = &s->scan.segments[i];
    struct keep_copy c = {.s = s, .room = g->kept + 1, .name = name, .error = error};
    source_segment_name(name, s->file_number);
    int file = disk_create(s->disk, name, s->next->segment_bytes);
    c.entries = calloc(c.room, sizeof *c.entries);
    if (file < 0 || !c.entries) {
        free(c.entries);
        return source_say(file < 0 ? LEAT_NO_SPACE : LEAT_NO_MEMORY, error, "no room for a copy of log-%08u",
                          g->number);
    }
    c.file = (uint32_t)file;
    c.at = keep_pages(c.room) * (uint64_t)DISK_BLOCK;
    enum leat_status status = scan_keep(&s->scan, i, keep_visit, &c, error);
    if (c.count == 0)
        keep_add_nothing(&c, g->listed_first);
    keep_spill(&c, true);
    if (c.status == LEAT_OK)
        keep_directory(&c, g);
    if (c.status == LEAT_OK)
        c.status = salvage_write_flush(s, c.file, name, error);
    disk_close(s->disk, c.file);
    free(c.entries);
    mark(salvage_keep_written_anew);
    *listed =
        (struct manifest_segment){.file = s->file_number++, .incarnation = 1, .first = g->listed_first, .keep = true};
    return status == LEAT_OK ? c.status : status;
}

enum leat_status salvage_keep_again(struct salvage *s, char error[SOURCE_ERROR])
{
    enum leat_status status = LEAT_OK;
    for (uint32_t k = 0; k < s->next->segments && status == LEAT_OK; k++)
        for (uint32_t i = 0; i < s->scan.segments_count && status == LEAT_OK; i++)
            if (s->scan.segments[i].number == s->next->segment[k].file && s->scan.segments[i].kept_broken) {
                status = keep_one(s, i, &s->next->segment[k], error);
                break;
            }
    return status;
}
