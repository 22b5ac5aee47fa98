/* source.h - a data directory as files of bytes: read in any state, and never changed.
 *
 * What cannot be read shows as bytes that match no checksum, and is remembered as a range. A file is read from front to
 * back in pieces of a megabyte, through one window; nothing else is held, so memory does not depend on the directory.
 *
 * Units: bytes, at multiples of DISK_BLOCK; a file that ends between two is as long as its last whole page. Memory: a
 * window of SOURCE_WINDOW and the two copies of the manifest, from source_open() to source_close(). Failure: a status
 * and one sentence. Thread: one; blocks. */
#ifndef LEAT_OFFLINE_SOURCE_H
#define LEAT_OFFLINE_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "disk.h"
#include "manifest.h"
#include "status.h"

enum { SOURCE_WINDOW = 6 * 1024 * 1024, SOURCE_ERROR = 256 };

enum source_copy { SOURCE_WHOLE, SOURCE_EMPTY, SOURCE_DAMAGED };

/* What a name is; a file that cannot be opened is a file. */
enum source_kind { SOURCE_NOTHING, SOURCE_FILE, SOURCE_DIRECTORY, SOURCE_LINK, SOURCE_OTHER };

struct source {
    struct disk *disk;
    struct manifest m;
    enum leat_status manifest; /* OK: `m` holds; else why it does not */
    uint8_t copies[2];         /* enum source_copy */
    enum source_kind manifest_kind;
    int64_t manifest_bytes; /* size of the file; -1: there is none */
    bool unfinished;        /* in its place stands what a backup leaves that did not end */
    bool fresh;             /* there is none, or what a cut leaves of its first version (recover.c) */

    uint8_t *window;
    int file; /* that the window shows; -1: none */
    uint64_t size, at, have;
    uint64_t bad_from, bad_end; /* the first stretch of this file that could not be read; both 0: none */
    uint64_t bad_last;          /* end of the last page that could not be */

    uint64_t bytes_read;
    void (*progress)(void *context, uint64_t bytes_read); /* or NULL */
    void *progress_context;
};

/* source_open: reads the manifest; a directory without a whole one is opened too. LEAT_NO_MEMORY, LEAT_DISK_ERROR. */
enum leat_status source_open(struct source *s, struct disk *d, char error[SOURCE_ERROR]);
void source_close(struct source *s);

/* source_ours: LEAT_BAD_VALUE for a directory without a manifest and without a segment.
 * source_unborn: one whose making was cut short: nothing was ever written, and a start makes it anew, as recover.c
 * does. source_needs_manifest: for those who can do nothing without a whole one: source_ours(); LEAT_EMPTY for one that
 * is unborn; LEAT_CORRUPT, LEAT_TOO_NEW. */
enum leat_status source_ours(struct source *s, char error[SOURCE_ERROR]);
bool source_unborn(struct source *s);
enum leat_status source_needs_manifest(struct source *s, char error[SOURCE_ERROR]);

enum source_kind source_kind(struct disk *d, const char *name);

/* source_file: turns to a file, from its front; LEAT_CORRUPT when it is missing or no file. s->size is its whole pages.
 * source_leave: away from it. */
enum leat_status source_file(struct source *s, const char *name, char error[SOURCE_ERROR]);
void source_leave(struct source *s);

/* source_at: the bytes at `offset`, in one piece, at least `need` (up to 5 MiB) of them or up to the file's end;
 * *available says how many. Good until the next call. */
const uint8_t *source_at(struct source *s, uint64_t offset, uint64_t need, uint64_t *available);

/* source_blank: the file's first page is zero, or there is none: no block was ever written into it in this life. */
bool source_blank(struct source *s, const char *name);

/* source_read: bytes of the file that `file` of the disk names; what cannot be read is filled with SOURCE_UNREADABLE.
 * Returns the offset of the first such page, or UINT64_MAX. */
enum { SOURCE_UNREADABLE = 0xee };
uint64_t source_read(struct disk *d, uint32_t file, uint64_t offset, void *data, uint64_t size);

/* source_do: one operation, waited for. */
int32_t source_do(struct disk *d, const struct disk_op *op);

/* source_segment_name, source_segment_number: "log-00000012" and back; 0 for other names. */
void source_segment_name(char name[DISK_NAME_MAX], uint32_t number);
uint32_t source_segment_number(const char *name);

/* source_say: fills the sentence; returns the status. */
enum leat_status source_say(enum leat_status status, char error[SOURCE_ERROR], const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
