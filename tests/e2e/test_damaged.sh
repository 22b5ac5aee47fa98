#!/bin/bash
# test_damaged.sh - messages whose bytes the disk has lost: leat take names them with receipts that act, leat work names
# each once, goes on with the others and, with --drain, ends with 65 when nothing else is left.
#
# One byte of a message is changed in a stopped broker's directory, behind its checkpoint, where no start reads: in its
# body, so that its id is still known, or in its header, so that only the receipt is.
. tests/e2e/lib.sh damaged
PATH=$(realpath "$B"):$PATH
HEADER=-8 BODY=0 # where a byte is changed, from where the body begins

start() { broker --data "$T/data" "${SMALL[@]}" --http 127.0.0.1:0 && export LEAT_ADDRESS=$address; }
metric() { curl -s -m 10 "$(sed -n 's/^leatd: http //p' "$T/broker.err" | tail -n 1)/metrics" | sed -n "s/^$1 //p"; }
# Changes one byte of the message with this body.
damage() { # WHERE BODY
    local file at byte
    IFS=: read -r file at _ < <(cd "$T/data" && grep -aboF -- "$2" log-*)
    [ -n "$at" ] || return 1
    at=$((at + $1))
    byte=$(od -An -tu1 -j $at -N 1 "$T/data/$file")
    printf "\\x$(printf %x $((byte ^ 4)))" | dd of="$T/data/$file" bs=1 seek=$at conv=notrunc status=none
}
# A broker that finds these bodies damaged: WHERE BODY...
restart_damaged() {
    broker_ends TERM
    while [ $# -gt 0 ]; do
        damage "$1" "$2" || return 1
        shift 2
    done
    start
}
named() { grep -c "^leat: corrupt: $1: message $2 is damaged" "$3"; }
receipt() { sed -n "s/^leat: corrupt: $1: .* its receipt is \(.*\)/\1/p" "$2" | head -n 1; }
left() { leat queue stat "$1" --json | python3 -c 'import json,sys; s=json.load(sys.stdin); print(s["ready"]+s["leased"]+s["delayed"])'; }

is "a broker starts" start
for q in one jobs more slow; do leat queue create $q; done
body=$(leat put one "the body of one")
header=$(leat put one "the header of one")
seq -f 'job %03g of many' 1 40 | leat put jobs --lines --batch 1 >/dev/null
seq -f 'more %03g of many' 1 40 | leat put more --lines --batch 7 >/dev/null
seventh=$(leat put slow "slow and damaged")
leat put slow "slow and whole" >/dev/null
is "bytes are lost" restart_damaged $BODY "the body of one" $HEADER "the header of one" $BODY "job 007 of" \
    $BODY "job 008 of" $HEADER "job 031 of" $BODY "more 001 of" $BODY "more 020 of" $HEADER "more 040 of" $BODY "slow and damaged" ||
    finish

# -- leat take --
is "a take of damaged messages" run 65 leat take one -n 5
is "prints none" [ ! -s "$T/out" ]
is "names the one whose id is known" [ "$(named one "$body" "$T/err")" = 1 ]
is "and tells of the other" [ "$(named one "(its id is lost, too)" "$T/err")" = 1 ]
is "and invents no id" [ "$(grep -c "$header" "$T/err")" = 0 ]
sed -n 's/.* its receipt is //p' "$T/err" >"$T/receipts"
is "their receipts finish them" run 0 leat ack one - <"$T/receipts"
is "and that is all" [ "$(left one)" = 0 ]

# -- leat work --drain --
is "a drain ends" run 65 leat work jobs --drain --lease 1s -- sh -c 'cat; echo'
sort "$T/out" >"$T/done"
is "when all others are done" [ "$(seq -f 'job %03g of many' 1 40 | grep -v '00[78]\|031')" = "$(cat "$T/done")" ]
is "each damaged message is named once" [ "$(grep -c 'is damaged on' "$T/err")" = 3 -a "$(grep 'is damaged on' "$T/err" | sed 's/;.*//' | sort -u | wc -l)" = 3 ]
is "and the end is told" grep -q '^leat: corrupt: jobs: 3 damaged messages are left, and nothing else$' "$T/err"
is "they are still there" [ "$(left jobs)" = 3 ]
# In batches, damaged messages beside others come again when their lease ends.
background timeout 60 leat work more --drain -j 2 --batch 9 --lease 1s -- cat >"$T/out1" 2>"$T/err1"
first=$!
background timeout 60 leat work more --drain --batch 9 --lease 1s -- cat >"$T/out2" 2>"$T/err2"
second=$!
wait $first
is "of two that drain one queue, the first ends" [ $? = 65 ]
wait $second
is "and the second" [ $? = 65 ]
is "and all others are done once" [ "$(seq -f 'more %03g of many' 1 40 | grep -v '001\|020\|040')" = "$(sort "$T/out1" "$T/out2")" ]
is "neither names one twice" [ "$(sort "$T/err1" | uniq -d)$(sort "$T/err2" | uniq -d)" = "" ]
is "and together they have named all" [ "$(cat "$T/err1" "$T/err2" | sed -n 's/ is damaged on.*//p' | sort -u | wc -l)" = 3 ]
# One that never meets them, since somebody else has them all the time, ends a lease later.
holds_all() { leat take more -n 9 --wait 2s --lease 90s 2>>"$T/held"; [ "$(wc -l <"$T/held")" = 3 ]; }
is "somebody takes them" until_true 30 holds_all
began=$(date +%s%N)
is "a drain that meets none of them ends" run 65 timeout 60 leat work more --drain --lease 1s -- cat
is "with how many are left" grep -q '^leat: corrupt: more: 3 damaged messages are left, and nothing else$' "$T/err"
is "and names none" [ "$(wc -l <"$T/err")" = 1 ]
is "after a lease" [ $(($(date +%s%N) - began)) -ge 1000000000 ]

# More than one peek can show: the whole one behind them is not overlooked, though somebody else has them all at first.
leat queue create large
cut=()
for i in $(seq 101 120); do
    { echo "large $i" && head -c 60000 /dev/zero | tr '\0' .; } | leat put large - >/dev/null
    cut+=($BODY "large $i")
done
leat put large "large and whole" >/dev/null
is "large ones are lost" restart_damaged "${cut[@]}" || finish
is "somebody has those that one answer holds" run 65 leat take large -n 30 --lease 5s
is "and the others" [ "$(leat take large -n 30 --lease 5s --raw)" = "large and whole" ]
is "a drain that sees none of it" run 65 timeout 60 leat work large --drain --lease 1s -- cat
is "has waited for it" [ "$(cat "$T/out")" = "large and whole" ]

# -- a message that somebody else has is waited for, although as many are left as are damaged --
background timeout 60 leat work slow --drain --lease 30s -- cat >"$T/out1" 2>"$T/err1"
worker=$!
is "it names what is damaged" until_lines "$T/err1" 1
is "by its id" [ "$(named slow "$seventh" "$T/err1")" = 1 ]
wait $worker
is "and ends when the other is done" [ $? = 65 ]
is "which it did" [ "$(cat "$T/out1")" = "slow and whole" ]
leat ack slow "$(receipt slow "$T/err1")"
leat put slow "damaged, and given up by hand" >/dev/null
is "more is lost" restart_damaged $BODY "damaged, and given up" || finish
leat put slow "somebody has it" >/dev/null
is "a take finds it damaged" run 65 leat take slow --lease 3s
is "somebody takes the other" run 0 leat take slow --lease 10s
background timeout 60 leat work slow --drain --lease 2s -- cat >"$T/out1" 2>"$T/err1"
worker=$!
is "a worker names it" until_lines "$T/err1" 1
is "it is finished by hand" run 0 leat ack slow "$(receipt slow "$T/err1")"
wait $worker
is "what is left is waited for" [ $? = 0 ]
is "and done" [ "$(cat "$T/out1")" = "somebody has it" ]

# -- leat work --
leat put slow "comes again and again" >/dev/null
is "one more is lost" restart_damaged $BODY "comes again and again" || finish
background leat work slow --lease 200ms -- cat >"$T/out1" 2>"$T/err1"
worker=$! began=$(date +%s%N)
many() { [ "$(metric leat_corrupt_bodies_total)" -ge 6 ]; }
is "it comes again" until_true 60 many
is "once a lease, not all the time" [ $(($(date +%s%N) - began)) -ge 1000000000 ]
kill -TERM $worker
wait $worker
is "and that is no reason to end" [ $? = 0 ]
is "it is named once" [ "$(wc -l <"$T/err1")" = 1 ]
leat put slow "and the others are done" >/dev/null
is "nor a reason to wait" run 65 leat work slow --drain --lease 30s -- cat
is "for the others" [ "$(cat "$T/out")" = "and the others are done" ]
broker_ends TERM
is "the broker ends" [ "$code" = 0 ]
finish
