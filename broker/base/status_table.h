/* status_table.h - everything that the world can answer.  STATUS(NAME, name, code, retry, text)
 *
 * The code travels in replies and in `refused` facts: never change or reuse one. `retry` tells a client whether the
 * same request may succeed later without a change. The text is what people read. No include guard: expanded many times.
 */
STATUS(OK, ok, 0, false, "ok")
/* the request */
STATUS(BAD_FRAME, bad_frame, 1, false, "the frame is malformed")
STATUS(BAD_VERSION, bad_version, 2, false, "no protocol version in common")
STATUS(BAD_OP, bad_op, 3, false, "unknown operation or flag")
STATUS(BAD_REQUEST, bad_request, 4, false, "the request is malformed")
STATUS(BAD_NAME, bad_name, 5, false, "a queue name is 1 to 80 characters of [A-Za-z0-9_.-]")
STATUS(BAD_VALUE, bad_value, 6, false, "a value is out of its range")
STATUS(TOO_LARGE, too_large, 7, false, "the body is larger than the limit body_max")
STATUS(BAD_CHECKSUM, bad_checksum, 8, false, "the checksum of the body does not match")
STATUS(BATCH_TOO_LARGE, batch_too_large, 9, false, "the batch is larger than the limit batch_max")
/* sessions */
STATUS(NO_SESSION, no_session, 16, false, "this session is not known here: say hello first")
STATUS(SESSION_EXPIRED, session_expired, 17, false,
       "the session has expired: the outcome of unanswered requests is unknown")
STATUS(GAP, gap, 18, true, "a request number is missing: go back to it")
STATUS(SESSIONS_FULL, sessions_full, 19, true, "the limit sessions_max is reached, or that of 64 sessions per connection")
/* queues and messages */
STATUS(NO_QUEUE, no_queue, 32, false, "no such queue")
STATUS(QUEUE_EXISTS, queue_exists, 33, false, "the queue exists with other attributes")
STATUS(QUEUES_FULL, queues_full, 34, true, "the limit queues_max is reached")
STATUS(STALE_RECEIPT, stale_receipt, 35, false, "the receipt is stale: a newer lease exists, the message is gone, or the lease has ended and only an ack would count")
STATUS(BAD_RECEIPT, bad_receipt, 36, false, "the receipt was not made by this broker")
STATUS(LEASE_LOST, lease_lost, 37, false, "the lease ended before its reply could be sent, or sent again")
STATUS(LEASES_FULL, leases_full, 38, true, "the limit leases_max is reached")
STATUS(READY_FULL, ready_full, 39, true, "the limit ready_max is reached")
STATUS(EMPTY, empty, 40, true, "no message is ready")
STATUS(PARKED, parked, 41, true, "the take is parked and will be answered later")
STATUS(QUEUE_IN_USE, queue_in_use, 42, false, "the queue is another queue's dead-letter queue")
/* resources */
STATUS(OVERLOADED, overloaded, 64, true, "the broker is overloaded: try again later")
STATUS(NO_SPACE, no_space, 65, true, "the log has no room left, as disk_max is reached or the disk is full: finish messages to make some")
STATUS(CORRUPT, corrupt, 66, false, "stored data is corrupt")
STATUS(DISK_ERROR, disk_error, 67, false, "the disk has failed")
STATUS(STOPPING, stopping, 68, true, "the broker is stopping")
STATUS(NO_MEMORY, no_memory, 69, true, "the limit memory_max is reached")
STATUS(BUSY, busy, 70, true, "the data directory is in use by another broker")
STATUS(TOO_NEW, too_new, 71, false, "the data directory was written by a newer version")
STATUS(NO_PERMISSION, no_permission, 72, false, "permission denied")
STATUS(ADDRESS_IN_USE, address_in_use, 73, false, "the address is in use")
STATUS(BACKUP_BUSY, backup_busy, 74, true, "another backup is running: try again when it has ended")
STATUS(BACKUP_LOST, backup_lost, 75, false,
       "the broker gave this backup up: it restarted, its disk got short, or nothing was read for a minute")
/* what only a client says */
STATUS(UNKNOWN_OUTCOME, unknown_outcome, 96, false, "the connection ended before the answer: the outcome is unknown")
STATUS(UNREACHABLE, unreachable, 97, true, "the broker cannot be reached")
STATUS(TIMED_OUT, timed_out, 98, true, "no answer in time")
STATUS(CLOSED, closed, 99, false, "the client is closed")
STATUS(LOCAL_FILE, local_file, 100, false, "a file of this machine cannot be written")
