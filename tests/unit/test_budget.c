/* test_budget.c - the sum of all limits, and the sentence when it is too much. */
#include "budget.h"
#include "test.h"

TEST(budget, a_shard_with_the_promised_limits_fits_1_gib)
{
    struct shard_config c;
    struct budget b = {0};
    char error[BUDGET_SENTENCE] = "";
    shard_defaults(&c);
    c.engine.ready_chunks = engine_chunks(10000000, c.engine.queues);
    budget_shard(&b, &c);
    assert_true(budget_fits(&b, 1u << 30, error));
    assert_string_equal(error, "");
}

TEST(budget, a_ready_message_costs_17_bytes_at_worst_and_as_much_again_in_a_checkpoint)
{
    struct shard_config c, more;
    shard_defaults(&c);
    more = c;
    c.engine.ready_chunks = engine_chunks(16000000, 16384);
    more.engine.ready_chunks = engine_chunks(26000000, 16384);
    struct budget b = {0}, m = {0};
    budget_shard(&b, &c);
    budget_shard(&m, &more);
    uint64_t each = (budget_total(&m) - budget_total(&b)) / 10000000;
    assert_in_range(each, 33, 35);
}

TEST(budget, what_does_not_fit_is_refused_with_every_term_and_its_option)
{
    struct shard_config c;
    shard_defaults(&c);
    struct budget b = {0};
    char error[BUDGET_SENTENCE];
    budget_shard(&b, &c);
    budget_add(&b, "TCP (connections_memory)", 3ull << 30);
    assert_false(budget_fits(&b, 2ull << 30, error));
    assert_non_null(strstr(error, "memory_max is 2048M"));
    assert_non_null(strstr(error, " 152.0M leases (leases_max) +"));
    assert_non_null(strstr(error, " + 3072.0M TCP (connections_memory)"));
    assert_null(strstr(error, ":  +"));
    uint64_t exact = budget_total(&b);
    assert_true(budget_fits(&b, exact, error));
    assert_false(budget_fits(&b, exact - 1, error));
}
