/* prog_parked.c - takes that wait: parks N of them, says so, and waits until it is ended or the first of them.
 *
 *   prog_parked ADDRESS QUEUE N
 *
 * Prints "parked N" when the broker counts so many. Exit: 1 with a sentence when that cannot be. */
#include <stdio.h>
#include <stdlib.h>

#include "leat.h"

enum { PER_HANDLE = 50, HANDLES_MAX = 64, PATIENCE = 30 };

static void never(struct leat *l, struct leat_result *r, void *user)
{
    (void)l;
    (void)user;
    fprintf(stderr, "prog_parked: a take ended: %s\n", leat_status_name(leat_result_status(r)));
    exit(1);
}

static void refuse(const char *what, const char *why)
{
    fprintf(stderr, "prog_parked: %s: %s\n", what, why);
    exit(1);
}

int main(int argc, char **argv)
{
    unsigned want = argc == 4 ? (unsigned)atoi(argv[3]) : 0, parked = 0;
    static struct leat *handles[HANDLES_MAX];
    char why[LEAT_ERROR_MAX];
    if (want == 0 || want > PER_HANDLE * HANDLES_MAX) {
        fprintf(stderr, "usage: prog_parked ADDRESS QUEUE 1..%d\n", PER_HANDLE * HANDLES_MAX);
        return 64;
    }
    struct leat *asker = leat_open(argv[1], NULL, why);
    if (!asker || leat_queue_create(asker, argv[2], NULL) != LEAT_OK)
        refuse(argv[1], asker ? leat_error(asker) : why);
    for (unsigned n = 0; n < want; n++) {
        struct leat **l = &handles[n / PER_HANDLE];
        if (!*l && !(*l = leat_open(argv[1], NULL, why)))
            refuse(argv[1], why);
        if (leat_submit_take(*l, argv[2], 3000 * LEAT_SECOND, 0, 1, never, NULL) != LEAT_OK)
            refuse("take", leat_error(*l));
    }
    for (unsigned tries = 0; parked < want && tries < PATIENCE * 100; tries++) {
        struct leat_queue_stat stat;
        for (unsigned i = 0; i < HANDLES_MAX && handles[i]; i++)
            leat_poll(handles[i], 0);
        if (leat_queue_stat(asker, argv[2], &stat) != LEAT_OK)
            refuse("stat", leat_error(asker));
        parked = stat.parked;
        if (parked < want)
            leat_poll(handles[0], LEAT_SECOND / 100);
    }
    printf("parked %u\n", parked);
    fflush(stdout);
    while (parked == want)
        leat_poll(handles[0], 3600 * LEAT_SECOND); /* its first take is the first in line */
    return 1;
}
