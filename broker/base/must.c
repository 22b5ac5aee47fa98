/* must.c - the last words of a process that found itself broken. */
#include "must.h"

#include <stdio.h>
#include <stdlib.h>

void must_fail(const char *file, int line, const char *condition)
{
    fprintf(stderr, "leat: bug: %s:%d: must(%s)\n", file, line, condition);
    abort();
}
