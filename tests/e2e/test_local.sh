#!/bin/sh
# The local port with real processes: see prog_local.c. Its last line is the sum.
exec timeout 240 "${B:-build}/prog_local"
