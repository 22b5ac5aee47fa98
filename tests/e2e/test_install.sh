#!/bin/bash
# test_install.sh - make install into a directory of its own; programs built against what is there, by pkg-config, run.
B=$(realpath "${B:-build}")
passed=0 failed=0
T=$(mktemp -d /tmp/leat-install-XXXXXX)
examples=$(realpath client/examples)
pid=
tidy_up() {
    [ -n "$pid" ] && kill -KILL "$pid" 2>/dev/null
    rm -rf "$T"
}
trap tidy_up EXIT
is() {
    local name=$1
    shift
    if "$@" >"$T/out" 2>&1; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "FAILED: $name ($*)"
        sed 's/^/    /' "$T/out" | head -n 10
    fi
}
make -s --no-print-directory B="$B" PREFIX="$T/usr" install || exit 1
make -s --no-print-directory B="$B" PREFIX=/opt/leat DESTDIR="$T/stage" install || exit 1
same() { diff <(cd "$1" && find . -type f -o -type l | sort) <(cd "$2" && find . -type f -o -type l | sort); }
is "DESTDIR stages the same files" same "$T/usr" "$T/stage/opt/leat"
is "which speak of their final place" grep -q '^prefix=/opt/leat$' "$T/stage/opt/leat/lib/pkgconfig/leat.pc"
is "one header, no other" [ "$(ls "$T/usr/include")" = leat.h ]
export PKG_CONFIG_PATH=$T/usr/lib/pkgconfig PATH=$T/usr/bin:$PATH LD_LIBRARY_PATH=$T/usr/lib
is "pkg-config knows the version" [ "leat $(pkg-config --modversion leat)" = "$("$T/usr/bin/leat" --version)" ]
only_ours() { ! nm "$@" --defined-only | awk 'NF == 3 && $2 ~ /[A-Z]/ { print $3 }' | grep -v '^leat_'; }
is "the shared library shows leat_* alone" only_ours -D "$T/usr/lib/libleat.so"
is "its tables are read-only once it is loaded" bash -c "readelf -d '$T/usr/lib/libleat.so' | grep -w BIND_NOW && readelf -l '$T/usr/lib/libleat.so' | grep -w GNU_RELRO"
is "the static library too" only_ours -g "$T/usr/lib/libleat.a"
is "no program looks for DPDK's libraries at run time" bash -c "! ldd '$T/usr/bin/leat' | grep rte_"

cd "$T" || exit 1
flags="-std=c11 -Wall -Wextra -Wpedantic -Werror"
for e in "$examples"/*.c; do
    is "$(basename "$e") with the shared library" cc $flags "$e" -o "$(basename "$e" .c)" $(pkg-config --cflags --libs leat)
done
is "with the static library" cc $flags "$examples/put.c" -o put_static $(pkg-config --cflags leat) -L usr/lib -l:libleat.a -lisal -lxxhash
is "with shared memory" cc $flags "$examples/put.c" -o put_dpdk $(pkg-config --cflags --libs leat-dpdk)
printf '#include <leat.h>\nint main() { return leat_status_name(LEAT_OK)[0] != 111; }\n' >cpp.cc
is "C++ reads the header" c++ -std=c++17 -Wall -Wextra -Wpedantic -Werror cpp.cc -o cpp $(pkg-config --cflags --libs leat)
is "and runs" ./cpp
printf '#include <leat.h>\nint window_find, call_check, frame_size, client_open; int main(void) { leat_close(0); return window_find; }\n' >names.c
is "names of ours are free for others" cc names.c -o names $(pkg-config --cflags leat) -L usr/lib -l:libleat.a -lisal -lxxhash

exec 7< <(exec leatd --data data --listen 127.0.0.1:0 --http none --local "$T/sock" 2>broker.err)
pid=$!
while IFS= read -r -t 60 line <&7; do
    case $line in
    "leatd: tcp "*) export LEAT_ADDRESS=tcp://${line#leatd: tcp } ;;
    "leatd ready") break ;;
    esac
done
is "a queue" leat queue create jobs
is "put" ./put jobs "from an example"
is "put, linked statically" ./put_static jobs again
is "put through shared memory" env LEAT_ADDRESS="vhost://$T/sock" ./put_dpdk jobs near
is "batch" ./batch jobs 3000
is "pipeline" bash -c './pipeline jobs 3000 | grep -q "3000 of 3000"'
leat take jobs -n 1000 --raw --ack >/dev/null
is "delay" bash -c "leat queue create timer && [ \"\$(./delay timer 0.2 tick)\" = tick ]"
is "dead letter" bash -c './dead_letter bad | grep -q "set aside: divide by zero"'
is "worker" bash -c 'leat queue create few && ./put few one && ./put few two && [ "$(./worker few | grep -c attempt)" = 2 ]'
is "left nothing" [ "$(leat queue stat few | grep -cE '^(ready|leased): 0$')" = 2 ]
LEAT_ADDRESS=127.0.0.1:1 timeout 30 ./put jobs x >/dev/null 2>err
is "and tells when nobody is there" [ $? -eq 69 ]
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
