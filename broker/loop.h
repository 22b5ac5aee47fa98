/* loop.h - a running broker: iterations of the shard, and its sleep.
 *
 * loop_run: until a signal or the disk ends it; the exit code. Thread: the shard's. */
#ifndef LEAT_LOOP_H
#define LEAT_LOOP_H

#include "start.h"

enum exits loop_run(struct broker *b);

#endif
