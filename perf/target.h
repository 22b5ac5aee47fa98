/* target.h - which broker, and by which way: an address as people type it.
 *
 * Failure: target_parse() is false for anything but the two forms. Thread: any (pure). */
#ifndef LEAT_PERF_TARGET_H
#define LEAT_PERF_TARGET_H

#include <stdbool.h>

enum target_kind { TARGET_TCP, TARGET_LOCAL };

struct target {
    enum target_kind kind;
    char host[108]; /* or the path of the socket */
    char port[8];
};

/* "tcp://HOST:PORT" (an IPv6 address in brackets) or "vhost://PATH". */
bool target_parse(struct target *t, const char *text);

#endif
