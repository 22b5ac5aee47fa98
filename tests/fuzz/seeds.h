/* seeds.h - what the generator of seeds and the targets agree on. Units: items. Thread: any (constants). */
#ifndef LEAT_TESTS_FUZZ_SEEDS_H
#define LEAT_TESTS_FUZZ_SEEDS_H

/* Capacities of the engine whose image is a seed, and of the engine that loads it. */
enum { SEEDS_QUEUES = 4, SEEDS_SLOTS = 64, SEEDS_CHUNKS = 16 };

#endif
