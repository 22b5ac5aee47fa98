/* status.c - the table of statuses, as lookups. */
#include "status.h"

const char *status_name(unsigned status)
{
    switch (status) {
#define STATUS(NAME, name, code, retry, text)                                                                          \
    case code:                                                                                                         \
        return #name;
#include "status_table.h"
#undef STATUS
    default:
        return "unknown_status";
    }
}

const char *status_text(unsigned status)
{
    switch (status) {
#define STATUS(NAME, name, code, retry, text)                                                                          \
    case code:                                                                                                         \
        return text;
#include "status_table.h"
#undef STATUS
    default:
        return "a status that this version does not know";
    }
}

bool status_retry(unsigned status)
{
    switch (status) {
#define STATUS(NAME, name, code, retry, text)                                                                          \
    case code:                                                                                                         \
        return retry;
#include "status_table.h"
#undef STATUS
    default:
        return false;
    }
}
