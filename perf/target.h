/* target.h - which broker, and by which way: an address as people type it.
 *
 * The rules are the client library's, but that a list of addresses is refused: load goes to one broker. Failure:
 * target_parse() is false. Thread: any (pure). */
#ifndef LEAT_PERF_TARGET_H
#define LEAT_PERF_TARGET_H

#include <stdbool.h>

#include "io_tcp.h"

enum target_kind { TARGET_TCP, TARGET_LOCAL };
enum { TARGET_PATH_MAX = 108 };

struct target {
    enum target_kind kind;
    char host[IO_TCP_HOST]; /* or the path of the socket */
    char port[IO_TCP_PORT];
};

/* "tcp://HOST:PORT" or just HOST:PORT (an IPv6 address in brackets; port 7400 if there is none), or "vhost://PATH". */
bool target_parse(struct target *t, const char *text);

#endif
