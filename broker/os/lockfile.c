/* lockfile.c - flock with a little patience. */
#include "lockfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "directory.h"

enum { TRIES = 50, PAUSE_MS = 20 };

/* Without O_NONBLOCK, a pipe that somebody has put in its place would keep us for ever. */
static int lockfile_note(int directory, int flags)
{
    return openat(directory, "lock", flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
}

static bool lockfile_is_a_file(int directory)
{
    struct stat s;
    return fstatat(directory, "lock", &s, AT_SYMLINK_NOFOLLOW) != 0 || S_ISREG(s.st_mode);
}

/* The process that the note names, or "". */
static void lockfile_holder(int note, char holder[24])
{
    ssize_t n = note < 0 ? 0 : pread(note, holder, 23, 0);
    holder[n > 0 ? n : 0] = 0;
    holder[strspn(holder, "0123456789")] = 0;
}

static enum leat_status lockfile_busy(int lock, const char *directory, char error[256])
{
    char holder[24];
    if (flock(lock, LOCK_SH | LOCK_NB) == 0) { /* a broker would not share it */
        snprintf(error, 256,
                 "the data directory %s is being read (leat fsck, dump or explain): start again when it ends",
                 directory);
        return LEAT_BUSY;
    }
    int fd = lockfile_note(lock, O_RDONLY);
    lockfile_holder(fd, holder);
    if (fd >= 0)
        close(fd);
    if (holder[0])
        snprintf(error, 256, "the data directory %s is in use by another broker (process %s)", directory, holder);
    else
        snprintf(error, 256, "the data directory %s is in use by another broker", directory);
    return LEAT_BUSY;
}

static int lockfile_try(int fd)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000};
    for (int i = 0; i < TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return errno;
        nanosleep(&pause, NULL);
    }
    return EWOULDBLOCK;
}

enum leat_status lockfile_take(int *lock, const char *directory, char error[256])
{
    int at;
    enum leat_status status = directory_open(&at, directory, error);
    if (status != LEAT_OK)
        return status;
    int rc = lockfile_try(at);
    if (rc == EWOULDBLOCK)
        status = lockfile_busy(at, directory, error);
    else if (rc != 0)
        status = directory_status(rc, "lock", directory, error);
    if (status == LEAT_OK)
        *lock = at;
    else
        close(at);
    return status;
}

enum leat_status lockfile_sign(int lock, const char *directory, char error[256])
{
    char pid[24];
    if (!lockfile_is_a_file(lock)) {
        snprintf(error, 256, "%s/lock is no regular file: remove it, the broker keeps a note of its process there",
                 directory);
        return LEAT_DISK_ERROR;
    }
    int fd = lockfile_note(lock, O_RDWR | O_CREAT), size = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (fd < 0)
        return directory_status(errno, "make the file lock in", directory, error);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)size, 0) != size)
        error[0] = 0; /* a full disk: the lock holds without its note */
    close(fd);
    return LEAT_OK;
}

bool lockfile_gone(int lock)
{
    struct stat s;
    return fstat(lock, &s) == 0 && s.st_nlink == 0;
}

void lockfile_release(int lock)
{
    char holder[24];
    int fd = lockfile_note(lock, O_RDWR);
    lockfile_holder(fd, holder);
    if (strtol(holder, NULL, 10) == getpid() && ftruncate(fd, 0) != 0)
        holder[0] = 0; /* it names a process that holds nothing: the lock itself is gone all the same */
    if (fd >= 0)
        close(fd);
    close(lock);
}
