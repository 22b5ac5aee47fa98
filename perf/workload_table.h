/* workload_table.h - what leat-bench can do to a broker.  WORKLOAD(NAME, name, help)
 *
 * One request is a batch of --batch messages; latency is a request's, from the moment it should have started. No
 * include guard: expanded many times. */
WORKLOAD(PUT, put, "put; the latency ends with the reply, which says that the class has been reached")
WORKLOAD(DELIVERY, delivery, "put to a parked consumer (a second session); ends when the message is there")
WORKLOAD(LIVES, lives, "put, take, ack; ends with the ack's reply; one life per message")
WORKLOAD(TAKE, take, "take and ack of what lies ready (--messages, put before the clock starts)")
WORKLOAD(DRAIN, drain, "take and ack until the queue is empty; every number 0..messages-1 must come once")
