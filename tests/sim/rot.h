/* rot.h - one byte of a block that is known to be durable, or of a keep segment's directory, changes while the broker
 * is down. It must refuse to start,
 * and say corrupt (P2); then the byte is put back, and it must start.
 *
 * Chosen among the blocks behind the newest checkpoint that some other block or the manifest calls durable; the last
 * ones before a crash are not among them, since there rot cannot be told from a torn tail.
 *
 * Units: bytes. Memory: none is kept. Failure: false where there is no such block. Thread: one. */
#ifndef LEAT_SIM_ROT_H
#define LEAT_SIM_ROT_H

#include <stdbool.h>

#include "fake_disk.h"
#include "prng.h"

struct rot {
    char file[DISK_NAME_MAX];
    uint64_t offset, block;
    uint8_t was;
};

bool rot_strike(struct rot *r, struct disk *d, struct prng *prng);
void rot_mend(const struct rot *r, struct disk *d);

#endif
