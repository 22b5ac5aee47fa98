/* http.h - the broker's HTTP endpoint: /metrics for Prometheus, /healthz for supervisors, / for people.
 *
 * One thread of its own, off the shards' cores, drives libmicrohttpd by its epoll descriptor and asks the shard by
 * letters; so the shard's part in a scrape is some microseconds. /healthz is 200 when the shard has answered a letter
 * within a second, else 503. Other paths are 404, other methods 405.
 *
 * Strangers: at most HTTP_CONNECTIONS at once on an address, HTTP_HEAD_MAX bytes for a request's line and headers, ten
 * seconds of silence; bodies are refused unread. The connection that takes the last place makes another give way, the
 * one that has gone longest without a step: its request's head complete, or its answer sent. Units: bytes. Memory:
 * connections * head, plus about 8 KiB per queue shown. Failure: at open as net/tcp_listen.h, LEAT_NO_MEMORY; one
 * sentence in `error`. Thread: open and close on the shard's; both mailboxes are answered there. */
#ifndef LEAT_HTTP_HTTP_H
#define LEAT_HTTP_HTTP_H

#include <stdint.h>

#include "mailbox.h"
#include "status.h"

enum { HTTP_CONNECTIONS = 64, HTTP_HEAD_MAX = 16 * 1024, HTTP_ANSWER_MS = 1000 };

struct http;

struct http_config {
    const char *address;    /* HOST:PORT; port 0: any free one */
    mailbox_bell *wake;     /* wakes the shard's thread */
    void *wake_context;     /* from any thread */
    uint32_t queues_max;    /* in /metrics */
    uint64_t memory_max;    /* to say in /metrics */
    uint64_t start_wall_ns; /* of the process */
};

enum leat_status http_open(struct http **h, const struct http_config *c, char error[256]);

/* http_close: stops the thread. The shard may still have letters: it answers none after this. */
void http_close(struct http *h);

uint16_t http_port(const struct http *h);

/* The shard's end is shard_attach_mailbox()'s; the program's end is asked LETTER_PORTS. */
struct mailbox *http_shard_mailbox(const struct http *h);
struct mailbox *http_program_mailbox(const struct http *h);

/* http_memory: the most that the endpoint may need, for the budget. */
uint64_t http_memory(uint32_t queues_max);

#endif
