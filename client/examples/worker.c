/* worker.c - a consumer: takes a message, works on it, finishes it or gives it back; until nothing comes for 5 s.
 *
 *     worker QUEUE */
#include <leat.h>
#include <stdio.h>

/* Your work. False: not now, somebody should try again. */
static bool work(const struct leat_message *m)
{
    printf("%s (attempt %u): %.*s\n", m->id, m->attempts, (int)m->body_size, (const char *)m->body);
    return fflush(stdout) == 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: worker QUEUE\n");
        return 64;
    }
    char why[LEAT_ERROR_MAX];
    struct leat *l = leat_open(NULL, NULL, why);
    if (!l) {
        fprintf(stderr, "worker: %s\n", why);
        return 69;
    }
    struct leat_message m;
    size_t n = 1;
    enum leat_status status;
    while ((status = leat_take(l, argv[1], 5 * LEAT_SECOND, 30 * LEAT_SECOND, &m, &n)) == LEAT_OK) {
        enum leat_status end = work(&m) ? leat_ack(l, argv[1], &m.receipt, 1, NULL)
                                        : leat_nack(l, argv[1], &m.receipt, 1, LEAT_SECOND, NULL);
        if (end == LEAT_STALE_RECEIPT)
            fprintf(stderr, "worker: too late: %s goes to somebody else\n", m.id);
        else if (end != LEAT_OK) /* it comes again when its lease ends */
            fprintf(stderr, "worker: %s: %s\n", leat_status_name(end), leat_error(l));
        n = 1;
    }
    if (status != LEAT_EMPTY)
        fprintf(stderr, "worker: %s: %s\n", leat_status_name(status), leat_error(l));
    leat_close(l);
    return status != LEAT_EMPTY;
}
