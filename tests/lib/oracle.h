/* oracle.h - what the promises say about queues, written down as plainly as possible: arrays, and a search for
 * everything. It knows nothing of slots, heaps, chunks or wheels, and says what each operation must answer.
 *
 * The caller does an operation on an engine, then asks the oracle for the answer that it should have given; when that
 * is LEAT_OK the oracle has changed as well. Where a promise leaves the order open (what falls due together), the
 * caller tells what happened and the oracle says whether it may.
 *
 * Units: struct instant; all instants are whole milliseconds. Failure: must() for a wrong caller. Thread: one. */
#ifndef LEAT_TESTS_ORACLE_H
#define LEAT_TESTS_ORACLE_H

#include "fact.h"
#include "reply.h"
#include "status.h"
#include "units.h"

enum { ORACLE_QUEUES = 8, ORACLE_MESSAGES = 2048, ORACLE_NONE = -1 };
enum oracle_place { ORACLE_NOWHERE, ORACLE_READY, ORACLE_LEASED, ORACLE_DELAYED, ORACLE_DEAD };

struct oracle_queue {
    bool live;
    bool dropped; /* and not reaped yet */
    int dead_letter;
    uint32_t max_attempts;
    struct duration lease;
    uint64_t puts, takes, acks, nacks, expiries, dead_letters;
};

struct oracle_message {
    enum oracle_place place;
    int queue;
    struct lsn lsn;
    bool came_back;   /* ready: goes before those that did not, by lsn */
    uint64_t entered; /* when it came to this place, as a count */
    uint32_t attempts;
    uint64_t lease; /* the newest one's number, while its receipt may still do something; else 0 */
    struct instant sent, due, since;
};

struct oracle {
    struct oracle_queue queues[ORACLE_QUEUES];
    struct oracle_message messages[ORACLE_MESSAGES];
    uint32_t queues_max, slots_max;
    uint64_t clock, leases;
    struct duration lease_min, lease_max, delay_max;
};

enum leat_status oracle_create(struct oracle *o, int q, uint32_t max_attempts, struct duration lease, int dead_letter);
enum leat_status oracle_drop(struct oracle *o, int q);
enum leat_status oracle_put(struct oracle *o, int q, struct duration delay, struct instant now, struct lsn lsn);
/* oracle_take: *m is the message that must have been given, *lease names the lease for oracle_finish(). */
enum leat_status oracle_take(struct oracle *o, int q, struct duration lease, struct instant now, int *m,
                             uint64_t *number);
enum leat_status oracle_finish(struct oracle *o, uint8_t op, int q, struct lsn lsn, uint64_t lease,
                               struct duration time, struct instant now);
/* oracle_due: whether this expired, ripened or moved fact may be, of the message at this position. */
bool oracle_due(struct oracle *o, uint8_t kind, struct lsn lsn, struct instant now);
/* oracle_overdue: whether some lease or delay should have ended by now, a tick of 1 ms allowed. */
bool oracle_overdue(const struct oracle *o, struct instant now);
/* oracle_reaped: the messages of dropped queues are gone. oracle_restart: a start in another boot. `newest` is the
 * instant of the newest fact before it. */
void oracle_reaped(struct oracle *o);
void oracle_restart(struct oracle *o, struct instant newest, struct instant now);
/* oracle_stat: counters and ages (not bytes) of a live queue. */
void oracle_stat(const struct oracle *o, int q, struct instant now, struct reply_stat *stat);

#endif
