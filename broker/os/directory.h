/* directory.h - opening a data directory, which is made when it is missing, and telling people why it cannot be.
 * directory_open gives a descriptor (the caller closes it) in *fd; on failure `error` has one sentence with the path
 * and the cause: LEAT_NO_PERMISSION, LEAT_NO_SPACE, LEAT_DISK_ERROR (not a directory, missing parent, read-only, I/O).
 * A new directory is 0700 and durable. directory_status: the status and the sentence for any errno about `path`.
 * Blocks. Thread: any. */
#ifndef LEAT_OS_DIRECTORY_H
#define LEAT_OS_DIRECTORY_H

#include "status.h"

enum leat_status directory_open(int *fd, const char *path, char error[256]);
enum leat_status directory_status(int error_number, const char *doing, const char *path, char error[256]);

#endif
