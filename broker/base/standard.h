/* standard.h - the first three descriptors. Whoever starts us may have closed them; then the next file or socket that
 * we open would become our standard output, and what we print would go into it.
 *
 * standard_streams: closed ones are opened on /dev/null the wrong way round, so that using them fails as it did, with
 * EBADF. Before anything else is opened. False: not even that works. Thread: the only one. */
#ifndef LEAT_BASE_STANDARD_H
#define LEAT_BASE_STANDARD_H

#include <stdbool.h>

bool standard_streams(void);

#endif
