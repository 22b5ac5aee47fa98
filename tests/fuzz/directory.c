/* directory.c - see directory.h. */
#include "directory.h"

#include <stdlib.h>
#include <string.h>

#include "byteorder.h"
#include "chunk.h"
#include "crc32c.h"
#include "fact.h"
#include "manifest.h"
#include "must.h"
#include "record.h"
#include "target.h"

enum { FILES_MAX = 32, FILE_MAX = DIRECTORY_FILE_MAX, PATCHES_MAX = 64, FORGED = 1 };
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

bool directory_gathered(void)
{
    return files > 0;
}

void directory_gather(struct disk *d)
{
    for (; disk_list(d, files, made[files].name); files++) {
        int file = disk_open(d, made[files].name);
        must(file >= 0 && files < FILES_MAX);
        int64_t size = disk_size(d, (uint32_t)file);
        must(size >= 0 && size <= FILE_MAX);
        made[files].size = (uint32_t)size;
        must(size == 0 || fake_disk_peek(d, made[files].name, 0, made[files].bytes, (uint64_t)size));
        disk_close(d, (uint32_t)file);
    }
    qsort(made, files, sizeof made[0], by_name);
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

static struct disk *directory_write(void)
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

struct disk *directory_changed(const uint8_t *data, size_t size)
{
    uint8_t *copy = target_copy(data + 1, size - 1);
    struct reading r = {copy, size - 1};
    memcpy(changed, made, sizeof made);
    patches(r, NULL, false);
    if (data[0] & FORGED)
        forge();
    struct disk *d = directory_write();
    patches(r, d, true);
    target_free(copy);
    return d;
}
