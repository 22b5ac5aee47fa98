/* cores.c - affinity of threads. The start-up mask is read by a constructor: a thread that has been pinned can no
 * longer ask. */
#include "cores.h"

#include <pthread.h>

#include "must.h"

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
