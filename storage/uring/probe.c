/* probe.c - sysfs, read with care. */
#include "probe.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { LAYERS_MAX = 8, PATH_TEXT = 4096 }; /* loops on loops: more than these are not looked at */

/* The file's first line. */
static bool probe_text(int directory, const char *file, char *text, size_t size)
{
    int fd = openat(directory, file, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);
    if (fd >= 0)
        close(fd);
    if (n < 0)
        return false;
    text[n] = 0;
    text[strcspn(text, "\n")] = 0;
    return true;
}

static bool probe_is(int directory, const char *file, const char *value)
{
    char text[32];
    return probe_text(directory, file, text, sizeof text) && strcmp(text, value) == 0;
}

static int probe_open(int directory, const char *name)
{
    return openat(directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void probe_disk(int disk, unsigned layer, struct probed *p);

/* A partition has no queue of its own: its disk is one step up. */
static void probe_layer(int block, unsigned layer, struct probed *p)
{
    if (faccessat(block, "queue", F_OK, 0) == 0) {
        probe_disk(block, layer, p);
        return;
    }
    int disk = probe_open(block, "..");
    if (disk >= 0 && faccessat(disk, "queue", F_OK, 0) == 0)
        probe_disk(disk, layer, p);
    if (disk >= 0)
        close(disk);
}

static void probe_file_system(dev_t device, unsigned long kind, unsigned layer, struct probed *p)
{
    char path[64];
    p->in_memory |= kind == TMPFS_MAGIC || kind == RAMFS_MAGIC;
    if (major(device) == 0)
        return; /* a device of no driver: network, overlay, tmpfs, btrfs */
    snprintf(path, sizeof path, "/sys/dev/block/%u:%u", major(device), minor(device));
    int block = probe_open(AT_FDCWD, path);
    if (block >= 0) {
        probe_layer(block, layer, p);
        close(block);
    }
}

static void probe_backing_file(int disk, unsigned layer, struct probed *p)
{
    static _Thread_local char path[PATH_TEXT];
    struct stat st;
    struct statfs fs;
    if (probe_text(disk, "loop/backing_file", path, sizeof path) && stat(path, &st) == 0 && statfs(path, &fs) == 0)
        probe_file_system(S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev, (unsigned long)fs.f_type, layer, p);
}

static void probe_slaves(int disk, unsigned layer, struct probed *p)
{
    int slaves = probe_open(disk, "slaves");
    DIR *dir = slaves < 0 ? NULL : fdopendir(slaves);
    if (!dir) {
        if (slaves >= 0)
            close(slaves);
        return;
    }
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        int block = entry->d_name[0] == '.' ? -1 : probe_open(slaves, entry->d_name);
        if (block >= 0) {
            probe_layer(block, layer, p);
            close(block);
        }
    }
    closedir(dir);
}

/* The disk itself, then what lies below it. */
static void probe_disk(int disk, unsigned layer, struct probed *p)
{
    p->volatile_cache |= !probe_is(disk, "queue/write_cache", "write through");
    p->fua = probe_is(disk, "queue/fua", "1") && (p->fua || !p->known);
    p->known = true;
    if (layer == LAYERS_MAX)
        return;
    probe_backing_file(disk, layer + 1, p);
    probe_slaves(disk, layer + 1, p);
}

struct probed probe_block(int block)
{
    struct probed p = {0};
    probe_layer(block, 1, &p);
    return p;
}

struct probed probe_directory(int directory)
{
    struct probed p = {0};
    struct stat st;
    struct statfs fs;
    if (fstat(directory, &st) == 0 && fstatfs(directory, &fs) == 0)
        probe_file_system(st.st_dev, (unsigned long)fs.f_type, 1, &p);
    return p;
}
