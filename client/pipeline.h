/* pipeline.h - how the files of the library submit: a name that was checked, a waiter, a call of the core. Units:
 * bytes. Memory: the handle's. Failure: enum leat_status, with a sentence in leat->error. Thread: the handle's. */
#ifndef LEAT_CLIENT_PIPELINE_H
#define LEAT_CLIENT_PIPELINE_H

#include "leat_state.h"

/* pipeline_op: an operation on a queue, or LEAT_BAD_NAME. */
enum leat_status pipeline_op(struct leat *l, struct client_op *op, uint8_t code, const char *queue);
/* pipeline_submit: `waiter` gets the number of the call for pipeline_forget(). */
enum leat_status pipeline_submit(struct leat *l, const struct client_op *op, leat_callback *callback, void *user,
                                 uint64_t *waiter);
/* pipeline_put, pipeline_receipts: batches of 1..LEAT_BATCH_MAX entries. */
enum leat_status pipeline_put(struct leat *l, const char *queue, const struct leat_put_entry *entries, size_t count,
                              leat_callback *callback, void *user, uint64_t *waiter);
enum leat_status pipeline_receipts(struct leat *l, uint8_t code, const char *queue, const struct leat_receipt *receipts,
                                   size_t count, uint64_t time_ns, leat_callback *callback, void *user,
                                   uint64_t *waiter);
/* pipeline_forget: nobody waits for it any more. True: it may have been executed all the same. */
bool pipeline_forget(struct leat *l, uint64_t waiter);
/* pipeline_fail: keeps a sentence for leat_error() and gives the status back. */
enum leat_status pipeline_fail(struct leat *l, enum leat_status status, const char *about);

#endif
