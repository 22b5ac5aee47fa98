/* io_tcp.h - the loop over a kernel TCP socket. Units: bytes. Memory: 256 KiB to receive into, per connection. Failure:
 * io.h's. Thread: one at a time per io. */
#ifndef LEAT_CLIENT_IO_TCP_H
#define LEAT_CLIENT_IO_TCP_H

#include "io.h"

enum { IO_TCP_HOST = 256, IO_TCP_PORT = 8 };

const struct io_ops *io_tcp(void);

/* io_tcp_split: "HOST:PORT", "HOST", "[V6]:PORT" or "[V6]" apart; port 7400 where there is none. */
bool io_tcp_split(const char *address, char host[IO_TCP_HOST], char port[IO_TCP_PORT], char *why);

#endif
