/* exhaust.h - every crash point of a small run: the run is repeated with one crash after each event of the disk and
 * after each packet that a client gets, as a power cut and as the death of the process; and the recovery behind it is
 * tried with a crash at each event of its own. All must find what was acknowledged (S2), and a recovery that was cut
 * short must change nothing for the next (S3).
 *
 * Failure: of a run as of any other; of a recovery history_fail(). Thread: one, and its children. */
#ifndef LEAT_SIM_EXHAUST_H
#define LEAT_SIM_EXHAUST_H

#include "fake_disk.h"
#include "history.h"
#include "runner.h"
#include "shard.h"

/* exhaust_run: all crash points of one seed; false if one fails. */
bool exhaust_run(const struct runner_options *o);

/* exhaust_recovery: tries to recover copies of this disk, with a crash at each event; how many there were. `settled`:
 * a power cut was before, and so each crash is one; else the process dies. */
unsigned exhaust_recovery(struct history *h, const struct disk *d, const struct shard_config *c,
                          const struct shard_start *start, bool settled);

#endif
