/* disk_uring.c - disk.h over the shard's ring.
 *
 * Run time: disk_submit() takes a slot (its number is the ring's tag, the caller's 64-bit tag waits in it) and queues
 * one entry; the completion puts (tag, result) into a queue that disk_reap() empties. A slot lives until its completion
 * has been reaped, so neither queue can overflow.
 *
 * Files: a table of descriptors, registered with the ring where there is room. A file that is being made in the
 * background belongs to the helper thread until an eventfd, read by the ring, says that it is done; the number is given
 * out on the shard's thread.
 *
 * What can go wrong: a failed write or flush is reported as it came and never repeated here (disk.h). A file system
 * that refuses O_DIRECT (some tmpfs, FUSE) is used through the page cache, flushed at each commit, and
 * disk_uring_warning() says so. */
#include "disk_uring.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "directory.h"
#include "fill.h"
#include "mark.h"
#include "must.h"
#include "thread.h"
#include "verdict.h"

enum { FILES = 4096, SLOTS = 256, MAGIC = 0x6b736964, CREATE_TAG = SLOTS, HUGE_PAGE = 2 << 20 };

struct file {
    int fd;    /* -1: free */
    int fixed; /* index of the ring's registered files, or RING_NO_FILE */
};

/* One background creation. `name` to `result` are the helper's while it runs. */
struct creation {
    bool running;
    int event; /* eventfd: the helper writes, the ring reads */
    uint64_t event_value;
    uint64_t tag;
    struct thread thread;
    int directory;
    int flags;
    char name[DISK_NAME_MAX];
    uint64_t size;
    int result;
};

struct disk {
    uint32_t magic;
    uint8_t owner;
    struct ring *ring;
    int directory;
    int direct; /* O_DIRECT, or 0 where the file system has none */
    struct disk_facts facts;
    char text[VERDICT_TEXT];
    struct file files[FILES];
    uint64_t slot_tags[SLOTS];
    uint16_t free_slots[SLOTS];
    unsigned free_count;
    unsigned under_way; /* operations without a completion */
    struct disk_done done[SLOTS + 1];
    uint16_t done_slots[SLOTS + 1];
    unsigned done_head, done_count;
    uint8_t *memory; /* of disk_memory(), or NULL */
    size_t memory_size;
    size_t slice;     /* of it that the ring can register; 0: no more of them */
    size_t untouched; /* all before this has been written from once */
    struct creation creation;
    char (*names)[DISK_NAME_MAX]; /* snapshot of disk_list() */
    unsigned name_count;
};

/* -- completions -- */

static void disk_finish(struct disk *d, uint16_t slot, uint64_t tag, int32_t result)
{
    must(d->done_count <= SLOTS);
    unsigned at = (d->done_head + d->done_count++) % (SLOTS + 1);
    d->done[at] = (struct disk_done){tag, result};
    d->done_slots[at] = slot;
}

static void disk_completed(void *context, const struct ring_completion *c)
{
    struct disk *d = context;
    must(d->magic == MAGIC);
    if (c->tag == CREATE_TAG) {
        struct creation *k = &d->creation;
        thread_join(&k->thread);
        int file = k->result == 0 ? disk_open(d, k->name) : k->result;
        k->running = false;
        disk_finish(d, CREATE_TAG, k->tag, file);
        return;
    }
    must(c->tag < SLOTS);
    must(d->under_way > 0);
    d->under_way--;
    disk_finish(d, (uint16_t)c->tag, d->slot_tags[c->tag], c->result);
}

/* -- memory -- */

static void disk_memory_end(struct disk *d)
{
    if (!d->memory)
        return;
    must(d->under_way == 0);
    ring_memory_gone(d->ring);
    munmap(d->memory, d->memory_size);
    d->memory = NULL;
    d->untouched = 0;
}

/* Whole huge pages where the kernel gives them: a page fault and a pin per 2 MiB, not per 4 KiB. Only what is touched
 * takes memory. */
void *disk_memory(struct disk *d, uint64_t size)
{
    disk_memory_end(d);
    size_t whole = (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE, room = whole + HUGE_PAGE;
    uint8_t *p = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    size_t before = (HUGE_PAGE - (uintptr_t)p % HUGE_PAGE) % HUGE_PAGE;
    if (before > 0)
        munmap(p, before);
    if (before < HUGE_PAGE)
        munmap(p + before + whole, HUGE_PAGE - before);
    d->memory = p + before;
    d->memory_size = whole;
    madvise(d->memory, whole, MADV_HUGEPAGE);
    if (!ring_memory_area(d->ring, d->memory, whole, &d->slice))
        d->slice = 0;
    return d->memory;
}

/* The area is written from its start to its end and again: what has been passed for the first time is there, and is
 * registered; so a broker that does little pins little. */
static void disk_memory_passed(struct disk *d, const struct disk_op *op)
{
    uintptr_t at = (uintptr_t)op->data - (uintptr_t)d->memory;
    if (d->slice == 0 || at >= d->memory_size || at + op->size < d->untouched + d->slice)
        return;
    mark(disk_memory_pinned);
    if (!ring_memory_pin(d->ring, d->untouched / d->slice))
        d->slice = 0; /* no more of it may be locked */
    d->untouched += d->slice;
    if (d->untouched + d->slice > d->memory_size)
        d->slice = 0;
}

/* -- run time -- */

bool disk_submit(struct disk *d, const struct disk_op *op)
{
    must(op->file < FILES && d->files[op->file].fd >= 0);
    must(op->kind == DISK_FLUSH || (op->offset | op->size | (uintptr_t)op->data) % DISK_BLOCK == 0);
    if (d->free_count == 0) {
        mark(disk_queue_full);
        return false;
    }
    const struct file *f = &d->files[op->file];
    struct ring_file target = {.number = f->fixed == RING_NO_FILE ? f->fd : f->fixed,
                               .fixed = f->fixed != RING_NO_FILE};
    uint16_t slot = d->free_slots[--d->free_count];
    d->slot_tags[slot] = op->tag;
    d->under_way++;
    switch ((enum disk_kind)op->kind) {
    case DISK_WRITE:
        disk_memory_passed(d, op);
        ring_write(d->ring, d->owner, slot, target, op->data, op->size, op->offset, op->durable);
        break;
    case DISK_READ:
        ring_read(d->ring, d->owner, slot, target, op->data, op->size, op->offset);
        break;
    case DISK_FLUSH:
        ring_fsync(d->ring, d->owner, slot, target);
        break;
    }
    return true;
}

unsigned disk_reap(struct disk *d, struct disk_done *done, unsigned max)
{
    ring_reap(d->ring);
    unsigned n = 0;
    while (n < max && d->done_count > 0) {
        uint16_t slot = d->done_slots[d->done_head];
        done[n++] = d->done[d->done_head];
        d->done_head = (d->done_head + 1) % (SLOTS + 1);
        d->done_count--;
        if (slot != CREATE_TAG)
            d->free_slots[d->free_count++] = slot;
    }
    return n;
}

void disk_wait(struct disk *d)
{
    ring_submit(d->ring);
    ring_reap(d->ring);
    while (d->done_count == 0 && (d->under_way > 0 || d->creation.running)) {
        ring_wait(d->ring, (struct duration){UINT64_MAX});
        ring_reap(d->ring);
    }
}

struct disk_facts disk_facts(const struct disk *d)
{
    return d->facts;
}

/* -- files -- */

int disk_open(struct disk *d, const char *name)
{
    unsigned i = 0;
    while (i < FILES && d->files[i].fd >= 0)
        i++;
    if (i == FILES)
        return -EMFILE;
    if (strchr(name, '/'))
        return -EINVAL;
    int fd = openat(d->directory, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | d->direct);
    if (fd < 0)
        return -errno;
    d->files[i] = (struct file){.fd = fd, .fixed = ring_file_add(d->ring, fd)};
    return (int)i;
}

void disk_close(struct disk *d, uint32_t file)
{
    must(file < FILES && d->files[file].fd >= 0);
    if (d->files[file].fixed != RING_NO_FILE)
        ring_file_remove(d->ring, d->files[file].fixed);
    close(d->files[file].fd);
    d->files[file].fd = -1;
}

int disk_create(struct disk *d, const char *name, uint64_t size)
{
    int rc = fill_create(d->directory, name, size, d->direct);
    return rc == 0 ? disk_open(d, name) : rc;
}

int disk_remove(struct disk *d, const char *name)
{
    return unlinkat(d->directory, name, 0) == 0 ? 0 : -errno;
}

int disk_rename(struct disk *d, const char *from, const char *to)
{
    if (renameat(d->directory, from, d->directory, to) != 0)
        return -errno;
    return disk_sync_directory(d);
}

int disk_sync_directory(struct disk *d)
{
    return fsync(d->directory) == 0 ? 0 : -errno;
}

int64_t disk_size(struct disk *d, uint32_t file)
{
    must(file < FILES && d->files[file].fd >= 0);
    struct stat st;
    return fstat(d->files[file].fd, &st) == 0 ? (int64_t)st.st_size : -errno;
}

uint64_t disk_free(struct disk *d)
{
    struct statvfs fs;
    return fstatvfs(d->directory, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : 0;
}

/* Regular files with names that fit; ours under way do not count. */
static void disk_read_names(struct disk *d, DIR *dir)
{
    unsigned room = 0;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (entry->d_type != DT_REG && entry->d_type != DT_UNKNOWN)
            continue;
        if (entry->d_name[0] == '.' || strlen(entry->d_name) >= DISK_NAME_MAX || fill_is_temporary(entry->d_name))
            continue;
        if (d->name_count == room) {
            room = room ? room * 2 : 64;
            void *more = realloc(d->names, room * sizeof d->names[0]);
            if (!more)
                return;
            d->names = more;
        }
        snprintf(d->names[d->name_count++], DISK_NAME_MAX, "%s", entry->d_name);
    }
}

bool disk_list(struct disk *d, unsigned i, char name[DISK_NAME_MAX])
{
    if (i == 0) {
        free(d->names);
        d->names = NULL;
        d->name_count = 0;
        int copy = openat(d->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = copy < 0 ? NULL : fdopendir(copy);
        if (dir) {
            disk_read_names(d, dir);
            closedir(dir);
        } else if (copy >= 0) {
            close(copy);
        }
    }
    if (i >= d->name_count)
        return false;
    memcpy(name, d->names[i], DISK_NAME_MAX);
    return true;
}

/* -- files made ahead -- */

static void disk_create_run(void *context)
{
    struct creation *k = context;
    k->result = fill_create(k->directory, k->name, k->size, k->flags);
    uint64_t one = 1;
    ssize_t n = write(k->event, &one, sizeof one);
    must(n == (ssize_t)sizeof one);
}

bool disk_create_start(struct disk *d, const char *name, uint64_t size, uint64_t tag)
{
    struct creation *k = &d->creation;
    if (k->running)
        return false;
    must(strlen(name) < DISK_NAME_MAX);
    snprintf(k->name, sizeof k->name, "%s", name);
    k->size = size;
    k->tag = tag;
    k->directory = d->directory;
    k->flags = d->direct;
    if (!thread_start(&k->thread, disk_create_run, k, "leat-fill")) {
        mark(disk_create_without_thread);
        return false;
    }
    k->running = true;
    struct ring_file event = {.number = k->event};
    ring_read(d->ring, d->owner, CREATE_TAG, event, &k->event_value, sizeof k->event_value, 0);
    return true;
}

/* -- opening and closing -- */

/* Can we make a file here at all, and does it take O_DIRECT? An unnamed file tells both and leaves no trace. */
static enum leat_status disk_probe_direct(struct disk *d, const char *path, char error[256])
{
    d->direct = O_DIRECT;
    int fd = openat(d->directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC | O_DIRECT, 0600);
    if (fd < 0 && errno == EINVAL) {
        d->direct = 0;
        fd = openat(d->directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    }
    if (fd < 0 && errno != EOPNOTSUPP && errno != EISDIR)
        return directory_status(errno, "make files in the data directory", path, error);
    if (fd >= 0)
        close(fd);
    return LEAT_OK;
}

static void disk_judge(struct disk *d)
{
    struct probed p = probe_directory(d->directory);
    struct measured m = measure_directory(d->ring, d->directory, d->direct);
    d->facts = verdict_choose(&p, &m, d->direct != 0);
    verdict_say(&d->facts, &m, d->text);
}

enum leat_status disk_uring_open(struct disk **out, struct ring *r, const char *path, char error[256])
{
    struct disk *d = calloc(1, sizeof *d);
    if (!d)
        return directory_status(ENOMEM, "open the data directory", path, error);
    enum leat_status status = directory_open(&d->directory, path, error);
    if (status != LEAT_OK)
        goto err0;
    status = disk_probe_direct(d, path, error);
    if (status != LEAT_OK)
        goto err1;
    d->creation.event = eventfd(0, EFD_CLOEXEC);
    if (d->creation.event < 0) {
        status = directory_status(errno, "watch the data directory", path, error);
        goto err1;
    }
    fill_sweep(d->directory);
    d->magic = MAGIC;
    d->ring = r;
    d->owner = ring_owner(r, disk_completed, d);
    disk_judge(d);
    for (unsigned i = 0; i < FILES; i++)
        d->files[i].fd = -1;
    for (uint16_t i = 0; i < SLOTS; i++)
        d->free_slots[d->free_count++] = i;
    *out = d;
    return LEAT_OK;
err1:
    close(d->directory);
err0:
    free(d);
    return status;
}

void disk_uring_close(struct disk *d)
{
    must(d->magic == MAGIC);
    ring_owner_gone(d->ring, d->owner);
    for (uint32_t i = 0; i < FILES; i++)
        if (d->files[i].fd >= 0)
            disk_close(d, i);
    disk_memory_end(d);
    close(d->creation.event);
    close(d->directory);
    free(d->names);
    d->magic = 0;
    free(d);
}

const char *disk_uring_text(const struct disk *d)
{
    return d->text;
}

const char *disk_uring_warning(const struct disk *d, unsigned i)
{
    return verdict_warning(&d->facts, d->direct != 0, i);
}
