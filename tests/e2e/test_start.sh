#!/bin/bash
# test_start.sh - how leatd starts, refuses to start, and stops: every documented exit code that the outside can cause.
#
# Each case runs the real program and says what it printed when it is not as it should be. Nothing sleeps: a start is
# over when "leatd ready" has been read or the process has ended. Cases that need root are skipped with a word.
B=${B:-build}
passed=0 failed=0 skipped=0
T=$(mktemp -d /tmp/leat-start-XXXXXX)
chmod 755 "$T"
cp "$B/leatd" "$T/leatd" || exit 1
pid= as=()
tidy_up() {
    [ -n "$pid" ] && kill -KILL "$pid"
    mountpoint -q "$T/small" 2>/dev/null && umount "$T/small"
    rm -rf "$T"
}
trap tidy_up EXIT

# is NAME CONDITION... - counts one check.
is() {
    local name=$1
    shift
    if "$@"; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "FAILED: $name ($*)"
        sed 's/^/    out: /' "$T/out" 2>/dev/null
        sed 's/^/    err: /' "$T/err" 2>/dev/null
    fi
}
skip() { skipped=$((skipped + 1)); echo "SKIPPED $1: $2"; }
says() { grep -qF -- "$1" "$T/err"; }
shows() { grep -qE -- "$1" "$T/out"; }

# start ARGUMENT... - a broker in the background: $pid, $tcp, $http; false when it has ended instead.
start() {
    : >"$T/out"
    exec 7< <(exec "${as[@]}" "$T/leatd" "$@" 2>"$T/err")
    pid=$!
    while IFS= read -r -t 60 line <&7; do
        echo "$line" >>"$T/out"
        [ "$line" = "leatd ready" ] && break
    done
    tcp=$(sed -n 's/^leatd: tcp .*:\([0-9]*\)$/\1/p' "$T/out")
    http=$(sed -n 's/^leatd: http .*:\([0-9]*\)$/\1/p' "$T/out")
    [ "$line" = "leatd ready" ] && return
    wait "$pid" # its output has ended, so it has, or soon will
    pid=
    return 1
}
# ends CODE SIGNAL... - the broker ends with CODE after the signals.
ends() {
    local code=$1 s
    shift
    [ -n "$pid" ] || return 1
    for s in "$@"; do kill "-$s" "$pid"; done
    wait "$pid"
    s=$?
    pid=
    [ "$s" -eq "$code" ]
}
# refuses CODE ARGUMENT... - a start that must end by itself, with CODE, without "leatd ready" and with one sentence.
refuses() {
    local code=$1
    shift
    timeout 60 "$@" >"$T/out" 2>"$T/err"
    [ $? -eq "$code" ] && ! grep -q '^leatd ready' "$T/out" && grep -q '^leatd: ' "$T/err"
}
free=(--listen 127.0.0.1:0 --http 127.0.0.1:0)

# -- a start, its endpoints, its end --
is "a broker starts" start --data "$T/a" "${free[@]}"
is "the last line is the promise" [ "$(tail -n 1 "$T/out")" = "leatd ready" ]
is "it names the bound TCP port" [ "${tcp:-0}" -gt 0 ]
is "it names the bound HTTP port" [ "${http:-0}" -gt 0 ]
is "it names the local socket" shows "^leatd: local $T/a/leat.sock$"
is "the local socket is there" [ -S "$T/a/leat.sock" ]
is "it says how it writes to the disk" shows "^leatd: data $T/a: (writes [+] flushes|durable writes), (unknown device|(no )?volatile cache, (no )?FUA); (write [0-9]+ us, flush [0-9]+ us, dsync [0-9]+ us|not measured: .*)$"
is "a stranger cannot read the data" [ "$(stat -c %a "$T/a")" = 700 ]
is "/healthz is ok" [ "$(curl -s -m 10 "127.0.0.1:$http/healthz")" = ok ]
is "/metrics has its content type" [ "$(curl -s -m 10 -o "$T/metrics" -w '%{content_type}' "127.0.0.1:$http/metrics")" = "text/plain; version=0.0.4; charset=utf-8" ]
is "/metrics has the shard's counters" grep -q '^leat_epoch 1$' "$T/metrics"
is "/metrics has TCP's" grep -q '^leat_tcp_connections 0$' "$T/metrics"
is "/metrics has the local port's" grep -q '^leat_local_joined_total 0$' "$T/metrics"
is "/metrics has the disk's" grep -qE '^leat_disk_durable_writes [01]$' "$T/metrics"
is "another path is 404" [ "$(curl -s -m 10 -o /dev/null -w '%{http_code}' "127.0.0.1:$http/else")" = 404 ]
is "another method is 405" [ "$(curl -s -m 10 -o /dev/null -w '%{http_code}' -X POST -d x "127.0.0.1:$http/metrics")" = 405 ]
is "garbage on the TCP port hurts nobody" bash -c "exec 3<>/dev/tcp/127.0.0.1/$tcp; head -c 100000 /dev/urandom >&3; cat <&3 >/dev/null" 2>/dev/null
is "and is counted" bash -c "curl -s -m 10 127.0.0.1:$http/metrics | grep -q '^leat_tcp_bad_streams_total 1$'"

# -- beside another broker --
is "a second broker on one data directory is 73" refuses 73 "$T/leatd" --data "$T/a" "${free[@]}"
is "and names the holder" says "$T/a is in use by another broker (process $pid)"
is "a TCP port in use is 98" refuses 98 "$T/leatd" --data "$T/b" --listen "127.0.0.1:$tcp" --http none --local none
is "and names the address" says "127.0.0.1:$tcp"
is "an HTTP port in use is 98" refuses 98 "$T/leatd" --data "$T/b" --listen 127.0.0.1:0 --http "127.0.0.1:$http" --local none
is "a local socket in use is 98" refuses 98 "$T/leatd" --data "$T/b" "${free[@]}" --local "$T/a/leat.sock"
is "the first one is still well" [ "$(curl -s -m 10 "127.0.0.1:$http/healthz")" = ok ]

# -- the end, and again --
before=$(date +%s%N)
is "SIGTERM ends it with 0" ends 0 TERM
is "within 5 s" [ $(($(date +%s%N) - before)) -lt 5000000000 ]
is "the local socket is gone" [ ! -e "$T/a/leat.sock" ]
is "it starts again" start --data "$T/a" "${free[@]}"
is "and counts its starts" shows '^leatd: log: start 2, '
is "SIGKILL ends it" ends 137 KILL
is "it starts after SIGKILL" start --data "$T/a" "${free[@]}" --poll spin
is "over the stale socket" shows "^leatd: local $T/a/leat.sock$"
is "SIGINT ends it with 0, spinning too" ends 0 INT
is "it starts once more" start --data "$T/a" "${free[@]}"
is "SIGHUP does not end it" kill -HUP "$pid"
is "it is well" [ "$(curl -s -m 10 "127.0.0.1:$http/healthz")" = ok ]
is "a second signal ends it at once" ends 143 STOP TERM INT CONT
is "endpoints can be off" start --data "$T/a" --listen 127.0.0.1:0 --http none --local none
is "and are not named then" [ "$(grep -cE '^leatd: (http|local) ' "$T/out")" = 0 ]
is "SIGTERM ends it with 0" ends 0 TERM

# -- what was asked for is wrong --
is "an unknown option is 64" refuses 64 "$T/leatd" --date "$T/a"
is "and is named" says "unknown option --date"
is "a wrong unit is 64" refuses 64 "$T/leatd" --lease-max 30
is "and is named" says 'option --lease-max: "30" is not a time'
is "two shards are 64" refuses 64 "$T/leatd" --shards 2
is "and the limit is named" says "the limit is 1 shard in this version"
is "a bad environment is 78" refuses 78 env LEAT_QUEUES_MAX=0 "$T/leatd"
is "and is named" says "environment variable LEAT_QUEUES_MAX"
printf 'window = 64\nwindows = 8\n' >"$T/bad.conf"
is "a bad configuration file is 78" refuses 78 "$T/leatd" --config "$T/bad.conf"
is "and its line is named" says "$T/bad.conf, line 2: unknown option windows"
is "a missing configuration file is 78" refuses 78 "$T/leatd" --config "$T/none.conf"
is "an open address is 64" refuses 64 "$T/leatd" --listen 0.0.0.0:7400
is "and says why" says "this version knows no keys"
is "too little memory for the limits is 78" refuses 78 "$T/leatd" --memory-max 256M
is "and the sum is shown" says "M ready messages (ready_max) +"
is "a wrong DPDK argument is 64" refuses 64 "$T/leatd" --data "$T/c" "${free[@]}" --eal "--nonsense"
is "and is named" says 'unknown DPDK argument "--nonsense"'
is "nothing was touched" [ ! -e "$T/c" ]
printf 'data = %s\nlisten = 127.0.0.1:0\nhttp = none\nqueues_max = 10\n' "$T/d" >"$T/good.conf"
is "a good configuration file is followed" start --config "$T/good.conf"
is "SIGTERM ends it with 0" ends 0 TERM
is "capacities cannot shrink: 78" refuses 78 env LEAT_QUEUES_MAX=5 "$T/leatd" --config "$T/good.conf"
is "and are named" says queues_max
is "they can grow" start --config "$T/good.conf" --queues-max 20
is "SIGTERM ends it with 0" ends 0 TERM
is "--help is the manual" bash -c "'$T/leatd' --help | grep -q -- --session-timeout"
documented() { # every exit code of the manual stands in the README, in the same words
    "$T/leatd" --help | sed -n 's/^ *\([0-9][0-9]*\)  \(.*\)/| \1 | \2 |/p' >"$T/out"
    [ "$(wc -l <"$T/out")" -ge 12 ] && [ -z "$(grep -vxFf README.md "$T/out")" ]
}
is "the README has every exit code" documented
for words in --help --version; do
    is "$words into a full device is 74" refuses 74 bash -c '"$0" "$1" >/dev/full' "$T/leatd" "$words"
    is "which is said" says "leatd: standard output: No space left on device"
    is "$words into nothing is 74" refuses 74 bash -c '"$0" "$1" >&-' "$T/leatd" "$words"
done
is "--version says one" bash -c "'$T/leatd' --version | grep -qE '^leatd [0-9]+\.[0-9]+\.[0-9]+$'"

# -- make run --
runs() { # prints what to try next, behind the promise, and passes SIGTERM on
    exec 7< <(exec bash broker/run.sh --data "$T/r" "${free[@]}" --local none 2>"$T/err")
    pid=$!
    : >"$T/out"
    while IFS= read -r -t 60 line <&7; do
        echo "$line" >>"$T/out"
        case $line in *"All options"*) break ;; esac
    done
    sed -n '/^leatd ready$/,$p' "$T/out" | grep -q '^    leat put '
}
is "make run says what to try next" runs
is "SIGTERM ends it with 0" ends 0 TERM

# -- DPDK that does not start --
is "without DPDK it serves by TCP" start --data "$T/d" "${free[@]}" --eal "--vdev=no_such_device"
is "and says so" says "no local port: "
is "SIGTERM ends it with 0" ends 0 TERM

# -- few descriptors --
few=(bash -c 'ulimit -n 400; exec "$0" "$@"')
as=("${few[@]}")
is "with few descriptors it starts" start --data "$T/d" "${free[@]}" --local none
is "and says how many connections are left" says "TCP connections instead of 16384: the limit of open files"
is "SIGTERM ends it with 0" ends 0 TERM
as=()

# -- the disk --
is "a missing parent is 74" refuses 74 "$T/leatd" --data "$T/no/where" "${free[@]}"
is "and the path is named" says "$T/no/where"
printf x >"$T/file"
is "a file for a directory is 74" refuses 74 "$T/leatd" --data "$T/file" "${free[@]}"
cp -r "$T/d" "$T/pipe"
rm -f "$T/pipe/lock"
mkfifo "$T/pipe/lock"
is "a pipe for the lock is 74" refuses 74 "$T/leatd" --data "$T/pipe" "${free[@]}"
is "and is named" says "$T/pipe/lock is no regular file: remove it"
cp -r "$T/d" "$T/rot"
head -c "$(stat -c %s "$T/rot/manifest")" /dev/urandom >"$T/rot/manifest"
sums=$(cd "$T/rot" && cksum log-* checkpoint-* manifest)
is "a corrupt manifest is 65" refuses 65 "$T/leatd" --data "$T/rot" "${free[@]}"
is "and is named" says manifest
is "and nothing was changed" [ "$sums" = "$(cd "$T/rot" && cksum log-* checkpoint-* manifest)" ]

# A disk in memory works, and is told for what it is.
shm=/dev/shm/leat-start-$$
if [ "$(stat -f -c %T /dev/shm 2>/dev/null)" = tmpfs ] && mkdir "$shm" 2>/dev/null; then
    is "a data directory in memory serves" start --data "$shm/d" "${free[@]}" --local none --disk-max 16M --segment-size 1M \
        --block-max 256K --body-max 64K --hot-max 2M
    is "with a warning" says "lies in memory (tmpfs): a power cut or a reboot takes everything"
    is "SIGTERM ends it with 0" ends 0 TERM
    rm -rf "$shm"
else
    skip "a data directory in memory" "/dev/shm is no tmpfs that we may use"
fi

# A disk that is full: puts are refused by name, the broker lives on, takes empty it, and puts work again.
load() { # queue, arguments of leat-bench...
    timeout 60 "$B/leat-bench" -s "tcp://127.0.0.1:$tcp" --queue "$1" --keep --size 4000 --depth 8 "${@:2}" >"$T/err" 2>&1
}
fails() { ! "$@"; }
is "a broker with little disk starts" start --data "$T/little" "${free[@]}" --local none \
    --disk-max 16M --segment-size 1M --block-max 256K --body-max 64K --hot-max 2M
is "it takes what fits" load first --messages 1000
is "then puts fail" fails load rest --messages 5000
is "with the reason" says "the log has no room left, as disk_max is reached or the disk is full: finish messages to make some"
is "the broker is well" [ "$(curl -s -m 10 "127.0.0.1:$http/healthz")" = ok ]
is "the limit is kept" [ "$(du -sk "$T/little" | cut -f1)" -lt 24000 ]
is "takes go on" load first --workload drain --messages 1000
is "and find all" says "1000 of 1000 found, 0 more than once, 0 not ours"
is "the rest can be taken, too" load rest --workload drain --messages 1
is "and puts work again" load first --messages 1000
is "SIGKILL ends it" ends 137 KILL
is "it starts after SIGKILL" start --data "$T/little" "${free[@]}" --local none \
    --disk-max 16M --segment-size 1M --block-max 256K --body-max 64K --hot-max 2M
is "and says what it holds" shows "2 queues, 1000 messages$"
is "all that was acknowledged can be taken" load first --workload drain --messages 1000
is "once each" says "1000 of 1000 found, 0 more than once, 0 not ours"
is "SIGTERM ends it with 0" ends 0 TERM

# A directory keeps the segment size that it was made with, and says so when another one was asked for.
small=(--local none --body-max 64K)
is "another segment size starts" start --data "$T/little" "${free[@]}" "${small[@]}" --segment-size 32M
is "and is told to have no effect" says "segment_size 32M has no effect: data $T/little was made with 1M and keeps it"
is "SIGTERM ends it with 0" ends 0 TERM
as=(env LEAT_SEGMENT_SIZE=16M)
is "one from the environment does" start --data "$T/little" "${free[@]}" "${small[@]}"
is "and is told, too" says "segment_size 16M has no effect"
is "SIGTERM ends it with 0" ends 0 TERM
as=()
is "none at all is" start --data "$T/little" "${free[@]}" "${small[@]}"
is "not worth a word" fails says segment_size
is "SIGTERM ends it with 0" ends 0 TERM
is "nor is" start --data "$T/little" "${free[@]}" "${small[@]}" --segment-size 1M --block-max 256K
is "the right one" fails says segment_size
is "SIGTERM ends it with 0" ends 0 TERM

# So disk_max goes with those segments, not with the segment_size of a directory that would be made.
is "disk_max fits the directory's own segment size" start --data "$T/little" "${free[@]}" "${small[@]}" --disk-max 16M
is "SIGTERM ends it with 0" ends 0 TERM
as=(bash -c 'ulimit -n 1000; exec "$0" "$@"')
is "with few descriptors, too" start --data "$T/little" "${free[@]}" "${small[@]}" --disk-max 16M
left=$(grep -o 'only [0-9]* TCP connections' "$T/err")
is "SIGTERM ends it with 0" ends 0 TERM
is "and with the size said" start --data "$T/little" "${free[@]}" "${small[@]}" --disk-max 16M --segment-size 1M --block-max 256K
is "as many are kept for its segments" says "${left:-nothing was said}"
is "SIGTERM ends it with 0" ends 0 TERM
as=()
is "too little for it is 78" refuses 78 "$T/leatd" --data "$T/little" "${free[@]}" "${small[@]}" --disk-max 8M
is "and says for which" says "16 times segment_size 1M, which is kept by data $T/little; raise disk_max"
is "a new directory has segment_size: 78" refuses 78 "$T/leatd" --data "$T/little2" "${free[@]}" "${small[@]}" --disk-max 16M
is "and says so" says "disk_max is 16M, but at least 1G is needed: 16 times segment_size 64M; raise disk_max, or lower segment_size"
is "and nothing was touched" [ ! -e "$T/little2" ]

if [ "$(id -u)" = 0 ]; then
    mkdir -m 700 "$T/mine"
    nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all)
    is "somebody else's directory is 77" refuses 77 "${nobody[@]}" "$T/leatd" --data "$T/mine" "${free[@]}"
    is "and is named" says "$T/mine"
    is "a port below 1024 is 77" refuses 77 "${nobody[@]}" "$T/leatd" --data "$T/theirs" --listen 127.0.0.1:80 --http none
    mkdir -m 700 "$T/nobody" && chown 65534:65534 "$T/nobody"
    as=("${nobody[@]}")
    is "a plain user's broker starts" start --data "$T/nobody/d" "${free[@]}" --eal --no-huge
    is "with a local port" shows "^leatd: local $T/nobody/d/leat.sock$"
    is "and is well" [ "$(curl -s -m 10 "127.0.0.1:$http/healthz")" = ok ]
    is "SIGTERM ends it with 0" ends 0 TERM
    as=()
    if mkdir "$T/small" && mount -t tmpfs -o size=32M none "$T/small" 2>/dev/null; then
        is "a disk too small for the log is 74" refuses 74 "$T/leatd" --data "$T/small/d" "${free[@]}"
        is "and says what is needed" says "has too little space: 1G is needed, 16 times segment_size 64M, and "
        is "and what may be done" says "M is free; make room there, or lower segment_size, or set disk_max to 1G"
        tiny=(--segment-size 1M --block-max 256K --body-max 64K --hot-max 2M)
        is "one with small segments starts" start --data "$T/small/d" "${free[@]}" --local none "${tiny[@]}"
        is "and takes messages" load kept --messages 100
        is "SIGTERM ends it with 0" ends 0 TERM
        cat /dev/zero >"$T/small/others" 2>/dev/null
        is "it starts when others have filled the disk" start --data "$T/small/d" "${free[@]}" --local none "${tiny[@]}"
        is "SIGTERM ends it with 0" ends 0 TERM
        is "and with larger segments asked for" start --data "$T/small/d" "${free[@]}" --local none --body-max 64K --segment-size 256M
        is "it has what it had" load kept --workload drain --messages 100
        is "SIGTERM ends it with 0" ends 0 TERM
        is "a new one there is 74" refuses 74 "$T/leatd" --data "$T/small/new" "${free[@]}" "${tiny[@]}" --disk-max 16M
        is "and says what is needed" says "the disk is full: a new data directory needs 3200K, and 0K is free"
    else
        skip small_disk "no permission to mount a tmpfs"
    fi
else
    skip permissions "not root: cannot become somebody else"
    skip small_disk "not root: cannot mount a tmpfs"
fi

if [ "$skipped" -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
else
    echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ]
