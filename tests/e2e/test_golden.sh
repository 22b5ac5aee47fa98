#!/bin/bash
# test_golden.sh - every data directory of tests/golden, of this version and of those before it, is sound, says in a dump
# what it said when it was made, opens, and holds exactly the messages that were put into it.
. tests/e2e/lib.sh golden
. tests/golden/normal.sh
PATH=$(realpath "$B"):$PATH

# What the queues hold: leases and delays may have ended since it was made.
held() {
    for q in $(leat queue list | cut -f1); do
        leat peek "$q" -n 1000 2>/dev/null | cut -f2- | sed "s/^/$q\t/"
    done | coarse
}
coarse() { sed -E 's/^([^\t]*)\t(leased|delayed)\t/\1\tready\t/' | sort; }

# What fsck says of those that are there for a reason that it can see.
declare -A says=([torn]="the tail is torn" [keep]="^log-[0-9]+: [0-9]+ kept messages of blocks "
    [salvage]="put aside by leatd --salvage" [index]="^log-00000002: blocks 257\.\.512, 1024 KiB")

made=0
for archive in tests/golden/*/*.tar.gz; do
    name=$(basename "$archive" .tar.gz)
    what="$(basename "$(dirname "$archive")") $name"
    expected=${archive%.tar.gz}
    made=$((made + 1))
    tar -C "$T" -xzf "$archive"
    leat fsck "$T/$name" >"$T/fsck"
    is "$what is sound" [ $? = 0 ] || cat "$T/fsck"
    [ -z "${says[$name]}" ] || is "$what is what it is called" grep -qE "${says[$name]}" "$T/fsck"
    leat dump "$T/$name" --bodies | normal >"$T/dump"
    is "$what has every fact" diff -q "$T/dump" "$expected.dump"
    is "$what opens" broker --data "$T/$name" --http none --local none --segment-size 1M --block-max 256K --body-max 16K \
        --hot-max 2M --buffer-max 16M
    export LEAT_ADDRESS=$address
    held >"$T/held"
    coarse <"$expected.messages" >"$T/expected"
    is "$what holds what was put" diff -q "$T/held" "$T/expected"
    broker_ends TERM
    is "$what ends" [ "$code" = 0 ]
    is "$what is sound again" leat fsck "$T/$name" >"$T/fsck"
done
is "there are some" [ $made -ge 8 ]
finish
