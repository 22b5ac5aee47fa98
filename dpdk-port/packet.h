/* packet.h - what one datagram of the local port looks like on the ring between broker and client.
 *
 *     offset  0            6          12        14     16
 *             | to (MAC)   | from     | 0x88b5  | 0 0  | whole frames, back to back ...
 *
 * It is an Ethernet frame of the type kept for local experiments, so that the network card of a virtual machine can
 * carry it as well; two bytes of zero make the frames start on a multiple of 8. Between processes the addresses mean
 * nothing.
 *
 * Units: bytes. A full packet is 8976 bytes: it fits the jumbo MTU of 9000 of a guest. Failure: packet_frames() answers
 * 0 for what is not ours. Thread: any (pure). */
#ifndef LEAT_DPDK_PORT_PACKET_H
#define LEAT_DPDK_PORT_PACKET_H

#include <stdint.h>
#include <string.h>

enum {
    PACKET_HEADER = 16,
    PACKET_FRAMES_MAX = 8960, /* bytes of frames in one packet */
    PACKET_MAX = PACKET_HEADER + PACKET_FRAMES_MAX,
    PACKET_TYPE = 0x88b5,
    PACKET_ADDRESS = 6,
};

/* packet_begin: the header of a packet. */
static inline void packet_begin(uint8_t *packet, const uint8_t to[PACKET_ADDRESS], const uint8_t from[PACKET_ADDRESS])
{
    static const uint8_t type[4] = {PACKET_TYPE >> 8, PACKET_TYPE & 0xff, 0, 0};
    memcpy(packet, to, PACKET_ADDRESS);
    memcpy(packet + 6, from, PACKET_ADDRESS);
    memcpy(packet + 12, type, sizeof type);
}

/* packet_frames: how many bytes of frames a packet of `size` bytes carries; 0 when it is not one of ours. */
static inline uint32_t packet_frames(const uint8_t *packet, uint32_t size)
{
    if (size <= PACKET_HEADER || size > PACKET_MAX)
        return 0;
    if (packet[12] != PACKET_TYPE >> 8 || packet[13] != (PACKET_TYPE & 0xff))
        return 0;
    return size - PACKET_HEADER;
}

#endif
