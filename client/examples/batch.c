/* batch.c - many messages in one call: put together, taken together, finished together.
 *
 *     batch QUEUE N */
#include <leat.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST = 100000, TAKE = 500, TEXT = 16 };

static int fail(const struct leat *l, const char *what, enum leat_status status)
{
    fprintf(stderr, "batch: %s: %s: %s\n", what, leat_status_name(status), leat_error(l));
    return 1;
}

static enum leat_status put_all(struct leat *l, const char *queue, size_t count)
{
    struct leat_put_entry *entries = calloc(count, sizeof *entries);
    char(*texts)[TEXT] = calloc(count, sizeof *texts);
    enum leat_status status = LEAT_NO_MEMORY;
    for (size_t i = 0; entries && texts && i < count; i++)
        entries[i] = (struct leat_put_entry){
            .body = texts[i], .body_size = (size_t)snprintf(texts[i], TEXT, "job %zu", i), .delay_ns = LEAT_DEFAULT};
    if (entries && texts)
        status = leat_put_batch(l, queue, entries, count, NULL);
    free(texts);
    free(entries);
    return status;
}

static int run(struct leat *l, const char *queue, size_t count)
{
    static struct leat_message messages[TAKE];
    static struct leat_receipt receipts[TAKE];
    size_t done = 0, n = TAKE;
    enum leat_status status = put_all(l, queue, count);
    if (status != LEAT_OK)
        return fail(l, "put", status);
    for (; (status = leat_take(l, queue, 0, 0, messages, &n)) == LEAT_OK; n = TAKE) {
        for (size_t i = 0; i < n; i++)
            receipts[i] = messages[i].receipt;
        status = leat_ack(l, queue, receipts, n, NULL);
        if (status != LEAT_OK)
            return fail(l, "ack", status);
        done += n;
    }
    printf("%zu put, %zu finished\n", count, done);
    return status == LEAT_EMPTY ? 0 : fail(l, "take", status);
}

int main(int argc, char **argv)
{
    char why[LEAT_ERROR_MAX];
    long count = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
    if (count < 1 || count > MOST) {
        fprintf(stderr, "usage: batch QUEUE N (1 to %d)\n", MOST);
        return 64;
    }
    struct leat *l = leat_open(NULL, NULL, why);
    if (!l) {
        fprintf(stderr, "batch: %s\n", why);
        return 69;
    }
    int code = run(l, argv[1], (size_t)count);
    leat_close(l);
    return code;
}
