/* io.h - the door of the loop: what moves bytes between a client and a broker. io_tcp.c fills it in over a socket, and
 * libleat-dpdk over shared memory, without libleat ever linking DPDK.
 *
 *   open --> connect ... connect (DONE) --> send, flush, receive, wait --> hang_up --> connect ... --> close
 *
 * Nothing here blocks but wait() and the resolving of names. Units: bytes, struct duration. Memory: received bytes are
 * the loop's and valid until the next receive() or hang_up(). Failure: a sentence in `why` (LEAT_ERROR_MAX bytes).
 * Thread: one at a time per io. */
#ifndef LEAT_CLIENT_IO_DOOR_H
#define LEAT_CLIENT_IO_DOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "units.h"

struct io; /* each loop's own */

/* IO_STARVED: failed, and it is this machine that has no descriptor or no memory for it. */
enum io_progress { IO_FAILED, IO_STARVED, IO_PENDING, IO_DONE };
enum io_wake { IO_READY, IO_TIME, IO_SIGNAL };

struct io_ops {
    const char *scheme; /* "tcp" in "tcp://..." */
    bool datagrams;
    uint32_t datagram_max; /* of datagrams */

    /* Does not connect yet. `extra`: struct leat_options.eal. */
    struct io *(*open)(const char *address, const char *extra, char *why);
    /* Starts or goes on with connecting; after IO_PENDING it is called again when wait() has returned. */
    enum io_progress (*connect)(struct io *io, char *why);
    /* Takes bytes (streams: as many as fit; datagrams: all or none). Returns how many, 0: no room now, -1: the
     * connection has ended. */
    long (*send)(struct io *io, const uint8_t *bytes, size_t size, char *why);
    /* What was taken leaves now; false: some of it had no room and flush is to be called again. */
    bool (*flush)(struct io *io);
    /* Bytes that have come (one datagram). Returns their number, 0: nothing now, -1: the connection has ended. */
    long (*receive)(struct io *io, const uint8_t **bytes, char *why);
    /* Sleeps until something has come (or, `writable`, there is room to send, or connecting has gone on), or the time
     * is over, or a signal came. */
    enum io_wake (*wait)(struct io *io, bool writable, struct duration time);
    void (*hang_up)(struct io *io);
    void (*close)(struct io *io);
    /* For a poll loop of the user's, or -1. */
    int (*fd)(const struct io *io);
};

enum { IO_SCHEMES_MAX = 4 };

/* leat_io_register: makes a scheme known to leat_open(); the ops live for ever. Thread: before leat_open(). */
void leat_io_register(const struct io_ops *ops);
/* leat_io_find: the ops for an address like "tcp://HOST:PORT" (without a scheme: tcp), and what is behind the scheme;
 * NULL if nobody knows it. */
const struct io_ops *leat_io_find(const char *address, const char **rest);

#endif
