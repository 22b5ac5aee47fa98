/* quit.h - the signals that ask a command to come to its end: SIGINT, SIGTERM, and SIGHUP unless it was ignored when we
 * were started, since nohup(1) wants it to go on.
 *
 * A terminal that goes away sends more than one SIGHUP: only the first of them says anything. Units: none. Memory:
 * none. Failure: none. Thread: any, before one of them is caught or blocked. */
#ifndef LEAT_CLI_QUIT_H
#define LEAT_CLI_QUIT_H

#include <signal.h>

void quit_signals(sigset_t *set);

#endif
