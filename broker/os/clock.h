/* clock.h - what time it is, read in one place.
 *
 * clock_now: CLOCK_BOOTTIME, so leases go on while the machine sleeps and no one sets it back; nanoseconds since boot
 * (the shard maps it to log time). clock_wall: nanoseconds since 1970, for people and across boots; may jump.
 * clock_boot_id: which boot this is. Cost: about 20 ns without entering the kernel. Failure: none, but clock_boot_id,
 * which gives zeros where /proc is missing (then every start counts as a new boot). Thread: any. */
#ifndef LEAT_OS_CLOCK_H
#define LEAT_OS_CLOCK_H

#include <stdint.h>

#include "units.h"

struct instant clock_now(void);
uint64_t clock_wall(void);
void clock_boot_id(uint8_t id[16]);

#endif
