/* disk_plain.h - a data directory behind disk.h, to read it and leave it as it is: what `leat fsck`, `dump` and
 * `explain` need of a disk.
 *
 * disk_plain_open makes nothing: a directory that is not there is said to be missing. It holds the directory's lock,
 * shared among readers, so that no broker runs meanwhile. Reads are O_DIRECT where the file system has it: what is
 * judged comes from the device. Writes and everything else that changes the directory end with -EROFS.
 *
 * Memory: one struct. Failure: one sentence in `error`: LEAT_BUSY while a broker runs, LEAT_NO_PERMISSION,
 * LEAT_BAD_VALUE (no such directory, or no directory), LEAT_DISK_ERROR. Thread: one; blocks. */
#ifndef LEAT_STORAGE_PLAIN_DISK_PLAIN_H
#define LEAT_STORAGE_PLAIN_DISK_PLAIN_H

#include "disk.h"
#include "status.h"

enum leat_status disk_plain_open(struct disk **d, const char *path, char error[256]);
void disk_plain_close(struct disk *d);

#endif
