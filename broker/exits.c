/* exits.c - what a status at the start means for the process. */
#include "exits.h"

enum exits exits_of(enum leat_status status)
{
    switch (status) {
    case LEAT_OK:
        return EXITS_OK;
    case LEAT_CORRUPT:
        return EXITS_CORRUPT;
    case LEAT_BUSY:
        return EXITS_BUSY;
    case LEAT_DISK_ERROR:
    case LEAT_NO_SPACE:
        return EXITS_DISK;
    case LEAT_TOO_NEW:
        return EXITS_TOO_NEW;
    case LEAT_NO_PERMISSION:
        return EXITS_PERMISSION;
    case LEAT_BAD_VALUE:
        return EXITS_CONFIG;
    case LEAT_ADDRESS_IN_USE:
        return EXITS_ADDRESS;
    default:
        return EXITS_SYSTEM;
    }
}
