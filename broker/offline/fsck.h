/* fsck.h - the offline check of every byte of a data directory.
 *
 * The manifest's copies, the checkpoint (each chunk, the image's sense, the index against the segments), every block of
 * every segment (header, body, chain, incarnation, number, epoch), every fact and body with its own checksum, and the
 * files that do not belong. What is found is said as it is found; a torn tail, a file made ahead or one damaged copy of
 * the manifest are what power cuts leave: said, and fine.
 *
 * Units: bytes. Memory: that of source.h, point.h and scan.h. Failure: LEAT_OK for a sound directory, LEAT_CORRUPT,
 * LEAT_TOO_NEW; LEAT_BAD_VALUE: no data directory; LEAT_DISK_ERROR, LEAT_NO_MEMORY, LEAT_NO_PERMISSION. `error` has one
 * sentence when it could not be checked to the end. Nothing is changed. Thread: one; blocks. */
#ifndef LEAT_OFFLINE_FSCK_H
#define LEAT_OFFLINE_FSCK_H

#include "report.h"
#include "source.h"

struct fsck_options {
    const char *path; /* for the report */
    FILE *out;
    bool json;
    void (*progress)(void *context, uint64_t done, uint64_t total); /* bytes; or NULL */
    void *progress_context;
};

enum leat_status fsck_run(struct disk *d, const struct fsck_options *o, char error[SOURCE_ERROR]);

#endif
