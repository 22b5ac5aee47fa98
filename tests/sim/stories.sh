#!/bin/sh
# stories.sh - every story in tests/trace.
exec "${B:-build}/leat-sim" --story tests/trace/*.trace
