/* dead_letter.c - a queue whose messages are tried three times, and then set aside for somebody to look at.
 *
 *     dead_letter QUEUE       makes QUEUE and QUEUE.dead, puts a bad job, fails it three times, finds it in QUEUE.dead
 */
#include <leat.h>
#include <stdio.h>

static int fail(const struct leat *l, const char *what, enum leat_status status)
{
    fprintf(stderr, "dead_letter: %s: %s: %s\n", what, leat_status_name(status), leat_error(l));
    return 1;
}

static int run(struct leat *l, const char *queue, const char *dead)
{
    struct leat_queue_options three = {.max_attempts = 3, .dead_letter = dead};
    enum leat_status status = leat_queue_create(l, dead, NULL); /* first: it must exist */
    if (status == LEAT_OK)
        status = leat_queue_create(l, queue, &three);
    if (status != LEAT_OK)
        return fail(l, "create", status);
    status = leat_put(l, queue, "divide by zero", 14, NULL, NULL);
    if (status != LEAT_OK)
        return fail(l, "put", status);
    struct leat_message m;
    size_t n = 1;
    while ((status = leat_take(l, queue, 0, 0, &m, &n)) == LEAT_OK) {
        printf("attempt %u fails\n", m.attempts);
        status = leat_nack(l, queue, &m.receipt, 1, 0, NULL);
        if (status != LEAT_OK)
            return fail(l, "nack", status);
        n = 1;
    }
    if (status != LEAT_EMPTY)
        return fail(l, "take", status);
    n = 1;
    status = leat_take(l, dead, 0, 0, &m, &n);
    if (status != LEAT_OK)
        return fail(l, "take of the dead letter", status);
    printf("set aside: %.*s\n", (int)m.body_size, (const char *)m.body);
    status = leat_ack(l, dead, &m.receipt, 1, NULL);
    return status == LEAT_OK ? 0 : fail(l, "ack", status);
}

int main(int argc, char **argv)
{
    char why[LEAT_ERROR_MAX], dead[LEAT_NAME_MAX + 1];
    if (argc != 2 || snprintf(dead, sizeof dead, "%s.dead", argv[1]) >= (int)sizeof dead) {
        fprintf(stderr, "usage: dead_letter QUEUE\n");
        return 64;
    }
    struct leat *l = leat_open(NULL, NULL, why);
    if (!l) {
        fprintf(stderr, "dead_letter: %s\n", why);
        return 69;
    }
    int code = run(l, argv[1], dead);
    leat_close(l);
    return code;
}
