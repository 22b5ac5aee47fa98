/* fact_table.h - everything that can become true.  FACT(NAME, name, code, bytes, help)
 *
 * `bytes` is the fixed part behind the fact header. Codes are on disk: never change or reuse one. No include guard:
 * expanded many times. */
FACT(QUEUE_CREATED, queue_created, 1, 224, "a queue exists from now on")
FACT(QUEUE_DROPPED, queue_dropped, 2, 8, "a queue is gone; its messages are reaped by facts that follow")
FACT(REAPED, reaped, 3, 8, "some messages of a dropped queue are gone")
FACT(PUT, put, 16, 32, "a message, with its attributes and body behind")
FACT(LEASED, leased, 17, 32, "a message is a consumer's until a deadline")
FACT(ACKED, acked, 18, 8, "a leased message is finished")
FACT(RETURNED, returned, 19, 16, "a leased message was given back")
FACT(EXTENDED, extended, 20, 16, "a lease has a new deadline")
FACT(EXPIRED, expired, 21, 8, "a lease ran out")
FACT(RIPENED, ripened, 22, 8, "a delay ended")
FACT(MOVED, moved, 23, 16, "a message whose attempts are spent went to the dead-letter queue, or stays here, dead")
FACT(EPOCH, epoch, 32, 40, "a start or a term: how log time goes on, and what the clocks say")
FACT(SESSION_OPENED, session_opened, 33, 16, "a client's session exists from now on")
FACT(SESSION_ENDED, session_ended, 34, 8, "a client's session is over")
FACT(REFUSED, refused, 35, 8, "entries of a batch that were refused before one that was accepted")
