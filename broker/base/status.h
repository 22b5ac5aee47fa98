/* status.h - the wrong that is the world's: one enum for everything that can be answered.
 *
 * status_table.h states each once: name, code, whether a retry can help, text. LEAT_OK is 0. Thread: any. */
#ifndef LEAT_BASE_STATUS_H
#define LEAT_BASE_STATUS_H

#include <stdbool.h>

enum leat_status {
#define STATUS(NAME, name, code, retry, text) LEAT_##NAME = (code),
#include "status_table.h"
#undef STATUS
};

/* The name as in the table ("no_queue"), or "unknown_status" for a code that this version does not know. */
const char *status_name(unsigned status);

/* One sentence for people. Never NULL. */
const char *status_text(unsigned status);

/* Whether the same request may succeed later without a change. */
bool status_retry(unsigned status);

#endif
