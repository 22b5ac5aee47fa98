/* script_port.h - a transport that a test plays both ends of: it pushes what clients send, and pops what the shard
 * answers.
 *
 * Units: bytes. Memory: malloc, freed by script_port_close(). `room`: how many more frames reserve() gives to anybody.
 * Thread: one. */
#ifndef LEAT_TESTS_SCRIPT_PORT_H
#define LEAT_TESTS_SCRIPT_PORT_H

#include "frame.h"
#include "transport.h"

struct script_port;

struct script_port *script_port_open(uint32_t frame_max, bool datagrams);
void script_port_close(struct script_port *p);
struct transport *script_port_transport(struct script_port *p);

/* script_port_push: a packet from `peer`; size 0: the peer has gone. */
void script_port_push(struct script_port *p, uint32_t peer, const void *bytes, uint32_t size);
/* script_port_pop: the oldest answer frame to `peer`, taken out; false if there is none. Valid until the next pop. */
bool script_port_pop(struct script_port *p, uint32_t peer, struct frame *frame);
void script_port_set_room(struct script_port *p, uint32_t frames);
/* Whether the shard has hung up on this peer. */
bool script_port_hung_up(const struct script_port *p, uint32_t peer);

#endif
