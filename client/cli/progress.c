/* progress.c - carriage returns and hashes. */
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "words.h"

enum { WIDTH = 30, REDRAW_MS = 100 };

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void progress_open(struct progress *p, const char *things, uint64_t total)
{
    *p = (struct progress){.shown = isatty(STDERR_FILENO), .things = things, .total = total, .started_ms = now_ms()};
}

static void rate(const struct progress *p, uint64_t things, uint64_t now, char out[WORDS_NUMBER_MAX])
{
    uint64_t ms = now - p->started_ms;
    words_show_number(out, ms ? (double)things * 1000 / (double)ms : 0);
}

void progress_update(struct progress *p, uint64_t things, uint64_t bytes)
{
    uint64_t now = p->shown ? now_ms() : 0;
    if (!p->shown || now - p->drawn_ms < REDRAW_MS)
        return;
    p->drawn_ms = now;
    char per_s[WORDS_NUMBER_MAX], count[WORDS_NUMBER_MAX], bar[WIDTH + 1] = "";
    rate(p, things, now, per_s);
    words_show_number(count, (double)things);
    if (p->total == 0) {
        fprintf(stderr, "\r%s %s, %s/s \033[K", count, p->things, per_s);
        return;
    }
    uint64_t part = bytes < p->total ? bytes * WIDTH / p->total : WIDTH;
    memset(bar, '#', part);
    memset(bar + part, '.', WIDTH - part);
    fprintf(stderr, "\r[%s] %3u%%  %s %s, %s/s \033[K", bar,
            (unsigned)(bytes < p->total ? bytes * 100 / p->total : 100), count, p->things, per_s);
}

void progress_close(struct progress *p, uint64_t things)
{
    if (!p->shown)
        return;
    uint64_t now = now_ms();
    char per_s[WORDS_NUMBER_MAX], took[WORDS_DURATION_MAX];
    rate(p, things, now, per_s);
    words_show_duration(took, (now - p->started_ms) * 1000000);
    fprintf(stderr, "\r%llu %s in %s, %s/s \033[K\n", (unsigned long long)things, p->things, took, per_s);
}
