/* clock.c - CLOCK_BOOTTIME, the wall clock and the boot id. Never raw TSC: on virtual machines it lies. */
#include "clock.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "must.h"

static uint64_t clock_read(clockid_t id)
{
    struct timespec ts;
    int rc = clock_gettime(id, &ts);
    must(rc == 0);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

struct instant clock_now(void)
{
    return (struct instant){clock_read(CLOCK_BOOTTIME)};
}

uint64_t clock_wall(void)
{
    return clock_read(CLOCK_REALTIME);
}

static unsigned clock_hex_digit(char c)
{
    return c >= 'a' ? (unsigned)(c - 'a') + 10u : (unsigned)(c - '0');
}

void clock_boot_id(uint8_t id[16])
{
    char text[37] = ""; /* 01234567-89ab-cdef-0123-456789abcdef */
    memset(id, 0, 16);
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, 36);
    if (fd >= 0)
        close(fd);
    unsigned digits = 0;
    for (int i = 0; n == 36 && i < 36 && digits < 32; i++) {
        if (text[i] == '-')
            continue;
        id[digits / 2] = (uint8_t)((unsigned)id[digits / 2] << 4 | clock_hex_digit(text[i]));
        digits++;
    }
}
