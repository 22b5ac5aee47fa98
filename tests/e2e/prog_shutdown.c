/* prog_shutdown.c - pulls the plug of one ext4 file system: what its device has not been given by now is never written.
 *
 *   prog_shutdown DIRECTORY [PID]     with PID: kill -9 right behind it
 *
 * EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH: the journal is not flushed, every later operation fails. Root
 * only. Exit: 0, or 1 with a sentence. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define EXT4_SHUTDOWN _IOR('X', 125, uint32_t)
enum { NO_LOG_FLUSH = 2 };

int main(int argc, char **argv)
{
    uint32_t flags = NO_LOG_FLUSH;
    int fd = argc >= 2 ? open(argv[1], O_RDONLY | O_DIRECTORY) : -1;
    pid_t pid = argc == 3 ? (pid_t)atoi(argv[2]) : 0;
    if (fd < 0 || ioctl(fd, EXT4_SHUTDOWN, &flags) != 0) {
        fprintf(stderr, "prog_shutdown: %s\n", argc >= 2 ? strerror(errno) : "usage: prog_shutdown DIRECTORY [PID]");
        return 1;
    }
    if (pid > 0)
        kill(pid, SIGKILL);
    return 0;
}
