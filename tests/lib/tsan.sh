#!/bin/sh
# The tests of what threads share, under ThreadSanitizer.
exec make --no-print-directory B="${B:-build}" tsan
