#!/usr/bin/env python3
"""bench.py - the goals beside the limits of this machine: what `make bench` runs.

    python3 perf/bench.py [GOAL...] [--rounds 5] [--seconds 0.5] [--results]

For each goal and round, the limit and ours are measured one after the other, in the order A-B, B-A, A-B ...: each
round gives a pair that saw the same machine. Printed are the medians of both and the median of the rounds' ratios (on a
machine that changes its pace between rounds, the ratio of two medians may mix two paces).

Each measurement of ours starts leatd anew: default configuration, a fresh data directory in build/bench, free ports,
and --poll spin where a goal is about the local port or kernel TCP (then leatd pins itself to the last core, and the
client to the first). After a run of class `memory` it gets SIGTERM, is started again, and every message that was
acknowledged is taken out and looked at; one that is missing fails the whole run.

Writes build/bench.json, and perf/RESULTS.md with --results. Exit code: 0 when all was measured, whatever came out; 1 when
something could not be measured or a message was lost.
"""
import argparse
import contextlib
import datetime
import json
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
import urllib.request

BUILD = os.environ.get("B", "build")
ROOM = os.path.join(BUILD, "bench")
START_S, STOP_S, RUN_S = 30, 30, 120


class Trouble(Exception):
    """Something could not be measured; the text is for people."""


def tool(name, *words, ok=(0,)):
    """Runs one of our programs; its JSON lines."""
    command = [f"{BUILD}/{name}", *map(str, words)]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=RUN_S)
    except subprocess.TimeoutExpired as late:
        raise Trouble(f"{' '.join(command)}: no end after {RUN_S} s") from late
    if done.returncode not in ok:
        raise Trouble(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return [json.loads(line) for line in done.stdout.splitlines()]


class Broker:
    """A leatd of our own, from start to SIGTERM."""

    def __init__(self, *words):
        self.words, self.data, self.child = words, os.path.join(ROOM, "data"), None
        self.local = f"vhost://{self.data}/leat.sock"

    def start(self, every=0.02):
        self.log = open(os.path.join(ROOM, "leatd.log"), "w+")
        self.child = subprocess.Popen(
            [f"{BUILD}/leatd", "--data", self.data, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", *self.words],
            stdout=self.log, stderr=subprocess.STDOUT)
        until = time.monotonic() + START_S
        while "leatd ready" not in self.said():
            if self.child.poll() is not None or time.monotonic() > until:
                raise Trouble(f"leatd does not start: {self.said().strip()}")
            time.sleep(every)
        self.tcp = "tcp://" + re.search(r"tcp (\S+:\d+)", self.said()).group(1)
        self.http = re.search(r"http (?:http://)?(\S+:\d+)", self.said())
        return self

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def counters(self):
        """What /metrics tells: {name: value}, labels left out."""
        text = urllib.request.urlopen(f"http://{self.http.group(1)}/metrics", timeout=5).read().decode()
        pairs = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in pairs if "{" not in name}

    def cpu_seconds(self):
        with open(f"/proc/{self.child.pid}/stat") as f:
            fields = f.read().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.child.send_signal(signal.SIGTERM)
        try:
            code = self.child.wait(STOP_S)
        except subprocess.TimeoutExpired as late:
            raise Trouble(f"leatd does not stop: {self.said().strip()}") from late
        self.log.close()
        if code != 0:
            raise Trouble(f"leatd ended with exit code {code}")

    def end(self):
        if self.child and self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        shutil.rmtree(self.data, ignore_errors=True)


@contextlib.contextmanager
def broker(*words):
    b = Broker(*words)
    shutil.rmtree(b.data, ignore_errors=True)
    try:
        yield b.start()
    finally:
        b.end()


def find_again(b, acknowledged):
    """SIGTERM, a start, and every message that was acknowledged must be there."""
    b.stop()
    b.start()
    found = tool("leat-bench", "-s", b.local, "-w", "drain", "-q", "bench", "--messages", acknowledged, "--batch", 100,
                 "--depth", 16, "--spin", "--json", ok=(0, 1))[0]
    if found["found"] != acknowledged or found["repeated"] or found["foreign"]:
        raise Trouble(f"after SIGTERM and a start, {found['found']} of {acknowledged} acknowledged messages were there "
                      f"({found['repeated']} twice, {found['foreign']} not ours)")


class Run:
    """How one goal is measured: words for leatd and for leat-bench, and what is read from the answer."""

    def __init__(self, broker_words, bench_words, value, tcp=False, check=False):
        self.broker_words, self.bench_words, self.value, self.tcp, self.check = (
            broker_words, bench_words, value, tcp, check)

    def measure(self, a, notes):
        words = self.bench_words(a) if callable(self.bench_words) else self.bench_words
        with broker(*self.broker_words) as b:
            got = tool("leat-bench", "-s", b.tcp if self.tcp else b.local, "-q", "bench", "--json", "--duration",
                       a.seconds, *words)[0]
            if b.http and not self.tcp:
                c = b.counters()
                packets, frames = c.get("leat_local_received_packets_total", 0), c.get("leat_frames_total", 0)
                if packets:
                    notes["frames per packet"] = frames / packets
            if self.check:
                find_again(b, got["acknowledged"])
                notes["found again"] = notes.get("found again", 0) + got["acknowledged"]
            return self.value(got)


def fill(b, messages, *words):
    """Puts so many, class memory, as fast as they go."""
    got = tool("leat-bench", "-s", b.local, "-q", "bench", "--class", "memory", "--messages", messages, "--duration",
               RUN_S, "--warm", 0, "--json", *words)[0]
    if got["acknowledged"] != messages:
        raise Trouble(f"only {got['acknowledged']} of {messages} messages could be put")


def lives_beside(messages):
    """Messages a second that are put, taken and acknowledged by a hundred, with so many ready all the time: each goes to
    the end of the queue, and what is taken was put `messages` ago."""
    def measure(a, notes):
        with broker(*SPIN) as b:
            fill(b, messages, *RAW, "--batch", 20, "--depth", 32)
            got = tool("leat-bench", "-s", b.local, "-q", "bench", "-w", "lives", "--class", "memory", "--batch", 100,
                       "--depth", 8, "--spin", "--cpu", 0, "--json", "--duration", 4 * a.seconds)[0]
            c = b.counters()
            reads, hits = c["leat_cold_reads_total"], c["leat_ahead_hits_total"]
            if reads + hits:
                notes["of the cold reads had been read ahead"] = hits / (hits + reads)
            return rate(got)
    return measure


def bytes_a_message(messages, *words):
    """What the process has grown by, from three tenths of them (when the hot tail is full) to all."""
    def measure(a, notes):
        def resident():
            with open(f"/proc/{b.child.pid}/status") as f:
                return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmRSS"))
        with broker(*SPIN) as b:
            fill(b, messages * 3 // 10, *words)
            before = resident()
            fill(b, messages * 7 // 10, *words)
            return max(resident() - before, 1) / (messages * 7 // 10)
    return measure


def restart(messages):
    """Seconds from exec to the answer of a take, after kill -9."""
    def measure(a, notes):
        with broker(*SPIN) as b:
            fill(b, messages, *RAW, "--batch", 32, "--depth", 32)
            time.sleep(1)
            b.child.kill()
            b.child.wait()
            b.log.close()
            start = time.monotonic()
            b.start(every=0.002)
            tool("leat", "-s", b.tcp, "take", "bench", "-n", 1, "--json")
            return time.monotonic() - start
    return measure


def p50(got):
    return got["latency_ns"]["p50"]


def rate(got):
    return got["messages_per_s"]


SPIN = ("--poll", "spin")
RAW = ("--cpu", "0", "--raw")
RATES = {}  # the most that went through, by class, for those goals that are about half of it


def half_load(durability):
    def words(a):
        if durability not in RATES:
            RATES[durability] = Run(SPIN, ("--class", durability, *RAW, "--depth", 64), rate).measure(a, {})
        return ("--class", durability, *RAW, "--rate", RATES[durability] / 2, "--depth", 64)
    return words


def written_per_payload(size, *bench_words):
    """Bytes of the log on the disk for each byte of a body."""
    def measure(a, notes):
        with broker(*SPIN) as b:
            got = tool("leat-bench", "-s", b.local, "-q", "bench", "--json", "--duration", a.seconds, "--class", "disk",
                       "--size", size, *bench_words)[0]
            c = b.counters()
            notes["messages per block"] = got["acknowledged"] / c["leat_log_blocks_total"]
            return c["leat_log_written_bytes_total"] / (got["acknowledged"] * size)
    return measure


def limit(letter, value, *words, scale=1):
    """A way to measure a limit of the machine."""
    def measure(a):
        for line in tool("limits", letter, "--json", "--rounds", 1, "--seconds", a.seconds, "--dir", ROOM, *words):
            if line.get("value") == value:
                return line["median"] * scale
        raise Trouble(f"the limit {letter} {value} was not told")
    return measure


def worse_of_m_and_j(a):
    return max(limit("M", "p99.9")(a), limit("J", "p99.99")(a))


def own_memory_rate(a):
    return Run(SPIN, ("--class", "memory", *RAW, "--depth", 64, "--batch", 32), rate).measure(a, {})


def lease_cycle(name, live):
    def measure(a, notes):
        for line in tool("lease_cycle", live):
            if line["name"] == name:
                return line["ns"]
        raise Trouble("lease_cycle did not tell " + name)
    return measure


# goal: (what, better, floor, target, stretch, unit, ours, limit's name, limit)
GOALS = {
    "L1": ("put -> reply, memory, local port, one at a time, p50", "lower", 2.5, 1.8, 1.3, "ns",
           Run(SPIN, ("--class", "memory", *RAW), p50, check=True).measure, "M", limit("M", "p50")),
    "L1-library": ("the same through the client library's core", "lower", None, None, None, "ns",
                   Run(SPIN, ("--class", "memory", "--spin", "--cpu", 0), p50).measure, "M", limit("M", "p50")),
    "L2": ("put -> delivery to a parked consumer, p50", "lower", 3, 2, 1.5, "ns",
           Run(SPIN, ("--class", "memory", "--spin", "--cpu", 0, "-w", "delivery"), p50).measure, "M",
           limit("M", "p50")),
    "L3": ("p99.9 of L1 at half of T1's load", "lower", 5, 3, 2, "ns",
           Run(SPIN, half_load("memory"), lambda got: got["latency_ns"]["p99.9"]).measure, "max(M p99.9, J)", worse_of_m_and_j),
    "L5": ("put -> reply, memory, kernel TCP, one at a time, p50", "lower", 1.8, 1.3, 1.15, "ns",
           Run(SPIN, ("--class", "memory", "--spin", "--cpu", 0), p50, tcp=True).measure, "T", limit("T", "p50")),
    "T1": ("puts, one per frame, memory, local port", "higher", 0.25, 0.4, 0.6, "1/s",
           Run(SPIN, ("--class", "memory", *RAW, "--depth", 64), rate, check=True).measure, "P",
           limit("P", "rate", scale=1e6)),
    "T2": ("messages put, 32 per frame, memory, local port", "higher", 0.8, 1.2, 2, "1/s",
           Run(SPIN, ("--class", "memory", *RAW, "--depth", 32, "--batch", 32), rate, check=True).measure, "P",
           limit("P", "rate", scale=1e6)),
    "D1": ("durable put, one at a time, local port, p50; both sleep, the other core idle", "lower", 1.4, 1.15, 1.05,
           "ns", Run((), ("--class", "disk"), p50).measure, "W, other core idle", limit("W", "p50")),
    "D1-spin": ("durable put, one at a time, local port, p50; both spin: the other core busy", "lower", None, None,
                None, "ns", Run(SPIN, ("--class", "disk", "--spin", "--cpu", 0), p50).measure,
                "W, other core spinning", limit("W", "p50", "--other", "spin", "--cpus", "1,0")),
    "D2": ("durable put at half of the most, local port, p50; both spin: the other core busy", "lower", 2.5, 1.6, 1.25, "ns",
           Run(SPIN, half_load("disk"), p50).measure, "W, other core spinning",
           limit("W", "p50", "--other", "spin", "--cpus", "1,0")),
    "D3": ("durable messages put, 32 per frame, local port; both spin: the other core busy", "higher", 0.6, 0.85, 0.95,
           "1/s", Run(SPIN, ("--class", "disk", *RAW, "--depth", 64, "--batch", 32), rate).measure,
           "class memory, other core spinning", own_memory_rate),
    "D5": ("bytes of the log on disk per byte of body: puts of 1 KiB at saturation", "lower", 1.5, 1.25, 1.15, "B/B",
           written_per_payload(1024, *RAW, "--depth", 64, "--batch", 8), None, None),
    "D5-lives": ("the same: full lives of 128 B", "lower", None, None, None, "B/B",
                 written_per_payload(128, "-w", "lives", "--spin", "--cpu", 0, "--depth", 16, "--batch", 16), None, None),
    "B1": ("messages put, taken and acknowledged by a hundred beside 1e7 ready, memory, local port", "higher", 0.8,
           0.95, 1.0, "1/s", lives_beside(10000000), "beside 1e3 ready", lambda a: lives_beside(1000)(a, {})),
    "B2": ("memory of a ready message of one queue, 1e7 of them", "lower", 16, 4, 2, "bytes",
           bytes_a_message(10000000, *RAW, "--batch", 32, "--depth", 32), None, None),
    "B2-turns": ("memory of a ready message of 1e3 queues in turn, 1e7 of them", "lower", 16, 8, 4, "bytes",
                 bytes_a_message(10000000, "--spin", "--cpu", 0, "--queues", 1000, "--depth", 64), None, None),
    "R1": ("exec after kill -9 to the first delivery, 1e7 ready", "lower", 5, 1, 0.2, "s", restart(10000000), None,
           None),
    "K1": ("timer of a lease: armed by its take, cancelled by its ack, 1e5 live", "lower", 40, 20, 12, "ns",
           lease_cycle("K1_wheel", 100000), None, None),
    "K1-1e7": ("the same, 1e7 live", "lower", 120, 60, 40, "ns", lease_cycle("K1_wheel", 10000000), None, None),
    "K1-engine": ("take and ack of a lease by the whole engine, 1e5 live", "lower", None, None, None, "ns",
                  lease_cycle("K1", 100000), None, None),
    "K1-engine-1e7": ("the same, 1e7 live", "lower", None, None, None, "ns", lease_cycle("K1", 10000000), None, None),
    "J": ("longest absences of a spinning core, p99.99 of instants", "lower", None, None, None, "ns",
          lambda a, notes: limit("J", "p99.99")(a), None, None),
}


def measure(goal, a):
    """One row of bench.json."""
    what, better, floor, target, stretch, unit, ours, name, beside = GOALS[goal]
    pairs, notes = [], {}
    for k in range(a.rounds):
        first = ours(a, notes) if k % 2 else None
        lim = beside(a) if beside else 1
        pairs.append({"ours": first if k % 2 else ours(a, notes), "limit": lim})
    row = {"goal": goal, "what": what if name is None else f"{what} / {name}",
           "ours": statistics.median(p["ours"] for p in pairs),
           "limit": statistics.median(p["limit"] for p in pairs) if beside else None,
           "ratio": statistics.median(p["ours"] / p["limit"] for p in pairs),
           "better": better, "floor": floor, "target": target, "stretch": stretch, "unit": unit, "samples": pairs}
    return row, notes


def reached(row):
    """The best mark that the ratio has reached."""
    sign = 1 if row["better"] == "lower" else -1
    for mark in ("stretch", "target", "floor"):
        if row[mark] is not None and row["ratio"] * sign <= row[mark] * sign:
            return mark
    return "below floor" if row["floor"] is not None else ""


def number(x):
    if x is None:
        return ""
    return f"{x / 1e6:.2f} M" if x >= 1e6 else f"{x:.0f}" if x >= 100 else f"{x:.3g}"


def line(row):
    marks = " / ".join("-" if row[m] is None else f"{row[m]:g}" for m in ("floor", "target", "stretch"))
    return (f"{row['goal']:10} {number(row['ours']):>9} {number(row['limit']):>9} {row['ratio']:8.3g}  "
            f"{marks:18} {reached(row):12} {row['what']} ({row['unit']})")


def machine():
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")),
                 platform.machine())
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                            text=True, check=False).stdout.strip() or "unknown"
    today = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    return f"{model}, {os.cpu_count()} cores, Linux {platform.release()}, {today}, commit {commit}"


def results(rows, notes, a):
    """perf/RESULTS.md: the table for people."""
    with open("perf/RESULTS.md", "w") as f:
        f.write("# Results\n\nWritten by `make bench RESULTS=1`; what each number means: BENCHMARKS.md. Change nothing here by hand.\n\n"
                f"{a.machine}. {a.rounds} rounds of {a.seconds:g} s, A-B-B-A; medians, and the median of the rounds' ratios.\n\n"
                "| goal | what / beside what | ours | limit | ratio | floor / target / stretch | reached |\n"
                "|---|---|---|---|---|---|---|\n")
        for row in rows:
            marks = " / ".join("-" if row[m] is None else f"{row[m]:g}" for m in ("floor", "target", "stretch"))
            f.write(f"| {row['goal']} | {row['what']} | {number(row['ours'])} {row['unit']} | {number(row['limit'])} | "
                    f"{row['ratio']:.3g} | {marks} | {reached(row)} |\n")
        f.write("\n" + "\n".join(f"- {goal}: {text}" for goal, text in notes.items() if text) + "\n")


def note_text(notes):
    words = []
    if "frames per packet" in notes:
        words.append(f"{notes['frames per packet']:.1f} frames shared a packet on the port")
    if "messages per block" in notes:
        words.append(f"{notes['messages per block']:.0f} messages shared a block")
    if "of the cold reads had been read ahead" in notes:
        words.append(f"{notes['of the cold reads had been read ahead']:.2f} of the cold reads had been read ahead")
    if "found again" in notes:
        words.append(f"all {notes['found again']} acknowledged messages were found after SIGTERM and a start")
    return "; ".join(words)


def main():
    p = argparse.ArgumentParser(description="Measures goals beside the limits of this machine.")
    p.add_argument("goals", nargs="*", help=f"of {' '.join(GOALS)}; all, if none is given")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=float, default=0.5, help="of each measurement")
    p.add_argument("--results", action="store_true", help="write perf/RESULTS.md too")
    a = p.parse_args()
    unknown = [g for g in a.goals if g not in GOALS]
    if unknown:
        p.error(f"{unknown[0]} is not one of {' '.join(GOALS)}")
    if os.cpu_count() < 2:
        p.error("two cores are needed: one for the broker, one for the client")
    os.makedirs(ROOM, exist_ok=True)
    rows, notes, trouble = [], {}, 0
    a.machine = machine()  # before the results make the tree look changed
    print(a.machine, f"\n{a.rounds} rounds of {a.seconds:g} s\n")
    print(f"{'goal':10} {'ours':>9} {'limit':>9} {'ratio':>8}  {'floor/target/str.':18} {'reached':12} what / beside what")
    for goal in a.goals or GOALS:
        try:
            row, told = measure(goal, a)
        except Trouble as why:
            trouble += 1
            print(f"{goal:10} not measured: {why}", flush=True)
            continue
        rows.append(row)
        notes[goal] = note_text(told)
        print(line(row), f"[{notes[goal]}]" if notes[goal] else "", flush=True)
    with open(os.path.join(BUILD, "bench.json"), "w") as f:
        json.dump(rows, f, indent=1)
        f.write("\n")
    if a.results:
        results(rows, notes, a)
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main())
