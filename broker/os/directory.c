/* directory.c - open or make a data directory. */
#include "directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum leat_status directory_status(int error_number, const char *doing, const char *path, char error[256])
{
    snprintf(error, 256, "cannot %s %s: %s", doing, path, strerror(error_number));
    switch (error_number) {
    case EACCES:
    case EPERM:
        return LEAT_NO_PERMISSION;
    case ENOSPC:
    case EDQUOT:
        return LEAT_NO_SPACE;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return LEAT_NO_MEMORY;
    default:
        return LEAT_DISK_ERROR;
    }
}

/* The new entry survives a power cut only when its parent is synced. */
static void directory_sync_parent(int fd)
{
    int parent = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0)
        return; /* we may pass through but not read it: the entry is durable with the next journal commit of the file
                   system */
    fsync(parent);
    close(parent);
}

enum leat_status directory_open(int *fd, const char *path, char error[256])
{
    bool made = mkdir(path, 0700) == 0;
    if (!made && errno != EEXIST)
        return directory_status(errno, "make the data directory", path, error);
    *fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0)
        return directory_status(errno, "open the data directory", path, error);
    if (made)
        directory_sync_parent(*fd);
    return LEAT_OK;
}
