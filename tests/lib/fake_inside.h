/* fake_inside.h - what the files of the fake disk share. Not for tests: they include fake_disk.h.
 *
 * A file is an array of pages; a page has two halves, what is durable and what is seen, and exists once it was written.
 * Each write leaves a record (where, how much); when a flush completes, the records of that file that had completed
 * before it was submitted are promoted, seen to durable, and dropped. A crash walks the records that are left, draws a
 * fate for each, and makes what is seen equal to what is durable. */
#ifndef LEAT_TESTS_FAKE_INSIDE_H
#define LEAT_TESTS_FAKE_INSIDE_H

#include "fake_disk.h"
#include "prng.h"

enum { FILES = 512, HANDLES = 1024, OPS = 256, SECTOR = 512, LIES = 512 };

struct page {
    uint8_t durable[DISK_BLOCK], seen[DISK_BLOCK];
};

struct file {
    char name[DISK_NAME_MAX]; /* "": free */
    uint64_t size;
    struct page **pages;
    bool *spoiled;
    bool there;         /* the name is seen */
    bool there_durable; /* and will be after a power cut, unless ... */
    bool undecided;     /* ... the directory was changed and not synced */
};

enum write_state { UNDER_WAY, COMPLETE, LOST };

struct write {
    uint32_t file;
    uint64_t offset;
    uint32_t size;
    uint8_t state;
    uint64_t id;
};

/* A page where something else stands than should. */
struct lie {
    uint32_t file, page;
    bool shown; /* the wrong bytes are there */
    uint8_t right[DISK_BLOCK], wrong[DISK_BLOCK];
};

struct op {
    uint64_t tag, due, id, write; /* write: id of its record */
    int32_t result;
    uint32_t file;
    uint8_t kind;
    bool durable, create, used;
    uint8_t *data; /* read: a whole one is filled in at its end */
    uint64_t offset;
    uint64_t horizon; /* flush: covers records with at most this id that are complete */
};

struct disk {
    struct fake_disk_config config;
    struct prng fate, time;
    uint64_t now, next_id;
    struct file files[FILES];
    int32_t handles[HANDLES]; /* file, or -1 */
    struct write *writes;
    uint32_t write_count, write_room;
    struct op ops[OPS];
    unsigned op_count;
    struct disk_done done[OPS + 1];
    unsigned done_head, done_count;
    uint32_t countdown[3];
    int32_t failure[3];
    uint32_t create_failures;
    uint64_t events, die_at;
    bool creating;
    char creating_name[DISK_NAME_MAX];
    uint64_t creating_size;
    uint64_t bytes_read;
    void *memory;     /* of disk_memory() */
    struct lie *lies; /* room for LIES, once there is one */
    uint32_t lie_count, misdirect;
    unsigned lying_reads;
    uint32_t listed[FILES];
    uint32_t listed_count;
};

/* The page at this offset; made when it is not there yet. */
struct page *fake_disk_page(struct file *f, uint64_t offset);
void fake_disk_grow(struct file *f, uint64_t size);
struct file *fake_disk_find(struct disk *d, const char *name);
/* Frees files that nobody can find or has open. */
void fake_disk_sweep(struct disk *d);

/* Memory for pages, used again by the next disk. */
struct page *fake_disk_new_page(void);
void fake_disk_free_page(struct page *p);

/* fake_write.c. fake_write_add: the record of a write that begins. fake_write_done, fake_write_flushed: a write, a
 * flush has ended. */
void fake_write_add(struct disk *d, const struct write *w);
void fake_write_done(struct disk *d, const struct op *o);
void fake_write_flushed(struct disk *d, const struct op *o);

struct fake_place {
    struct file *file;
    uint64_t offset;
};

/* fake_lie.c. fake_lie_write: where this whole write lands. fake_lie_read: what becomes of a read's bytes.
 * fake_lie_crashed: after a crash, which lies are left. fake_lie_forget: the file is gone. */
struct fake_place fake_lie_write(struct disk *d, struct file *f, const struct disk_op *op, bool whole);
void fake_lie_read(struct disk *d, struct file *f, uint64_t offset, uint8_t *data, uint32_t size);
void fake_lie_crashed(struct disk *d);
void fake_lie_forget(struct disk *d, uint32_t file);

/* fake_crash.c: nothing is under way, nothing open, no fault asked for. */
void fake_crash_forget(struct disk *d);

#endif
