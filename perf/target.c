/* target.c - addresses apart: what is behind tcp:// by the client's own rules. See target.h. */
#include "target.h"

#include <stdio.h>
#include <string.h>

#include "leat.h"

bool target_parse(struct target *t, const char *text)
{
    char why[LEAT_ERROR_MAX];
    *t = (struct target){.kind = TARGET_TCP};
    if (strchr(text, ','))
        return false;
    if (!strncmp(text, "vhost://", 8)) {
        t->kind = TARGET_LOCAL;
        text += 8;
        return *text && (size_t)snprintf(t->host, TARGET_PATH_MAX, "%s", text) < TARGET_PATH_MAX;
    }
    if (!strncmp(text, "tcp://", 6))
        text += 6;
    return !strstr(text, "://") && io_tcp_split(text, t->host, t->port, why);
}
