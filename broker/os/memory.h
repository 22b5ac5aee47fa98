/* memory.h - how much memory this process has: resident bytes, as the kernel counts them (/proc/self/statm); 0 where
 * there is no /proc. Cost: three system calls. Thread: any. */
#ifndef LEAT_OS_MEMORY_H
#define LEAT_OS_MEMORY_H

#include <stdint.h>

uint64_t memory_resident(void);

#endif
