/* pipeline.c - many requests under way at once, without a thread: puts go out while answers come in.
 *
 *     pipeline QUEUE N        puts N messages, one per request, and tells how many of them are safe */
#include <leat.h>
#include <stdio.h>
#include <stdlib.h>

struct count {
    size_t safe, failed;
};

/* Called from leat_poll(), once per request. */
static void put_done(struct leat *l, struct leat_result *r, void *user)
{
    (void)l;
    struct count *count = user;
    enum leat_status status = leat_result_status(r);
    if (status == LEAT_OK) {
        count->safe++;
        return;
    }
    count->failed++;
    fprintf(stderr, "pipeline: %s: %s\n", leat_status_name(status), leat_status_text(status));
}

/* Puts one message, waiting for room when the window is full. */
static enum leat_status put(struct leat *l, const char *queue, size_t number, struct count *count)
{
    char text[32];
    struct leat_put_entry entry = {.body = text, .delay_ns = LEAT_DEFAULT};
    entry.body_size = (size_t)snprintf(text, sizeof text, "message %zu", number);
    enum leat_status status;
    while ((status = leat_submit_put(l, queue, &entry, 1, put_done, count)) == LEAT_OVERLOADED)
        leat_poll(l, LEAT_SECOND); /* the text was copied: it need not live on */
    return status;
}

int main(int argc, char **argv)
{
    char why[LEAT_ERROR_MAX], *end = NULL;
    unsigned long wanted = argc == 3 ? strtoul(argv[2], &end, 10) : 0;
    if (wanted == 0 || *end) {
        fprintf(stderr, "usage: pipeline QUEUE N\n");
        return 64;
    }
    struct leat *l = leat_open(NULL, NULL, why);
    if (!l) {
        fprintf(stderr, "pipeline: %s\n", why);
        return 69;
    }
    struct count count = {0};
    enum leat_status status = LEAT_OK;
    for (size_t i = 0; i < wanted && status == LEAT_OK && count.failed == 0; i++)
        status = put(l, argv[1], i, &count);
    if (status != LEAT_OK)
        fprintf(stderr, "pipeline: %s: %s\n", leat_status_name(status), leat_error(l));
    while (leat_pending(l) > 0)
        leat_poll(l, LEAT_SECOND);
    printf("%zu of %lu messages are safe\n", count.safe, wanted);
    leat_close(l);
    return count.safe != wanted;
}
