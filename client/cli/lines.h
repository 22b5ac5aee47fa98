/* lines.h - lines of a descriptor, in bounded memory, without blocking unless asked to.
 *
 * A last line without a newline is a line; an empty line too. Units: bytes. Memory: limit + 64 KiB. Failure: errno with
 * LINES_FAILED. Thread: one. */
#ifndef LEAT_CLI_LINES_H
#define LEAT_CLI_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lines_found {
    LINES_LINE,
    LINES_NOT_NOW, /* nothing has come: only without `block` */
    LINES_END,
    LINES_TOO_LONG, /* longer than the limit; the reader is at its end */
    LINES_FAILED
};

struct lines {
    int fd;
    char *bytes;
    size_t room, from, to, searched;
    size_t limit;
    uint64_t number; /* of the line found last, from 1 */
    bool ended;
};

bool lines_open(struct lines *l, int fd, size_t limit);
void lines_close(struct lines *l);
/* lines_next: the line is valid until the next call. */
enum lines_found lines_next(struct lines *l, bool block, const char **line, size_t *size);

#endif
