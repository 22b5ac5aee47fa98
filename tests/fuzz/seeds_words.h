/* seeds_words.h - dictionaries for libFuzzer: the words that a format is made of. Thread: one. */
#ifndef LEAT_TESTS_FUZZ_SEEDS_WORDS_H
#define LEAT_TESTS_FUZZ_SEEDS_WORDS_H

/* seeds_words: prints the dictionary of a target; 0, also for a target that needs none. */
int seeds_words(const char *target);

#endif
