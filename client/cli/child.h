/* child.h - one run of the user's command: input into it, its end noticed, something done now and then meanwhile.
 *
 * The command runs in a process group of its own, so that Ctrl-C at the terminal reaches us and not it; its output is
 * ours. Units: bytes, nanoseconds. Memory: none. Failure: -1 and errno. Thread: any number of children in as many
 * threads. */
#ifndef LEAT_CLI_CHILD_H
#define LEAT_CLI_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct child {
    pid_t pid;
    int ended; /* descriptor that becomes readable when it has */
    int input; /* pipe into it, -1 when all was written */
    const char *bytes;
    size_t size, written;
};

/* child_exists: there is such a program, by its path or along PATH. */
bool child_exists(const char *command);
/* child_start: runs argv[0], found on the PATH, with the environment `env`; `bytes` stay until child_wait() is done. -1
 * also when there is a child but its exec failed: an exit code, whatever it is, comes from the command itself. */
int child_start(struct child *c, char *const argv[], char *const env[], const char *bytes, size_t size);

/* child_wait: writes input and waits for at most `timeout_ns`. True when the command has ended, with the exit code in
 * *code (128 + signal if it was killed by one). */
bool child_wait(struct child *c, uint64_t timeout_ns, int *code);

#endif
