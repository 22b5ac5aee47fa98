/* config_table.h - every option of leatd, once.  GROUP(title)  OPTION(KIND, field, argument, fallback, low, high, help)
 *
 * A field `queues_max` is the flag --queues-max, the environment variable LEAT_QUEUES_MAX and the line `queues_max =`
 * of a configuration file. KIND says how a value is written:
 *   TEXT    as it is               CHOICE  one of the words in `argument`
 *   COUNT   a whole number         SIZE    bytes, or with K, M, G, T: powers of 1024
 *   PAGES   a SIZE, multiple of 4K TIME    a whole number and a unit: us, ms, s, m, h, d
 *   ADDRESS HOST:PORT of this machine, or none
 * `fallback` is what holds when nobody says otherwise; `low` and `high` are bounds in the same notation. Expanded into
 * struct config, the parser and --help. No include guard: expanded many times. */
GROUP("Where")
OPTION(TEXT, config, "FILE", "", "", "", "read options from FILE, lines of the form `queues_max = 1000`")
OPTION(TEXT, data, "DIR", "./leat-data", "", "", "the data directory; made when it is missing")
OPTION(ADDRESS, listen, "HOST:PORT", "127.0.0.1:7400", "", "", "clients by TCP; port 0: any free one; none: off")
OPTION(TEXT, local, "PATH", "", "", "", "clients of this machine by shared memory, a vhost-user socket; none: off [DIR/leat.sock]")
OPTION(ADDRESS, http, "HOST:PORT", "127.0.0.1:9324", "", "", "/metrics and /healthz; port 0: any free one; none: off")
GROUP("How")
OPTION(COUNT, shards, "N", "1", "1", "1", "cores that serve queues; this version has one")
OPTION(CHOICE, poll, "spin|adaptive", "adaptive", "", "", "spin: a core is the broker's alone; adaptive: sleep when idle")
OPTION(TIME, spin, "TIME", "50us", "0s", "1s", "with adaptive: how long to look for work before sleeping")
OPTION(CHOICE, durability, "disk|memory", "disk", "", "", "class of queues that name none: when a put is answered")
OPTION(TEXT, eal, "ARGS", "", "", "", "arguments for DPDK, in one word: --eal \"--no-huge\"")
OPTION(COUNT, cell, "N", "0", "0", "1023", "number of this broker among yours: part of every message id")
GROUP("Limits of queues and messages")
OPTION(COUNT, queues_max, "N", "16384", "1", "1048576", "queues")
OPTION(COUNT, ready_max, "N", "10000000", "1000", "1000000000", "ready messages that always fit; usually more do")
OPTION(COUNT, leases_max, "N", "1048576", "64", "100000000", "messages that are leased, delayed, returned or dead")
OPTION(SIZE, body_max, "SIZE", "1M", "1K", "1M", "body of a message")
OPTION(TIME, lease_min, "TIME", "1ms", "1ms", "1h", "shortest lease")
OPTION(TIME, lease_max, "TIME", "12h", "1s", "30d", "longest lease")
OPTION(TIME, delay_max, "TIME", "30d", "0s", "365d", "longest delay of a put")
OPTION(TIME, wait_max, "TIME", "1h", "0s", "7d", "longest wait of a take")
GROUP("Limits of clients")
OPTION(COUNT, sessions_max, "N", "4096", "1", "65535", "sessions")
OPTION(COUNT, window, "N", "64", "8", "64", "requests of a session under way")
OPTION(TIME, session_timeout, "TIME", "60s", "1s", "1d", "a silent session ends after this")
OPTION(COUNT, connections_max, "N", "16384", "1", "65536", "TCP connections")
OPTION(SIZE, connections_memory, "SIZE", "256M", "1M", "64G", "bytes that wait for or from slow TCP connections")
OPTION(COUNT, metrics_queues, "N", "1024", "0", "1048576", "queues with lines of their own in /metrics")
GROUP("Limits of memory and disk")
OPTION(SIZE, memory_max, "SIZE", "2G", "64M", "16T", "leatd does not start when its limits together may need more")
OPTION(SIZE, buffer_max, "SIZE", "64M", "16M", "64G", "large requests and answers, and bodies that come from the disk")
OPTION(SIZE, hot_max, "SIZE", "256M", "1M", "64G", "newest part of the log that stays in memory")
OPTION(SIZE, disk_max, "SIZE", "0", "0", "64T", "the log on disk; 0: half of what is free, up to 16G, or what it has now")
OPTION(PAGES, segment_size, "SIZE", "64M", "1M", "256M", "one file of the log")
OPTION(PAGES, block_max, "SIZE", "4M", "136K", "4M", "one write to the log")
OPTION(COUNT, depth, "N", "4", "1", "8", "writes to the log under way")
OPTION(SIZE, history_bytes, "SIZE", "0", "0", "64T", "log that nobody needs any more, kept within disk_max for leat explain")
OPTION(SIZE, checkpoint_every, "SIZE", "0", "0", "1T", "log behind a checkpoint before the next one; 0: segment_size")
