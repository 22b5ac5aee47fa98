/* fake_server.c - accept one, serve it until it ends, accept the next. */
#include "fake_server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake_broker.h"
#include "must.h"

enum { ROOM = 1 << 20 };

struct fake_server {
    struct fake_broker broker;
    pthread_mutex_t lock;
    pthread_t thread;
    int listener, wake[2];
    char address[32];
    unsigned connections;
    int hang_up_after; /* frames; -1: never */
};

/* Sleeps until `fd` is readable; false: the test is over. */
static bool readable(struct fake_server *s, int fd)
{
    struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = s->wake[0], .events = POLLIN}};
    must(poll(p, 2, -1) > 0);
    return p[1].revents == 0;
}

static bool send_all(int fd, const uint8_t *bytes, size_t size)
{
    while (size) {
        ssize_t n = send(fd, bytes, size, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        bytes += n;
        size -= (size_t)n;
    }
    return true;
}

/* Whole frames from the front of what came; how many bytes they were. False: hang up. */
static bool serve_frames(struct fake_server *s, int fd, const uint8_t *bytes, size_t size, size_t *used)
{
    *used = 0;
    bool alive = true;
    int32_t whole;
    pthread_mutex_lock(&s->lock);
    while (alive && (whole = frame_size(bytes + *used, size - *used)) > 0 && (size_t)whole <= size - *used) {
        fake_broker_input(&s->broker, bytes + *used, (size_t)whole);
        *used += (size_t)whole;
        if (s->hang_up_after == 0) {
            fake_broker_restart(&s->broker);
            alive = false;
        }
        if (s->hang_up_after >= 0)
            s->hang_up_after--;
    }
    if (alive)
        alive = send_all(fd, s->broker.out, s->broker.out_size);
    s->broker.out_size = 0;
    pthread_mutex_unlock(&s->lock);
    return alive;
}

static void serve(struct fake_server *s, int fd)
{
    uint8_t *bytes = malloc(ROOM);
    must(bytes != NULL);
    size_t have = 0, used;
    while (readable(s, fd)) {
        ssize_t n = recv(fd, bytes + have, ROOM - have, 0);
        if (n <= 0)
            break;
        have += (size_t)n;
        if (!serve_frames(s, fd, bytes, have, &used))
            break;
        memmove(bytes, bytes + used, have - used);
        have -= used;
    }
    free(bytes);
    close(fd);
}

static void *run(void *arg)
{
    struct fake_server *s = arg;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL); /* they are for the test */
    while (readable(s, s->listener)) {
        int fd = accept(s->listener, NULL, NULL);
        must(fd >= 0);
        pthread_mutex_lock(&s->lock);
        s->connections++;
        pthread_mutex_unlock(&s->lock);
        serve(s, fd);
    }
    return NULL;
}

struct fake_server *fake_server_open(void)
{
    struct fake_server *s = calloc(1, sizeof *s);
    must(s != NULL);
    fake_broker_open(&s->broker);
    s->hang_up_after = -1;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof a;
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(s->listener >= 0);
    must(bind(s->listener, (struct sockaddr *)&a, sizeof a) == 0);
    must(listen(s->listener, 8) == 0);
    must(getsockname(s->listener, (struct sockaddr *)&a, &size) == 0);
    snprintf(s->address, sizeof s->address, "127.0.0.1:%u", ntohs(a.sin_port));
    must(pipe(s->wake) == 0);
    pthread_mutex_init(&s->lock, NULL);
    must(pthread_create(&s->thread, NULL, run, s) == 0);
    return s;
}

void fake_server_close(struct fake_server *s)
{
    must(write(s->wake[1], "x", 1) == 1);
    pthread_join(s->thread, NULL);
    close(s->listener);
    close(s->wake[0]);
    close(s->wake[1]);
    pthread_mutex_destroy(&s->lock);
    fake_broker_close(&s->broker);
    free(s);
}

const char *fake_server_address(const struct fake_server *s)
{
    return s->address;
}

void fake_server_hang_up_after(struct fake_server *s, int frames)
{
    pthread_mutex_lock(&s->lock);
    s->hang_up_after = frames;
    pthread_mutex_unlock(&s->lock);
}

void fake_server_refuse(struct fake_server *s, unsigned requests)
{
    pthread_mutex_lock(&s->lock);
    s->broker.refuse_next = requests;
    pthread_mutex_unlock(&s->lock);
}

void fake_server_lie(struct fake_server *s, int lie)
{
    pthread_mutex_lock(&s->lock);
    s->broker.lie = (enum fake_lie)lie;
    pthread_mutex_unlock(&s->lock);
}

void fake_server_rot(struct fake_server *s, bool rotten)
{
    pthread_mutex_lock(&s->lock);
    s->broker.rotten = rotten;
    pthread_mutex_unlock(&s->lock);
}

void fake_server_mute(struct fake_server *s, bool mute)
{
    pthread_mutex_lock(&s->lock);
    s->broker.mute = mute;
    pthread_mutex_unlock(&s->lock);
}

/* A number of the broker, read while it stands still. */
static unsigned look(struct fake_server *s, const unsigned *number)
{
    pthread_mutex_lock(&s->lock);
    unsigned n = *number;
    pthread_mutex_unlock(&s->lock);
    return n;
}

unsigned fake_server_connections(struct fake_server *s)
{
    return look(s, &s->connections);
}

unsigned fake_server_byes(struct fake_server *s)
{
    return look(s, &s->broker.byes);
}

unsigned fake_server_messages(struct fake_server *s, const char *queue)
{
    pthread_mutex_lock(&s->lock);
    unsigned n = fake_broker_queue(&s->broker, queue)->count;
    pthread_mutex_unlock(&s->lock);
    return n;
}
