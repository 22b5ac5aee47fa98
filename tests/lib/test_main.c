/* test_main.c - runs every registered test of this program; cmocka reports, we count. */
#include "test.h"

enum { TESTS_MAX = 512 };

static struct CMUnitTest tests[TESTS_MAX];
static size_t n_tests;

void test_register(const char *name, void (*run)(void **))
{
    if (n_tests == TESTS_MAX)
        abort();
    tests[n_tests++] = (struct CMUnitTest){.name = name, .test_func = run};
}

int main(int argc, char **argv)
{
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    cmocka_set_message_output(CM_OUTPUT_STDOUT);
    int failed = _cmocka_run_group_tests(argv[0], tests, n_tests, NULL, NULL);
    printf("%zu passed, %d failed\n", n_tests - (size_t)failed, failed);
    return failed != 0;
}
