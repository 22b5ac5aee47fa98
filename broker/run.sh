#!/bin/bash
# run.sh - what `make run` starts: a broker on ./leat-data, and behind its last line what to try next.
B=${B:-build}
exec "$B/leatd" --data ./leat-data "$@" > >(
    trap '' INT TERM # the broker's last words are read to the end
    while IFS= read -r line; do
        echo "$line"
        [ "$line" = "leatd ready" ] && sed "s|BUILD|$B|" <<'NEXT'

Try in another terminal, in this folder:
    export PATH=$PWD/BUILD:$PATH
    leat queue create mail
    leat put mail "hello, miller"
    leat take mail
    leat work mail -- cat
    curl http://127.0.0.1:9324/metrics
Ctrl-C stops the broker; ./leat-data keeps what it holds. All options: leatd --help

NEXT
    done
)
