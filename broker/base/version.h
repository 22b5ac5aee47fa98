/* version.h - which Leat this is: what --version, leat_build_info and the pkg-config file say. Thread: any (constant).
 */
#ifndef LEAT_BASE_VERSION_H
#define LEAT_BASE_VERSION_H

#define LEAT_VERSION "0.1.0"

#endif
