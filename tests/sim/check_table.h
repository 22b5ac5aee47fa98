/* check_table.h - the promises that are watched while a seed runs.  CHECK(name, invariants, text)
 *
 * Each is check_<name>() in check_<name>.c, and has bad histories of its own in tests/unit/test_checkers.c. No include
 * guard: expanded many times. */
CHECK(lost, "I1 S1", "an acknowledged put is received, acked, dead or dropped with its queue, never lost")
CHECK(phantom, "I2 I4", "every body delivered was put, equal to the byte, and an id means one body for ever")
CHECK(batch, "I15", "the results of a batch are those of its entries")
CHECK(failed_put, "I3", "a put that failed is never delivered, any other at most under one id")
CHECK(fence, "I5", "receipts of a message rise, and no two leases share one")
CHECK(stale, "I6", "a superseded receipt has no effect and says so")
CHECK(overlap, "I7 I8", "a lease does not end early, and nobody else has the message before")
CHECK(acked, "I9", "a message whose ack was acknowledged is not leased again")
CHECK(attempts, "I10", "each delivery counts one attempt, across restarts")
CHECK(dead, "I11", "the last failed attempt moves a message to the dead-letter queue, once")
CHECK(delay, "I12", "no delivery before the delay has passed")
CHECK(epoch, "P1", "each start opens an epoch above all before it")
CHECK(session, "P1", "a session's handle is never another's, whatever a crash has taken away")
CHECK(reserve, "P8", "an ack is not refused for want of space while disk_max alone is the limit")
CHECK(dropped, "I16", "a dropped queue gives no message any more, and honours no receipt")
