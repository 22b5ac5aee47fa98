/* check_copied.h - a backup is the state at one position: what was acknowledged before it was asked for is in it, what
 * was acked before is not, and nothing is from behind the position. Failure: history_fail(). Thread: one. */
#ifndef LEAT_SIM_CHECK_COPIED_H
#define LEAT_SIM_CHECK_COPIED_H

#include "engine.h"
#include "history.h"

/* What a copy must hold and must not hold, as far as clients know. */
struct copied {
    struct lsn *needed, *gone;
    uint32_t n_needed, n_gone;
    uint64_t position;
};

/* check_copied_want: by what is known when the backup has begun, which was asked for at `asked`. check_copied_free: its
 * memory. */
void check_copied_want(struct copied *want, const struct history *h, struct stamp asked, uint64_t position);
void check_copied_free(struct copied *want);

/* check_copied: the engine of a broker that was started on the copy. check_copied_found: the same by the positions of
 * its messages, in any order; sorts them. */
void check_copied(struct history *h, const struct copied *want, const struct engine *e);
void check_copied_found(struct history *h, const struct copied *want, struct lsn *found, uint32_t n);

#endif
