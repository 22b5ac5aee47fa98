/* source.c - see source.h. */
#include "source.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mark.h"
#include "must.h"

enum { SOURCE_PIECE = 1024 * 1024 };

enum leat_status source_say(enum leat_status status, char error[SOURCE_ERROR], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error, SOURCE_ERROR, format, args);
    va_end(args);
    return status;
}

/* -- the disk, waited for -- */

int32_t source_do(struct disk *d, const struct disk_op *op)
{
    struct disk_done done;
    must(disk_submit(d, op));
    while (disk_reap(d, &done, 1) == 0)
        disk_wait(d);
    must(done.tag == op->tag);
    return done.result;
}

static bool source_read_whole(struct disk *d, uint32_t file, uint64_t offset, uint8_t *data, uint64_t size)
{
    struct disk_op op = {.kind = DISK_READ, .file = file, .offset = offset, .data = data, .size = (uint32_t)size};
    return source_do(d, &op) == (int32_t)size;
}

/* A piece at a time; where one fails, page by page, so that a bad sector costs only itself. */
uint64_t source_read(struct disk *d, uint32_t file, uint64_t offset, void *data, uint64_t size)
{
    uint64_t first = UINT64_MAX;
    uint8_t *p = data;
    for (uint64_t at = 0; at < size; at += SOURCE_PIECE) {
        uint64_t piece = size - at < SOURCE_PIECE ? size - at : SOURCE_PIECE;
        if (source_read_whole(d, file, offset + at, p + at, piece))
            continue;
        for (uint64_t page = at; page < at + piece; page += DISK_BLOCK) {
            if (source_read_whole(d, file, offset + page, p + page, DISK_BLOCK))
                continue;
            mark(offline_unreadable);
            memset(p + page, SOURCE_UNREADABLE, DISK_BLOCK);
            first = first == UINT64_MAX ? offset + page : first;
        }
    }
    return first;
}

/* -- the window -- */

void source_leave(struct source *s)
{
    if (s->file >= 0)
        disk_close(s->disk, (uint32_t)s->file);
    s->file = -1;
}

enum leat_status source_file(struct source *s, const char *name, char error[SOURCE_ERROR])
{
    source_leave(s);
    s->at = s->have = s->bad_from = s->bad_end = s->bad_last = s->size = 0;
    int file = disk_open(s->disk, name);
    if (file == -ENOENT)
        return source_say(LEAT_CORRUPT, error, "%s is missing from the data directory", name);
    if (file == -EINVAL || file == -EISDIR || file == -ELOOP)
        return source_say(LEAT_CORRUPT, error, "%s is not a file", name);
    if (file == -EACCES || file == -EPERM)
        return source_say(LEAT_NO_PERMISSION, error, "cannot open %s: %s", name, strerror(-file));
    if (file < 0)
        return source_say(LEAT_DISK_ERROR, error, "cannot open %s: %s", name, strerror(-file));
    s->file = file;
    int64_t size = disk_size(s->disk, (uint32_t)file);
    s->size = size > 0 ? (uint64_t)size / DISK_BLOCK * DISK_BLOCK : 0;
    return LEAT_OK;
}

/* The pages of the window, from `from` of it on, that could not be read. */
static void source_note_bad(struct source *s, uint64_t from)
{
    for (uint64_t at = from; at < s->have; at += DISK_BLOCK) {
        const uint8_t *page = s->window + at;
        if (page[0] != SOURCE_UNREADABLE || memcmp(page, page + 1, DISK_BLOCK - 1) != 0)
            continue;
        if (s->bad_end == 0)
            s->bad_from = s->bad_end = s->at + at;
        if (s->bad_end == s->at + at)
            s->bad_end += DISK_BLOCK;
        s->bad_last = s->at + at + DISK_BLOCK;
    }
}

const uint8_t *source_at(struct source *s, uint64_t offset, uint64_t need, uint64_t *available)
{
    must(s->file >= 0);
    must(offset <= s->size && need <= SOURCE_WINDOW - SOURCE_PIECE);
    uint64_t left = s->size - offset;
    need = need < left ? need : left;
    bool inside = offset >= s->at && offset <= s->at + s->have;
    if (!inside || offset + need > s->at + s->have) {
        uint64_t kept = inside ? s->at + s->have - offset : 0;
        if (kept > 0)
            memmove(s->window, s->window + (offset - s->at), kept);
        uint64_t more = need - kept > SOURCE_PIECE ? need - kept : SOURCE_PIECE;
        more = more < left - kept ? more : left - kept;
        uint64_t from = offset + kept;
        uint64_t bad = source_read(s->disk, (uint32_t)s->file, from, s->window + kept, more);
        s->at = offset;
        s->have = kept + more;
        if (bad != UINT64_MAX)
            source_note_bad(s, kept);
        s->bytes_read += more;
        if (s->progress)
            s->progress(s->progress_context, s->bytes_read);
    }
    *available = s->at + s->have - offset;
    return s->window + (offset - s->at);
}

bool source_blank(struct source *s, const char *name)
{
    char error[SOURCE_ERROR];
    uint64_t available;
    bool blank = true;
    if (source_file(s, name, error) == LEAT_OK && s->size > 0) {
        const uint8_t *p = source_at(s, 0, DISK_BLOCK, &available);
        blank = p[0] == 0 && memcmp(p, p + 1, DISK_BLOCK - 1) == 0;
    }
    source_leave(s);
    return blank;
}

enum source_kind source_kind(struct disk *d, const char *name)
{
    int file = disk_open(d, name);
    if (file >= 0)
        disk_close(d, (uint32_t)file);
    switch (file) {
    case -ENOENT:
        return SOURCE_NOTHING;
    case -EISDIR:
        return SOURCE_DIRECTORY;
    case -ELOOP:
        return SOURCE_LINK;
    case -EINVAL:
        return SOURCE_OTHER;
    default:
        return SOURCE_FILE;
    }
}

/* -- names -- */

void source_segment_name(char name[DISK_NAME_MAX], uint32_t number)
{
    snprintf(name, DISK_NAME_MAX, "log-%08u", number);
}

uint32_t source_segment_number(const char *name)
{
    char again[DISK_NAME_MAX];
    if (strncmp(name, "log-", 4) != 0 || name[4] < '0' || name[4] > '9')
        return 0;
    unsigned long long number = strtoull(name + 4, NULL, 10);
    if (number > UINT32_MAX)
        return 0;
    source_segment_name(again, (uint32_t)number);
    return strcmp(again, name) == 0 ? (uint32_t)number : 0;
}

/* -- the manifest -- */

static uint8_t source_judge_copy(const uint8_t *copies, unsigned i)
{
    const uint8_t *copy = copies + (size_t)i * MANIFEST_BYTES;
    if (copy[0] == 0 && memcmp(copy, copy + 1, MANIFEST_BYTES - 1) == 0)
        return SOURCE_EMPTY;
    uint8_t *alone = calloc(2, MANIFEST_BYTES);
    struct manifest *m = malloc(sizeof *m);
    unsigned damaged;
    bool whole = false;
    if (alone && m) {
        memcpy(alone, copy, MANIFEST_BYTES);
        enum leat_status status = manifest_decode(m, alone, &damaged);
        whole = status == LEAT_OK || status == LEAT_TOO_NEW;
    }
    free(m);
    free(alone);
    return whole ? SOURCE_WHOLE : SOURCE_DAMAGED;
}

static enum leat_status source_manifest(struct source *s, char error[SOURCE_ERROR])
{
    uint64_t available;
    unsigned damaged = 0;
    s->manifest = LEAT_CORRUPT;
    s->manifest_bytes = -1;
    s->manifest_kind = source_kind(s->disk, "manifest");
    s->fresh = s->manifest_kind == SOURCE_NOTHING;
    s->copies[0] = s->copies[1] = SOURCE_EMPTY;
    enum leat_status status = source_file(s, "manifest", error);
    if (status != LEAT_OK)
        return status == LEAT_CORRUPT ? LEAT_OK : status;
    s->manifest_bytes = disk_size(s->disk, (uint32_t)s->file);
    uint8_t *copies = calloc(2, MANIFEST_BYTES);
    if (!copies)
        return source_say(LEAT_NO_MEMORY, error, "no memory for the manifest");
    const uint8_t *p = source_at(s, 0, 2 * MANIFEST_BYTES, &available);
    memcpy(copies, p, available < 2 * MANIFEST_BYTES ? available : 2 * MANIFEST_BYTES);
    for (unsigned i = 0; i < 2; i++)
        s->copies[i] = source_judge_copy(copies, i);
    s->manifest = manifest_decode(&s->m, copies, &damaged);
    s->unfinished = s->manifest == LEAT_CORRUPT && manifest_unfinished(copies);
    s->fresh = s->manifest == LEAT_CORRUPT && !s->unfinished && damaged < 2 && s->manifest_bytes >= 2 * MANIFEST_BYTES;
    if (s->manifest == LEAT_OK && (s->m.segment_bytes < DISK_BLOCK || s->m.segment_bytes % DISK_BLOCK != 0 ||
                                   s->m.segment_bytes > 1ull << 28 || s->m.checkpoint_area > 1))
        s->manifest = LEAT_CORRUPT;
    source_leave(s);
    free(copies);
    return LEAT_OK;
}

enum leat_status source_open(struct source *s, struct disk *d, char error[SOURCE_ERROR])
{
    memset(s, 0, sizeof *s);
    s->disk = d;
    s->file = -1;
    s->window = aligned_alloc(DISK_BLOCK, SOURCE_WINDOW);
    if (!s->window)
        return source_say(LEAT_NO_MEMORY, error, "no memory for reading the log");
    enum leat_status status = source_manifest(s, error);
    if (status != LEAT_OK)
        source_close(s);
    return status;
}

void source_close(struct source *s)
{
    source_leave(s);
    free(s->window);
    s->window = NULL;
}

/* -- is it a data directory? -- */

enum leat_status source_ours(struct source *s, char error[SOURCE_ERROR])
{
    char name[DISK_NAME_MAX];
    if (s->manifest_kind != SOURCE_NOTHING)
        return LEAT_OK;
    for (unsigned i = 0; disk_list(s->disk, i, name); i++)
        if (source_segment_number(name) > 0 && source_kind(s->disk, name) == SOURCE_FILE)
            return LEAT_OK;
    return source_say(LEAT_BAD_VALUE, error,
                      "there is no data directory of leatd here: neither a manifest nor a segment");
}

bool source_unborn(struct source *s)
{
    static const char *const made[] = {"checkpoint-0", "checkpoint-1", "log-00000001"};
    char name[DISK_NAME_MAX];
    if (!s->fresh)
        return false;
    for (unsigned i = 0; i < sizeof made / sizeof made[0]; i++)
        if (source_kind(s->disk, made[i]) > SOURCE_FILE)
            return false;
    for (unsigned i = 0; disk_list(s->disk, i, name); i++)
        if (source_segment_number(name) > 0 && !source_blank(s, name))
            return false;
    return true;
}

enum leat_status source_needs_manifest(struct source *s, char error[SOURCE_ERROR])
{
    enum leat_status status = source_ours(s, error);
    if (status != LEAT_OK || s->manifest == LEAT_OK)
        return status;
    if (source_unborn(s))
        return source_say(LEAT_EMPTY, error, "nothing was ever written: the making of the directory was cut short");
    return source_say(s->manifest, error, "%s",
                      s->manifest == LEAT_TOO_NEW          ? "the manifest is of a newer version of Leat"
                      : s->unfinished                      ? MANIFEST_UNFINISHED
                      : s->manifest_kind == SOURCE_NOTHING ? "there is no manifest (leat fsck says more)"
                      : s->manifest_kind != SOURCE_FILE    ? "the manifest is no file (leat fsck says more)"
                                                           : "the manifest is damaged (leat fsck says more)");
}
