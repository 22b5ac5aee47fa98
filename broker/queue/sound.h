/* sound.h - whether an engine that came from bytes is one that facts could have made.
 *
 * Checksums find accidents; this finds images made by another hand or by a bug: every link leads somewhere, every list
 * ends where it says, every counter is what it counts. So apply.c may follow links without looking.
 *
 * Units: O(slots + chunks + queues), a few hundred milliseconds for ten million. Thread: owned by one shard (pure). */
#ifndef LEAT_QUEUE_SOUND_H
#define LEAT_QUEUE_SOUND_H

#include "engine.h"

/* sound_check: NULL, or what is wrong, as the end of a sentence. */
const char *sound_check(const struct engine *e);

#endif
