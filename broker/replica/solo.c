/* solo.c - a quorum of one: what is in this broker's memory or on its disk is so on a majority's. */
#include <stdio.h>
#include <stdlib.h>

#include "must.h"
#include "replica.h"

enum { SOLO_MAGIC = 0x6f6c6f73 };

struct replica {
    uint32_t magic;
    struct journal *journal;
};

enum leat_status replica_open(struct replica **out, struct disk *d, const struct journal_config *config,
                              char error[256])
{
    struct replica *r = calloc(1, sizeof *r);
    if (!r) {
        snprintf(error, 256, "no memory for the log");
        return LEAT_NO_MEMORY;
    }
    enum leat_status status = journal_open(&r->journal, d, config, error);
    if (status != LEAT_OK) {
        free(r);
        return status;
    }
    r->magic = SOLO_MAGIC;
    *out = r;
    return LEAT_OK;
}

enum leat_status replica_start(struct replica *r, char error[256])
{
    must(r->magic == SOLO_MAGIC);
    return journal_start(r->journal, error);
}

void replica_close(struct replica *r)
{
    must(r->magic == SOLO_MAGIC);
    journal_close(r->journal);
    r->magic = 0;
    free(r);
}

struct journal *replica_journal(struct replica *r)
{
    return r->journal;
}

bool replica_leads(const struct replica *r)
{
    return journal_error(r->journal) == LEAT_OK;
}

uint8_t *replica_reserve(struct replica *r, enum journal_purpose purpose, uint32_t size, uint32_t together,
                         struct lsn *lsn, uint32_t *place)
{
    return journal_reserve(r->journal, purpose, size, together, lsn, place);
}

void replica_commit(struct replica *r, uint32_t size, bool waited, struct instant now)
{
    journal_commit(r->journal, size, waited, now);
}

unsigned replica_step(struct replica *r, struct instant now)
{
    must(r->magic == SOLO_MAGIC);
    return journal_step(r->journal, now);
}

struct instant replica_next_due(const struct replica *r)
{
    return journal_next_due(r->journal);
}

struct replica_watermarks replica_watermarks(const struct replica *r)
{
    uint64_t appended = journal_appended(r->journal), durable = journal_durable(r->journal);
    return (struct replica_watermarks){
        .appended = appended, .durable = durable, .quorum = appended, .quorum_durable = durable};
}

enum leat_status replica_error(const struct replica *r)
{
    return journal_error(r->journal);
}
