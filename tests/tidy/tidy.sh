#!/bin/bash
# tidy.sh - keeps the taste: symbol prefixes, headers that compile alone, foreign headers at home, short functions, one format.
B=${B:-build}
passed=0 failed=0
report() { # name, findings
    if [ -n "$2" ]; then echo "tidy: $1:"; echo "$2"; failed=$((failed + 1)); else passed=$((passed + 1)); fi
}
sources=$(git ls-files -co --exclude-standard '*.c' '*.h' | sort)

# foo.o exports only foo_*, or fills in the door of a lower room (tests/tidy/doors: file, door); main() is free.
symbols=$(for o in $(find "$B/broker" "$B/storage" "$B/client" "$B/dpdk-port" -name '*.o' 2>/dev/null); do
    [ -e "$(echo "$o" | sed "s|^$B/||; s|\.o$|.c|")" ] || continue
    base=$(basename "$o" .o)
    door=$(sed -n "s/^$base //p" tests/tidy/doors)
    nm -g --defined-only "$o" | awk '{print $3}' |
        grep -vE "^(($base${door:+|$door})(_|$)|main$|__(start|stop)_|__odr_asan)" | sed "s|^|$o: |"
done)
report "a symbol without its file's prefix" "$symbols"

alone=$(for h in $(echo "$sources" | grep '\.h$' | grep -v '_table\.h$'); do
    room=$(dirname "$h")
    uses=$(make -s -f Makefile -f - --eval="show:;@echo \$(USES_$room)" show </dev/null 2>/dev/null)
    gcc -std=gnu11 -D_GNU_SOURCE -fsyntax-only -x c -iquote "$room" $(for u in $uses; do echo -iquote "$u"; done) "$h" 2>&1 |
        grep -E 'error' | head -2
done)
report "a header that does not compile alone" "$alone"

foreign() { # pattern, allowed rooms
    grep -lE "#include <($1)" $sources 2>/dev/null | grep -vE "^($2)/|^tests/|^perf/"
}
report "a foreign header away from home" "$(
    foreign 'rte_' 'dpdk-port'
    foreign 'liburing' 'broker/os'
    foreign 'microhttpd|jansson' 'broker/http|client/cli'
    foreign 'isa-l|xxhash' 'broker/base'
    foreign 'jemalloc' 'broker/base'
    foreign 'ck_' 'broker/shard|broker/admin'
)"

long=$(ctags --output-format=json --fields=+ne --kinds-C=f -f - $(echo "$sources" | grep '\.c$') 2>/dev/null | python3 -c '
import sys, json
for line in sys.stdin:
    t = json.loads(line)
    n = t.get("end", t["line"]) - t["line"] + 1
    if n > 70: print("%s:%d: %s has %d lines" % (t["path"], t["line"], t["name"], n))')
report "a function over 70 lines" "$long"

report "a file over 600 lines" "$(wc -l $sources | awk '$1 > 600 && $2 != "total" {print $2 ": " $1}')"
report "not formatted (clang-format -i)" "$(clang-format --dry-run $(echo "$sources" | grep -v '_table\.h$') 2>&1 | grep -E 'warning' | cut -d: -f1 | sort -u)"
report "an example that the README quotes otherwise" "$(awk '
    /^<!-- example: / { file = $3; next }
    /^<!-- \/example/ { if ((getline line < file) > 0) print file ": ends too early"; file = ""; next }
    file && /^```/ { next }
    file { if ((getline line < file) <= 0 || line != $0) { print file ": " $0; file = "" } }' README.md)"
report "a broker that is not optimised as a whole" "$(nm "${B:-build}/leatd" | grep -q lto_priv || echo "${B:-build}/leatd")"
report "words of a workplace" "$(git grep -nE '/wor[k]/|\.\./share[d]|\.librar[y]' -- . 2>/dev/null)"
report "a planted bug that tests/sim/planted.sh does not build" "$(grep -hoE '\bLEAT_BUG [^0-9]*[0-9]+' $(echo "$sources" | grep -v '^tests/') |
    sed 's/.*[^0-9]//' | sort -u | grep -vxF "$(bash tests/sim/planted.sh --list)")"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
