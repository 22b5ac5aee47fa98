# lib.sh - what the tests on the real binaries share: counting, brokers, and leaving nothing behind. Sourced by bash.
#
#   . tests/e2e/lib.sh NAME       sets B, T (a private, empty directory under B); installs the clean-up
#   is NAME COMMAND...            one check; the last that the broker said is shown by finish when one failed
#   skip NAME WHY
#   broker ARGUMENT...            a broker in the background until it says "leatd ready": $pid $tcp $address; again
#                                 later it listens on the same port. False: it has ended or was silent for a minute
#   broker_ends SIGNAL            and what it returned is in $code
#   background COMMAND...         a process that ends with us: $!; its output goes to a file of its own
#   loop_disk CHECK SIZE          a file system of its own; judge HISTORY: what clients wrote down, promise by promise
#   finish                        prints "N passed, N failed[, N skipped]"
#
# Nothing sleeps in place of an event: a start is over when its line has been read, an end when wait returns, progress
# when a line has come.
B=${B:-build}
T=$B/e2e/$1
LEATD=${LEATD:-$B/leatd}
passed=0 failed=0 skipped=0 pid='' tcp='' others='' mounts=''
rm -rf "$T"
mkdir -p "$T" || exit 1
# A small log: quick to make and to read again. Options that a test gives come behind and win.
SMALL=(--http none --local none --segment-size 4M --block-max 1M --body-max 64K --hot-max 16M --disk-max 1G --buffer-max 16M)

tidy_up() {
    trap - EXIT INT TERM
    [ -n "$pid" ] && kill -KILL "$pid" 2>/dev/null
    for p in $others; do kill -KILL "$p" 2>/dev/null; done
    wait 2>/dev/null
    for m in $mounts; do unmount "$m" || umount -l "$m"; done 2>/dev/null
    [ "$failed" -eq 0 ] && [ -z "$KEEP" ] && rm -rf "$T"
    return 0
}
trap tidy_up EXIT
trap 'exit 1' INT TERM

is() {
    local name=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $name ($*)"
        return 1
    fi
}
# run CODE COMMAND... - its output in $T/out and $T/err; true when it ends with CODE, within $run_seconds seconds.
run_seconds=60
run() {
    local code=$1
    shift
    timeout "$run_seconds" "$@" >"$T/out" 2>"$T/err"
    local got=$?
    [ $got = "$code" ] || { echo "    exit code $got, not $code: $*"; head -5 "$T/out" "$T/err"; false; }
}
skip() { skipped=$((skipped + 1)); echo "SKIPPED $1: $2"; }
finish() {
    [ "$failed" -eq 0 ] || tail -n 20 "$T/broker.err" 2>/dev/null
    if [ "$skipped" -gt 0 ]; then
        echo "$passed passed, $failed failed, $skipped skipped"
    else
        echo "$passed passed, $failed failed"
    fi
    [ "$failed" -eq 0 ]
    exit
}

# A port below those that the kernel gives to outgoing connections, lest one of them has it when the broker comes back.
broker() {
    local tries
    [ -n "$tcp" ] && { broker_on "$tcp" "$@"; return; }
    for tries in 1 2 3 4 5 6 7 8 9 10; do
        tcp=$((20000 + (RANDOM + $$) % 12000))
        broker_on $tcp "$@" && return
        broker_ends ''
        [ "$code" = 98 ] || return 1
    done
}
broker_on() { # PORT ARGUMENT...
    local line='' port=$1
    shift
    exec 7< <(exec ${WRAP:-} "$LEATD" --listen "127.0.0.1:$port" "$@" 2>>"$T/broker.err")
    pid=$!
    address=tcp://127.0.0.1:$port
    while IFS= read -r -t 60 line <&7; do
        echo "$line" >>"$T/broker.err"
        [ "$line" = "leatd ready" ] && break
    done
    [ "$line" = "leatd ready" ]
}
broker_ends() {
    [ -n "$pid" ] || return 1
    [ -n "$1" ] && kill "-$1" "$pid"
    wait "$pid" 2>/dev/null
    code=$?
    pid=''
    exec 7<&-
}

background() {
    "$@" <&0 &
    others="$others $!"
}
# until_lines FILE N [SECONDS]: waits until the file has so many lines; false when that takes too long.
until_lines() {
    local end=$((SECONDS + ${3:-60}))
    while [ "$(wc -l <"$1")" -lt "$2" ]; do
        [ $SECONDS -ge $end ] && return 1
        read -r -t 0.02 <>"$T/.never" || :
    done
}
# stand_still PID SECONDS: the program is stopped, and goes on as if nothing had been.
stand_still() { kill -STOP "$1" && { read -r -t "$2" <>"$T/.never" || :; } && kill -CONT "$1"; }
# until_true SECONDS COMMAND...: again and again, until it succeeds; false when that takes too long.
until_true() {
    local end=$((SECONDS + $1))
    until "${@:2}"; do
        [ $SECONDS -ge $end ] && return 1
        read -r -t 0.1 <>"$T/.never" || :
    done
}
# judge HISTORY [WORDS]: a check for each promise, by prog_judge; what it said stays in $T/judged. With disk_fails=1 the
# broker may have called messages damaged while it had no disk.
judge() {
    local verdict promise rest
    is "${2:-}the history is judged" verdicts "$1"
    while read -r verdict promise rest; do
        case $verdict in kept | broken) is "${2:-}$promise $rest" [ "$verdict" = kept ] ;; esac
    done <"$T/judged"
    [ -n "$disk_fails" ] || is "${2:-}nothing is called damaged" [ "$(grep -c '^c ' "$1")" = 0 ]
    grep ^seen "$T/judged"
}
verdicts() {
    timeout 120 "$B/prog_judge" "$1" >"$T/judged"
    grep -qE '^(kept|broken) ' "$T/judged"
}
# loop_disk CHECK SIZE [OPTION...]: an ext4 of that size on a loop file, at $T/disk. Where that cannot be, CHECK is skipped.
loop_disk() {
    local check=$1
    if [ "$(id -u)" != 0 ]; then
        skip "$check" "not root: cannot mount a loop file"
        finish
    fi
    mkdir "$T/disk"
    truncate -s "$2" "$T/image"
    mkfs.ext4 -q -F "${@:3}" "$T/image" >"$T/mkfs" 2>&1
    if ! plug_in 2>"$T/mount"; then
        skip "$check" "no loop devices here: $(cat "$T/mount")"
        finish
    fi
    mounts=$T/disk
}
plug_in() { mount -o loop "$T/image" "$T/disk"; }
# unmount DIRECTORY: the kernel lets go of a dead process's io_uring files a moment after it has ended.
unmount() {
    local end=$((SECONDS + 30))
    until umount "$1" 2>/dev/null; do
        [ $SECONDS -ge $end ] && umount "$1" && return 1
        read -r -t 0.01 <>"$T/.never" || :
    done
}
mkfifo "$T/.never"
