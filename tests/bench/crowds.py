"""crowds: what many who ask once cost, in time and in memory: the guard, and what one would take instead of it."""

import time

from figures import interleave, middle
from rig import QUEUE, TALKATIVE, TIGHT, WIDE

CHUNK = 200  # datagrams at a time for those whose socket queue is the system's


class Subject:
    """A process, and how far its crowd has grown."""

    def __init__(self, rig, name, process, port=None, count=QUEUE, kind="get"):
        self.rig, self.name, self.process, self.port = rig, name, process, port or process.port
        self.count, self.kind, self.seen, self.start = count, kind, 0, rig.rss_kib(process)

    def grow(self, n, seconds):
        """Until n addresses have asked, each for the first time; less if that takes too long."""
        deadline = time.monotonic() + seconds
        while self.seen < n and time.monotonic() < deadline:
            rounds = min(25, -(-(n - self.seen) // self.count))
            self.rig.load("drain", self.port, cpu=0, pid=self.process.pid, kind=self.kind, each=True, first=self.seen,
                          sources=n, count=self.count, rounds=rounds)
            self.seen = min(n, self.seen + rounds * self.count)
        return self.seen

    def cost(self):
        return self.rig.drain(self.process, self.port, kind=self.kind, sources=max(1, self.seen), count=self.count, rounds=14)


def subjects(rig):
    silent, talking = rig.guard(TIGHT), rig.guard(TALKATIVE)
    yield Subject(rig, "bare loop", rig.bare())
    yield Subject(rig, "guard, silent", silent, silent.quiet)
    yield Subject(rig, "guard, challenging", talking)
    for name, process, count in (("libcoap", rig.libcoap(), CHUNK), ("aiocoap", rig.aiocoap(), 50)):
        if process:
            yield Subject(rig, name, process, count=count)


def sources(rig, report, args):
    report.part("Distinct sources: CPU time for a datagram, and memory", rig.handover())
    rig.device()
    rows = list(subjects(rig))
    for n in args.sources:
        reached = [s for s in rows if s.grow(n, args.patience) == n]
        runs = interleave(args.repeats, {s.name: s.cost for s in reached})
        figures = {s.name: (middle(runs, s.name, "median"), "ns") for s in reached}
        report.row("a GET from each of %d" % n, figures, None, "", late(rows, reached))
        grown = {s.name: (rig.rss_kib(s.process) - s.start, "KiB") for s in rows}
        report.row("memory grown by %d" % n, {s.name: grown[s.name] for s in reached}, None, "0")
        for s in [s for s in rows if s not in reached]:
            grown_bytes = 1024 * grown[s.name][0] / s.seen
            report.row("%s, as far as it got" % s.name, {"sources": (s.seen, ""), "memory": (grown_bytes, "B/source")})
        rows = reached
    rig.stop_all()


def late(rows, reached):
    names = ["%s got to %d" % (s.name, s.seen) for s in rows if s not in reached]
    return "; ".join(names)


def relations(rig, report, args):
    """Tables are touched at start, so that what a place costs is seen there; and use must not move it."""
    report.part("Memory of a tracked relation", rig.handover())
    rig.device()
    sizes, resident = (16, *args.relations), []
    for n in sizes:
        guard = rig.guard(WIDE, relations=n)
        resident.append(rig.rss_kib(guard))
        rig.establish(guard, min(n, 1000) // 2 or 1, times=1)
        moved = rig.rss_kib(guard) - resident[-1]
        figures = {"resident": (resident[-1], "KiB"), "moved by use": (moved, "KiB")}
        if n > sizes[0]:
            figures["each"] = (1024 * (resident[-1] - resident[0]) / (n - sizes[0]), "B")
        report.row("room for %d relations and contexts" % n, figures)
        rig.stop(guard)
    rig.stop_all()
