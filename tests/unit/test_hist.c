/* test_hist.c - percentiles are right to a thousandth, wherever the values lie. */
#include "hist.h"
#include "prng.h"
#include "test.h"

enum { VALUES = 20000 };

static const uint32_t ranks[] = {0,        1,         100,        250000, HIST_P50, 900000,
                                 HIST_P99, HIST_P999, HIST_P9999, 999999, HIST_MAX};

static struct hist *hist_new(void)
{
    struct hist *h = malloc(sizeof *h);
    assert_non_null(h);
    hist_clear(h);
    return h;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The answer of a sorted list: the smallest value with enough values at or below it. */
static uint64_t sorted_at(const uint64_t *sorted, uint64_t n, uint32_t ppm)
{
    uint64_t rank = (n * ppm + 999999) / 1000000;
    return sorted[rank > 0 ? rank - 1 : 0];
}

static void assert_close(uint64_t got, uint64_t want)
{
    uint64_t off = got > want ? got - want : want - got;
    assert_true(off <= want / 1000);
}

TEST(hist, agrees_with_a_sorted_list_to_a_thousandth)
{
    static uint64_t value[VALUES];
    struct hist *h = hist_new();
    struct prng prng = prng_seed(1, 0);
    for (unsigned bits = 1; bits <= 63; bits++) {
        uint64_t n = 1 + prng_below(&prng, VALUES);
        hist_clear(h);
        for (uint64_t i = 0; i < n; i++) {
            value[i] = prng_below(&prng, 1ull << (1 + prng_below(&prng, bits)));
            hist_record(h, value[i]);
        }
        qsort(value, n, sizeof value[0], by_size);
        for (unsigned r = 0; r < sizeof ranks / sizeof ranks[0]; r++)
            assert_close(hist_at(h, ranks[r]), sorted_at(value, n, ranks[r]));
        assert_int_equal(h->min, value[0]);
        assert_int_equal(h->max, value[n - 1]);
        assert_int_equal(hist_at(h, HIST_MAX), value[n - 1]);
    }
    free(h);
}

TEST(hist, small_values_and_the_borders_of_powers_of_two_are_in_their_own_buckets)
{
    struct hist *h = hist_new();
    for (uint64_t v = 0; v < 1024; v++) {
        hist_clear(h);
        hist_record(h, v);
        hist_record_many(h, UINT64_MAX, 2);
        assert_int_equal(hist_at(h, 1), v);
    }
    for (unsigned bit = 10; bit < 64; bit++) {
        uint64_t v = 1ull << bit;
        hist_clear(h);
        hist_record(h, v - 1);
        hist_record(h, v);
        hist_record(h, UINT64_MAX);
        assert_true(hist_at(h, 1) < v);
        assert_true(hist_at(h, HIST_P50) >= v);
        assert_close(hist_at(h, 1), v - 1);
        assert_close(hist_at(h, HIST_P50), v);
    }
    free(h);
}

TEST(hist, an_empty_one_answers_zero_and_merging_it_changes_nothing)
{
    struct hist *h = hist_new(), *empty = hist_new();
    for (unsigned r = 0; r < sizeof ranks / sizeof ranks[0]; r++)
        assert_int_equal(hist_at(h, ranks[r]), 0);
    hist_record_many(h, 5, 0);
    assert_int_equal(h->count, 0);
    hist_record(h, 70000);
    hist_merge(h, empty);
    assert_int_equal(h->count, 1);
    assert_int_equal(h->min, 70000);
    hist_merge(empty, h);
    assert_memory_equal(h, empty, sizeof *h);
    free(h);
    free(empty);
}

TEST(hist, merging_equals_recording_everything_in_one)
{
    struct hist *all = hist_new(), *part[3] = {hist_new(), hist_new(), hist_new()};
    struct prng prng = prng_seed(2, 0);
    for (int i = 0; i < VALUES; i++) {
        uint64_t value = prng_below(&prng, 1ull << (1 + prng_below(&prng, 40))), times = prng_below(&prng, 4);
        hist_record_many(all, value, times);
        for (uint64_t k = 0; k < times; k++)
            hist_record(part[prng_below(&prng, 3)], value);
    }
    hist_merge(part[0], part[1]);
    hist_merge(part[0], part[2]);
    assert_memory_equal(all, part[0], sizeof *all);
    free(all);
    for (int i = 0; i < 3; i++)
        free(part[i]);
}

TEST(hist, ranks_are_exact_for_counts_of_any_size)
{
    struct hist *h = hist_new();
    hist_record_many(h, 1, 999);
    hist_record(h, 2);
    assert_int_equal(hist_at(h, HIST_P999), 1);
    assert_int_equal(hist_at(h, HIST_P999 + 1), 2);
    hist_clear(h);
    hist_record_many(h, 1, 1ull << 62);
    hist_record_many(h, 2, 1ull << 62);
    assert_int_equal(hist_at(h, HIST_P50), 1);
    assert_int_equal(hist_at(h, HIST_P50 + 1), 2);
    free(h);
}
