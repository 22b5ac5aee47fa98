/* probe.c - sysfs, read with care. */
#include "probe.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static bool probe_is(int queue, const char *file, const char *value)
{
    char text[32];
    int fd = openat(queue, file, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    if (n < 0)
        return false;
    text[n] = 0;
    text[strcspn(text, "\n")] = 0;
    return strcmp(text, value) == 0;
}

struct disk_facts probe_queue(int queue)
{
    struct disk_facts facts = {.volatile_cache = true};
    if (queue >= 0) {
        facts.volatile_cache = !probe_is(queue, "write_cache", "write through");
        facts.fua = probe_is(queue, "fua", "1");
    }
    facts.durable_writes = facts.fua || !facts.volatile_cache;
    return facts;
}

/* A partition has no queue of its own: its disk's is one step up. */
static int probe_open_queue(unsigned device_major, unsigned device_minor, const char *up)
{
    char path[64];
    snprintf(path, sizeof path, "/sys/dev/block/%u:%u/%squeue", device_major, device_minor, up);
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

struct disk_facts probe_directory(int directory)
{
    struct stat st;
    int queue = -1;
    if (fstat(directory, &st) == 0 && major(st.st_dev) != 0) {
        queue = probe_open_queue(major(st.st_dev), minor(st.st_dev), "");
        if (queue < 0)
            queue = probe_open_queue(major(st.st_dev), minor(st.st_dev), "../");
    }
    struct disk_facts facts = probe_queue(queue);
    if (queue >= 0)
        close(queue);
    return facts;
}
