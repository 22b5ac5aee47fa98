/* salvage_write.c - blocks into new files, one write that makes them true, and the old files aside.
 *
 * The first new block carries the number behind the prefix and the hash of its last block; it stands at the start of a
 * new segment, where a start looks when the last segment goes no further. Nothing that the old manifest names is
 * touched before the new one is written. A file of a salvage that was cut short is known by a start that no manifest
 * has seen, and made over. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "byteorder.h"
#include "mark.h"
#include "must.h"
#include "salvage_state.h"

enum { WRITE_PIECE = 1024 * 1024, WRITE_TRIES = 1000 };

static enum leat_status write_failed(int rc, const char *verb, const char *name, char error[SOURCE_ERROR])
{
    if (rc == -ENOSPC || rc == -EDQUOT)
        return source_say(LEAT_NO_SPACE, error,
                          "cannot %s %s: the disk is full, and a salvage needs room for its blocks", verb, name);
    return source_say(LEAT_DISK_ERROR, error, "cannot %s %s: %s", verb, name, strerror(-rc));
}

enum leat_status salvage_write_bytes(struct salvage *s, uint32_t file, uint64_t offset, uint8_t *data, uint64_t size,
                                     const char *name, char error[SOURCE_ERROR])
{
    unsigned tries = 0;
    for (uint64_t at = 0; at < size;) {
        uint64_t piece = size - at < WRITE_PIECE ? size - at : WRITE_PIECE;
        struct disk_op op = {
            .kind = DISK_WRITE, .file = file, .offset = offset + at, .data = data + at, .size = (uint32_t)piece};
        int32_t done = source_do(s->disk, &op);
        if (done <= 0 || (done < DISK_BLOCK && ++tries == WRITE_TRIES))
            return write_failed(done < 0 ? done : -EIO, "write", name, error);
        at += (uint32_t)done / DISK_BLOCK * DISK_BLOCK;
    }
    return LEAT_OK;
}

enum leat_status salvage_write_flush(struct salvage *s, uint32_t file, const char *name, char error[SOURCE_ERROR])
{
    struct disk_op flush = {.kind = DISK_FLUSH, .file = file};
    int32_t rc = source_do(s->disk, &flush);
    return rc < 0 ? write_failed(rc, "flush", name, error) : LEAT_OK;
}

/* -- the new list -- */

/* The new facts may name slots of all the capacities that the state has now. */
static void write_capacities(struct salvage *s)
{
    struct manifest *m = s->next;
    if (m->blob_size < POINT_BLOB)
        return; /* the manifest was made anew: a start writes its own */
    le32_put(m->blob + 4, s->o->engine.queues);
    le32_put(m->blob + 8, s->o->engine.slots);
    le32_put(m->blob + 12, s->o->engine.ready_chunks);
    le32_put(m->blob + 16, s->o->sessions);
}

/* What stays: the segments that hold the prefix. */
static void write_list(struct salvage *s)
{
    const struct judge *j = &s->judge;
    struct manifest *m = s->next;
    *m = s->source.m;
    m->segments = 0;
    for (uint32_t i = 0; i < s->scan.segments_count; i++) {
        bool before = i < j->segment || (i == j->segment && j->offset > 0);
        if (!before || j->next == 1)
            continue;
        m->segment[m->segments] = s->source.m.segment[i];
        if (m->segment[m->segments].first == 0 && s->scan.segments[i].runs > 0)
            m->segment[m->segments].first = s->scan.runs[s->scan.segments[i].runs_from].first;
        m->segments++;
    }
}

/* A number that no file has, nor one that the manifest lists and is missing. */
static uint32_t write_unused(struct salvage *s)
{
    char name[DISK_NAME_MAX];
    uint32_t highest = 0;
    for (unsigned i = 0; disk_list(s->disk, i, name); i++) {
        uint32_t number = source_segment_number(name);
        highest = number > highest ? number : highest;
    }
    for (uint32_t i = 0; i < s->source.m.segments; i++)
        highest = s->source.m.segment[i].file > highest ? s->source.m.segment[i].file : highest;
    return highest + 1;
}

enum leat_status salvage_write_begin(struct salvage *s, char error[SOURCE_ERROR])
{
    s->next = calloc(1, sizeof *s->next);
    s->block_room = s->o->block_bytes_max;
    if (s->source.m.segment_bytes < s->block_room)
        s->block_room = (uint32_t)s->source.m.segment_bytes;
    s->block = aligned_alloc(DISK_BLOCK, RECORD_MAX);
    if (!s->next || !s->block)
        return source_say(LEAT_NO_MEMORY, error, "no memory for writing");
    write_list(s);
    write_capacities(s);
    s->number = s->judge.next;
    s->previous = s->judge.previous;
    s->file = -1;
    s->first_new = s->file_number = write_unused(s);
    return LEAT_OK;
}

/* -- blocks -- */

static enum leat_status write_segment(struct salvage *s, char error[SOURCE_ERROR])
{
    char name[DISK_NAME_MAX];
    struct manifest *m = s->next;
    enum leat_status status = LEAT_OK;
    if (s->file >= 0) {
        source_segment_name(name, s->file_number++);
        status = salvage_write_flush(s, (uint32_t)s->file, name, error);
        disk_close(s->disk, (uint32_t)s->file);
        s->file = -1;
    }
    if (status != LEAT_OK)
        return status;
    if (m->segments == MANIFEST_SEGMENTS_MAX)
        return source_say(LEAT_NO_SPACE, error, "the manifest has no room for more than %d segments",
                          MANIFEST_SEGMENTS_MAX);
    source_segment_name(name, s->file_number);
    int file = disk_create(s->disk, name, m->segment_bytes);
    if (file < 0)
        return write_failed(file, "make", name, error);
    s->file = file;
    s->offset = 0;
    m->segment[m->segments++] = (struct manifest_segment){.file = s->file_number, .incarnation = 1, .first = s->number};
    return LEAT_OK;
}

static enum leat_status write_block(struct salvage *s, char error[SOURCE_ERROR])
{
    char name[DISK_NAME_MAX];
    uint32_t size = record_disk_size(s->payload);
    enum leat_status status = LEAT_OK;
    if (s->file < 0 || s->offset + size > s->next->segment_bytes)
        status = write_segment(s, error);
    if (status != LEAT_OK)
        return status;
    struct record r = {.cluster = s->source.m.cluster,
                       .incarnation = 1,
                       .epoch = s->epoch,
                       .number = s->number,
                       .durable = s->number - 1,
                       .previous = s->previous,
                       .facts = s->facts,
                       .payload_size = s->payload};
    record_seal(s->block, &r);
    source_segment_name(name, s->file_number);
    status = salvage_write_bytes(s, (uint32_t)s->file, s->offset, s->block, size, name, error);
    s->previous = record_hash(s->block);
    s->number++;
    s->offset += size;
    s->payload = s->facts = 0;
    return status;
}

enum leat_status salvage_write_fact(struct salvage *s, struct fact *f, char error[SOURCE_ERROR])
{
    struct apply_effect effect;
    uint32_t size = fact_size(f);
    if (RECORD_HEADER + s->payload + size > s->block_room || s->facts == UINT16_MAX) {
        enum leat_status status = s->facts > 0 ? write_block(s, error) : LEAT_OK;
        if (status != LEAT_OK)
            return status;
    }
    must(RECORD_HEADER + size <= RECORD_MAX);
    f->lsn = lsn_make(s->number, s->facts);
    f->place = RECORD_HEADER + s->payload;
    fact_encode(s->block + f->place, f);
    s->payload += size;
    s->facts++;
    if (f->kind != FACT_SESSION_ENDED)
        apply_fact(s->engine, f, &effect);
    return LEAT_OK;
}

/* -- aside -- */

static void write_aside_name(const struct salvage *s, char aside[DISK_NAME_MAX], const char *name)
{
    int n = snprintf(aside, DISK_NAME_MAX, "salvaged-%u-%s", s->epoch, name);
    must(n < DISK_NAME_MAX);
}

int salvage_write_aside(struct salvage *s, const char *name)
{
    char aside[DISK_NAME_MAX];
    write_aside_name(s, aside, name);
    int rc = disk_rename(s->disk, name, aside);
    if (rc == 0)
        fprintf(s->o->out, "put aside: %s is %s now\n", name, aside);
    return rc;
}

/* A copy of bytes that stay in a file which goes on. What cannot be copied, for want of room, is said and no more. */
static void write_copy(struct salvage *s, const char *name, uint64_t from)
{
    char part[DISK_NAME_MAX], aside[DISK_NAME_MAX], error[SOURCE_ERROR];
    if (source_file(&s->source, name, error) != LEAT_OK || s->source.size <= from)
        return;
    uint64_t size = s->source.size - from, available;
    if (from > 0)
        snprintf(part, sizeof part, "%.24s-from-%" PRIu64, name, from);
    else
        snprintf(part, sizeof part, "%.24s", name);
    write_aside_name(s, aside, part);
    int file = disk_create(s->disk, aside, size);
    enum leat_status status = file < 0 ? LEAT_NO_SPACE : LEAT_OK;
    for (uint64_t at = 0; at < size && status == LEAT_OK; at += WRITE_PIECE) {
        uint64_t piece = size - at < WRITE_PIECE ? size - at : WRITE_PIECE;
        const uint8_t *bytes = source_at(&s->source, from + at, piece, &available);
        memcpy(s->block, bytes, piece);
        status = salvage_write_bytes(s, (uint32_t)file, at, s->block, piece, aside, error);
    }
    if (file >= 0 && status == LEAT_OK)
        status = salvage_write_flush(s, (uint32_t)file, aside, error);
    if (file >= 0)
        disk_close(s->disk, (uint32_t)file);
    source_leave(&s->source);
    fprintf(s->o->out,
            status == LEAT_OK ? "put aside: a copy of %s, from byte %" PRIu64 ", is %s\n"
                              : "not put aside: there is no room for a copy of %s, from byte %" PRIu64 "; %s\n",
            name, from, status == LEAT_OK ? aside : "it is written over");
}

/* -- making it true -- */

/* Files that the new list names and a start wants whole: a missing one is made of zeros, a short one is filled up. */
static enum leat_status write_files(struct salvage *s, char error[SOURCE_ERROR])
{
    char name[DISK_NAME_MAX];
    for (uint32_t i = 0; i < s->next->segments + 3; i++) {
        uint64_t size = s->next->segment_bytes;
        if (i >= s->next->segments + 1)
            snprintf(name, sizeof name, "checkpoint-%u", (unsigned)(i - s->next->segments - 1));
        else if (i == s->next->segments)
            snprintf(name, sizeof name, "manifest");
        else
            source_segment_name(name, s->next->segment[i].file);
        if (i >= s->next->segments)
            size = i == s->next->segments ? 2 * MANIFEST_BYTES : 128 * 1024;
        int file = disk_open(s->disk, name);
        int64_t have = file < 0 ? -1 : disk_size(s->disk, (uint32_t)file);
        if (file >= 0)
            disk_close(s->disk, (uint32_t)file);
        if (have >= (int64_t)size)
            continue;
        file = disk_create(s->disk, name, size);
        if (file < 0)
            return write_failed(file, "make", name, error);
        disk_close(s->disk, (uint32_t)file);
    }
    return disk_sync_directory(s->disk) < 0 ? source_say(LEAT_DISK_ERROR, error, "cannot sync the data directory")
                                            : LEAT_OK;
}

static enum leat_status write_manifest(struct salvage *s, char error[SOURCE_ERROR])
{
    uint8_t *copy = aligned_alloc(DISK_BLOCK, MANIFEST_BYTES);
    if (s->manifest_made)
        write_copy(s, "manifest", 0);
    int file = copy ? disk_open(s->disk, "manifest") : -ENOMEM;
    enum leat_status status = file < 0 ? write_failed(file, "open", "manifest", error) : LEAT_OK;
    s->next->epoch = s->epoch;
    if (s->next->proven >= s->number)
        s->next->proven = s->number - 1; /* of a backup: what it had behind that is gone */
    for (unsigned i = 0; i < 2 && status == LEAT_OK; i++) {
        s->next->sequence++;
        manifest_encode(copy, s->next);
        status = salvage_write_bytes(s, (uint32_t)file, s->next->sequence % 2 * MANIFEST_BYTES, copy, MANIFEST_BYTES,
                                     "manifest", error);
        if (status == LEAT_OK)
            status = salvage_write_flush(s, (uint32_t)file, "manifest", error);
    }
    if (file >= 0)
        disk_close(s->disk, (uint32_t)file);
    free(copy);
    return status;
}

enum leat_status salvage_write_end(struct salvage *s, char error[SOURCE_ERROR])
{
    char name[DISK_NAME_MAX];
    enum leat_status status = LEAT_OK;
    /* The broken tail of the last segment must be followed by a block elsewhere, were it an empty one. */
    if (s->facts > 0 || (s->file < 0 && (s->judge.rotten || s->next->segments == 0)))
        status = write_block(s, error);
    if (s->file >= 0) {
        source_segment_name(name, s->file_number);
        if (status == LEAT_OK)
            status = salvage_write_flush(s, (uint32_t)s->file, name, error);
        disk_close(s->disk, (uint32_t)s->file);
        s->file = -1;
    }
    if (status == LEAT_OK)
        status = write_files(s, error);
    if (status == LEAT_OK)
        status = write_manifest(s, error);
    return status;
}

/* -- the old files -- */

static bool write_listed(const struct salvage *s, uint32_t number)
{
    for (uint32_t i = 0; i < s->next->segments; i++)
        if (s->next->segment[i].file == number)
            return true;
    return false;
}

/* A spare of the old list, or an empty file: it holds nothing of this log. */
static bool write_worthless(struct salvage *s, const char *name, uint32_t number)
{
    for (uint32_t i = 0; i < s->scan.segments_count; i++)
        if (s->scan.segments[i].number == number && !s->manifest_made)
            return s->scan.segments[i].runs == 0 && s->scan.segments[i].listed_first == 0 && !s->scan.segments[i].newer;
    return source_blank(&s->source, name);
}

/* Zeros from `from` on: nothing of it can be taken for a part of the log again. */
static enum leat_status write_zeros_from(struct salvage *s, const char *name, uint64_t from, char error[SOURCE_ERROR])
{
    int file = disk_open(s->disk, name);
    if (file < 0)
        return write_failed(file, "open", name, error);
    int64_t size = disk_size(s->disk, (uint32_t)file) / DISK_BLOCK * DISK_BLOCK;
    enum leat_status status = LEAT_OK;
    memset(s->block, 0, WRITE_PIECE);
    for (uint64_t at = from; (int64_t)at < size && status == LEAT_OK; at += WRITE_PIECE) {
        uint64_t piece = (uint64_t)size - at < WRITE_PIECE ? (uint64_t)size - at : WRITE_PIECE;
        status = salvage_write_bytes(s, (uint32_t)file, at, s->block, piece, name, error);
    }
    if (status == LEAT_OK)
        status = salvage_write_flush(s, (uint32_t)file, name, error);
    disk_close(s->disk, (uint32_t)file);
    return status;
}

/* The segment that the prefix ends in goes on; what stood behind the prefix is copied and erased. */
static enum leat_status write_tail(struct salvage *s, char error[SOURCE_ERROR])
{
    char name[DISK_NAME_MAX];
    const struct judge *j = &s->judge;
    if (!j->rotten || j->segment >= s->scan.segments_count || j->offset == 0 || j->next == 1)
        return LEAT_OK;
    source_segment_name(name, s->scan.segments[j->segment].number);
    write_copy(s, name, j->offset);
    return write_zeros_from(s, name, j->offset, error);
}

/* A start looks at the first block of each log segment, also of those that it does not read. Where that one is damaged,
 * an empty one takes its place: nobody needs what stood there any more, and the rest of the segment can still be read.
 */
static enum leat_status write_heads(struct salvage *s, char error[SOURCE_ERROR])
{
    char name[DISK_NAME_MAX];
    enum leat_status status = LEAT_OK;
    for (uint32_t i = 0; i < s->scan.segments_count && status == LEAT_OK; i++) {
        const struct scan_segment *g = &s->scan.segments[i];
        if (!scan_headless(&s->scan, i) || g->listed_first >= s->judge.next || !write_listed(s, g->number))
            continue;
        struct record r = {.cluster = s->source.m.cluster,
                           .incarnation = g->incarnation,
                           .epoch = s->source.m.epoch,
                           .number = g->listed_first,
                           .durable = g->listed_first - 1};
        record_seal(s->block, &r);
        source_segment_name(name, g->number);
        int file = disk_open(s->disk, name);
        if (file < 0)
            return write_failed(file, "open", name, error);
        status = salvage_write_bytes(s, (uint32_t)file, 0, s->block, DISK_BLOCK, name, error);
        if (status == LEAT_OK)
            status = salvage_write_flush(s, (uint32_t)file, name, error);
        disk_close(s->disk, (uint32_t)file);
        mark(salvage_head_replaced);
    }
    return status;
}

/* A checkpoint that was not whole: its area is made anew. */
static enum leat_status write_area(struct salvage *s, char error[SOURCE_ERROR])
{
    char name[DISK_NAME_MAX];
    const struct manifest *m = s->next;
    if (!s->base_changed || s->manifest_made)
        return LEAT_OK;
    snprintf(name, sizeof name, "checkpoint-%u", m->checkpoint_block ? 1 - m->checkpoint_area : s->area_named);
    int rc = salvage_write_aside(s, name);
    if (rc < 0 && rc != -ENOENT)
        return write_failed(rc, "put aside", name, error);
    return write_files(s, error);
}

enum leat_status salvage_write_tidy(struct salvage *s, char error[SOURCE_ERROR])
{
    char(*names)[DISK_NAME_MAX] = calloc(MANIFEST_SEGMENTS_MAX, DISK_NAME_MAX);
    char name[DISK_NAME_MAX];
    uint32_t count = 0;
    int rc = 0;
    if (!names)
        return source_say(LEAT_NO_MEMORY, error, "no memory for the list of files");
    for (unsigned i = 0; count < MANIFEST_SEGMENTS_MAX && disk_list(s->disk, i, name); i++)
        if (source_segment_number(name) > 0 && !write_listed(s, source_segment_number(name)))
            memcpy(names[count++], name, DISK_NAME_MAX);
    for (uint32_t i = 0; i < count && rc == 0; i++) {
        bool worthless = write_worthless(s, names[i], source_segment_number(names[i]));
        rc = worthless ? disk_remove(s->disk, names[i]) : salvage_write_aside(s, names[i]);
    }
    free(names);
    if (rc == 0)
        rc = disk_sync_directory(s->disk);
    if (rc < 0)
        return write_failed(rc, "put aside", "a segment", error);
    enum leat_status status = write_tail(s, error);
    if (status == LEAT_OK)
        status = write_heads(s, error);
    return status == LEAT_OK ? write_area(s, error) : status;
}
