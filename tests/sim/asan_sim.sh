#!/bin/sh
# asan_sim.sh - some seeds and every story with AddressSanitizer and UndefinedBehaviorSanitizer.
B=${B:-build}
make --no-print-directory -j2 B="$B-asan" SAN='-fsanitize=address,undefined -fno-sanitize-recover=all' \
    "$B-asan/leat-sim" || exit 1
"$B-asan/leat-sim" --story tests/trace/*.trace >/dev/null || exit 1
exec "$B-asan/leat-sim" --seeds "${SEEDS:-5001..5100}" --jobs 2
