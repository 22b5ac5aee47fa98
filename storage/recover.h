/* recover.h - opening a data directory: how files are opened, synced and read while nothing else runs.
 *
 * Memory: the caller's. Failure: a status and one sentence in `error`. Thread: the shard's; blocks. */
#ifndef LEAT_STORAGE_RECOVER_H
#define LEAT_STORAGE_RECOVER_H

#include "log.h"

/* recover_directory: manifest read or made, files opened. */
enum leat_status recover_directory(struct journal *j, char error[256]);

/* recover_tidy: removes empty segments that nobody lists, and the marker of a salvage that was cut short (its next run
 * would take new segments for its own); nothing before it changes the directory. False: the disk has failed. */
bool recover_tidy(struct journal *j);

/* recover_do: one operation, waited for; the result as in its completion. */
int32_t recover_do(struct journal *j, const struct disk_op *op);

/* recover_write: all of it, and a flush. False: the disk has failed. */
bool recover_write(struct journal *j, uint32_t file, uint64_t offset, uint8_t *data, uint64_t size);

/* recover_read: all of [offset, offset + size); what cannot be read comes as RECOVER_UNREADABLE bytes. The offset of
 * the first such page, or RECOVER_WHOLE. */
enum { RECOVER_UNREADABLE = 0xee };
#define RECOVER_WHOLE UINT64_MAX
uint64_t recover_read(struct journal *j, uint32_t file, uint64_t offset, uint8_t *data, uint64_t size);

/* recover_open_file: LEAT_CORRUPT when it is missing or smaller than `size`. */
enum leat_status recover_open_file(struct journal *j, const char *name, uint64_t size, uint32_t *file, char error[256]);
enum leat_status recover_sync_file(struct journal *j, const char *name, uint32_t file, char error[256]);

/* recover_say: fills the sentence; returns the status. */
enum leat_status recover_say(enum leat_status status, char error[256], const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
