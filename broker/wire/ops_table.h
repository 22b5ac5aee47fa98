/* ops_table.h - every operation that a client may ask for.  OP(NAME, name, code, min_body, max_count, help)
 *
 * `min_body` is the fewest bytes after the operation header; `max_count` the most entries (0: the operation has none).
 * Codes travel: never change or reuse one. Expanded into the enum, the decoder's bounds, metric names and the fuzz
 * dictionary. No include guard: expanded many times. */
OP(HELLO, hello, 1, 40, 0, "open or resume a session")
OP(PING, ping, 2, 0, 0, "keep a session alive")
OP(BYE, bye, 3, 0, 0, "end a session")
OP(QUEUE_CREATE, queue_create, 16, 208, 0, "create a queue")
OP(QUEUE_DROP, queue_drop, 17, 88, 0, "drop a queue with all its messages")
OP(QUEUE_STAT, queue_stat, 18, 88, 0, "tell a queue's number, attributes and counters")
OP(QUEUE_LIST, queue_list, 19, 96, 0, "list queues by name")
OP(PUT, put, 32, 32, 1000, "add messages")
OP(TAKE, take, 33, 32, 0, "lease the next messages")
OP(ACK, ack, 34, 56, 1000, "finish leased messages")
OP(NACK, nack, 35, 56, 1000, "give leased messages back")
OP(EXTEND, extend, 36, 56, 1000, "make leases last longer")
OP(PEEK, peek, 37, 16, 0, "look at the next messages without leasing them")
OP(BACKUP_BEGIN, backup_begin, 48, 0, 0, "begin a backup of the data directory: which files it has")
OP(BACKUP_READ, backup_read, 49, 24, 0, "read a piece of a file of the backup")
OP(BACKUP_END, backup_end, 50, 8, 0, "end a backup")
