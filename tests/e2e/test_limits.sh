#!/bin/bash
# The limits of the machine: every one gives a number, as a plain user, in bounded time; wrong words are refused.
L=$(realpath "${B:-build}/limits")
passed=0 failed=0
check() { # sentence, command...
    if "${@:2}"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: limits: $1"; fi
}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
chmod 777 "$dir"
plain=
[ "$(id -u)" = 0 ] && plain="setpriv --reuid=65534 --regid=65534 --clear-groups"

says() { # exit code, text, arguments...
    local out rc
    out=$("$L" "${@:3}" 2>&1)
    rc=$?
    [ $rc = "$1" ] && grep -qF -- "$2" <<<"$out" || { echo "exit $rc: $out"; return 1; }
}
check "an unknown letter is named" says 64 '"X" names no limit' X
check "an unknown option is named" says 64 '"--fast" is unknown' --fast
check "a number out of bounds is named" says 64 '"0" is not a proper value' --rounds 0
check "a state that does not exist is named" says 64 '"tired" is not a proper value' --other tired
check "a folder that does not exist is named" says 1 "$dir/none" W --dir "$dir/none"
check "help tells every letter" says 0 "T  TCP loopback" --help

# Every limit, as a plain user. 11 rows; a line is one JSON object.
every() {
    timeout 60 $plain "$L" --json --rounds 1 --seconds 0.3 --dir "$dir" >"$dir/out" || return 1
    python3 - "$dir/out" <<'PY'
import json, sys
lines = [json.loads(l) for l in open(sys.argv[1])]
assert lines[0]["machine"]["rounds"] == 1
told = [l for l in lines[1:] if "error" not in l]
assert {l["limit"] for l in told} == set("MPSWFBCDJT"), told
assert all(l["median"] > 0 and l["samples"] == [l["median"]] for l in told), told
p50 = {l["limit"]: l["median"] for l in told if l["value"] == "p50"}
assert p50["S"] < p50["T"], p50  # a cache line, the kernel's TCP: far enough apart on any machine, busy or not
PY
}
if [ "$(nproc)" -ge 2 ] && grep -qw sse4_2 /proc/cpuinfo; then
    check "a plain user measures every limit" every
    check "nothing is left behind" test "$(ls "$dir")" = out
else
    echo "SKIPPED: limits: every limit (needs two cores)"
    echo "$passed passed, $failed failed, 2 skipped"
    [ $failed -eq 0 ]
    exit
fi
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
