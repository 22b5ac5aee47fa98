/* bell.c - an eventfd. */
#include "bell.h"

#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum leat_status bell_open(struct bell *b)
{
    b->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return b->fd < 0 ? LEAT_NO_MEMORY : LEAT_OK;
}

void bell_close(struct bell *b)
{
    close(b->fd);
}

void bell_ring(void *bell)
{
    const struct bell *b = bell;
    eventfd_write(b->fd, 1); /* fails only when it has been rung 2^64 - 2 times: it polls readable then too */
}

void bell_silence(struct bell *b)
{
    eventfd_t rings;
    eventfd_read(b->fd, &rings);
}
