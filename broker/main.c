/* main.c - leatd: read the options, put the broker together, run it, take it apart.
 *
 *     config.c   what was asked for           start.c   the parts, in order
 *     exits.c    how it ends                  loop.c    one iteration after the other, and sleep
 *
 * This room, floor 6 of the house, is the only one that knows all the others. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "config.h"
#include "exits.h"
#include "lockfile.h"
#include "loop.h"
#include "standard.h"
#include "start.h"
#include "version.h"

static void on_abort(int number)
{
    (void)number;
    _exit(EXITS_BUG);
}

/* must() ends in abort(). Where nobody collects core dumps, scripts get the documented code instead of a signal. */
static void document_bugs(void)
{
    struct rlimit core;
    if (getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == 0)
        signal(SIGABRT, on_abort);
    signal(SIGXFSZ, SIG_IGN); /* a limit on files is an error of the write */
}

static enum exits run(const struct config *c)
{
    struct broker b;
    enum exits code = start_broker(&b, c);
    if (code != EXITS_OK) {
        start_undo(&b);
        return code;
    }
    puts("leatd ready");
    code = loop_run(&b);
    if (code == EXITS_OK && lockfile_gone(b.lock)) {
        start_complain("the data directory %s was removed: what it held is lost", c->data);
        code = EXITS_DISK;
    }
    if (code == EXITS_OK)
        start_undo(&b); /* else a disk that hangs would keep us */
    return code;
}

/* What was asked for is on standard output, all of it. */
static enum exits written(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXITS_OK;
    start_complain("standard output: %s", strerror(errno));
    return EXITS_DISK;
}

int main(int argc, char *argv[])
{
    static struct config config;
    char error[CONFIG_ERROR_MAX];
    if (!standard_streams())
        return EXITS_SYSTEM;
    document_bugs();
    setvbuf(stdout, NULL, _IOLBF, 0);
    switch (config_read(&config, argc, argv, error)) {
    case CONFIG_HELP:
        config_help(stdout);
        return (int)written();
    case CONFIG_VERSION:
        puts("leatd " LEAT_VERSION);
        return (int)written();
    case CONFIG_BAD_USAGE:
        start_complain("%s", error);
        return EXITS_USAGE;
    case CONFIG_BAD_VALUE:
        start_complain("%s", error);
        return EXITS_CONFIG;
    case CONFIG_READ:
        break;
    }
    if (config.salvage)
        return (int)start_salvage(&config); /* a signal ends it, and it can be begun again */
    signals_block();                        /* before any thread exists; until here they end us */
    return (int)run(&config);
}
