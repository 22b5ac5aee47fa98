/* shrink.h - the smallest run that still fails: fewer operations, fewer kinds of fault. Failure: none. Thread: one. */
#ifndef LEAT_SIM_SHRINK_H
#define LEAT_SIM_SHRINK_H

#include "world.h"

/* shrink_print: tries, and prints a command line that fails, and why. */
void shrink_print(const struct world_options *o, uint64_t seed, const char *program);

#endif
