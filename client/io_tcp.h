/* io_tcp.h - the loop over a kernel TCP socket. Units: bytes. Memory: 256 KiB to receive into, per connection. Failure:
 * io.h's. Thread: one at a time per io. */
#ifndef LEAT_CLIENT_IO_TCP_H
#define LEAT_CLIENT_IO_TCP_H

#include "io.h"

const struct io_ops *io_tcp(void);

#endif
