/* eal.h - starts DPDK, once per process, so that a daemon and a guest library can both live with it.
 *
 * EAL can be started once and never again, prints usage text when it dislikes an argument, probes every network card
 * unless told not to, and pins the thread that starts it. Here the arguments are assembled and checked first, the log
 * goes where we want it, and the caller's CPU mask is as before when we return.
 *
 * Memory: huge pages where enough are free (no file stays behind), else ordinary pages under a name of this process
 * alone. Failure: eal_start() says why in one sentence and the process lives on; a second try cannot succeed. A program
 * that has started EAL by itself keeps its own: eal_start() finds it and changes nothing. Thread: eal_start() before
 * other threads use the room, from one thread at a time; join and leave from the thread they concern. */
#ifndef LEAT_DPDK_PORT_EAL_H
#define LEAT_DPDK_PORT_EAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct eal_options {
    const char *name;   /* of the program: part of the name of its memory */
    const char *extra;  /* the user's arguments in one line, or NULL */
    unsigned memory_mb; /* address space of ordinary pages, touched as used; or huge pages */
    FILE *log;          /* where DPDK's errors go, or NULL for nowhere */
};

/* eal_start: true when DPDK is usable; else a sentence in `why`. */
bool eal_start(const struct eal_options *o, char *why, size_t why_size);

/* eal_arguments: the arguments that eal_start() would use, for --help and tests: argv of at most `max` entries (ended
 * by NULL), pointing into `text`. Returns argc, or 0 with a sentence in `why`. */
int eal_arguments(const struct eal_options *o, bool huge, char *argv[], int max, char *text, size_t text_size,
                  char *why, size_t why_size);

/* eal_last_error: the last line that DPDK logged as an error; "" if there is none. For the tail of our own sentences.
 */
const char *eal_last_error(void);

/* eal_thread_join: gives the calling thread a place in DPDK's per-thread caches; false when it had one or none is free
 * (all works then as well, slower). A thread that got true calls eal_thread_leave() before it ends. */
bool eal_thread_join(void);
void eal_thread_leave(void);

#endif
