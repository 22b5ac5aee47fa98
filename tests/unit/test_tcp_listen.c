/* test_tcp_listen.c - an address that somebody else has, for a moment or for good. Forms of addresses: test_tcp.c. */
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tcp_listen.h"
#include "test.h"

TEST(tcp_listen, an_address_that_a_dead_process_lets_go_a_moment_later_is_bound_then)
{
    char error[256] = "", address[64];
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof any;
    int held = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(held, (struct sockaddr *)&any, sizeof any), 0);
    assert_int_equal(listen(held, 1), 0);
    assert_int_equal(getsockname(held, (struct sockaddr *)&any, &size), 0);
    snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(any.sin_port));
    pid_t child = fork();
    if (child == 0) { /* what the kernel does, slowly */
        poll(NULL, 0, 150);
        _exit(0);
    }
    assert_true(child > 0);
    close(held);
    struct tcp_listen l;
    assert_int_equal(tcp_listen_open(&l, address, error), LEAT_OK);
    assert_int_equal(l.port, ntohs(any.sin_port));
    tcp_listen_close(&l);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
}
