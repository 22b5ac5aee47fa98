/* fill.c - make, preallocate, zero-fill, sync, rename. */
#include "fill.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"

enum { PIECE = 1024 * 1024 };

static const char suffix[] = ".new";

bool fill_is_temporary(const char *name)
{
    size_t length = strlen(name);
    return length > sizeof suffix - 1 && strcmp(name + length - (sizeof suffix - 1), suffix) == 0;
}

static int fill_zeros(int fd, uint64_t from, uint64_t size)
{
    void *zeros = aligned_alloc(DISK_BLOCK, PIECE);
    if (!zeros)
        return -ENOMEM;
    memset(zeros, 0, PIECE);
    int rc = 0;
    while (from < size && rc == 0) {
        size_t piece = size - from < PIECE ? (size_t)(size - from) : PIECE;
        ssize_t n = pwrite(fd, zeros, piece, (off_t)from);
        if (n > 0)
            from += (uint64_t)n;
        else if (n == 0)
            rc = -EIO;
        else if (errno != EINTR)
            rc = -errno;
    }
    free(zeros);
    return rc;
}

/* Room first, so that a full disk says no before a gigabyte of zeros; KEEP_SIZE, so that the size never runs ahead of
 * them. */
static int fill_grow(int fd, uint64_t from, uint64_t size)
{
    from -= from % DISK_BLOCK;
    if (fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(size - from)) != 0 && errno != EOPNOTSUPP)
        return -errno;
    int rc = fill_zeros(fd, from, size);
    if (rc == 0 && fdatasync(fd) != 0)
        rc = -errno;
    return rc;
}

static int fill_new(int directory, const char *name, uint64_t size, int flags)
{
    char temporary[DISK_NAME_MAX + sizeof suffix];
    snprintf(temporary, sizeof temporary, "%s%s", name, suffix);
    int fd = openat(directory, temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
    if (fd < 0)
        return -errno;
    int rc = size > 0 ? fill_grow(fd, 0, size) : 0;
    close(fd);
    if (rc == 0 && renameat(directory, temporary, directory, name) != 0)
        rc = -errno;
    if (rc != 0)
        unlinkat(directory, temporary, 0);
    return rc;
}

int fill_create(int directory, const char *name, uint64_t size, int flags)
{
    if (strlen(name) >= DISK_NAME_MAX || strchr(name, '/'))
        return -EINVAL;
    int rc;
    int fd = openat(directory, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags);
    if (fd >= 0) {
        struct stat st;
        rc = fstat(fd, &st) != 0 ? -errno : 0;
        if (rc == 0 && (uint64_t)st.st_size < size)
            rc = fill_grow(fd, (uint64_t)st.st_size, size);
        close(fd);
    } else {
        rc = errno == ENOENT ? fill_new(directory, name, size, flags) : -errno;
    }
    if (rc == 0 && fsync(directory) != 0)
        rc = -errno;
    return rc;
}

void fill_sweep(int directory)
{
    int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    if (!dir) {
        if (copy >= 0)
            close(copy);
        return;
    }
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
        if (fill_is_temporary(entry->d_name))
            unlinkat(directory, entry->d_name, 0);
    closedir(dir);
}
