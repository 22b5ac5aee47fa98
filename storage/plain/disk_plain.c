/* disk_plain.c - open, pread, and no for the rest. An operation is done when it is submitted; its completion waits in
 * a small ring until it is reaped. */
#include "disk_plain.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "must.h"

enum { PLAIN_MAGIC = 0x6e696c70, PLAIN_FILES = 64, PLAIN_DONE = 64 };

struct disk {
    uint32_t magic;
    int directory;          /* and the lock */
    int files[PLAIN_FILES]; /* -1: free */
    struct disk_done done[PLAIN_DONE];
    unsigned done_head, done_count;
    DIR *listing;
};

static enum leat_status plain_failed(int error_number, const char *path, char error[256])
{
    if (error_number == ENOENT || error_number == ENOTDIR) {
        snprintf(error, 256, "%s %s", path, error_number == ENOENT ? "does not exist" : "is not a directory");
        return LEAT_BAD_VALUE;
    }
    snprintf(error, 256, "cannot open %s: %s", path, strerror(error_number));
    return error_number == EACCES || error_number == EPERM ? LEAT_NO_PERMISSION : LEAT_DISK_ERROR;
}

/* On the directory itself, as os/lockfile.h does: no file is needed, and none is made. */
static enum leat_status plain_lock(struct disk *d, const char *path, char error[256])
{
    if (flock(d->directory, LOCK_SH | LOCK_NB) == 0)
        return LEAT_OK;
    if (errno != EWOULDBLOCK)
        return plain_failed(errno, path, error);
    snprintf(error, 256, "the data directory %s is in use by a broker", path);
    return LEAT_BUSY;
}

enum leat_status disk_plain_open(struct disk **out, const char *path, char error[256])
{
    struct disk *d = calloc(1, sizeof *d);
    if (!d) {
        snprintf(error, 256, "no memory");
        return LEAT_NO_MEMORY;
    }
    d->magic = PLAIN_MAGIC;
    for (unsigned i = 0; i < PLAIN_FILES; i++)
        d->files[i] = -1;
    d->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum leat_status status = d->directory < 0 ? plain_failed(errno, path, error) : plain_lock(d, path, error);
    if (status != LEAT_OK) {
        disk_plain_close(d);
        return status;
    }
    *out = d;
    return LEAT_OK;
}

void disk_plain_close(struct disk *d)
{
    must(d->magic == PLAIN_MAGIC);
    for (uint32_t i = 0; i < PLAIN_FILES; i++)
        if (d->files[i] >= 0)
            disk_close(d, i);
    if (d->listing)
        closedir(d->listing);
    if (d->directory >= 0)
        close(d->directory);
    d->magic = 0;
    free(d);
}

/* -- reading -- */

static int32_t plain_read(int fd, const struct disk_op *op)
{
    uint32_t done = 0;
    while (done < op->size) {
        ssize_t n = pread(fd, (char *)op->data + done, op->size - done, (off_t)(op->offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        done += (uint32_t)n;
        if (n == 0 || n % DISK_BLOCK != 0)
            break;
    }
    return (int32_t)done;
}

bool disk_submit(struct disk *d, const struct disk_op *op)
{
    must(d->magic == PLAIN_MAGIC);
    must(op->file < PLAIN_FILES && d->files[op->file] >= 0);
    if (d->done_count == PLAIN_DONE)
        return false;
    int32_t result = -EROFS;
    if (op->kind == DISK_READ)
        result = plain_read(d->files[op->file], op);
    d->done[(d->done_head + d->done_count++) % PLAIN_DONE] = (struct disk_done){op->tag, result};
    return true;
}

unsigned disk_reap(struct disk *d, struct disk_done *done, unsigned max)
{
    unsigned n = 0;
    for (; n < max && d->done_count > 0; n++, d->done_count--) {
        done[n] = d->done[d->done_head];
        d->done_head = (d->done_head + 1) % PLAIN_DONE;
    }
    return n;
}

void disk_wait(struct disk *d)
{
    must(d->magic == PLAIN_MAGIC);
}

struct disk_facts disk_facts(const struct disk *d)
{
    must(d->magic == PLAIN_MAGIC);
    return (struct disk_facts){.volatile_cache = true};
}

/* -- files -- */

/* Only regular files: a pipe or a device under the name of a segment shall not keep us. */
static int plain_open_file(struct disk *d, const char *name)
{
    struct stat st;
    if (fstatat(d->directory, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? -EISDIR : S_ISLNK(st.st_mode) ? -ELOOP : -EINVAL;
    int fd = openat(d->directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_DIRECT);
    if (fd < 0 && errno == EINVAL)
        fd = openat(d->directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

int disk_open(struct disk *d, const char *name)
{
    int i = 0;
    while (i < PLAIN_FILES && d->files[i] >= 0)
        i++;
    if (i == PLAIN_FILES)
        return -EMFILE;
    if (strchr(name, '/'))
        return -EINVAL;
    int fd = plain_open_file(d, name);
    if (fd < 0)
        return fd;
    d->files[i] = fd;
    return i;
}

void disk_close(struct disk *d, uint32_t file)
{
    must(file < PLAIN_FILES && d->files[file] >= 0);
    close(d->files[file]);
    d->files[file] = -1;
}

int64_t disk_size(struct disk *d, uint32_t file)
{
    struct stat st;
    must(file < PLAIN_FILES && d->files[file] >= 0);
    return fstat(d->files[file], &st) == 0 ? (int64_t)st.st_size : -errno;
}

uint64_t disk_free(struct disk *d)
{
    struct statvfs fs;
    return fstatvfs(d->directory, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : 0;
}

/* Whatever lies there, also what disk_open() refuses; a name that is too long ends with "...". `i` rises from 0. */
bool disk_list(struct disk *d, unsigned i, char name[DISK_NAME_MAX])
{
    if (i == 0) {
        if (d->listing)
            closedir(d->listing);
        int copy = openat(d->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        d->listing = copy < 0 ? NULL : fdopendir(copy);
        if (!d->listing && copy >= 0)
            close(copy);
    }
    for (struct dirent *e = d->listing ? readdir(d->listing) : NULL; e; e = readdir(d->listing)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(name, DISK_NAME_MAX, strlen(e->d_name) < DISK_NAME_MAX ? "%s" : "%.60s...", e->d_name);
        return true;
    }
    return false;
}

/* -- what a reader does not do -- */

int disk_create(struct disk *d, const char *name, uint64_t size)
{
    (void)d, (void)name, (void)size;
    return -EROFS;
}

int disk_remove(struct disk *d, const char *name)
{
    (void)d, (void)name;
    return -EROFS;
}

int disk_rename(struct disk *d, const char *from, const char *to)
{
    (void)d, (void)from, (void)to;
    return -EROFS;
}

int disk_sync_directory(struct disk *d)
{
    (void)d;
    return 0;
}

bool disk_create_start(struct disk *d, const char *name, uint64_t size, uint64_t tag)
{
    (void)d, (void)name, (void)size, (void)tag;
    return false;
}
