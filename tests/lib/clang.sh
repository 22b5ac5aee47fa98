#!/bin/sh
# The unit tests as clang builds them: no warning, same results.
exec make --no-print-directory B="${B:-build}" clang
