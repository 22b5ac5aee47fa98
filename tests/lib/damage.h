/* damage.h - a small data directory on a fake disk, damage to it, and what a start must say.
 *
 * Units: bytes. Memory: the rig's. Failure: the test fails. Thread: one. */
#ifndef LEAT_TESTS_DAMAGE_H
#define LEAT_TESTS_DAMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "log_rig.h"
#include "record.h"

/* damage_written: forty facts, each in a block of its own, all durable; the power is cut behind the watermark block
 * (`proven`) or before it. log_rig_free() it. */
struct log_rig *damage_written(uint64_t seed, bool proven);

struct damage_place {
    char name[DISK_NAME_MAX];
    uint64_t offset;
    uint32_t size;
};
/* damage_locate: where block `number` stands on the disk. */
struct damage_place damage_locate(struct log_rig *r, uint64_t number);

/* damage_flip: one bit. damage_copy: one page. damage_zero: whole pages. */
void damage_flip(struct log_rig *r, const char *name, uint64_t offset);
void damage_copy(struct log_rig *r, const struct damage_place *from, const struct damage_place *to);
void damage_zero(struct log_rig *r, const char *name, uint64_t offset, uint64_t size);

/* damage_refused: two starts end with `status` and a sentence that has `words`. damage_opens_with: one goes through. */
void damage_refused(struct log_rig *r, enum leat_status status, const char *words);
void damage_opens_with(struct log_rig *r, uint64_t facts);

#endif
