/* client_tick.c - what time brings: retries, pings, and the end of hope.
 *
 * On streams an answer that does not come for 30 s means that the connection is dead. On datagrams every request is
 * sent again after a time that follows the round trips; and when nothing at all is heard for a second while something
 * is waited for, pings ask whether anybody is there: three without an answer, and the connection is dead. */
#include "client_state.h"

#include "mark.h"

enum { HELLO_DATAGRAM_PATIENCE_S = 3, PINGS_MAX = 3 };

static void tick_hello(struct client *c, struct instant now)
{
    if (c->hello_now || instant_before(now, c->hello_due)) {
        c->due = c->hello_due; /* an older one has passed */
        return;
    }
    if (c->hello_failed) {
        client_say_hello(c);
    } else if (!c->config.datagrams ||
               instant_since(now, c->hello_sent).ns >= duration_s(HELLO_DATAGRAM_PATIENCE_S).ns) {
        mark(client_hello_unanswered);
        c->broken = true;
    } else {
        c->hello_now = true; /* the same once more: the broker knows the nonce */
    }
    c->due = c->hello_due;
}

static void tick_pings(struct client *c, struct instant now)
{
    if (!c->waiting || instant_before(now, instant_add(c->quiet, duration_s(c->pings + 1))))
        return;
    if (c->pings == PINGS_MAX) {
        mark(client_pings_unanswered);
        c->broken = true;
        return;
    }
    mark(client_ping);
    c->pings++;
    c->ping_now = true;
}

static struct instant next_due(const struct client *c)
{
    struct instant due = window_next_due(&c->window);
    if (c->config.datagrams && c->waiting)
        due = instant_min(due, instant_add(c->quiet, duration_s(c->pings + 1)));
    if (c->bye_sent && !c->bye_answered)
        due = instant_min(due, c->bye_due);
    return due;
}

void client_tick(struct client *c, struct instant now)
{
    if (c->link == LINK_DOWN || c->broken || instant_before(now, c->due))
        return;
    if (c->link == LINK_HELLO) {
        tick_hello(c, now);
        return;
    }
    struct window_slot *slot;
    while ((slot = window_first_overdue(&c->window, now)) != NULL) {
        if (!c->config.datagrams) {
            mark(client_stream_without_answers);
            c->broken = true;
            return;
        }
        mark(client_retry);
        window_resend(&c->window, slot);
    }
    if (c->config.datagrams)
        tick_pings(c, now);
    if (c->bye_sent && !instant_before(now, c->bye_due))
        c->bye_answered = true;
    c->due = next_due(c);
}
