/* cores.c - affinity of threads. The start-up mask is read by a constructor: a thread that has been pinned can no
 * longer ask. */
#include "cores.h"

#include <pthread.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "must.h"

enum { WISH_RESET_ON_FORK = 1, WISH_SLICE_NS = 100000000 };

static cpu_set_t allowed;
static cpu_set_t pinned; /* by cores_pin(), never taken back */
static pthread_mutex_t pinned_lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void cores_remember(void)
{
    CPU_ZERO(&pinned);
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
        CPU_ZERO(&allowed); /* more cores than a cpu_set_t holds: use the first */
        CPU_SET(0, &allowed);
    }
}

unsigned cores_count(void)
{
    return (unsigned)CPU_COUNT(&allowed);
}

unsigned cores_at(unsigned i)
{
    must(i < cores_count());
    unsigned core = 0;
    for (;; core++)
        if (CPU_ISSET(core, &allowed) && i-- == 0)
            return core;
}

bool cores_pin(unsigned core)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    if (core >= CPU_SETSIZE || !CPU_ISSET(core, &allowed))
        return false;
    CPU_SET(core, &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0)
        return false;
    pthread_mutex_lock(&pinned_lock);
    CPU_SET(core, &pinned);
    pthread_mutex_unlock(&pinned_lock);
    return true;
}

/* The kernel's struct sched_attr, as far as it has been the same since Linux 3.14. */
struct wish {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period; /* runtime: of a common thread, its slice, from 0.1 to 100 ms */
};

bool cores_give_way(void)
{
    struct wish w = {.size = sizeof w}, got = {0};
    if (syscall(SYS_sched_getattr, 0, &w, sizeof w, 0) != 0 || w.policy != SCHED_OTHER)
        return false;
    w.flags |= WISH_RESET_ON_FORK;
    w.runtime = WISH_SLICE_NS;
    if (syscall(SYS_sched_setattr, 0, &w, 0) != 0)
        return false;
    return syscall(SYS_sched_getattr, 0, &got, sizeof got, 0) == 0 && got.runtime == WISH_SLICE_NS;
}

bool cores_others(unsigned core, cpu_set_t *others)
{
    *others = allowed;
    if (core < CPU_SETSIZE)
        CPU_CLR(core, others);
    return CPU_COUNT(others) > 0;
}

void cores_leave(void)
{
    cpu_set_t free_cores;
    pthread_mutex_lock(&pinned_lock);
    CPU_XOR(&free_cores, &allowed, &pinned); /* pinned is part of allowed */
    pthread_mutex_unlock(&pinned_lock);
    if (CPU_COUNT(&free_cores) == 0)
        free_cores = allowed;
    sched_setaffinity(0, sizeof free_cores, &free_cores);
}
