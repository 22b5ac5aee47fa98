/* mark.c - the linker gathers all marks of a program in one section; this walks it. */
#include "mark.h"

#include <stddef.h>
#include <string.h>

extern struct mark __start_leat_marks[] __attribute__((weak));
extern struct mark __stop_leat_marks[] __attribute__((weak));

struct mark *mark_next(struct mark *previous)
{
    struct mark *next = previous ? previous + 1 : __start_leat_marks;
    return next == NULL || next >= __stop_leat_marks ? NULL : next;
}

uint64_t mark_count(const char *name)
{
    uint64_t sum = 0;
    for (struct mark *m = mark_next(NULL); m; m = mark_next(m))
        if (strcmp(m->name, name) == 0)
            sum += m->count;
    return sum;
}

void mark_reset(void)
{
    for (struct mark *m = mark_next(NULL); m; m = mark_next(m))
        m->count = 0;
}
