/* runner.h - many seeds: in child processes, so that a broken must() or a signal costs one seed and not the run.
 *
 * Children take blocks of seeds and leave results, marks and sums in shared memory. Failure: a seed's failure is a
 * result; runner_run() is false if there is any. Thread: one, and its children. */
#ifndef LEAT_SIM_RUNNER_H
#define LEAT_SIM_RUNNER_H

#include "world.h"

struct runner_options {
    uint64_t first, last;
    struct world_options world; /* its seed is set for each */
    unsigned jobs;
    uint32_t sample; /* every so many seeds runs twice, and both must have one hash; 0: none */
    bool print_hash, show_marks;
    bool exhaust;
    bool first_only;   /* stop at the first failure */
    const char *marks; /* file with the marks that the whole set must hit, or NULL */
    const char *program;
};

struct runner_sum {
    uint64_t passed, failed, first_failed;
};

bool runner_run(const struct runner_options *o, struct runner_sum *sum);

/* runner_fails: one run in a child of its own; `text` says why, `strikes` how many there were before that. */
bool runner_fails(const struct world_options *o, char text[HISTORY_TEXT], uint32_t *strikes);

#endif
