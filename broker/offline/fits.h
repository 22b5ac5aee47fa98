/* fits.h - whether a fact can follow the state as it is.
 *
 * apply.h takes a fact that does not fit for a bug of ours (must), and so it is, in a broker that wrote the fact
 * itself. Who replays a log that is known to be damaged asks first. Checksums have been passed by then: what does not
 * fit was made by another hand.
 *
 * Thread: any (pure). */
#ifndef LEAT_OFFLINE_FITS_H
#define LEAT_OFFLINE_FITS_H

#include "engine.h"
#include "fact.h"
#include "session.h"

/* fits_fact: f->lsn and f->place are set. */
bool fits_fact(const struct engine *e, const struct session_table *t, const struct fact *f);

#endif
