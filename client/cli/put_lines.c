/* put_lines.c - leat put --lines: many batches under way, none forgotten.
 *
 * A load is a batch of lines in memory of its own, which it keeps until every line has an outcome:
 *
 *   FREE --fill--> full --submit--> under way --all ok--> FREE
 *                    ^                  |
 *                    +---- refused <----+   (what was refused for now, after a pause)
 *
 * While the broker is away, nothing is refused: requests wait in the library and are sent again under their numbers.
 * Only when it has been away for longer than its session_timeout, it is unknown what was put; then the lines are put
 * again, and the user is told how many may be there twice. */
#include "put_lines.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "lines.h"
#include "progress.h"

enum { LOADS = 64, LOAD_BYTES = 256 * 1024, PAUSE_MAX_MS = 1000, POLL_MS = 10 };

struct line {
    size_t offset, size;
    uint64_t number;
};

struct load {
    struct put *put;
    char *bytes;
    size_t used, room;
    struct line *lines;
    size_t count;
    bool under_way, refused;
};

struct put {
    struct leat *l;
    const struct arguments *a;
    size_t batch;
    uint64_t patience_ms;
    struct lines in;
    struct load loads[LOADS];
    struct leat_put_entry *entries;
    uint64_t progress_ms; /* when something was put last */
    uint64_t pause_until_ms;
    unsigned pauses;
    enum leat_status refusal; /* the last one */
    uint64_t done, done_bytes, twice;
    bool ended;
    int code; /* EXIT_DONE while all is well */
};

static uint64_t now_ms(void)
{
    return clock_ns() / 1000000;
}

/* Room for a line of `size` bytes in a load. */
static bool make_room(struct load *load, size_t size)
{
    size_t room = load->room ? load->room : 4096;
    while (room - load->used < size)
        room *= 2;
    if (room == load->room)
        return true;
    char *larger = realloc(load->bytes, room);
    if (!larger)
        return false;
    load->bytes = larger;
    load->room = room;
    return true;
}

static void stop(struct put *p, int code)
{
    p->ended = true;
    if (p->code == EXIT_DONE)
        p->code = code;
}

static void input_is_bad(struct put *p, enum lines_found found)
{
    if (found == LINES_TOO_LONG)
        stop(p, report_data(LEAT_TOO_LARGE, "line %llu is longer than the limit body_max of %zu bytes",
                            (unsigned long long)p->in.number, p->in.limit));
    else
        stop(p, report_io("standard input"));
}

/* Lines into a load, until it is full or no more have come. `block`: wait for the first. */
static void fill(struct put *p, struct load *load, bool block)
{
    const char *line;
    size_t size;
    load->used = load->count = 0;
    while (load->count < p->batch && load->used < LOAD_BYTES) {
        enum lines_found found = lines_next(&p->in, block && load->count == 0, &line, &size);
        if (block && load->count == 0)
            p->progress_ms = now_ms(); /* it was the input that we waited for */
        if (found == LINES_END)
            p->ended = true;
        if (found == LINES_TOO_LONG || found == LINES_FAILED)
            input_is_bad(p, found);
        if (found != LINES_LINE)
            return;
        if (!make_room(load, size)) {
            stop(p, report_status(LEAT_NO_MEMORY, "lines"));
            return;
        }
        memcpy(load->bytes + load->used, line, size);
        load->lines[load->count++] = (struct line){load->used, size, p->in.number};
        load->used += size;
    }
}

/* What did not go well stays in the load. */
static void load_done(struct leat *l, struct leat_result *r, void *user)
{
    (void)l;
    struct load *load = user;
    struct put *p = load->put;
    size_t left = 0;
    for (size_t i = 0; i < load->count; i++) {
        struct leat_outcome outcome;
        leat_result_outcome(r, i, &outcome);
        if (outcome.status == LEAT_OK) {
            p->done++;
            p->done_bytes += load->lines[i].size + 1;
            p->progress_ms = now_ms();
            p->pauses = 0;
            p->refusal = LEAT_OK;
            continue;
        }
        p->twice += outcome.status == LEAT_UNKNOWN_OUTCOME;
        if (outcome.status != LEAT_UNKNOWN_OUTCOME && !leat_status_retry(outcome.status)) {
            if (p->code == EXIT_DONE)
                fprintf(stderr, "leat: %s: line %llu: %s\n", leat_status_name(outcome.status),
                        (unsigned long long)load->lines[i].number, leat_status_text(outcome.status));
            stop(p, report_code(outcome.status));
            continue;
        }
        p->refusal = outcome.status;
        load->lines[left++] = load->lines[i];
    }
    load->count = left;
    load->under_way = false;
    load->refused = left > 0;
    if (left == 0)
        return;
    p->pause_until_ms = now_ms() + (p->pauses < 7 ? 10u << p->pauses : PAUSE_MAX_MS);
    p->pauses++;
}

/* False: no room now. */
static bool submit(struct put *p, struct load *load)
{
    const struct arguments *a = p->a;
    for (size_t i = 0; i < load->count; i++)
        p->entries[i] = (struct leat_put_entry){.body = load->bytes + load->lines[i].offset,
                                                .body_size = load->lines[i].size,
                                                .delay_ns = arguments_number(a, OPTION_DELAY, LEAT_DEFAULT),
                                                .durability = (enum leat_durability)a->number[OPTION_CLASS]};
    enum leat_status status = leat_submit_put(p->l, a->words[0], p->entries, load->count, load_done, load);
    if (status == LEAT_OVERLOADED)
        return false;
    if (status != LEAT_OK) {
        stop(p, report_status(status, leat_error(p->l)));
        load->count = 0;
        return true;
    }
    load->under_way = true;
    load->refused = false;
    return true;
}

/* Everything that can be sent now is sent. True: there is more to read, and nothing waits for an answer. */
static bool send_what_is_there(struct put *p)
{
    bool pausing = now_ms() < p->pause_until_ms, dry = p->ended || pausing;
    for (struct load *load = p->loads; load < p->loads + LOADS && p->code == EXIT_DONE; load++) {
        if (load->under_way || leat_room(p->l) == 0 || (load->refused && pausing))
            continue;
        if (load->count == 0 && !dry) {
            fill(p, load, leat_pending(p->l) == 0 && p->done == p->in.number);
            dry = load->count == 0; /* nothing more has come */
        }
        if (load->count && !submit(p, load))
            break;
    }
    return leat_pending(p->l) > 0;
}

static bool all_done(const struct put *p)
{
    for (const struct load *load = p->loads; load < p->loads + LOADS; load++)
        if (load->under_way || (load->count && p->code == EXIT_DONE))
            return false;
    return p->ended;
}

static void give_up_when_late(struct put *p)
{
    if (p->code != EXIT_DONE || now_ms() - p->progress_ms < p->patience_ms)
        return;
    if (!leat_connected(p->l))
        stop(p, report_status(LEAT_UNREACHABLE, leat_error(p->l)));
    else if (p->refusal != LEAT_OK)
        stop(p, report_status(p->refusal, leat_status_text(p->refusal)));
    else
        stop(p, report_status(LEAT_TIMED_OUT, leat_status_text(LEAT_TIMED_OUT)));
    report_note("%llu lines were put; what was under way may have been", (unsigned long long)p->done);
}

static uint64_t bytes_to_come(int fd)
{
    struct stat st;
    off_t at = lseek(fd, 0, SEEK_CUR);
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && at >= 0 && st.st_size > at ? (uint64_t)(st.st_size - at) : 0;
}

static void run(struct put *p)
{
    struct progress bar;
    progress_open(&bar, "messages", bytes_to_come(STDIN_FILENO));
    p->progress_ms = now_ms();
    while (!all_done(p)) {
        if (send_what_is_there(p))
            leat_poll(p->l, POLL_MS * LEAT_MILLISECOND);
        else if (!all_done(p))
            poll(NULL, 0, p->pause_until_ms > now_ms() ? POLL_MS : 0);
        if (leat_pending(p->l) == 0 && p->refusal == LEAT_OK)
            p->progress_ms = now_ms();
        give_up_when_late(p);
        if (p->code != EXIT_DONE && now_ms() - p->progress_ms >= p->patience_ms)
            break;
        progress_update(&bar, p->done, p->done_bytes);
    }
    progress_close(&bar, p->done);
    if (p->twice)
        report_note("the broker was away for too long: up to %llu lines may be there twice",
                    (unsigned long long)p->twice);
}

int put_lines(struct leat *l, const struct arguments *a, uint64_t patience_ns)
{
    struct leat_limits limits;
    leat_limits(l, &limits);
    struct put *p = calloc(1, sizeof *p);
    if (!p)
        return report_status(LEAT_NO_MEMORY, "lines");
    p->l = l;
    p->a = a;
    p->batch = arguments_number(a, OPTION_BATCH, 100);
    p->patience_ms = patience_ns / LEAT_MILLISECOND;
    p->entries = calloc(p->batch, sizeof *p->entries);
    bool fine = p->entries && lines_open(&p->in, STDIN_FILENO, limits.body_max);
    for (struct load *load = p->loads; load < p->loads + LOADS; load++) {
        load->put = p;
        load->lines = calloc(p->batch, sizeof *load->lines);
        fine = fine && load->lines;
    }
    if (fine)
        run(p);
    int code = fine ? p->code : report_status(LEAT_NO_MEMORY, "lines");
    if (code == EXIT_DONE && arguments_given(a, OPTION_JSON))
        printf("{\"put\":%llu}\n", (unsigned long long)p->done);
    for (struct load *load = p->loads; load < p->loads + LOADS; load++) {
        free(load->bytes);
        free(load->lines);
    }
    lines_close(&p->in);
    free(p->entries);
    free(p);
    return code;
}
