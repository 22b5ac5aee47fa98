/* explain.h - every decision about one message that is still in the log, in order, in words.
 *
 * The message is named by its id or by a receipt, as text. What happened before the log begins is not known, and said
 * so; what the checkpoint says about the message stands between the facts before and behind it.
 *
 * Units: none. Memory: as dump.h. Failure: LEAT_BAD_RECEIPT for a name that is none, LEAT_EMPTY when nothing is known
 * of the message; else as dump.h. Thread: one; blocks. */
#ifndef LEAT_OFFLINE_EXPLAIN_H
#define LEAT_OFFLINE_EXPLAIN_H

#include <stdio.h>

#include "source.h"

struct explain_options {
    FILE *out;
    bool json;
    const char *name; /* id or receipt */
};

enum leat_status explain_run(struct disk *d, const struct explain_options *o, char error[SOURCE_ERROR]);

#endif
