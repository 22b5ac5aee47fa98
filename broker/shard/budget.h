/* budget.h - the memory that a broker may come to need, as one sum with a name for every term.
 *
 * All of it is reserved at start and touched as it is used; so the sum is what resident memory can grow to when every
 * limit is reached at once, in the middle of a checkpoint. A broker refuses to start when that is above memory_max,
 * rather than be killed at its busiest hour. Units: bytes. Failure: budget_fits() says one sentence with the terms.
 * Thread: any (plain values). */
#ifndef LEAT_SHARD_BUDGET_H
#define LEAT_SHARD_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "shard.h"

enum { BUDGET_TERMS = 24, BUDGET_SENTENCE = 1024 };

struct budget {
    struct {
        const char *what; /* a literal; names the option that changes it */
        uint64_t bytes;
    } terms[BUDGET_TERMS];
    unsigned count;
};

/* budget_shard: what one shard of this config may need. budget_add: one term more, for what is not the shard's. */
void budget_shard(struct budget *b, const struct shard_config *c);
void budget_add(struct budget *b, const char *what, uint64_t bytes);

uint64_t budget_total(const struct budget *b);
bool budget_fits(const struct budget *b, uint64_t memory_max, char error[BUDGET_SENTENCE]);

#endif
