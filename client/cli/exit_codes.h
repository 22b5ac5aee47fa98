/* exit_codes.h - how `leat` ends; the codes are those of sysexits.h where it has one. Thread: any (constants). */
#ifndef LEAT_CLI_EXIT_CODES_H
#define LEAT_CLI_EXIT_CODES_H

enum report_exit {
    EXIT_DONE = 0,
    EXIT_REFUSED = 1,   /* the broker said no, or nothing is there */
    EXIT_USAGE = 64,    /* words that make no sense */
    EXIT_DATA = 65,     /* input that can not be sent: a line too long, a receipt that is none; data that is rotten */
    EXIT_NO_INPUT = 66, /* no data directory there */
    EXIT_UNREACHABLE = 69, /* no broker */
    EXIT_BUG = 70,
    EXIT_SYSTEM = 71,  /* no memory or no descriptors */
    EXIT_BUSY = 73,    /* a broker uses the data directory */
    EXIT_IO = 74,      /* standard input or output failed */
    EXIT_LATER = 75,   /* no answer in time, or an unknown outcome: it may have happened */
    EXIT_TOO_NEW = 76, /* the data directory is of a newer version */
    EXIT_PERMISSION = 77,
};

#endif
