/* fill.h - files whose every byte has been written once, so that later writes change no metadata.
 *
 * A file that was only fallocated makes each first write convert an extent and each fdatasync commit the file system's
 * journal (measured: about twice the time). fill_create() therefore writes real zeros, in 1 MiB pieces, under NAME.new,
 * syncs, and renames: a file under its own name is whole. An existing smaller file grows in place, its size following
 * the zeros. Failure: -errno; a half-made NAME.new is removed (fill_sweep() removes those of a crash). Blocks. Thread:
 * any, one per name. */
#ifndef LEAT_STORAGE_URING_FILL_H
#define LEAT_STORAGE_URING_FILL_H

#include <stdbool.h>
#include <stdint.h>

/* 0 or -errno. `flags`: O_DIRECT or 0. */
int fill_create(int directory, const char *name, uint64_t size, int flags);

/* Whether this is the name of a file that is being made. */
bool fill_is_temporary(const char *name);

/* fill_sweep: removes what a crash left half-made. */
void fill_sweep(int directory);

#endif
