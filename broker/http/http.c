/* http.c - one thread between libmicrohttpd and two mailboxes.
 *
 *     request --> visit --> suspended until its question is answered --> answer
 *                   |                                                      ^
 *                   +-- a second has passed -------- 503 -----------------+
 *
 * libmicrohttpd never blocks here: a request that needs the shard is suspended, and resumed when survey_collect() says
 * that its question is answered. The answer to /metrics is written once per snapshot and shared by all who wait for it.
 * Of a daemon's places for connections, one is kept free: the connection that takes the last one makes another give
 * way, the one that has gone longest without a step (its request complete, its answer gone). Those that wait for the
 * shard stay, as they go on within a second. So who is slow, or idle, or does not read, locks nobody out.
 *
 * The thread sleeps in one place, epoll_wait(), over the daemons (one per address) and the bell that the mailboxes
 * ring.
 */
#include "http.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "bell.h"
#include "clock.h"
#include "mark.h"
#include "must.h"
#include "survey.h"
#include "tcp_listen.h"
#include "thread.h"
#include "version.h"

enum { IDLE_SECONDS = 10, EVENTS = 8 };

/* A request that waits, or has waited, for an answer of the shard. */
struct visit {
    struct visit *next; /* of those that wait */
    struct MHD_Connection *connection;
    enum question question;
    struct instant deadline;
    enum { WAITING, ANSWERED, LATE } state;
};

/* A connection's place: free when it has no connection. */
struct place {
    struct MHD_Connection *connection;
    uint64_t step; /* the number of its last one */
};

struct http {
    struct MHD_Daemon *daemons[LISTEN_MAX];
    struct place places[LISTEN_MAX][HTTP_CONNECTIONS];
    uint64_t steps;
    bool full[LISTEN_MAX]; /* at its limit when we looked last */
    unsigned daemon_count;
    uint16_t port;
    int epoll;
    struct bell bell; /* letters came back, or stop */
    atomic_bool stop;
    struct mailbox *shard, *program;
    struct survey survey;
    struct visit *waiting;
    struct MHD_Response *metrics; /* of the newest snapshot */
    struct thread thread;
    struct instant start;
};

static char seen; /* state of a request whose head is here, and that waits for nothing */

static const char index_text[] = "leatd " LEAT_VERSION "\n"
                                 "\n"
                                 "/metrics   counters, for Prometheus\n"
                                 "/healthz   200 when the broker works, else 503\n";

static enum MHD_Result answer(struct MHD_Connection *c, unsigned status, const char *text)
{
    struct MHD_Response *r =
        MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT);
    if (!r)
        return MHD_NO;
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain; charset=utf-8");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    return result;
}

static enum MHD_Result answer_visit(struct http *h, const struct visit *v)
{
    if (v->state == LATE) {
        mark(http_late);
        return answer(v->connection, MHD_HTTP_SERVICE_UNAVAILABLE, "the shard did not answer within a second\n");
    }
    if (v->question == PULSE)
        return answer(v->connection, MHD_HTTP_OK, "ok\n");
    if (!h->metrics)
        return answer(v->connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "no memory for this page\n");
    return MHD_queue_response(v->connection, MHD_HTTP_OK, h->metrics);
}

static struct place *place_of(struct MHD_Connection *c)
{
    return MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static struct place *free_place(struct http *h, struct MHD_Connection *c)
{
    const struct MHD_Daemon *d = MHD_get_connection_info(c, MHD_CONNECTION_INFO_DAEMON)->daemon;
    for (unsigned daemon = 0; daemon < h->daemon_count; daemon++)
        for (unsigned i = 0; h->daemons[daemon] == d && i < HTTP_CONNECTIONS; i++)
            if (!h->places[daemon][i].connection)
                return &h->places[daemon][i];
    return NULL;
}

static void on_connection(void *context, struct MHD_Connection *c, void **place,
                          enum MHD_ConnectionNotificationCode what)
{
    struct http *h = context;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        struct place *p = free_place(h, c);
        must(p != NULL); /* the daemon has as many connections, at most */
        *p = (struct place){.connection = c, .step = ++h->steps};
        *place = p;
    } else {
        *(struct place *)*place = (struct place){0};
    }
}

static bool is_suspended(struct MHD_Connection *c)
{
    return MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_SUSPENDED)->suspended == MHD_YES;
}

/* The connection that has gone longest without a step ends, unless it is the only one that does not wait: it has come
 * just now perhaps, and the others go on within a second. */
static void make_room(struct place places[HTTP_CONNECTIONS])
{
    struct place *oldest = NULL;
    unsigned others = 0;
    for (struct place *p = places; p < places + HTTP_CONNECTIONS; p++) {
        if (!p->connection || is_suspended(p->connection))
            continue;
        others += oldest != NULL;
        if (!oldest || p->step < oldest->step)
            oldest = p;
    }
    if (others == 0)
        return;
    mark(http_gives_way);
    shutdown(MHD_get_connection_info(oldest->connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd, SHUT_RDWR);
}

static enum MHD_Result begin_visit(struct http *h, struct MHD_Connection *c, enum question q, void **state)
{
    struct visit *v = malloc(sizeof *v); /* as many as connections, at most */
    if (!v)
        return MHD_NO;
    *v = (struct visit){h->waiting, c, q, instant_add(clock_now(), duration_ms(HTTP_ANSWER_MS)), WAITING};
    h->waiting = v;
    *state = v;
    survey_ask(&h->survey, q);
    MHD_suspend_connection(c);
    return MHD_YES;
}

/* libmicrohttpd calls this when it has the head of a request (*state is NULL: we leave a token and wait for the second
 * call, as it wants it), and again after a resumption. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *c, const char *path, const char *method,
                                  const char *version, const char *upload, size_t *upload_size, void **state)
{
    struct http *h = context;
    (void)version;
    (void)upload;
    (void)upload_size;
    place_of(c)->step = ++h->steps;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return answer(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    if (!*state) {
        *state = &seen;
        return MHD_YES;
    }
    if (*state != &seen)
        return answer_visit(h, *state);
    if (strcmp(path, "/metrics") == 0)
        return begin_visit(h, c, SNAPSHOT, state);
    if (strcmp(path, "/healthz") == 0)
        return begin_visit(h, c, PULSE, state);
    if (strcmp(path, "/") == 0)
        return answer(c, MHD_HTTP_OK, index_text);
    return answer(c, MHD_HTTP_NOT_FOUND, "not found: / lists what is here\n");
}

static void on_end(void *context, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode why)
{
    struct http *h = context;
    (void)why;
    place_of(c)->step = ++h->steps;
    if (*state && *state != &seen) {
        struct visit *v = *state; /* not among those that wait: a suspended request does not end */
        must(v->state != WAITING);
        free(v);
    }
    *state = NULL;
}

/* Lets go on who waits for one of `questions` (bits), or has waited too long. Answers when the next one's time is up.
 */
static struct instant resume_visits(struct http *h, unsigned questions, struct instant now)
{
    struct instant next = INSTANT_NEVER;
    for (struct visit **place = &h->waiting; *place;) {
        struct visit *v = *place;
        bool answered = questions >> v->question & 1;
        if (!answered && instant_before(now, v->deadline)) {
            next = instant_min(next, v->deadline);
            place = &v->next;
            continue;
        }
        v->state = answered ? ANSWERED : LATE;
        *place = v->next;
        MHD_resume_connection(v->connection);
    }
    return next;
}

static void write_metrics(struct http *h, struct instant now)
{
    struct page page = {0};
    h->survey.metrics.uptime = instant_since(now, h->start);
    metrics_write(&page, &h->survey.metrics);
    if (h->metrics)
        MHD_destroy_response(h->metrics);
    h->metrics = NULL;
    if (!page.failed)
        h->metrics = MHD_create_response_from_buffer(page.size, page.text, MHD_RESPMEM_MUST_FREE);
    if (h->metrics)
        MHD_add_response_header(h->metrics, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
    else
        page_close(&page);
}

static bool is_full(struct MHD_Daemon *d)
{
    return MHD_get_daemon_info(d, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)->num_connections >= HTTP_CONNECTIONS;
}

/* A daemon at its limit of connections stops listening, and begins again only in the run after the one in which some
 * ended: nothing would wake us for that. And who took the last place is heard in one more run, before anybody gives way
 * to the next. True: it is to be run again at once. */
static bool run_daemon(struct http *h, unsigned i)
{
    bool was_full = h->full[i];
    MHD_run(h->daemons[i]);
    h->full[i] = is_full(h->daemons[i]);
    if (was_full && h->full[i])
        make_room(h->places[i]);
    if (was_full && !h->full[i])
        mark(http_listens_again);
    return was_full != h->full[i];
}

/* The thread's step: letters, then requests. Answers how long it may sleep, in milliseconds; -1: for ever. */
static int step(struct http *h)
{
    struct instant now = clock_now();
    unsigned answered = survey_collect(&h->survey);
    if (answered >> SNAPSHOT & 1)
        write_metrics(h, now);
    resume_visits(h, answered, now);
    int sleep_ms = -1;
    for (unsigned i = 0; i < h->daemon_count; i++) {
        MHD_UNSIGNED_LONG_LONG ms;
        if (run_daemon(h, i))
            sleep_ms = 0;
        if (MHD_get_timeout(h->daemons[i], &ms) == MHD_YES && (sleep_ms < 0 || (int)ms < sleep_ms))
            sleep_ms = ms > HTTP_ANSWER_MS ? HTTP_ANSWER_MS : (int)ms;
    }
    struct instant next = resume_visits(h, 0, now);
    if (next.ns != INSTANT_NEVER.ns) {
        int left_ms = (int)(instant_since(next, now).ns / 1000000) + 1;
        sleep_ms = sleep_ms < 0 || left_ms < sleep_ms ? left_ms : sleep_ms;
    }
    return sleep_ms;
}

static void http_thread(void *context)
{
    struct http *h = context;
    while (!atomic_load(&h->stop)) {
        struct epoll_event events[EVENTS];
        int sleep_ms = step(h);
        bool shard_silent = mailbox_arm_xcore(h->shard);
        bool program_silent = mailbox_arm_xcore(h->program);
        int n = epoll_wait(h->epoll, events, EVENTS, shard_silent && program_silent ? sleep_ms : 0);
        must(n >= 0 || errno == EINTR);
        mailbox_disarm_xcore(h->shard);
        mailbox_disarm_xcore(h->program);
        bell_silence(&h->bell);
    }
    while (h->waiting) { /* MHD_stop_daemon() wants nobody suspended */
        struct visit *v = h->waiting;
        h->waiting = v->next;
        v->state = LATE;
        MHD_resume_connection(v->connection);
    }
}

static bool watch(int epoll, int fd)
{
    struct epoll_event e = {.events = EPOLLIN};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) == 0;
}

static bool open_daemon(struct http *h, int fd)
{
    struct MHD_Daemon *d = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, h, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_HEAD_MAX, MHD_OPTION_NOTIFY_COMPLETED, on_end, h,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, h, MHD_OPTION_END);
    if (!d)
        return false;
    h->daemons[h->daemon_count++] = d;
    return watch(h->epoll, MHD_get_daemon_info(d, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd);
}

static enum leat_status open_daemons(struct http *h, const char *address, char error[256])
{
    struct tcp_listen l;
    enum leat_status status = tcp_listen_open(&l, address, error);
    if (status != LEAT_OK)
        return status;
    h->port = l.port;
    for (unsigned i = 0; i < l.count; i++) {
        if (open_daemon(h, l.fds[i]))
            continue;
        if (h->daemon_count == i) /* the sockets of daemons are theirs */
            close(l.fds[i]);
        for (i++; i < l.count; i++)
            close(l.fds[i]);
        snprintf(error, 256, "cannot serve HTTP on %s: out of memory or descriptors", address);
        return LEAT_NO_MEMORY;
    }
    return LEAT_OK;
}

static void close_daemons(struct http *h)
{
    for (unsigned i = 0; i < h->daemon_count; i++)
        MHD_stop_daemon(h->daemons[i]);
    if (h->metrics)
        MHD_destroy_response(h->metrics);
}

static enum leat_status open_letters(struct http *h, const struct http_config *c)
{
    enum leat_status status = mailbox_open(&h->shard, c->wake, c->wake_context, bell_ring, &h->bell);
    if (status != LEAT_OK)
        goto err0;
    status = mailbox_open(&h->program, c->wake, c->wake_context, bell_ring, &h->bell);
    if (status != LEAT_OK)
        goto err1;
    status = survey_open(&h->survey, h->shard, h->program, c->queues_max);
    if (status != LEAT_OK)
        goto err2;
    h->survey.metrics.memory_max = c->memory_max;
    h->survey.metrics.start_wall_ns = c->start_wall_ns;
    return LEAT_OK;
err2:
    mailbox_close(h->program);
err1:
    mailbox_close(h->shard);
err0:
    return status;
}

enum leat_status http_open(struct http **out, const struct http_config *c, char error[256])
{
    snprintf(error, 256, "cannot serve HTTP on %s: out of memory or descriptors", c->address);
    struct http *h = calloc(1, sizeof *h);
    if (!h)
        return LEAT_NO_MEMORY;
    enum leat_status status = LEAT_NO_MEMORY;
    h->start = clock_now();
    if (bell_open(&h->bell) != LEAT_OK)
        goto err0;
    h->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (h->epoll < 0)
        goto err1;
    if (!watch(h->epoll, h->bell.fd) || open_letters(h, c) != LEAT_OK)
        goto err2;
    status = open_daemons(h, c->address, error);
    if (status != LEAT_OK)
        goto err3;
    status = LEAT_NO_MEMORY;
    if (!thread_start(&h->thread, http_thread, h, "leat-http"))
        goto err3;
    error[0] = 0;
    *out = h;
    return LEAT_OK;
err3:
    close_daemons(h);
    survey_close(&h->survey);
    mailbox_close(h->program);
    mailbox_close(h->shard);
err2:
    close(h->epoll);
err1:
    bell_close(&h->bell);
err0:
    free(h);
    return status;
}

void http_close(struct http *h)
{
    atomic_store(&h->stop, true);
    bell_ring(&h->bell);
    thread_join(&h->thread);
    close_daemons(h);
    survey_close(&h->survey);
    mailbox_close(h->program);
    mailbox_close(h->shard);
    close(h->epoll);
    bell_close(&h->bell);
    free(h);
}

uint16_t http_port(const struct http *h)
{
    return h->port;
}

struct mailbox *http_shard_mailbox(const struct http *h)
{
    return h->shard;
}

struct mailbox *http_program_mailbox(const struct http *h)
{
    return h->program;
}

uint64_t http_memory(uint32_t queues_max)
{
    enum { QUEUE_TEXT = 16 * 128 }; /* its lines; two pages at a time, each up to twice as large as its text */
    return (uint64_t)HTTP_CONNECTIONS * 2 * HTTP_HEAD_MAX +
           (uint64_t)queues_max * (sizeof(struct reply_stat) + 4 * QUEUE_TEXT) + (1u << 20);
}
