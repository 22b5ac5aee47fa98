/* wire_trace.h - the frames of a packet as lines for people (--wire). Failure: garbage is said to be garbage. Thread:
 * one. */
#ifndef LEAT_SIM_WIRE_TRACE_H
#define LEAT_SIM_WIRE_TRACE_H

#include "net.h"
#include "reply.h"

void wire_trace_print(uint64_t now, const struct packet *p);
/* wire_trace_hello: the packet begins with the answer to a hello that was accepted. */
bool wire_trace_hello(const struct packet *p, struct reply_hello *hello);

#endif
