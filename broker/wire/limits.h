/* limits.h - sizes that both ends of the wire agree on before they have spoken. A hello's answer tells the rest.
 * Units: bytes and entries. Thread: any (constants). */
#ifndef LEAT_WIRE_LIMITS_H
#define LEAT_WIRE_LIMITS_H

enum {
    FRAME_MAX = 64 * 1024,         /* one frame, header included */
    BATCH_MAX = 1000,              /* entries of one operation */
    REQUEST_MAX = 4 * 1024 * 1024, /* one operation, header included, all fragments together */
    REPLY_MAX =
        1024 * 1024, /* a take's answer is cut here (one message always fits: see BODY_MAX); the rest stays ready */
    BODY_MAX = 1024 * 1024,    /* largest body that a broker may be configured for */
    ATTRS_MAX = 64 * 1024 - 8, /* opaque attributes of one message */
    NAME_MAX_BYTES = 80,       /* a queue's name */
    WINDOW_MIN = 8,            /* request slots of a session */
    WINDOW_MAX = 64,
    BACKUP_PIECE_MAX = 1024 * 1024, /* bytes of one backup_read, */
    BACKUP_PIECE_UNIT = 4096,       /* a multiple of this, as its offset is */
    RUNS_MAX = 4,                   /* runs of results in the answer to a batch */
    DATAGRAM_MIN = 1232,            /* frames per datagram before hello has told more: IPv6's minimum without headers */
};

#define PROTOCOL_VERSION 1

#endif

/* gcc's own <limits.h> looks for the system's through a file in quotes, and with -iquote finds us first. */
#ifdef _GCC_NEXT_LIMITS_H
#include_next <limits.h>
#endif
