#!/bin/bash
# test_tour.sh - the README's tour, command by command (tour.py). As root in a network of its own, so that its ports are free.
root=$(pwd)
directory=$(mktemp -d "$root/${B:-build}/tour.XXXXXX")
trap 'rm -rf "$directory"' EXIT
for entry in Makefile README.md broker client dpdk-port perf storage tests; do ln -s "$root/$entry" "$directory/$entry"; done
ln -s "$root/${B:-build}" "$directory/build"
run="python3 $root/tests/e2e/tour.py $root/README.md $directory"
if [ "$(id -u)" = 0 ] && unshare -n true 2>/dev/null; then
    unshare -n sh -c "ip link set lo up; $run"
else
    $run
fi
