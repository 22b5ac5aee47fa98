/* exits.h - how leatd ends: exit_table.h as an enum, and the code for a status at start. Thread: any. */
#ifndef LEAT_EXITS_H
#define LEAT_EXITS_H

#include "status.h"

enum exits {
#define EXIT(NAME, code, text) EXITS_##NAME = (code),
#include "exit_table.h"
#undef EXIT
};

enum exits exits_of(enum leat_status status);

#endif
