/* lockfile.h - one broker per data directory: an flock on the directory itself, gone with the process however it dies.
 * There is no file that somebody could remove to get past it.
 *
 * Take it before anything else in the directory is touched; it makes the directory when it is missing. Blocks up to a
 * second while another holds it (a broker that is being restarted). lockfile_sign writes the holder's process id for
 * people into DIRECTORY/lock, once it is sure that the directory is ours; LEAT_DISK_ERROR when that is there and no
 * regular file. Failure: LEAT_BUSY (another broker, or leat fsck, dump or explain reads there), or as directory_open();
 * `error` gets one sentence. Thread: start-up only. */
#ifndef LEAT_OS_LOCKFILE_H
#define LEAT_OS_LOCKFILE_H

#include <stdbool.h>

#include "status.h"

enum leat_status lockfile_take(int *lock, const char *directory, char error[256]);
enum leat_status lockfile_sign(int lock, const char *directory, char error[256]);
void lockfile_release(int lock); /* DIRECTORY/lock names no process any more, if it named us */
/* lockfile_gone: the directory has been removed: what was written there cannot be found again. */
bool lockfile_gone(int lock);

#endif
