/* delay.c - a timer: a message that nobody sees before its time, also when the broker restarts meanwhile.
 *
 *     delay QUEUE SECONDS TEXT      puts it, then waits for it and finishes it */
#include <leat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const struct leat *l, const char *what, enum leat_status status)
{
    fprintf(stderr, "delay: %s: %s: %s\n", what, leat_status_name(status), leat_error(l));
    return 1;
}

static int run(struct leat *l, const char *queue, uint64_t delay_ns, const char *text)
{
    struct leat_put_options later = {.delay_ns = delay_ns, .durability = LEAT_CLASS_DEFAULT};
    enum leat_status status = leat_put(l, queue, text, strlen(text), &later, NULL);
    if (status != LEAT_OK)
        return fail(l, "put", status);
    struct leat_message m;
    size_t n = 1;
    status = leat_take(l, queue, delay_ns + 5 * LEAT_SECOND, 0, &m, &n);
    if (status != LEAT_OK)
        return fail(l, "take", status);
    printf("%.*s\n", (int)m.body_size, (const char *)m.body);
    status = leat_ack(l, queue, &m.receipt, 1, NULL);
    return status == LEAT_OK ? 0 : fail(l, "ack", status);
}

int main(int argc, char **argv)
{
    char why[LEAT_ERROR_MAX], *end = NULL;
    double seconds = argc == 4 ? strtod(argv[2], &end) : -1;
    if (seconds < 0 || *end || seconds > 86400) {
        fprintf(stderr, "usage: delay QUEUE SECONDS TEXT\n");
        return 64;
    }
    struct leat *l = leat_open(NULL, NULL, why);
    if (!l) {
        fprintf(stderr, "delay: %s\n", why);
        return 69;
    }
    int code = run(l, argv[1], (uint64_t)(seconds * 1e9), argv[3]);
    leat_close(l);
    return code;
}
