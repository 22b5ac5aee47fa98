/* lockfile.c - flock with a little patience. */
#include "lockfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "directory.h"

enum { TRIES = 50, PAUSE_MS = 20 };

static enum leat_status lockfile_busy(int fd, const char *directory, char error[256])
{
    char holder[24] = "";
    ssize_t n = pread(fd, holder, sizeof holder - 1, 0);
    holder[n > 0 ? strcspn(holder, "\n") : 0] = 0;
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
    int fd = openat(at, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int failed = fd < 0 ? errno : 0;
    close(at);
    if (failed)
        return directory_status(failed, "make the file lock in", directory, error);
    int rc = lockfile_try(fd);
    if (rc != 0) {
        status =
            rc == EWOULDBLOCK ? lockfile_busy(fd, directory, error) : directory_status(rc, "lock", directory, error);
        close(fd);
        return status;
    }
    char pid[24];
    int size = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)size, 0) != size)
        error[0] = 0; /* a full disk: the lock holds without its note */
    *lock = fd;
    return LEAT_OK;
}

void lockfile_release(int lock)
{
    close(lock);
}
