/* put.c - a producer: one message, durable on the broker's disk before we go on.
 *
 *     put QUEUE TEXT */
#include <leat.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: put QUEUE TEXT\n");
        return 64;
    }
    char why[LEAT_ERROR_MAX], id[LEAT_ID_TEXT];
    struct leat *l = leat_open(NULL, NULL, why); /* $LEAT_ADDRESS, or this machine */
    if (!l) {
        fprintf(stderr, "put: %s\n", why);
        return 69;
    }
    struct leat_put_options durable = {.delay_ns = LEAT_DEFAULT, .durability = LEAT_CLASS_DISK};
    enum leat_status status = leat_put(l, argv[1], argv[2], strlen(argv[2]), &durable, id);
    if (status == LEAT_OK)
        printf("%s\n", id);
    else
        fprintf(stderr, "put: %s: %s\n", leat_status_name(status), leat_error(l));
    leat_close(l);
    return status != LEAT_OK;
}
