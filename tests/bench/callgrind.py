"""callgrind: instructions the guard spends per datagram, by path, and the functions that spend them.

Each path is run twice on the same input, the second time with ROUNDS rounds of it more; the difference is the path's.
Instructions do not depend on the machine's mood, so two commits can be compared: with instructions.txt, which the last who looked has kept.
They do depend on compiler and libraries, hence on the system. System calls count nothing here. Nothing is asserted.
"""

import collections
import os
import re
import shutil
import subprocess

from rig import SHARING, TALKATIVE, TIGHT, WIDE
from sharing import talk

COUNT, ROUNDS, TRACKED = 1000, 5, 200
TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "instructions.txt")
TOLERANCE = 0.03


def profile(path):
    """function -> instructions, of one callgrind.out file."""
    r = subprocess.run(["callgrind_annotate", "--threshold=100", "--auto=no", "--inclusive=no", path],
                       capture_output=True, text=True, check=True)
    spent = collections.Counter()
    for line in r.stdout.splitlines():
        m = re.match(r"\s*([\d,]+)\s+\(\s*[\d.]+%\)\s+(?:.*?:)?([\w.'@+-]+)(?:\s|$)", line)
        if m and m.group(2) not in ("PROGRAM", "file"):
            spent[m.group(2)] += int(m.group(1).replace(",", ""))
    return spent


def spend(rig, settings, drive, rounds, device=True):
    """The guard's profile over start, `drive` and stop."""
    out = "%s/callgrind.%d" % (rig.directory, rounds)
    wrapper = ["valgrind", "--quiet", "--tool=callgrind", "--callgrind-out-file=" + out]
    rig.seed = 0
    server = rig.device() if device else None
    guard = rig.guard(settings, wrapper=wrapper)
    taken = drive(guard, rounds)
    rig.stop(guard)
    if server:
        rig.stop(server)
    result = profile(out)
    os.unlink(out)
    return result, taken


def report_path(rig, report, name, settings, drive, device=True):
    base, taken_before = spend(rig, settings, drive, 1, device)
    more, taken = spend(rig, settings, drive, 1 + ROUNDS, device)
    more.subtract(base)
    n = taken - taken_before
    top = ["%s %.0f" % (f, c / n) for f, c in more.most_common(12) if c > n]
    report.row(name, {"instructions": (sum(more.values()) / n, "each")}, None, "", ", ".join(top))
    return sum(more.values()) / n


def kept(path):
    """name -> instructions, of the table."""
    with open(path) as f:
        lines = [line.split(None, 1) for line in f if line.strip() and line[0] != "#"]
    return {name.strip(): float(n) for n, name in lines}


def compare(report, found, path):
    report.part("Compared with the table (more than %.0f %% is told)" % (100 * TOLERANCE), report.phase)
    before = kept(path) if os.path.exists(path) else {}
    for name, n in found.items():
        was = before.get(name)
        change = (n - was) / was if was else None
        words = "new" if was is None else "CHANGED %+.1f %%" % (100 * change) if abs(change) > TOLERANCE else "as it was"
        report.row(name, {"was": (was or 0, ""), "is": (n, "")}, None, words)
    for name in before.keys() - found.keys():
        report.row(name, {"was": (before[name], "")}, None, "GONE")


def write(found, path):
    with open(path, "w") as f:
        f.write("# Instructions in user space, by path: `make callgrind` compares, `make callgrind BENCH_ARGS=--write` keeps.\n")
        f.write("# They depend on compiler and libraries: %s, valgrind. Paths say what is counted: a datagram, a request and its\n" % compiler())
        f.write("# answer, 64 bytes of a request into the link, a notification to one follower.\n")
        f.writelines("%8.0f  %s\n" % (n, name) for name, n in found.items())


def compiler():
    line = subprocess.run([os.environ.get("CC", "gcc"), "--version"], capture_output=True, text=True).stdout.split("\n")[0]
    return line or "compiler unknown"


def run(rig, report, args):
    if not shutil.which("valgrind"):
        print("no valgrind here: skipped")
        return

    def drained(port, **traffic):
        return lambda g, rounds: rig.drain(g, getattr(g, port), count=COUNT, rounds=rounds, **traffic)["datagrams"]

    def replayed(g, rounds):
        rig.establish(g, TRACKED, port=g.quiet)
        return drained("quiet", kind="oscore", tracked=True, piv=1, sources=TRACKED)(g, rounds)

    def forwarded(g, rounds):
        rig.establish(g, TRACKED)
        return rig.load("ask", g.port, kind="oscore", sources=TRACKED, window=16, piv=10, count=COUNT * rounds,
                        timeout=5000)["answered"]

    def cached(g, rounds):
        rig.load("ask", g.port, kind="get", count=20)
        return drained("port", kind="get", sources=TRACKED)(g, rounds)

    def cut(g, rounds):
        return talk(rig, g, "cut", count=3 * rounds)["bytes"] / 64

    def follow(g, rounds):
        talk(rig, g, "follow", count=5 * rounds, followers=100)
        return 5 * rounds * 100

    report.part("Instructions in user space", rig.handover())
    paths = (
        ("re-used Partial IV", WIDE, replayed, True),
        ("malformed", TIGHT, drained("quiet", kind="bad", sources=TRACKED), True),
        ("stranger, silent", TIGHT, drained("quiet", kind="oscore", sources=1000000), True),
        ("stranger, challenged", TALKATIVE, drained("port", kind="get", sources=1000000), True),
        ("forwarded", WIDE, forwarded, True),
        ("answered from the cache", SHARING, cached, True),
        ("64 bytes of a request that is cut", SHARING, cut, False),
        ("notification to a follower", WIDE, follow, False),
    )
    found = {name: report_path(rig, report, name, settings, drive, device) for name, settings, drive, device in paths}
    compare(report, found, args.table)
    if args.write:
        write(found, args.table)
