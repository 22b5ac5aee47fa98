/* test.h - tests with a sentence for a name, over cmocka.
 *
 * TEST(room, what_is_true) { assert_int_equal(...); } registers itself; main() in test_main.c runs all of a program and
 * prints "N passed, N failed". Thread: one. */
#ifndef LEAT_TESTS_TEST_H
#define LEAT_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void test_register(const char *name, void (*run)(void **));

#define TEST(room, sentence)                                                                                           \
    static void test_##room##_##sentence(void **);                                                                     \
    __attribute__((constructor)) static void register_##room##_##sentence(void)                                        \
    {                                                                                                                  \
        test_register(#room ": " #sentence, test_##room##_##sentence);                                                 \
    }                                                                                                                  \
    static void test_##room##_##sentence(__attribute__((unused)) void **test_state)

#endif
