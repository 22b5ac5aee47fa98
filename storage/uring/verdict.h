/* verdict.h - from what a device says and what it costs to how the log is written, and to sentences about it.
 *
 * Which way (durable_writes): FUA, or no volatile cache, speak for writes that are durable by themselves; a volatile
 * cache without FUA, or a device that is not known, for writes with flushes between them, because one flush covers
 * many writes. Measurement overrules when the other way costs less than two thirds. Without O_DIRECT: flushes.
 * Which doubt: a device with a volatile cache (or one that is not known) needs a round trip to empty it; where a flush
 * takes no time, nobody has asked the device. Pure functions. Failure: none. Thread: any. */
#ifndef LEAT_STORAGE_URING_VERDICT_H
#define LEAT_STORAGE_URING_VERDICT_H

#include "disk.h"
#include "measure.h"
#include "probe.h"

struct disk_facts verdict_choose(const struct probed *p, const struct measured *m, bool direct);

enum { VERDICT_TEXT = 256 };

/* "writes + flushes, volatile cache, no FUA; write 118 us, flush 121 us, dsync 260 us" */
void verdict_say(const struct disk_facts *f, const struct measured *m, char text[VERDICT_TEXT]);

/* verdict_warning: what people should be warned of, number `i` of it, or NULL: clauses that follow the directory's
 * name. */
const char *verdict_warning(const struct disk_facts *f, bool direct, unsigned i);

#endif
