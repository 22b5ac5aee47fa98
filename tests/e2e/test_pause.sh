#!/bin/bash
# test_pause.sh [--cycles N] - programs that stand still for longer than a lease and longer than a session lives: the broker
# under load, or its clients with leases in their hands, are stopped by SIGSTOP and go on by SIGCONT as if nothing had been.
#
# Leases are of 700 ms (prog_history), sessions of one second; a pause is of 1.5 s. In every third cycle the broker stands
# still and its clients lose their connections to it meanwhile, by a kill -9 of the broker right behind the pause. What was
# leased before a pause is another's behind it: old receipts are refused, nothing is lost and nothing comes twice.
cycles=4
[ "$1" = --cycles ] && cycles=$2
. tests/e2e/lib.sh pause
RANDOM=${SEED:-$$}
export LEAT_ADDRESS
OPTIONS=(--data "$T/data" "${SMALL[@]}" --session-timeout 1s)
counter() { "$B/leat" queue stat jobs --json | sed -n "s/.*\"$1\": *\([0-9]*\).*/\1/p" | head -n 1; }

is "the broker starts" broker "${OPTIONS[@]}" || finish
LEAT_ADDRESS=$address
background "$B/prog_history" load "$address" jobs "$T/history" -i 48 -e 20 >"$T/clients" 2>&1
clients=$!
stood=0
for cycle in $(seq "$cycles"); do
    until_lines "$T/clients" $(($(wc -l <"$T/clients") + 1 + RANDOM % 20)) 60 || break
    case $((cycle % 3)) in
    0) stand_still "$pid" 1.5 && broker_ends KILL && broker "${OPTIONS[@]}" ;;
    1) stand_still "$pid" 1.5 ;;
    2) stand_still $clients 1.5 ;;
    esac || break
    stood=$cycle
done
is "everybody went on after each of $cycles pauses" [ $stood = "$cycles" ] || finish
is "and goes on still" until_lines "$T/clients" $(($(wc -l <"$T/clients") + 3)) 60
expiries=$(counter expiries)
is "leases ran out meanwhile (${expiries:-0})" [ "${expiries:-0}" -ge 1 ]
kill -TERM $clients
is "the clients end well, without having been started again" wait $clients
is "the queue can be drained" timeout 120 "$B/prog_history" drain "$address" jobs "$T/history"
judge "$T/history"
broker_ends TERM
is "SIGTERM ends the broker well" [ "$code" = 0 ]
finish
