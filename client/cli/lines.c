/* lines.c - one buffer; the rest of a line moves to its front when more is needed. */
#include "lines.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { AHEAD = 64 * 1024 };

bool lines_open(struct lines *l, int fd, size_t limit)
{
    *l = (struct lines){.fd = fd, .room = limit + AHEAD, .limit = limit};
    l->bytes = malloc(l->room);
    return l->bytes != NULL;
}

void lines_close(struct lines *l)
{
    free(l->bytes);
    l->bytes = NULL;
}

/* More bytes behind those that are there: LINES_LINE when some came. */
static enum lines_found fill(struct lines *l, bool block)
{
    if (l->from > 0) {
        memmove(l->bytes, l->bytes + l->from, l->to - l->from);
        l->to -= l->from;
        l->searched -= l->from;
        l->from = 0;
    }
    struct pollfd p = {.fd = l->fd, .events = POLLIN};
    if (!block && poll(&p, 1, 0) == 0)
        return LINES_NOT_NOW;
    ssize_t n = read(l->fd, l->bytes + l->to, l->room - l->to);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN ? LINES_NOT_NOW : LINES_FAILED;
    l->ended = n == 0;
    l->to += (size_t)n;
    return LINES_LINE;
}

enum lines_found lines_next(struct lines *l, bool block, const char **line, size_t *size)
{
    for (;;) {
        char *newline = memchr(l->bytes + l->searched, '\n', l->to - l->searched);
        l->searched = newline ? (size_t)(newline - l->bytes) : l->to;
        if (l->searched - l->from > l->limit) {
            l->number++;
            return LINES_TOO_LONG;
        }
        if (newline || (l->ended && l->to > l->from)) {
            *line = l->bytes + l->from;
            *size = l->searched - l->from;
            l->from = l->searched = l->searched + (newline != NULL);
            l->number++;
            return LINES_LINE;
        }
        if (l->ended)
            return LINES_END;
        enum lines_found found = fill(l, block);
        if (found != LINES_LINE)
            return found;
    }
}
