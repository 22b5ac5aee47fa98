#!/bin/bash
# fresh.sh [COMMAND] - the two commands of the README on a machine that has nothing: a minimal Debian bookworm with git,
# make and gcc, made by mmdebstrap, into which the last commit is cloned. COMMAND instead of `make test` for a quick look.
# Needs root, the network and about 3 GB; a quarter of an hour. Not part of `make test`.
command=${1:-make test}
. tests/e2e/lib.sh fresh
for tool in mmdebstrap unshare git; do
    command -v $tool >/dev/null || { skip fresh_machine "$tool is not installed"; finish; }
done
[ "$(id -u)" = 0 ] || { skip fresh_machine "not root: cannot make another root"; finish; }
ROOT=$PWD/$T/root

is "a minimal bookworm can be made" mmdebstrap --quiet --variant=minbase --include=git,make,gcc,ca-certificates bookworm \
    "$ROOT" >"$T/mmdebstrap" 2>&1 || { tail -n 5 "$T/mmdebstrap"; finish; }
is "the last commit fits into a bundle" git bundle create -q "$ROOT/leat.bundle" HEAD || finish
cp /etc/resolv.conf /etc/hosts "$ROOT/etc/"

# In namespaces of its own: with their first process all others end and all mounts vanish.
inside() {
    unshare --mount --pid --fork --kill-child bash -c '
        for d in dev sys; do mount --rbind "/$d" "$0/$d" || exit 1; done
        mount -t proc proc "$0/proc"
        exec chroot "$0" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 bash -c "$1"' "$ROOT" "$1"
}
is "it can be cloned there" inside 'git -c advice.detachedHead=false clone -q /leat.bundle /leat && cd /leat && git checkout -q -B main'
is "nothing is installed there" inside '! command -v clang && ! ls /usr/include/liburing.h' 2>/dev/null

start=$SECONDS
timeout 3600 bash -c "$(declare -f inside); ROOT=$ROOT inside 'cd /leat && $command'" >"$T/log" 2>&1
rc=$?
echo "$command: $(tail -n 1 "$T/log") ($((SECONDS - start)) s)"
is "$command ends well" [ $rc = 0 ] || grep -vE '^(Get|Unpacking|Selecting|Preparing|Setting up)' "$T/log" | tail -n 60
grep '^SKIPPED' "$T/log"
last=$(tail -n 1 "$T/log")
[ "$command" = "make test" ] && is "with a sum and no failure" grep -qE '^[0-9]+ passed, 0 failed' <<<"$last"

is "make run serves, and stops when it is asked to" inside '
    cd /leat
    exec 7< <(exec make run ARGS="--listen 127.0.0.1:0 --http 127.0.0.1:0" 2>&1)
    while IFS= read -r -t 900 line <&7; do
        echo "$line"
        [ "${line#leatd: tcp }" = "$line" ] || export LEAT_ADDRESS="tcp://${line#leatd: tcp }"
        [ "$line" = "leatd ready" ] && break
    done
    export PATH=$PWD/build:$PATH
    leat queue create mail && leat put mail "hello, miller" && leat take mail || exit 1
    kill -TERM $(cat leat-data/lock) && while IFS= read -r -t 60 line <&7; do echo "$line"; done' >"$T/run" 2>&1
sed 's/^/    /' "$T/run" | grep -v 'Get:\|Unpacking' | tail -n 24
is "a message came back from it" grep -q 'hello, miller' "$T/run"
finish
