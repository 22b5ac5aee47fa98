/* entropy.h - random bytes that nobody can guess, from the kernel: keys, secrets, ids. For simulation and jitter see
 * base/prng.h. Failure: none; early in boot it waits for the kernel's pool. Thread: any. */
#ifndef LEAT_OS_ENTROPY_H
#define LEAT_OS_ENTROPY_H

#include <stddef.h>
#include <stdint.h>

void entropy_fill(void *bytes, size_t size);
uint64_t entropy_u64(void);

#endif
