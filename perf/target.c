/* target.c - addresses apart. See target.h. */
#include "target.h"

#include <stdio.h>
#include <string.h>

bool target_parse(struct target *t, const char *text)
{
    *t = (struct target){.kind = TARGET_TCP};
    if (!strncmp(text, "vhost://", 8)) {
        t->kind = TARGET_LOCAL;
        text += 8;
        return *text && (size_t)snprintf(t->host, sizeof t->host, "%s", text) < sizeof t->host;
    }
    if (strncmp(text, "tcp://", 6) != 0)
        return false;
    text += 6;
    const char *colon = strrchr(text, ':');
    if (!colon || colon == text || !colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1))
        return false;
    size_t host = (size_t)(colon - text);
    bool brackets = text[0] == '[' && text[host - 1] == ']'; /* of an IPv6 address */
    text += brackets, host -= brackets ? 2 : 0;
    return host < sizeof t->host && snprintf(t->host, sizeof t->host, "%.*s", (int)host, text) > 0 &&
           (size_t)snprintf(t->port, sizeof t->port, "%s", colon + 1) < sizeof t->port;
}
