/* directory.h - a data directory that the input of a fuzz target changes.
 *
 * directory_gather() keeps the files of a disk once. The input changes a copy of them: bytes overwritten, pages zeroed,
 * pages copied to where they do not belong, pages that cannot be read, files cut. With the first byte odd all checksums
 * and chains are made good again afterwards, as no accident could, so that what lies behind them is reached: positions,
 * lengths, the index, facts.
 *
 * Units: bytes. Memory: static. Failure: must(). Thread: one. */
#ifndef LEAT_TESTS_FUZZ_DIRECTORY_H
#define LEAT_TESTS_FUZZ_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fake_disk.h"

enum { DIRECTORY_FILE_MAX = 128 * 1024 };

void directory_gather(struct disk *d);
bool directory_gathered(void);
/* directory_changed: a disk with the files as the input wants them; fake_disk_close() it. */
struct disk *directory_changed(const uint8_t *data, size_t size);

#endif
