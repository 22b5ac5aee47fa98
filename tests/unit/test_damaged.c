/* test_damaged.c - damaged messages are named once, whatever their receipts, and not without end. */
#include "test.h"

#include <unistd.h>

#include "damaged.h"

static struct damaged known;

/* Message n, its receipt of lease `lease`. */
static struct leat_message message(unsigned n, unsigned char lease)
{
    struct leat_message m = {.id = "00000100-0000-8000-8000-000000000000"};
    memcpy(m.receipt.bytes + DAMAGED_NAME_BYTES - sizeof n, &n, sizeof n);
    m.receipt.bytes[DAMAGED_NAME_BYTES] = lease;
    return m;
}

/* Tells of `count` messages from `first` on, one by one; how many lines that were, and in *fresh how many new ones. */
static unsigned tell(unsigned first, unsigned count, unsigned char lease, size_t *fresh)
{
    int kept = dup(2);
    FILE *said = tmpfile();
    assert_non_null(said);
    assert_int_equal(dup2(fileno(said), 2), 2);
    *fresh = 0;
    for (unsigned i = first; i < first + count; i++) {
        struct leat_message m = message(i, lease);
        *fresh += damaged_tell(&known, "jobs", &m, 1);
    }
    fflush(stderr);
    dup2(kept, 2);
    close(kept);
    unsigned lines = 0;
    rewind(said);
    for (int c; (c = fgetc(said)) != EOF;)
        lines += c == '\n';
    fclose(said);
    return lines;
}

TEST(damaged, each_message_is_named_once_however_often_it_comes)
{
    size_t fresh;
    bool full;
    damaged_open(&known);
    assert_int_equal(tell(1, 100, 1, &fresh), 100);
    assert_int_equal(fresh, 100);
    assert_int_equal(tell(51, 100, 2, &fresh), 50);
    assert_int_equal(fresh, 50);
    assert_int_equal(damaged_count(&known, &full), 150);
    assert_false(full);
    damaged_close(&known);
}

TEST(damaged, beyond_the_most_it_is_said_once_that_there_are_more)
{
    size_t fresh;
    bool full;
    damaged_open(&known);
    assert_int_equal(tell(1, DAMAGED_MAX, 1, &fresh), DAMAGED_MAX);
    damaged_count(&known, &full);
    assert_false(full);
    assert_int_equal(tell(2, DAMAGED_MAX + 10, 2, &fresh), 1);
    assert_int_equal(fresh, 0);
    assert_int_equal(damaged_count(&known, &full), DAMAGED_MAX);
    assert_true(full);
    damaged_close(&known);
}
