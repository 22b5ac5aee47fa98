/* options.h - what leat-bench is asked to do: its command line as a struct.
 *
 * Units: in the names; `rate` is requests per second. Memory: texts point into argv. Failure: options_read() answers an
 * exit code and has said why on stderr. Thread: any (pure, but for the messages). */
#ifndef LEAT_PERF_OPTIONS_H
#define LEAT_PERF_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "name.h"
#include "target.h"

enum workload {
#define WORKLOAD(NAME, name, help) WORKLOAD_##NAME,
#include "workload_table.h"
#undef WORKLOAD
    WORKLOADS
};

enum {
    OPTIONS_EXIT_USAGE = 64,
    OPTIONS_GO_ON = -1,
    OPTIONS_LANES_MAX = 31,
    OPTIONS_QUEUES_MAX = 16384,
    OPTIONS_BODY_MIN = 16,
    OPTIONS_RAW_BODY_MAX = 4096
};

struct options {
    struct target target;
    const char *address_text, *eal;
    enum workload workload;
    enum durability durability;
    struct name queue; /* empty: one of our own, dropped at the end */
    uint32_t size;     /* bytes of a body */
    uint32_t batch;    /* messages per request */
    uint32_t depth;    /* requests under way per connection */
    uint32_t lanes;    /* connections */
    uint32_t queues;   /* that puts go to in turn */
    double rate;       /* requests per second that should start; 0: as fast as they end */
    double seconds, warm_seconds;
    uint64_t messages; /* take: to begin with; put: at most, 0 for no end; drain: that should be found */
    int cpu;           /* the core to stay on, or -1 */
    bool raw, spin, keep, json;
};

void options_defaults(struct options *o);

/* OPTIONS_GO_ON, or an exit code. */
int options_read(struct options *o, int argc, char **argv);

const char *options_workload_name(enum workload w);

#endif
