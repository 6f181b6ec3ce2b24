"""callgrind: instructions the guard spends per datagram, by path, and the functions that spend them.

Each path is run twice on the same input, the second time with ROUNDS rounds of it more; the difference is the path's.
Instructions do not depend on the machine's mood, so two commits can be compared. System calls count nothing here.
"""

import collections
import os
import re
import subprocess

from rig import TALKATIVE, TIGHT, WIDE

COUNT, ROUNDS, TRACKED = 1000, 5, 200


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


def spend(rig, settings, drive, rounds):
    """The guard's profile over start, `drive` and stop."""
    out = "%s/callgrind.%d" % (rig.directory, rounds)
    wrapper = ["valgrind", "--quiet", "--tool=callgrind", "--callgrind-out-file=" + out]
    rig.seed = 0
    device = rig.device()
    guard = rig.guard(settings, wrapper=wrapper)
    taken = drive(guard, rounds)
    rig.stop(guard)
    rig.stop(device)
    result = profile(out)
    os.unlink(out)
    return result, taken


def report_path(rig, report, name, settings, drive):
    base, taken_before = spend(rig, settings, drive, 1)
    more, taken = spend(rig, settings, drive, 1 + ROUNDS)
    more.subtract(base)
    n = taken - taken_before
    top = ["%s %.0f" % (f, c / n) for f, c in more.most_common(12) if c > n]
    report.row(name, {"instructions": (sum(more.values()) / n, "per datagram")}, None, "", ", ".join(top))


def run(rig, report):
    def drained(port, **traffic):
        return lambda g, rounds: rig.drain(g, getattr(g, port), count=COUNT, rounds=rounds, **traffic)["datagrams"]

    def replayed(g, rounds):
        rig.establish(g, TRACKED, port=g.quiet)
        return drained("quiet", kind="oscore", tracked=True, piv=1, sources=TRACKED)(g, rounds)

    def forwarded(g, rounds):
        rig.establish(g, TRACKED)
        return rig.load("ask", g.port, kind="oscore", sources=TRACKED, window=16, piv=10, count=COUNT * rounds,
                        timeout=5000)["answered"]

    report.part("Instructions in user space", rig.handover())
    report_path(rig, report, "re-used Partial IV", WIDE, replayed)
    report_path(rig, report, "malformed", TIGHT, drained("quiet", kind="bad", sources=TRACKED))
    report_path(rig, report, "stranger, silent", TIGHT, drained("quiet", kind="oscore", sources=1000000))
    report_path(rig, report, "stranger, challenged", TALKATIVE, drained("port", kind="get", sources=1000000))
    report_path(rig, report, "forwarded", WIDE, forwarded)
