#!/bin/sh
# The unit tests under AddressSanitizer and UndefinedBehaviorSanitizer.
exec make --no-print-directory B="${B:-build}" asan
