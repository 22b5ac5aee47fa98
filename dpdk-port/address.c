/* address.c - one broker per socket path, and no stale sockets. See address.h for the idea. */
#include "address.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static enum leat_status status_of(int error)
{
    switch (error) {
    case EACCES:
    case EPERM:
    case EROFS:
        return LEAT_NO_PERMISSION;
    case EWOULDBLOCK:
    case EADDRINUSE:
    case EEXIST:
        return LEAT_ADDRESS_IN_USE;
    default:
        return LEAT_BAD_VALUE;
    }
}

/* Removes a socket that nobody serves; refuses anything that is not a socket. */
static enum leat_status stale_remove(const char *path, char *why, size_t why_size)
{
    struct stat st;
    if (lstat(path, &st))
        return LEAT_OK;
    if (!S_ISSOCK(st.st_mode)) {
        snprintf(why, why_size, "%s exists and is not a socket", path);
        return LEAT_ADDRESS_IN_USE;
    }
    if (unlink(path) && errno != ENOENT) {
        int error = errno;
        snprintf(why, why_size, "cannot remove the stale socket %s: %s", path, strerror(error));
        return status_of(error);
    }
    return LEAT_OK;
}

enum leat_status address_claim(const char *path, int *lock, char *why, size_t why_size)
{
    struct sockaddr_un a;
    char name[sizeof a.sun_path + 8];
    if (*path == 0 || strlen(path) >= sizeof a.sun_path) {
        snprintf(why, why_size, "the socket path %s has %zu characters: 1 to %zu are possible", path, strlen(path),
                 sizeof a.sun_path - 1);
        return LEAT_BAD_VALUE;
    }
    snprintf(name, sizeof name, "%s.lock", path);
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        int error = errno;
        snprintf(why, why_size, "cannot open %s: %s", name, strerror(error));
        return status_of(error);
    }
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        int error = errno;
        if (error == EWOULDBLOCK)
            snprintf(why, why_size, "another broker serves %s", path);
        else
            snprintf(why, why_size, "cannot lock %s: %s", name, strerror(error));
        close(fd);
        return status_of(error);
    }
    enum leat_status status = stale_remove(path, why, why_size);
    if (status != LEAT_OK) {
        close(fd);
        return status;
    }
    *lock = fd;
    return LEAT_OK;
}

void address_release(const char *path, int lock)
{
    unlink(path);
    close(lock);
}
