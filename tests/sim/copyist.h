/* copyist.h - a client that takes backups while the world goes on, opens each as a broker of its own would, and has it
 * judged by check_copied.c.
 *
 * A copy that is lost, because the broker restarted or the copyist died, is thrown away and another one begun; in the
 * liveness phase one more must succeed. Units: world nanoseconds. Memory: one fake disk at a time. Failure:
 * history_fail(). Thread: one. */
#ifndef LEAT_SIM_COPYIST_H
#define LEAT_SIM_COPYIST_H

#include "actor.h"
#include "check_copied.h"
#include "disk.h"

enum { COPY_LINK = DRAW_ACTORS_MAX + 1 };

struct copyist {
    struct actor actor;
    struct disk *disk; /* the copy; NULL: there is none */
    struct copied want;
    struct reply_backup backup;
    struct reply_backup_file *files;
    uint32_t file;
    uint64_t offset;
    struct stamp asked;
    bool last, over; /* liveness: the last one has begun, and has ended */
    unsigned whole, lost;
};

void copyist_open(struct copyist *c, struct world *w);
void copyist_close(struct copyist *c);
/* copyist_work: as actor_work(). copyist_result: what it was answered. */
bool copyist_work(struct copyist *c);
void copyist_result(struct copyist *c, const struct call *call, const struct client_result *r);
/* copyist_over: every fault has ended, and a copy was made since. */
bool copyist_over(const struct copyist *c);

#endif
