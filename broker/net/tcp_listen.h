/* tcp_listen.h - from "HOST:PORT" to listening sockets.
 *
 * HOST is a name, an IPv4 address, an IPv6 address in brackets, or empty (every address). A name with several addresses
 * listens on up to LISTEN_MAX of them; port 0 takes any free port, on the first address only. Accepted connections
 * inherit TCP_NODELAY and keep-alive. Failure: LEAT_ADDRESS_IN_USE, LEAT_NO_PERMISSION, LEAT_BAD_VALUE (cannot be
 * parsed or resolved, not an address of this machine), LEAT_NO_MEMORY, and one sentence in `error`. Blocks while it
 * resolves a name. Thread: start-up. */
#ifndef LEAT_NET_TCP_LISTEN_H
#define LEAT_NET_TCP_LISTEN_H

#include <stdint.h>

#include "status.h"

enum { LISTEN_MAX = 4 };

struct tcp_listen {
    int fds[LISTEN_MAX];
    unsigned count;
    uint16_t port; /* the bound one */
};

enum leat_status tcp_listen_open(struct tcp_listen *l, const char *address, char error[256]);
void tcp_listen_close(struct tcp_listen *l);

#endif
