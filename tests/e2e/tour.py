"""tour.py README - runs the tour of a README: every command between the markers, in one shell, in its order.

A ```console block has commands behind "$ " and, below each, the lines that it must print: "..." inside a line stands for
anything, a line "..." for any number of lines; blank lines count for nothing. The shell runs in a directory where
everything of the project is (as
links) and nothing else, so that what the tour leaves behind is its own. Prints "N passed, N failed".
"""
import os
import re
import selectors
import signal
import subprocess
import sys
import time

PATIENCE = 60
NOISE = re.compile(r"^(make(\[\d+\])?: \*\*\*|\[\d+\][+-]? |.*Killed)")


def commands(text):
    tour = text.split("<!-- tour", 1)[1].split("<!-- /tour -->", 1)[0]
    found = []
    for block in re.findall(r"```console\n(.*?)```", tour, re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def pattern(lines):
    """The expected lines as one regular expression over whole output lines."""
    out = ""
    for line in lines:
        if line == "...":
            out += r"(?:[^\n]*\n)*?"
        else:
            out += ".*".join(re.escape(piece) for piece in line.split("...")) + "\n"
    return re.compile(out + r"\Z" if lines and lines[-1] != "..." else out)


class Shell:
    def __init__(self, directory):
        self.process = subprocess.Popen(["bash"], cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, start_new_session=True)
        self.fd = self.process.stdout.fileno()
        os.set_blocking(self.fd, False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.fd, selectors.EVENT_READ)
        self.text = ""

    def read(self, until):
        if self.selector.select(max(0, until - time.monotonic())):
            self.text += os.read(self.fd, 65536).decode(errors="replace")

    def run(self, number, command, expected):
        """None, or what was wrong."""
        mark = "done-%d-" % number
        self.process.stdin.write(("%s\necho %s$?\n" % (command, mark)).encode())
        self.process.stdin.flush()
        until = time.monotonic() + PATIENCE
        wanted = pattern(expected)
        while True:
            lines = [l for l in self.text.splitlines(True) if not l.startswith(mark) and not NOISE.match(l)]
            whole = [l for l in lines if l.endswith("\n") and l != "\n"]
            ended = re.search(r"^%s\d+$" % mark, self.text, re.M)
            if ended and wanted.match("".join(whole)):
                self.text = ""
                return None
            if ended and not command.endswith("&"):
                return "".join(lines)
            if time.monotonic() > until:
                return "".join(lines) + "(no more for %d s)" % PATIENCE
            self.read(until)

    def end(self):
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait()


def main():
    readme, directory = sys.argv[1:3]
    shell, passed = Shell(directory), 0
    try:
        for number, (command, expected) in enumerate(commands(open(readme).read())):
            wrong = shell.run(number, command, expected)
            if wrong is not None:
                print("$ %s\nexpected:\n%s\ngot:\n%s" % (command, "\n".join(expected), wrong))
                print("%d passed, 1 failed" % passed)
                return 1
            passed += 1
    finally:
        shell.end()
    print("%d passed, 0 failed" % passed)
    return 0


sys.exit(main())
