/* commands_table.h - every command of `leat`.
 *
 * COMMAND(function, "name", "ARGUMENTS", min words, max words, options, summary, details)
 *
 * Options that every command takes (server, timeout, help) are not repeated. Expanded into the dispatcher and --help.
 * No include guard: expanded many times. */
COMMAND(
    cmd_queue_create, "queue create", "NAME", 1, 1,
    O(LEASE) | O(DELAY) | O(MAX_ATTEMPTS) | O(DEAD_LETTER) | O(CLASS) | O(BODY_MAX), "make a queue",
    "Fine when it exists with the same options. Defaults: --lease 30s --delay 0 --max-attempts 0, the broker's class.")
COMMAND(cmd_queue_drop, "queue drop", "NAME", 1, 1, 0, "drop a queue with all its messages", "")
COMMAND(cmd_queue_list, "queue list", "", 0, 0, O(JSON), "list queues with their counters",
        "One line per queue: NAME READY LEASED DELAYED DEAD, between tabs; below a header when it goes to a terminal.")
COMMAND(cmd_queue_stat, "queue stat", "NAME", 1, 1, O(JSON), "tell all about one queue", "Lines of NAME: VALUE.")
COMMAND(cmd_put, "put", "QUEUE [BODY|-]", 1, 2, O(LINES) | O(BATCH) | O(DELAY) | O(CLASS) | O(JSON),
        "add a message, or one per line",
        "Without BODY, or with -, the body is what comes on standard input. Prints the id of the message.\n"
        "With --lines, messages travel --batch at a time (100), many batches at once, and what the broker refuses for "
        "now, or\n"
        "does not answer while it restarts, is asked again until --timeout (60s) has passed without progress; order is "
        "kept\n"
        "unless the broker refused something. Progress is shown when standard error is a terminal.")
COMMAND(
    cmd_take, "take", "QUEUE", 1, 1, O(NUMBER) | O(WAIT) | O(LEASE) | O(RAW) | O(ACK) | O(JSON),
    "lease the next messages and print them",
    "One line per message: RECEIPT, a tab, the body, in which \\\\ \\n \\r \\t \\0 and \\xHH stand for backslash, "
    "newline,\n"
    "carriage return, tab, zero and other control characters. --json prints one object per line, with \"body\", or\n"
    "\"body_base64\" when the body is not UTF-8 text. Defaults: -n 1, --wait 0, the queue's lease.\n"
    "Exit code 1 and `empty` when there was none; 65 and `corrupt` when the broker's disk has lost the bytes of all that\n"
    "was taken: then standard error names each, with its receipt, for leat ack or nack.")
COMMAND(cmd_peek, "peek", "QUEUE", 1, 1, O(NUMBER) | O(RAW) | O(JSON), "look at the next messages without taking them",
        "As take prints them, but ID, a tab, STATE (ready, leased, delayed or dead), a tab, the body.")
COMMAND(cmd_receipts_ack, "ack", "QUEUE RECEIPT...|-", 2, 1000, 0, "finish taken messages",
        "With -, receipts are the first words of the lines on standard input: leat take q -n 100 | leat ack q -")
COMMAND(cmd_receipts_nack, "nack", "QUEUE RECEIPT...|-", 2, 1000, O(DELAY), "give taken messages back", "")
COMMAND(cmd_receipts_extend, "extend", "QUEUE RECEIPT...|-", 2, 1000, O(LEASE), "make leases last longer, from now",
        "Default: --lease 30s.")
COMMAND(cmd_work, "work", "QUEUE -- COMMAND...", 1, 1, O(JOBS) | O(BATCH) | O(LEASE) | O(DRAIN) | O(NACK_DELAY),
        "run a command for every message",
        "The body is the command's standard input; $LEAT_QUEUE, $LEAT_ID and $LEAT_ATTEMPTS tell about the message. "
        "Exit code 0\n"
        "finishes the message, any other gives it back. With --batch N, up to N messages are the lines of one "
        "command's input,\n"
        "and finish or fail together. The lease (30s) is extended while the command runs. A broker that goes "
        "away\n"
        "is waited for. SIGINT, SIGTERM or SIGHUP (not under nohup): takes no more, finishes what runs. A second SIGINT or "
        "SIGTERM\n"
        "ends the commands too, by SIGTERM and SIGCONT to their process groups; a third one, or 10 s, by SIGKILL. What "
        "they did\n"
        "not finish is given back.\n"
        "A message that the broker's disk has lost is named once on standard error (16384 at most) and left to its lease; "
        "--drain\n"
        "ends with 65 when nothing else is left.\n"
        "Defaults: -j 1 --batch 1 --lease 30s --nack-delay 1s.")
COMMAND(cmd_backup, "backup", "DIR", 1, 1, O(RATE) | O(JSON),
        "copy the data of the running broker into a directory here",
        "DIR is made, or must be empty. It gets a data directory as of one moment: everything acknowledged before, and "
        "nothing half.\n"
        "The broker goes on working, and hardly feels it at the usual --rate 64m. To restore, start leatd on a copy of "
        "DIR:\n"
        "cp -r DIR DATA && leatd --data DATA. Half a backup is refused by leatd; one that fails is removed. One backup "
        "at a time:\n"
        "else `backup_busy`. SIGINT, SIGTERM or SIGHUP gives it up, with exit code 1; a file that cannot be written or "
        "grows\n"
        "over a limit ends it with 74.")
COMMAND(cmd_top, "top", "", 0, 0, O(INTERVAL) | O(JSON), "watch queues",
        "A live table: depth, rates per second, age of the oldest. One look when standard output is no terminal.")
COMMAND(
    cmd_fsck, "fsck", "DIR", 1, 1, O(JSON), "check every byte of a data directory that no broker uses",
    "Manifest, checkpoint, every block and fact of the log. What a power cut leaves (a torn tail, files made ahead) is\n"
    "said and fine; so is whatever else lies there, named as not leatd's. Nothing is changed. Exit codes: 0 sound; 65 corrupt; 66 no data\n"
    "directory; 73 a broker runs; 74 the disk; 76 of a newer version; 77 permission.")
COMMAND(cmd_dump, "dump", "DIR", 1, 1, O(FROM) | O(TO) | O(QUEUE) | O(BODIES) | O(CELL) | O(JSON),
        "print what a data directory's log says, a fact a line",
        "LSN, time, start, fact and key=value fields, between tabs; lines with # tell of what is missing. --json: an object per\n"
        "line, the rest on standard error. --bodies adds the bodies, escaped as take does. Exit code 1 and `no_queue` when\n"
        "the directory knows no queue of the name --queue; else as of fsck.")
COMMAND(cmd_explain, "explain", "DIR ID|RECEIPT", 2, 2, O(JSON), "tell what happened to one message",
        "Every decision about it that the log still holds, in order. The broker's option history_bytes keeps more of it.\n"
        "Exit code 1 and `empty` when nothing is known of it; else as of fsck.")
