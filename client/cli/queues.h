/* queues.h - every queue of a broker at once, and queues as JSON. Units: as leat.h. Memory: queues_all() gives an array
 * to be freed. Failure: enum leat_status. Thread: one. */
#ifndef LEAT_CLI_QUEUES_H
#define LEAT_CLI_QUEUES_H

#include <jansson.h>

#include "leat.h"

enum leat_status queues_all(struct leat *l, struct leat_queue_stat **stats, size_t *count);
json_t *queues_json(const struct leat_queue_stat *s);
const char *queues_class(enum leat_durability durability);

#endif
