/* cores.h - which thread runs on which core.
 *
 * A shard is pinned (cores_pin); everything else of the process keeps away from it where it can (cores_leave in a
 * helper thread, ring_keep_workers_off for the kernel's). Cores are numbered as the kernel does; "allowed" are those
 * that the process had when it started (taskset, cgroup), remembered before main(). Failure: false, where the core is
 * not allowed or is the only one. Thread: any; each call is about the calling thread. */
#ifndef LEAT_OS_CORES_H
#define LEAT_OS_CORES_H

#include <sched.h>
#include <stdbool.h>

/* How many cores are allowed, and the i-th of them (i < cores_count()). */
unsigned cores_count(void);
unsigned cores_at(unsigned i);

bool cores_pin(unsigned core);

/* The allowed cores without `core`; false when none is left. */
bool cores_others(unsigned core, cpu_set_t *others);

/* cores_give_way: for a thread that spins: it asks for the longest time slices, so that a thread with common ones that
 * wakes on its core (the kernel's disk workers) goes first and at once, not after 3 ms and more. Threads that it starts
 * have common ones. False before Linux 6.12, which has no such wish. */
bool cores_give_way(void);

/* cores_leave: this thread may run on every allowed core that no shard is pinned to, or on all when there is none. */
void cores_leave(void);

#endif
