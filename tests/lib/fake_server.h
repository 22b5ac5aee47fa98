/* fake_server.h - the fake broker behind a real TCP socket, on a thread of its own, one connection after the other.
 *
 * Says nothing of the broker's headers, so that a test can see what a program sees: leat.h alone. Units: none. Memory:
 * its own. Failure: must(). Thread: the functions are for the test's thread. */
#ifndef LEAT_TESTS_FAKE_SERVER_H
#define LEAT_TESTS_FAKE_SERVER_H

#include <stdbool.h>

struct fake_server;

struct fake_server *fake_server_open(void);
void fake_server_close(struct fake_server *s);
const char *fake_server_address(const struct fake_server *s); /* "127.0.0.1:PORT" */

/* After so many more frames the connection ends without an answer, and the broker restarts. */
void fake_server_hang_up_after(struct fake_server *s, int frames);
/* The next requests are refused as overloaded. */
void fake_server_refuse(struct fake_server *s, unsigned requests);
/* What it says about its backup: enum fake_lie (fake_backup.h). */
void fake_server_lie(struct fake_server *s, int lie);
/* What is taken is damaged; of every second one the id, too. */
void fake_server_rot(struct fake_server *s, bool rotten);
/* Executes, and says nothing. */
void fake_server_mute(struct fake_server *s, bool mute);

unsigned fake_server_connections(struct fake_server *s);
unsigned fake_server_byes(struct fake_server *s);
unsigned fake_server_messages(struct fake_server *s, const char *queue); /* put so far */

#endif
