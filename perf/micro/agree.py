#!/usr/bin/env python3
"""agree.py - do our limits say what the tools say that everybody uses?

    python3 perf/micro/agree.py [--rounds 5] [--seconds 1] [--dir .] [W F B P ...]

Measures each limit by build/limits and by the other tool in turn (A-B-B-A), and prints both medians and their
ratio. W, F and B are compared with fio, P with two dpdk-testpmd (both ends of a vhost-user socket, huge pages).
Exit code: 0 when all agree within 15 %, 1 when one does not, 69 when a tool is missing (apt-get install fio
dpdk-dev). Root is needed for P only: huge pages, 256 MB of them.

What the two have in common, row by row:
  W  one 4 KiB O_DIRECT write into a file of zeros, one fdatasync, by io_uring, again and again: mean time of a pair.
     (fio counts writes and flushes apart, so the median of a pair is not among its answers.)
  F  an fdatasync with nothing written since the last one: median. fio replays a list that holds nothing else.
  B  1 MiB O_DIRECT writes over the same 64 MiB, four under way, one flush at the end: bytes per second.
  P  144-byte packets, 64 of them going round between a vhost and a virtio device, each end on a core: packets that
     came back per second. testpmd forwards with `io`. Both have the net_vhost driver at the vhost end (--driver); the
     limit that our ratios have beside them is librte_vhost without it, which is quicker and so the stricter one.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

BUILD = os.environ.get("B", "build")
SEGMENT = 64 << 20
FIO = ["fio", "--name=agree", "--direct=1", "--ioengine=io_uring", "--cpus_allowed=0",
       "--output-format=json"]
TESTPMD = ["dpdk-testpmd", "--no-pci", "--no-telemetry", "--in-memory", "--single-file-segments", "-m", "128"]


def limits(letter, value, a, *more):
    """One round of one of our limits."""
    out = subprocess.run([f"{BUILD}/limits", letter, "--json", "--rounds", "1", "--seconds", str(a.seconds),
                          "--dir", a.dir, *more], check=True, stdout=subprocess.PIPE, text=True).stdout
    for line in map(json.loads, out.splitlines()):
        if line.get("value") == value:
            return line["median"]
    raise SystemExit(f"limits {letter} did not tell its {value}")


def fio(*options, folder=None):
    out = subprocess.run([*FIO, *options], cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(out)["jobs"][0]


def timed(a, path):
    return [f"--filename={path}", "--fixedbufs=1", "--registerfiles=1", "--time_based=1", f"--runtime={a.seconds}s", f"--size={SEGMENT}",
            "--rw=write", "--overwrite=1"]


def segment(a, folder):
    """A file of zeros that is wholly on the disk, as a segment of the journal is."""
    path = os.path.join(folder, "segment")
    subprocess.run(["dd", "if=/dev/zero", f"of={path}", "bs=1M", "count=64", "oflag=direct", "conv=fsync",
                    "status=none"], check=True)
    return path


def fio_w(a, folder):
    job = fio(*timed(a, segment(a, folder)), "--bs=4k", "--fdatasync=1", "--iodepth=1")
    return job["job_runtime"] * 1e6 / job["write"]["total_ios"]


def fio_f(a, folder):
    segment(a, folder)
    with open(os.path.join(folder, "script"), "w") as f:
        # fio wants at least one transfer in a list.
        f.write("fio version 2 iolog\nsegment add\nsegment open\nsegment read 0 4096\n")
        f.write("segment datasync 0 0\n" * int(a.seconds * 12000))
        f.write("segment close\n")
    job = fio("--read_iolog=script", "--replay_no_stall=1", folder=folder)
    return job["sync"]["lat_ns"]["percentile"]["50.000000"]


def fio_b(a, folder):
    job = fio(*timed(a, segment(a, folder)), "--bs=1M", "--iodepth=4", "--end_fsync=1")
    return job["write"]["bw_bytes"] / 1e6


def testpmd(core, device):
    return subprocess.Popen([*TESTPMD, "--lcores", f"0@{core},1@{core}", "--vdev", device, "--", "-i",
                             "--forward-mode=io", "--nb-cores=1", "--no-mlockall", "--total-num-mbufs=2047"],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def testpmd_p(a, folder):
    path = os.path.join(folder, "vhost")
    answer = testpmd(1, f"net_vhost0,iface={path},queues=1")
    answer.stdin.write("start\n")
    answer.stdin.flush()
    until = time.monotonic() + 10
    while not os.path.exists(path) and time.monotonic() < until:
        time.sleep(0.05)
    ask = testpmd(0, f"net_virtio_user0,path={path},queues=1,queue_size=256")
    # "show port stats" tells the rate since it was asked last: once to begin with, once to know.
    for word, pause in (("set txpkts 144", 0), ("start tx_first 2", 0.3), ("show port stats all", a.seconds),
                        ("show port stats all", 0), ("stop", 0), ("quit", 0)):
        ask.stdin.write(word + "\n")
        ask.stdin.flush()
        time.sleep(pause)
    told = ask.communicate(timeout=20)[0]
    answer.communicate("quit\n", timeout=20)
    os.path.exists(path) and os.unlink(path)
    return int([line for line in told.splitlines() if "Rx-pps" in line][-1].split()[1]) / 1e6


ROWS = {  # letter: what is compared, unit, ours, theirs, the other tool
    "W": ("write + fdatasync, mean", "ns", lambda a: limits("W", "mean", a), fio_w, "fio"),
    "F": ("fdatasync, p50", "ns", lambda a: limits("F", "p50", a), fio_f, "fio"),
    "B": ("1 MiB writes", "MB/s", lambda a: limits("B", "rate", a), fio_b, "fio"),
    "P": ("packets", "Mpackets/s", lambda a: limits("P", "rate", a, "--huge", "--driver"), testpmd_p, "dpdk-testpmd"),
}


def compare(letter, a, folder):
    what, unit, ours, theirs, tool = ROWS[letter]
    got = ([], [])
    for k in range(a.rounds):
        for side in (0, 1) if k % 2 == 0 else (1, 0):
            got[side].append(ours(a) if side == 0 else theirs(a, folder))
    mine, other = map(statistics.median, got)
    good = abs(mine / other - 1) <= 0.15
    print(f"{letter}  {what:24} limits {mine:10.4g}  {tool:12} {other:10.4g} {unit:10}  ratio {mine / other:.2f}  "
          f"{'agree' if good else 'DO NOT AGREE'}", flush=True)
    return good


def main():
    p = argparse.ArgumentParser(description="Compares build/limits with fio and dpdk-testpmd.")
    p.add_argument("letters", nargs="*", default=list(ROWS), help="W F B P; all, if none is given")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=float, default=1)
    p.add_argument("--dir", default=".", help="the disk to measure")
    a = p.parse_args()
    for letter in a.letters:
        if letter not in ROWS:
            p.error(f"{letter} is not one of {' '.join(ROWS)}")
        if not shutil.which(ROWS[letter][4]):
            print(f"agree.py: {letter} needs {ROWS[letter][4]}, which is not installed", file=sys.stderr)
            return 69
    with tempfile.TemporaryDirectory(dir=a.dir) as folder:
        good = [compare(letter, a, folder) for letter in a.letters]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
