#!/bin/sh
# A few seconds of every fuzz target; see DESIGN.md. Its last line is the sum.
exec make --no-print-directory fuzz SECONDS="${FUZZ_SECONDS:-3}"
