# normal.sh - what in a dump is the same on every day: all but times, instants and the numbers of sessions. Sourced.
normal() {
    sed -E 's/^([0-9.]+)\t[^\t]*\t/\1\t/; s/\t(until|due)=[^\t]*/\t\1=.../g; s/\t(session|opened|ended)=[0-9]+/\t\1=./g'
}
