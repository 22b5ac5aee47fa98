/* thread.c - a pthread with manners. */
#include "thread.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "cores.h"
#include "must.h"

_Static_assert(sizeof(pthread_t) == sizeof(uint64_t), "a pthread_t fits struct thread");

static void *thread_main(void *argument)
{
    struct thread *t = argument;
    pthread_setname_np(pthread_self(), t->name);
    cores_leave();
    t->run(t->context);
    return NULL;
}

bool thread_start(struct thread *t, void (*run)(void *context), void *context, const char *name)
{
    sigset_t all, before;
    t->run = run;
    t->context = context;
    snprintf(t->name, sizeof t->name, "%s", name);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t id;
    int rc = pthread_create(&id, NULL, thread_main, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    t->id = (uint64_t)id;
    return rc == 0;
}

void thread_join(struct thread *t)
{
    int rc = pthread_join((pthread_t)t->id, NULL);
    must(rc == 0);
}
