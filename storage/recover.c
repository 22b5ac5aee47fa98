/* recover.c - from a directory to a manifest and open files.
 *
 * Everything is synced before it is read: what we decide on must be what a power cut would leave. Files of a new
 * directory are made first and the manifest's first version is written by journal_start(), so a directory whose
 * creation was cut short has no whole manifest, no damaged pair of them, and only empty segments: it opens as new.
 *
 * A segment that the manifest does not list is empty (made ahead, or given back, when the process ended) and removed
 * once everything else was found to be well; or it holds blocks, and then something has happened here that we do not
 * guess about. A start that is refused has changed nothing. */
#include "recover.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "log.h"
#include "mark.h"
#include "must.h"

enum { RECOVER_PIECE = 1024 * 1024, RECOVER_PIECES = 16, RECOVER_TRIES = 1000, RECOVER_EPOCHS = 1 << 24 };

enum leat_status recover_say(enum leat_status status, char error[256], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error, 256, format, args);
    va_end(args);
    return status;
}

static enum leat_status recover_failed(int rc, const char *verb, const char *name, char error[256])
{
    if (rc == -ENOSPC || rc == -EDQUOT)
        return recover_say(LEAT_NO_SPACE, error, "cannot %s %s: the disk is full", verb, name);
    if (rc == -EACCES || rc == -EPERM)
        return recover_say(LEAT_NO_PERMISSION, error, "cannot %s %s: %s", verb, name, strerror(-rc));
    bool ours = rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM; /* the disk is well */
    return recover_say(ours ? LEAT_NO_MEMORY : LEAT_DISK_ERROR, error, "cannot %s %s: %s", verb, name, strerror(-rc));
}

/* -- waiting for the disk -- */

static struct disk_done recover_next(struct journal *j)
{
    struct disk_done done;
    while (disk_reap(j->disk, &done, 1) == 0)
        disk_wait(j->disk);
    return done;
}

int32_t recover_do(struct journal *j, const struct disk_op *op)
{
    struct disk_op tagged = *op;
    tagged.tag = log_tag(LOG_BLOCKING, 0);
    must(disk_submit(j->disk, &tagged));
    struct disk_done done = recover_next(j);
    must(done.tag == tagged.tag);
    return done.result;
}

bool recover_write(struct journal *j, uint32_t file, uint64_t offset, uint8_t *data, uint64_t size)
{
    unsigned tries = 0;
    for (uint64_t at = 0; at < size;) {
        uint64_t piece = size - at < RECOVER_PIECE ? size - at : RECOVER_PIECE;
        struct disk_op op = {.kind = DISK_WRITE, .file = file, .offset = offset + at, .data = data + at};
        op.size = (uint32_t)piece;
        int32_t done = recover_do(j, &op);
        if (done <= 0 || (done < DISK_BLOCK && ++tries == RECOVER_TRIES))
            return false;
        at += (uint32_t)done / DISK_BLOCK * DISK_BLOCK;
    }
    struct disk_op flush = {.kind = DISK_FLUSH, .file = file};
    return recover_do(j, &flush) == 0;
}

/* Sector by sector, so that one bad one costs only itself. */
static uint64_t recover_read_slowly(struct journal *j, uint32_t file, uint64_t offset, uint8_t *data, uint64_t size)
{
    uint64_t first = RECOVER_WHOLE;
    for (uint64_t at = 0; at < size; at += DISK_BLOCK) {
        struct disk_op op = {
            .kind = DISK_READ, .file = file, .offset = offset + at, .data = data + at, .size = DISK_BLOCK};
        if (recover_do(j, &op) == DISK_BLOCK)
            continue;
        mark(unreadable_sector);
        memset(data + at, RECOVER_UNREADABLE, DISK_BLOCK);
        first = first == RECOVER_WHOLE ? offset + at : first;
    }
    return first;
}

static uint64_t recover_read_pieces(struct journal *j, uint32_t file, uint64_t offset, uint8_t *data, uint64_t size)
{
    bool bad[RECOVER_PIECES] = {0};
    unsigned pieces = 0;
    for (uint64_t at = 0; at < size; at += RECOVER_PIECE, pieces++) {
        struct disk_op op = {.kind = DISK_READ, .file = file, .offset = offset + at, .data = data + at};
        op.size = size - at < RECOVER_PIECE ? (uint32_t)(size - at) : RECOVER_PIECE;
        op.tag = log_tag(LOG_BLOCKING, (uint64_t)op.size << 8 | pieces);
        must(disk_submit(j->disk, &op));
    }
    for (unsigned i = 0; i < pieces; i++) {
        struct disk_done done = recover_next(j);
        uint32_t wanted = (uint32_t)(done.tag >> 8 & UINT32_MAX);
        bad[done.tag & 0xff] = done.result != (int32_t)wanted;
    }
    uint64_t first = RECOVER_WHOLE;
    for (unsigned i = 0; i < pieces; i++) {
        uint64_t at = (uint64_t)i * RECOVER_PIECE, piece = size - at < RECOVER_PIECE ? size - at : RECOVER_PIECE;
        uint64_t found = bad[i] ? recover_read_slowly(j, file, offset + at, data + at, piece) : RECOVER_WHOLE;
        first = found < first ? found : first;
    }
    return first;
}

uint64_t recover_read(struct journal *j, uint32_t file, uint64_t offset, uint8_t *data, uint64_t size)
{
    const uint64_t most = (uint64_t)RECOVER_PIECE * RECOVER_PIECES;
    uint64_t first = RECOVER_WHOLE;
    for (uint64_t at = 0; at < size; at += most) {
        uint64_t found = recover_read_pieces(j, file, offset + at, data + at, size - at < most ? size - at : most);
        first = found < first ? found : first;
    }
    return first;
}

/* -- files -- */

enum leat_status recover_open_file(struct journal *j, const char *name, uint64_t size, uint32_t *file, char error[256])
{
    int rc = disk_open(j->disk, name);
    if (rc == -ENOENT)
        return recover_say(LEAT_CORRUPT, error, "%s is missing from the data directory", name);
    if (rc < 0)
        return recover_failed(rc, "open", name, error);
    *file = (uint32_t)rc;
    int64_t have = disk_size(j->disk, *file);
    if (have < 0 || (uint64_t)have < size)
        return recover_say(LEAT_CORRUPT, error, "%s has %" PRId64 " bytes, %" PRIu64 " are expected: it was cut", name,
                           have, size);
    return LEAT_OK;
}

enum leat_status recover_sync_file(struct journal *j, const char *name, uint32_t file, char error[256])
{
    struct disk_op flush = {.kind = DISK_FLUSH, .file = file};
    int32_t rc = recover_do(j, &flush);
    return rc < 0 ? recover_failed(rc, "sync", name, error) : LEAT_OK;
}

/* Bytes of a checkpoint's file in a new directory. */
static uint64_t recover_area(const struct journal *j)
{
    return j->segments.bytes >= 1024 * 1024 ? 1024 * 1024 : 128 * 1024;
}

/* A file of a new directory. */
static enum leat_status recover_make(struct journal *j, const char *name, uint64_t size, uint32_t *file,
                                     char error[256])
{
    int rc = disk_create(j->disk, name, size);
    if (rc == -ENOSPC) /* a quota that is used up does not show in what is free */
        return recover_say(LEAT_NO_SPACE, error,
                           "cannot make %s: the disk is full: a new data directory needs %" PRIu64 "K, and %" PRIu64
                           "K is free beside what is made already; make room there, or lower segment_size",
                           name, (j->segments.bytes + 2 * recover_area(j) + 2 * MANIFEST_BYTES) / 1024,
                           disk_free(j->disk) / 1024);
    if (rc < 0)
        return recover_failed(rc, "make", name, error);
    *file = (uint32_t)rc;
    return LEAT_OK;
}

static void recover_area_name(char name[DISK_NAME_MAX], unsigned i)
{
    snprintf(name, DISK_NAME_MAX, "checkpoint-%u", i);
}

/* -- segments that nobody lists -- */

static bool recover_listed(const struct journal *j, const char *name)
{
    for (uint32_t i = 0; i < j->segments.total; i++) {
        char listed[DISK_NAME_MAX];
        segment_name(listed, segment_at(j, i)->name);
        if (strcmp(name, listed) == 0)
            return true;
    }
    return false;
}

/* Whether nothing was ever written into it, in the life that it has now. */
static enum leat_status recover_is_empty(struct journal *j, const char *name, bool *empty, char error[256])
{
    uint32_t file;
    enum leat_status status = recover_open_file(j, name, 0, &file, error);
    if (status != LEAT_OK)
        return status;
    uint8_t *head = j->ledger.buffer;
    memset(head, 0, DISK_BLOCK);
    if (disk_size(j->disk, file) >= DISK_BLOCK)
        recover_read(j, file, 0, head, DISK_BLOCK);
    *empty = memcmp(head, j->segments.zeros, DISK_BLOCK) == 0;
    disk_close(j->disk, file);
    return LEAT_OK;
}

/* Somebody's "log-notes" is none: it is neither removed nor a reason to stop. */
static bool recover_is_segment(const char *name)
{
    char again[DISK_NAME_MAX];
    uint32_t number = strncmp(name, "log-", 4) == 0 ? (uint32_t)strtoul(name + 4, NULL, 10) : 0;
    segment_name(again, number);
    return number > 0 && strcmp(again, name) == 0;
}

static bool recover_next_unlisted(struct journal *j, unsigned *i, char name[DISK_NAME_MAX])
{
    while (disk_list(j->disk, (*i)++, name))
        if (recover_is_segment(name) && !recover_listed(j, name))
            return true;
    return false;
}

/* An unlisted segment that is not empty is a reason to stop. */
static enum leat_status recover_unlisted(struct journal *j, char error[256])
{
    char name[DISK_NAME_MAX];
    for (unsigned i = 0; recover_next_unlisted(j, &i, name);) {
        bool empty = false;
        enum leat_status status = recover_is_empty(j, name, &empty, error);
        if (status != LEAT_OK)
            return status;
        if (!empty)
            return recover_say(LEAT_CORRUPT, error, "%s holds blocks, but the manifest %s", name,
                               j->ledger.m.segments ? "does not list it" : "is missing or empty");
    }
    return LEAT_OK;
}

bool recover_tidy(struct journal *j)
{
    char name[DISK_NAME_MAX];
    bool removed =
        disk_remove(j->disk, MANIFEST_SALVAGING) == 0; /* a salvage was cut short: what it marks is over now */
    for (unsigned i = 0; recover_next_unlisted(j, &i, name); removed = true)
        disk_remove(j->disk, name);
    if (!removed)
        return true;
    mark(unlisted_segment_removed);
    return disk_sync_directory(j->disk) == 0;
}

/* -- a new directory -- */

static bool recover_segments_open(struct journal *j)
{
    struct segments *t = &j->segments;
    uint64_t max = j->config.disk_max / t->bytes;
    max = max > j->ledger.m.segments ? max : j->ledger.m.segments;
    t->max = max < MANIFEST_SEGMENTS_MAX ? (uint32_t)max : MANIFEST_SEGMENTS_MAX;
    uint32_t pool = t->max + 1; /* one may be on its way out */
    t->pool = calloc(pool, sizeof t->pool[0]);
    t->order = calloc(pool, sizeof t->order[0]);
    t->unused = calloc(pool, sizeof t->unused[0]);
    t->indices = calloc(pool * (t->bytes / DISK_BLOCK), sizeof t->indices[0]);
    j->backup.slots = calloc(pool, sizeof j->backup.slots[0]);
    t->next_name = 1;
    t->borrowed = SEGMENT_NONE;
    if (!t->pool || !t->order || !t->unused || !t->indices || !j->backup.slots)
        return false;
    while (t->unused_count < pool) {
        t->unused[t->unused_count] = (uint16_t)(pool - 1 - t->unused_count);
        t->unused_count++;
    }
    return true;
}

static enum leat_status recover_fresh(struct journal *j, char error[256])
{
    struct manifest *m = &j->ledger.m;
    const uint64_t disk_max = j->config.disk_max, least = 4 * j->config.segment_bytes;
    memset(m, 0, sizeof *m);
    if (disk_max < least) /* a log that is there has its segments in any case, and of another size perhaps */
        return recover_say(LEAT_BAD_VALUE, error, "disk_max is %" PRIu64 ": room for four segments is needed, %" PRIu64,
                           disk_max, least);
    enum leat_status status = recover_unlisted(j, error);
    if (status != LEAT_OK)
        return status;
    if (!recover_tidy(j))
        return recover_say(LEAT_DISK_ERROR, error, "cannot sync the data directory");
    uint64_t seed[2] = {j->config.entropy, 1};
    m->cluster = j->config.cluster ? j->config.cluster : hash_bytes(seed, sizeof seed);
    m->tail_hash = hash_bytes(&m->cluster, sizeof m->cluster) | 1;
    m->segment_bytes = j->segments.bytes = j->config.segment_bytes;
    if (!recover_segments_open(j))
        return recover_say(LEAT_NO_MEMORY, error, "no memory for the list of segments");
    for (unsigned i = 0; i < 2; i++) {
        char name[DISK_NAME_MAX];
        recover_area_name(name, i);
        status = recover_make(j, name, recover_area(j), &j->checkpoint.files[i], error);
        if (status != LEAT_OK)
            return status;
        j->checkpoint.sizes[i] = (uint64_t)disk_size(j->disk, j->checkpoint.files[i]);
    }
    char name[DISK_NAME_MAX];
    uint32_t file = 0;
    segment_name(name, 1);
    status = recover_make(j, name, m->segment_bytes, &file, error);
    if (status == LEAT_OK)
        status = recover_make(j, "manifest", 2 * MANIFEST_BYTES, &j->ledger.file, error);
    if (status != LEAT_OK)
        return status;
#if LEAT_BUG != 4
    if (disk_sync_directory(j->disk) < 0)
        return recover_say(LEAT_DISK_ERROR, error, "cannot sync the data directory");
#endif
    segment_add(j, 1, 1, file);
    mark(directory_made);
    return LEAT_OK;
}

/* -- an existing one -- */

static enum leat_status recover_files(struct journal *j, char error[256])
{
    const struct manifest *m = &j->ledger.m;
    for (uint32_t i = 0; i < m->segments; i++) {
        const struct manifest_segment *s = &m->segment[i];
        char name[DISK_NAME_MAX];
        uint32_t file = 0;
        segment_name(name, s->file);
        enum leat_status status = recover_open_file(j, name, m->segment_bytes, &file, error);
        if (status != LEAT_OK)
            return status;
        uint32_t slot = segment_add(j, s->file, s->incarnation, file);
        j->segments.pool[slot].first = s->first;
        j->segments.pool[slot].keep = s->keep;
    }
    for (unsigned i = 0; i < 2; i++) {
        char name[DISK_NAME_MAX];
        recover_area_name(name, i);
        uint64_t least = m->checkpoint_block && m->checkpoint_area == i ? m->checkpoint_bytes : 0;
        enum leat_status status = recover_open_file(j, name, least, &j->checkpoint.files[i], error);
        if (status != LEAT_OK)
            return status;
        j->checkpoint.sizes[i] = (uint64_t)disk_size(j->disk, j->checkpoint.files[i]);
    }
    return LEAT_OK;
}

static enum leat_status recover_existing(struct journal *j, char error[256])
{
    const struct manifest *m = &j->ledger.m;
    if (j->config.cluster != 0 && m->cluster != j->config.cluster)
        return recover_say(LEAT_CORRUPT, error, "the data directory belongs to cluster %016" PRIx64 ", not %016" PRIx64,
                           m->cluster, j->config.cluster);
    if (m->segment_bytes < DISK_BLOCK || m->segment_bytes % DISK_BLOCK != 0 || m->segment_bytes > LOG_SEGMENT_MAX ||
        m->checkpoint_area > 1)
        return recover_say(LEAT_CORRUPT, error, "the manifest says that a segment has %" PRIu64 " bytes",
                           m->segment_bytes);
    if (m->checkpoint_bytes % DISK_BLOCK != 0 || (m->checkpoint_block == 0 && m->checkpoint_bytes > 0))
        return recover_say(LEAT_CORRUPT, error, "the manifest says that the checkpoint has %" PRIu64 " bytes",
                           m->checkpoint_bytes);
    if (m->epoch == UINT32_MAX)
        return recover_say(LEAT_CORRUPT, error, "the manifest says that this directory was started %u times", m->epoch);
    j->segments.bytes = m->segment_bytes;
    if (j->block_max > m->segment_bytes)
        j->block_max = (uint32_t)m->segment_bytes;
    j->ledger.started = j->ledger.durable = m->sequence;
    if (!recover_segments_open(j))
        return recover_say(LEAT_NO_MEMORY, error, "no memory for the list of segments");
    enum leat_status status = recover_files(j, error);
    return status == LEAT_OK ? recover_unlisted(j, error) : status;
}

/* Reads both copies. *fresh: there is no manifest yet, or one whose first version was cut while it was written. */
static enum leat_status recover_manifest(struct journal *j, bool *fresh, char error[256])
{
    *fresh = false;
    int rc = disk_open(j->disk, "manifest");
    if (rc == -ENOENT) {
        *fresh = true;
        return LEAT_OK;
    }
    if (rc < 0)
        return recover_failed(rc, "open", "manifest", error);
    j->ledger.file = (uint32_t)rc;
    enum leat_status status = recover_sync_file(j, "manifest", j->ledger.file, error);
    if (status != LEAT_OK)
        return status;
    int64_t size = disk_size(j->disk, j->ledger.file);
    if (size < 2 * MANIFEST_BYTES)
        return recover_say(LEAT_CORRUPT, error, "the manifest has %" PRId64 " bytes, %d are expected: it was cut", size,
                           2 * MANIFEST_BYTES);
    recover_read(j, j->ledger.file, 0, j->ledger.buffer, 2 * MANIFEST_BYTES);
    unsigned damaged = 0;
    status = manifest_decode(&j->ledger.m, j->ledger.buffer, &damaged);
    if (status == LEAT_OK)
        return LEAT_OK;
    if (status == LEAT_TOO_NEW)
        return recover_say(status, error, "the manifest was written by a newer version of Leat");
    if (manifest_unfinished(j->ledger.buffer))
        return recover_say(status, error, MANIFEST_UNFINISHED);
    if (damaged == 2)
        return recover_say(status, error, "both copies of the manifest are damaged (manifest, bytes 0..%d)",
                           2 * MANIFEST_BYTES - 1);
    *fresh = true;
    disk_close(j->disk, j->ledger.file);
    mark(directory_cut_while_made);
    return LEAT_OK;
}

/* A copy and its original, and two copies of one backup, must not use the same epochs for different things: ids and
 * receipts would be mistaken for each other. A copy leaps over a 256th to a 128th, drawn, of the epochs that ids have
 * room for. */
static uint32_t recover_epoch(const struct journal *j)
{
    uint32_t epoch = j->ledger.m.epoch + 1;
    if (!j->ledger.m.copied || epoch >= RECOVER_EPOCHS)
        return epoch;
    mark(copy_opened);
    uint64_t seed[2] = {j->config.entropy, 2};
    uint32_t leap = (RECOVER_EPOCHS - epoch) / 256;
    return leap == 0 ? epoch : epoch + leap + (uint32_t)(hash_bytes(seed, sizeof seed) % leap);
}

enum leat_status recover_directory(struct journal *j, char error[256])
{
    bool fresh = false;
    if (disk_sync_directory(j->disk) < 0)
        return recover_say(LEAT_DISK_ERROR, error, "cannot sync the data directory");
    enum leat_status status = recover_manifest(j, &fresh, error);
    if (status != LEAT_OK)
        return status;
    status = fresh ? recover_fresh(j, error) : recover_existing(j, error);
    j->epoch = recover_epoch(j);
    return status;
}
