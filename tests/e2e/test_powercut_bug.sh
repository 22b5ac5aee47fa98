#!/bin/bash
# test_powercut_bug.sh - the power-cut test can fail: a broker with planted bug 1, which answers before its disk does, is
# found out by it.
exec bash tests/e2e/planted.sh 1 tests/e2e/test_powercut.sh --bug --cycles 6
