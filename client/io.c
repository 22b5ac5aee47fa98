/* io.c - which loops there are. tcp always; others register, vhost by itself when it was linked. */
#include "io.h"

#include <string.h>

#include "io_tcp.h"
#include "must.h"

/* There when libleat-dpdk is linked as its pkg-config file says. */
void leat_vhost_register(void) __attribute__((weak));

static const struct io_ops *known[IO_SCHEMES_MAX];

void leat_io_register(const struct io_ops *ops)
{
    unsigned i = 0;
    while (i < IO_SCHEMES_MAX && known[i] && known[i] != ops)
        i++;
    must(i < IO_SCHEMES_MAX);
    known[i] = ops;
}

const struct io_ops *leat_io_find(const char *address, const char **rest)
{
    const char *colon = strstr(address, "://");
    if (!colon) {
        *rest = address;
        return io_tcp();
    }
    size_t size = (size_t)(colon - address);
    *rest = colon + 3;
    if (size == strlen(io_tcp()->scheme) && !strncmp(address, io_tcp()->scheme, size))
        return io_tcp();
    if (leat_vhost_register)
        leat_vhost_register();
    for (unsigned i = 0; i < IO_SCHEMES_MAX && known[i]; i++)
        if (size == strlen(known[i]->scheme) && !strncmp(address, known[i]->scheme, size))
            return known[i];
    return NULL;
}
