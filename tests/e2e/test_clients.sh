#!/bin/bash
# test_clients.sh [--kills N] - clients killed by -9 under load never hurt the broker nor each other, and clients find a
# broker again that was killed, without being started again themselves.
#
# Two bystanders, one over TCP and one over the local port, work on queues of their own through it all; their histories
# are judged at the end. Beside them victims come, work until their first messages are acknowledged, and are killed: half
# over TCP, half over the local port.
kills=200
[ "$1" = --kills ] && kills=$2
. tests/e2e/lib.sh clients
OPTIONS=(--data "$T/data" "${SMALL[@]}" --local "$T/leat.sock")
ADDRESSES=(x "vhost://$T/leat.sock")

is "the broker starts" broker "${OPTIONS[@]}" || finish
grep -q "^leatd: local " "$T/broker.err" || {
    skip local_clients "this machine has no local port: $(grep 'no local port' "$T/broker.err")"
    ADDRESSES[1]=$address
}
ADDRESSES[0]=$address

bystanders=
for b in 0 1; do
    background "$B/prog_history" load "${ADDRESSES[$b]}" "bystander$b" "$T/history.$b" -i 32 -e 20 >"$T/bystander.$b" 2>&1
    bystanders="$bystanders $!"
done
working() { # N more lines of progress from both
    for b in 0 1; do
        until_lines "$T/bystander.$b" $(($(grep -c '' "$T/bystander.$b") + $1)) 60 || return 1
    done
}
is "two bystanders work" working 2 || finish

# A victim; killed when it has acknowledged something. False: it never came so far.
victim() { # NUMBER
    local out=$T/victim.$1 pid
    : >"$out"
    "$B/prog_history" load "${ADDRESSES[$(($1 % 2))]}" victims /dev/null -i 32 -e 1 >"$out" 2>&1 &
    pid=$!
    until_lines "$out" 1 60
    kill -KILL $pid
    wait $pid 2>/dev/null
    grep -q '^acked' "$out" && rm "$out"
}
# Two at a time, so that a victim dies while another one joins.
killed=0
for n in $(seq 2 2 "$kills"); do
    victim $n &
    one=$!
    victim $((n + 1)) && killed=$((killed + 1))
    wait $one && killed=$((killed + 1))
done
is "$kills clients were killed under load" [ $killed = "$kills" ] || finish
is "the broker lives" kill -0 "$pid"
is "the bystanders work on" working 2
is "and nobody's connection was broken" [ "$(grep -c ^broken "$T"/bystander.0)$(grep -c ^broken "$T"/bystander.1)" = 00 ]

for cycle in 1 2 3; do
    broker_ends KILL
    is "the broker is back after its own end" broker "${OPTIONS[@]}" || finish
    is "and both bystanders found it again" working 2
done
for p in $bystanders; do kill -TERM "$p"; done
ended=0
for p in $bystanders; do wait "$p" && ended=$((ended + 1)); done
is "the bystanders end well" [ $ended = 2 ]
for b in 0 1; do
    is "bystander $b: the queue can be drained" timeout 60 "$B/prog_history" drain "$address" "bystander$b" "$T/history.$b"
    timeout 60 "$B/prog_judge" "$T/history.$b" >"$T/said"
    is "bystander $b: every promise was kept" [ "$(grep -c ^kept "$T/said")$(grep -c ^broken "$T/said")" = 80 ]
    grep -E '^broken|^seen' "$T/said"
done
broker_ends TERM
is "SIGTERM ends the broker well" [ "$code" = 0 ]
finish
