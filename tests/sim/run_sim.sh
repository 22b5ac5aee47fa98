#!/bin/sh
# run_sim.sh - the seeds of `make test`, with the marks that they must hit; every hundredth runs twice.
exec "${B:-build}/leat-sim" --seeds "${SEEDS:-1..2000}" --jobs 2 --marks tests/sim/marks.txt
