/* fuzz_journal.c - a data directory after a disk has lied: the journal opens it, or says in one sentence why not.
 *
 * A directory is made once by a real journal: a checkpoint, blocks behind it, a power cut. The input changes it: bytes
 * overwritten, pages zeroed, pages copied to where they do not belong, pages that cannot be read, files cut. With
 * FORGED all checksums and chains are made good again afterwards, as no accident could, so that what lies behind them
 * is reached: positions, lengths, the index. Held against the journal: it never reads outside what is there; a refusal
 * has a status and a sentence; what it gives are blocks in order; and what one recovery has found, the next one finds,
 * and the fact that was appended between them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "byteorder.h"
#include "chunk.h"
#include "crc32c.h"
#include "fake_disk.h"
#include "hash.h"
#include "journal.h"
#include "log_rig.h"
#include "manifest.h"
#include "must.h"
#include "record.h"
#include "target.h"

enum { FILES_MAX = 32, FILE_MAX = 128 * 1024, PATCHES_MAX = 64, FORGED = 1, FACT_BYTES = 48 };
enum patch { PATCH_BYTES, PATCH_ZEROS, PATCH_COPY, PATCH_SPOIL, PATCH_CUT, PATCH_KINDS };

struct file {
    char name[DISK_NAME_MAX];
    uint32_t size;
    _Alignas(DISK_BLOCK) uint8_t bytes[FILE_MAX];
};
static struct file made[FILES_MAX], changed[FILES_MAX];
static unsigned files;

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct file *)a)->name, ((const struct file *)b)->name);
}

/* The directory as a power cut leaves it. */
static void make(void)
{
    struct fake_disk_config disk = {.seed = 3};
    struct journal_config config = log_rig_config();
    struct log_rig *r = log_rig_make(&disk, &config);
    must(log_rig_open(r) == LEAT_OK);
    for (unsigned n = 0; n < 120; n++) {
        must(log_rig_append(r, JOURNAL_PUT, true, n % 7 == 0));
        must(log_rig_settle(r));
        if (n == 60)
            must(log_rig_checkpoint(r));
    }
    log_rig_end(r, true);
    for (; disk_list(r->disk, files, made[files].name); files++) {
        int file = disk_open(r->disk, made[files].name);
        must(file >= 0 && files < FILES_MAX);
        int64_t size = disk_size(r->disk, (uint32_t)file);
        must(size >= 0 && size <= FILE_MAX);
        made[files].size = (uint32_t)size;
        must(size == 0 || fake_disk_peek(r->disk, made[files].name, 0, made[files].bytes, (uint64_t)size));
        disk_close(r->disk, (uint32_t)file);
    }
    qsort(made, files, sizeof made[0], by_name);
    log_rig_free(r);
}

/* -- checksums and chains made good -- */

static bool is_log(const struct file *f)
{
    return strncmp(f->name, "log-", 4) == 0;
}

static uint64_t forge_blocks(struct file *f, uint64_t previous)
{
    for (uint32_t at = 0; at + DISK_BLOCK <= f->size;) {
        uint8_t *p = f->bytes + at;
        uint32_t payload = le32_get(p + 56), size = DISK_BLOCK;
        if (le64_get(p) == 0)
            return previous;
        if (payload <= f->size && record_disk_size(payload) <= f->size - at)
            size = record_disk_size(payload);
        le64_put(p + 40, previous);
        le32_put(p + 60, crc32c(0, p + RECORD_HEADER, size - RECORD_HEADER));
        le32_put(p + 76, crc32c(0, p, 76));
        previous = record_hash(p);
        at += size;
    }
    return previous;
}

static uint64_t forge_chunks(struct file *f)
{
    uint64_t previous = 0;
    for (uint32_t at = 0; at + DISK_BLOCK <= f->size;) {
        uint8_t *p = f->bytes + at;
        uint32_t payload = le32_get(p + 48);
        if (memcmp(p, "leat ckp", 8) != 0 || payload > CHUNK_PAYLOAD || chunk_disk_size(payload) > f->size - at)
            break;
        uint32_t size = chunk_disk_size(payload);
        le64_put(p + 40, previous);
        le32_put(p + 52, crc32c(0, p + CHUNK_HEADER, size - CHUNK_HEADER));
        le32_put(p + 60, crc32c(0, p, 60));
        previous = chunk_hash(p);
        at += size;
    }
    return previous;
}

static void forge_manifest(struct file *f, const uint64_t last_chunk[2])
{
    for (uint32_t at = 0; at + MANIFEST_BYTES <= f->size; at += MANIFEST_BYTES) {
        uint8_t *p = f->bytes + at;
        le64_put(p + 56, last_chunk[le32_get(p + 64) & 1]);
        le32_put(p + 12, 0);
        le32_put(p + 12, crc32c(0, p, MANIFEST_BYTES));
    }
}

static void forge(void)
{
    uint64_t last_chunk[2] = {0, 0}, previous = 0;
    bool first = true;
    for (unsigned i = 0; i < files; i++) {
        struct file *f = &changed[i];
        if (strncmp(f->name, "checkpoint-", 11) == 0)
            last_chunk[f->name[11] & 1] = forge_chunks(f);
        if (is_log(f)) {
            previous = forge_blocks(f, first ? le64_get(f->bytes + 40) : previous);
            first = false;
        }
    }
    for (unsigned i = 0; i < files; i++)
        if (strcmp(changed[i].name, "manifest") == 0)
            forge_manifest(&changed[i], last_chunk);
}

/* -- the input -- */

struct reading {
    const uint8_t *at;
    size_t left;
};

static uint32_t number(struct reading *r, unsigned bytes)
{
    uint32_t v = 0;
    for (; bytes > 0 && r->left > 0; bytes--, r->at++, r->left--)
        v = v << 8 | *r->at;
    return v;
}

/* file, kind, page, offset in it, count, bytes; what does not fit is cut. */
static void patch(struct reading *r, struct disk *spoiled, bool late)
{
    struct file *f = &changed[number(r, 1) % files];
    uint32_t kind = number(r, 1) % PATCH_KINDS, pages = f->size / DISK_BLOCK;
    uint32_t page = pages ? number(r, 1) % pages : 0, offset = number(r, 2) % DISK_BLOCK, n = number(r, 1);
    uint8_t *p = f->bytes + page * DISK_BLOCK;
    const struct file *from = &made[n % files];
    const uint8_t *bytes = r->at;
    if (kind == PATCH_BYTES) {
        n = n < r->left ? n : (uint32_t)r->left;
        r->at += n;
        r->left -= n;
    }
    if (late || pages == 0) {
        if (late && kind == PATCH_SPOIL && pages != 0)
            fake_disk_spoil(spoiled, f->name, page * DISK_BLOCK);
        if (late && kind == PATCH_CUT && pages != 0)
            fake_disk_cut(spoiled, f->name, page * DISK_BLOCK);
        return;
    }
    if (kind == PATCH_BYTES)
        memcpy(p + offset, bytes, n < DISK_BLOCK - offset ? n : DISK_BLOCK - offset);
    else if (kind == PATCH_ZEROS)
        memset(p + offset, 0, DISK_BLOCK - offset);
    else if (kind == PATCH_COPY && from->size >= DISK_BLOCK)
        memcpy(p, from->bytes + offset % (from->size / DISK_BLOCK) * DISK_BLOCK, DISK_BLOCK);
}

static void patches(struct reading r, struct disk *spoiled, bool late)
{
    for (unsigned i = 0; i < PATCHES_MAX && r.left >= 3; i++)
        patch(&r, spoiled, late);
}

static void write_page(struct disk *d, int file, uint32_t at, uint8_t *bytes)
{
    struct disk_op op = {
        .kind = DISK_WRITE, .durable = true, .file = (uint32_t)file, .offset = at, .data = bytes, .size = DISK_BLOCK};
    struct disk_done done;
    must(disk_submit(d, &op));
    disk_wait(d);
    must(disk_reap(d, &done, 1) == 1 && done.result == DISK_BLOCK);
}

static struct disk *write_directory(void)
{
    static const uint8_t zeros[DISK_BLOCK];
    struct fake_disk_config config = {.seed = 4};
    struct disk *d = fake_disk_open(&config);
    for (unsigned i = 0; i < files; i++) {
        int file = disk_create(d, changed[i].name, changed[i].size);
        must(file >= 0 && changed[i].size % DISK_BLOCK == 0);
        for (uint32_t at = 0; at < changed[i].size; at += DISK_BLOCK)
            if (memcmp(changed[i].bytes + at, zeros, DISK_BLOCK) != 0)
                write_page(d, file, at, changed[i].bytes + at);
        disk_close(d, (uint32_t)file);
    }
    must(disk_sync_directory(d) == 0);
    return d;
}

/* -- recovery -- */

struct found {
    uint64_t image, blocks; /* hashes of all */
    uint64_t count, last;
};

static enum leat_status refused(enum leat_status status, const char error[256])
{
    must(status != LEAT_OK);
    must(error[0] != 0 && memchr(error, 0, 256) != NULL);
    return status;
}

/* Everything that recovery gives, down to the last byte; `upto`: no block behind this one is looked at. */
static enum leat_status replay(struct journal *j, struct found *found, uint64_t upto)
{
    static uint8_t bytes[5000];
    char error[256] = "";
    enum leat_status status = LEAT_OK;
    struct journal_block b;
    uint64_t previous = 0;
    memset(found, 0, sizeof *found);
    for (uint32_t n; (n = journal_replay_image(j, bytes, sizeof bytes, &status, error)) > 0;) {
        must(n <= sizeof bytes);
        found->image = hash_bytes(bytes, n) + found->image * 31;
    }
    while (status == LEAT_OK && journal_replay_block(j, &b, &status, error)) {
        must(b.payload_size <= FILE_MAX && b.payload_place == RECORD_HEADER);
        must(b.number > previous && b.facts > 0); /* those without facts are not shown */
        previous = b.number;
        if (b.number > upto)
            continue;
        found->blocks = hash_bytes(b.payload, b.payload_size) + found->blocks * 31 + b.facts + b.epoch;
        found->last = b.number;
        found->count++;
    }
    return status == LEAT_OK ? LEAT_OK : refused(status, error);
}

static bool step(struct journal *j, struct disk *d, uint64_t *now)
{
    *now += 1000000;
    fake_disk_step(d, (struct instant){*now});
    journal_step(j, (struct instant){*now});
    return journal_error(j) == LEAT_OK;
}

/* Opens, starts, appends one fact and waits for it; how the directory looked before. */
static enum leat_status live(struct disk *d, struct found *found, uint64_t upto)
{
    struct journal_config config = log_rig_config();
    struct journal *j;
    struct lsn lsn;
    uint32_t place;
    uint64_t now = 1;
    char error[256] = "";
    enum leat_status status = journal_open(&j, d, &config, error);
    if (status != LEAT_OK)
        return refused(status, error);
    status = replay(j, found, upto);
    if (status == LEAT_OK && (status = journal_start(j, error)) != LEAT_OK)
        refused(status, error);
    uint8_t *p = status == LEAT_OK ? journal_reserve(j, JOURNAL_ACK, FACT_BYTES, 0, &lsn, &place) : NULL;
    if (p) {
        memset(p, 'n', FACT_BYTES);
        must(lsn_block(lsn) > found->last);
        journal_commit(j, FACT_BYTES, true, (struct instant){now});
        for (unsigned i = 0; journal_durable(j) < lsn_block(lsn); i++)
            if (!step(j, d, &now) || i > 1000)
                status = journal_error(j) != LEAT_OK ? journal_error(j) : LEAT_TIMED_OUT;
            else
                must(status == LEAT_OK);
        must(status == LEAT_OK);
    }
    journal_close(j);
    fake_disk_kill(d);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (files == 0)
        make();
    if (size == 0)
        return 0;
    uint8_t *copy = target_copy(data + 1, size - 1);
    struct reading r = {copy, size - 1};
    memcpy(changed, made, sizeof made);
    patches(r, NULL, false);
    if (data[0] & FORGED)
        forge();
    struct disk *d = write_directory();
    patches(r, d, true);
    struct found first, second;
    if (live(d, &first, UINT64_MAX) == LEAT_OK) {
        must(live(d, &second, first.last) == LEAT_OK);
        must(second.image == first.image && second.blocks == first.blocks && second.count == first.count);
    }
    fake_disk_close(d);
    target_free(copy);
    return 0;
}
