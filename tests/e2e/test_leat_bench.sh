#!/bin/bash
# leat-bench against a broker that does nothing (prog_null.c): each workload ends, counts and adds up.
B=$(realpath "${B:-build}")
passed=0 failed=0
check() { # sentence, command...
    if "${@:2}"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: leat-bench: $1"; fi
}
dir=$(mktemp -d)
"$B/prog_null" "$dir/sock" >"$dir/log" 2>&1 &
null=$!
trap 'kill $null; wait $null; rm -rf "$dir"' EXIT
for _ in $(seq 100); do grep -qs ready "$dir/log" && break; sleep 0.05; done

# bench CONDITION WORDS...: the JSON of a run, as variables of a python condition.
bench() {
    timeout 60 "$B/leat-bench" -s "vhost://$dir/sock" --class memory --duration 0.2 --warm 0.05 --json "${@:2}" >"$dir/out" || return 1
    python3 - "$dir/out" "$1" <<'PY'
import json, sys
r = json.load(open(sys.argv[1]))
l = r["latency_ns"]
sane = r["requests"] > 0 and not r["failed"] and r["missed"] == 0
sane = sane and 0 < l["p50"] <= l["p99"] <= l["p99.9"] <= l["p99.99"] <= l["max"]
good = sane and eval(sys.argv[2], dict(r, l=l))
if not good:
    print(r)
sys.exit(not good)
PY
}
check "puts are counted" bench 'requests == messages <= acknowledged'
check "a sleeping client works too" bench 'requests == messages and not spin'
check "batches are counted by message" bench 'messages == 16 * requests' --batch 16 --depth 8
check "several connections" bench 'requests == messages' --connections 3 --depth 4
check "frames made by hand" bench 'messages == 4 * requests and raw' --raw --batch 4 --depth 8
check "an open loop keeps its rate" bench 'acknowledged == 250' --rate 1000
check "an open loop of hand-made frames does" bench 'acknowledged == 250' --rate 1000 --raw
check "messages reach the consumer" bench 'messages > 0' --workload delivery
check "batches reach the consumer" bench 'messages > requests' --workload delivery --batch 8 --depth 4
check "lives are put, taken and acknowledged" bench 'messages >= requests' --workload lives --depth 4 --batch 4
check "what lies ready is taken until nothing is left" bench 'acknowledged == 20000 and messages <= 20000' \
    --workload take --messages 20000 --batch 16 --depth 4 --warm 0
check "many queues are served in turn" bench 'acknowledged == 900' --messages 900 --queue turns --queues 9 --warm 0
check "a run of puts ends at its number" bench 'acknowledged == 1000' --messages 1000 --queue stays --warm 0
check "and all of it is found again" bench 'found == expected == 1000 and repeated == foreign == 0' \
    --workload drain --messages 1000 --queue stays
lost() {
    timeout 20 "$B/leat-bench" -s "vhost://$dir/sock" --queue new --messages 10 --duration 1 --warm 0 >"$dir/out" || return 1
    timeout 20 "$B/leat-bench" -s "vhost://$dir/sock" -w drain --queue new --messages 11 >"$dir/out"
    [ $? = 1 ] && grep -qF "of 11 found" "$dir/out"
}
check "a message that is missing is an error" lost
nobody() {
    timeout 30 "$B/leat-bench" -s "vhost://$dir/none" >"$dir/out" 2>&1
    [ $? = 69 ] && grep -qF "no broker at vhost://$dir/none" "$dir/out"
}
check "a broker that is not there is named" nobody
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
