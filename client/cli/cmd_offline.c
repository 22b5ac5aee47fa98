/* cmd_offline.c - leat fsck, dump, explain: what looks into a data directory while no broker runs. The work is
 * broker/offline's; here are words, the progress on a terminal, and exit codes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arguments.h"
#include "disk_plain.h"
#include "dump.h"
#include "exit_codes.h"
#include "explain.h"
#include "fsck.h"
#include "progress.h"

/* As in commands.h, which knows statuses from leat.h: here they are the broker's own. */
#define COMMAND(function, name, wanted, min, max, options, summary, details) int function(const struct arguments *a);
#include "commands_table.h"
#undef COMMAND

/* A status of the broker's own, as it ends leatd too (broker/exit_table.h). */
static int offline_code(enum leat_status status)
{
    switch ((int)status) {
    case LEAT_OK:
        return EXIT_DONE;
    case LEAT_CORRUPT:
        return EXIT_DATA;
    case LEAT_BAD_RECEIPT:
        return EXIT_USAGE;
    case LEAT_EMPTY:
    case LEAT_NO_QUEUE:
        return EXIT_REFUSED;
    case LEAT_BAD_VALUE:
        return EXIT_NO_INPUT;
    case LEAT_BUSY:
        return EXIT_BUSY;
    case LEAT_TOO_NEW:
        return EXIT_TOO_NEW;
    case LEAT_NO_PERMISSION:
        return EXIT_PERMISSION;
    case LEAT_NO_MEMORY:
        return EXIT_SYSTEM;
    default:
        return EXIT_IO;
    }
}

static int offline_end(enum leat_status status, const char *error)
{
    if (*error)
        fprintf(stderr, "leat: %s: %s\n", status_name(status), error);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return offline_code(status);
    fprintf(stderr, "leat: io: standard output: %s\n", strerror(errno));
    return EXIT_IO;
}

struct offline_bar {
    struct progress p;
    uint64_t done; /* MiB */
};

static void offline_progress(void *context, uint64_t done, uint64_t total)
{
    struct offline_bar *bar = context;
    bar->p.total = total;
    bar->done = done >> 20;
    progress_update(&bar->p, bar->done, done);
}

int cmd_fsck(const struct arguments *a)
{
    char error[SOURCE_ERROR] = "";
    struct disk *d;
    struct offline_bar bar = {0};
    enum leat_status status = disk_plain_open(&d, a->words[0], error);
    if (status != LEAT_OK)
        return offline_end(status, error);
    progress_open(&bar.p, "MiB", 0);
    struct fsck_options o = {.path = a->words[0],
                             .out = stdout,
                             .json = arguments_given(a, OPTION_JSON),
                             .progress = offline_progress,
                             .progress_context = &bar};
    status = fsck_run(d, &o, error);
    progress_close(&bar.p, bar.done);
    disk_plain_close(d);
    return offline_end(status, error);
}

int cmd_dump(const struct arguments *a)
{
    char error[SOURCE_ERROR] = "";
    struct disk *d;
    uint64_t cell = arguments_number(a, OPTION_CELL, 0);
    if (cell > 1023) {
        fprintf(stderr, "leat: usage: --cell %llu: 0 to 1023\n", (unsigned long long)cell);
        return EXIT_USAGE;
    }
    enum leat_status status = disk_plain_open(&d, a->words[0], error);
    if (status != LEAT_OK)
        return offline_end(status, error);
    struct dump_options o = {.out = stdout,
                             .json = arguments_given(a, OPTION_JSON),
                             .bodies = arguments_given(a, OPTION_BODIES),
                             .from = arguments_number(a, OPTION_FROM, 0),
                             .to = arguments_number(a, OPTION_TO, 0),
                             .queue = a->text[OPTION_QUEUE],
                             .cell = (uint16_t)cell};
    o.notes = o.json ? stderr : stdout;
    status = dump_run(d, &o, error);
    disk_plain_close(d);
    return offline_end(status, status == LEAT_OK ? "" : error);
}

int cmd_explain(const struct arguments *a)
{
    char error[SOURCE_ERROR] = "";
    struct disk *d;
    struct explain_options o = {.out = stdout, .json = arguments_given(a, OPTION_JSON), .name = a->words[1]};
    enum leat_status status = disk_plain_open(&d, a->words[0], error);
    if (status != LEAT_OK)
        return offline_end(status, error);
    status = explain_run(d, &o, error);
    disk_plain_close(d);
    return offline_end(status, error);
}
