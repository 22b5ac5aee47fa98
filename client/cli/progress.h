/* progress.h - a bar on standard error while something long goes on, when that is a terminal.
 *
 * Units: things and bytes as the caller counts them. Memory: none. Failure: none. Thread: one. */
#ifndef LEAT_CLI_PROGRESS_H
#define LEAT_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool shown;
    const char *things; /* "messages" */
    uint64_t total;     /* bytes; 0: unknown */
    uint64_t started_ms, drawn_ms;
};

/* `things`: what is counted, as people call it; `total`: bytes to come, 0 if nobody knows. */
void progress_open(struct progress *p, const char *things, uint64_t total);
/* Draws, at most ten times a second. */
void progress_update(struct progress *p, uint64_t things, uint64_t bytes);
/* The last state, on a line that stays. */
void progress_close(struct progress *p, uint64_t things);

#endif
