/* address.h - the right to live at a socket path.
 *
 * A broker that was killed leaves its socket file behind, and the next one must unlink it before it can bind; but never
 * under the feet of a living one. So whoever serves PATH holds an flock on PATH.lock for as long as it lives; the
 * kernel lets go of it when it dies. The lock file itself stays for ever: unlinking it would let two brokers lock two
 * files of one name.
 *
 * Failure: a status and a sentence that names the path. Thread: any. */
#ifndef LEAT_DPDK_PORT_ADDRESS_H
#define LEAT_DPDK_PORT_ADDRESS_H

#include <stddef.h>

#include "status.h"

/* address_claim: checks the path, locks it, and removes a stale socket. *lock is a descriptor for address_release(). */
enum leat_status address_claim(const char *path, int *lock, char *why, size_t why_size);

/* address_release: removes the socket and lets go of the lock. */
void address_release(const char *path, int lock);

#endif
