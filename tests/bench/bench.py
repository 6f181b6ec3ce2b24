#!/usr/bin/env python3
"""bench: what the guard costs, as ratios to the least that the same machine can do.

Subjects are measured in turn, A B A B ..., and a ratio is the median of the ratios of neighbours: a virtual machine
changes its speed by itself. The hand-over time printed with each part tells in which phase it ran (see handover.c).
Nothing is asserted: `wish` is what the project wants to see. As root socket queues are longer and rounds steadier.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import callgrind
import crowds
import kernel
import page
import sharing
from figures import Report, interleave, middle, ratio, reasons, share
from rig import LOAD, OTHERS, QUEUE, TALKATIVE, TIGHT, WIDE, Rig

MILLION = 1000000


REFUSED = ("budget-spent", "neighbour")
MALFORMED = ("option", "token", "short", "version", "payload", "length")


def drained(rig, report, args, what, guard, port, wish, why, replies=False, **traffic):
    """One row: a full queue of `traffic` at the guard and at the bare loop. why: the reasons that are to be seen."""
    bare = rig.bare(*(["--reply", 20] if replies else []))
    pktinfo = rig.bare("--pktinfo", *(["--reply", 20] if replies else []))
    before = rig.counters(guard)
    runs = interleave(args.repeats, {
        "bare": lambda: rig.drain(bare, **traffic),
        "guard": lambda: rig.drain(guard, port, **traffic),
        "bare+pktinfo": lambda: rig.drain(pktinfo, **traffic),
    })
    verdicts = rig.verdicts(guard, before)
    note = reasons(verdicts)
    report.expect(what, share(verdicts, why), 0.8)
    if replies:
        g = runs["guard"]
        sums = {k: sum(r[k] for r in g) for k in ("datagrams", "replies", "bytes_in", "bytes_out")}
        note = "answered %.0f%%, bytes out/in %.2f; %s" % (100 * sums["replies"] / sums["datagrams"],
                                                          sums["bytes_out"] / sums["bytes_in"], note)
        shown, against = ratio(runs, "guard", "bare", "median"), ratio(runs, "guard", "bare+pktinfo", "median")
    else:
        shown, against = ratio(runs, "bare", "guard", "median"), ratio(runs, "bare+pktinfo", "guard", "median")
    report.row(what, {n: (middle(runs, n, "median"), "ns") for n in runs}, shown, wish,
               "%s%.2f of the loop with pktinfo" % (note + "; " if note else "", statistics.median(against)))
    rig.stop(bare)
    rig.stop(pktinfo)


def refused(rig, report, args):
    report.part("Refused datagrams: speed of the bare loop x", rig.handover())
    rig.device()
    known = rig.guard(WIDE)
    rig.establish(known, 1000, port=known.quiet)
    drained(rig, report, args, "re-used Partial IV, 10^3 tracked clients", known, known.quiet, ">= 0.70",
            ("seq-reused",), kind="oscore", tracked=True, piv=1, sources=1000)
    drained(rig, report, args, "malformed", known, known.quiet, ">= 0.90", MALFORMED, kind="bad", sources=1000)
    many = rig.guard(WIDE, relations=args.tracked)
    rig.establish(many, args.tracked // 2, times=1, port=many.quiet)
    drained(rig, report, args, "re-used Partial IV, %d tracked" % (args.tracked // 2), many, many.quiet, ">= 0.55",
            ("seq-reused",), kind="oscore", tracked=True, piv=1, sources=args.tracked // 2)
    rig.stop(known)
    rig.stop(many)
    tight = rig.guard(TIGHT)
    for kind in ("oscore", "get"):
        drained(rig, report, args, "%s of 10^3 strangers, silent" % kind, tight, tight.quiet, "", REFUSED, kind=kind,
                sources=1000)
        drained(rig, report, args, "%s of 10^6 strangers, silent" % kind, tight, tight.quiet, ">= 0.55", REFUSED, kind=kind,
                sources=MILLION)
        costs = interleave(args.repeats, {
            "10^3": lambda: rig.drain(tight, tight.quiet, kind=kind, sources=1000),
            "10^6": lambda: rig.drain(tight, tight.quiet, kind=kind, sources=MILLION),
        })
        report.row("%s: cost of 10^6 strangers / of 10^3" % kind,
                   {n: (middle(costs, n, "median"), "ns") for n in costs}, ratio(costs, "10^6", "10^3", "median"),
                   "<= 1.25")
    drained(rig, report, args, "get of 10^6 strangers, default replies", tight, tight.port, "", REFUSED, kind="get",
            sources=MILLION)
    rig.stop_all()


def challenged(rig, report, args):
    report.part("Challenged strangers: cost of the bare loop with 20-byte replies x", rig.handover())
    rig.device()
    guard = rig.guard(TALKATIVE)
    for kind in ("get", "oscore"):
        drained(rig, report, args, kind, guard, guard.port, "<= 1.15", REFUSED, replies=True, kind=kind, sources=MILLION)
    rig.stop_all()


def memory(rig, report, args):
    report.part("Resident memory", rig.handover())
    rig.device()
    guard = rig.guard(TIGHT)
    rig.drain(guard, kind="get", sources=1000)
    before = rig.rss_kib(guard)
    rounds = max(1, args.spoofed // 3 // QUEUE)
    for kind in ("bad", "get", "oscore"):
        rig.drain(guard, kind=kind, sources=1 << 23, rounds=rounds)
    after = rig.rss_kib(guard)
    report.row("%d datagrams from 2^23 spoofed sources" % (3 * rounds * QUEUE),
               {"before": (before, "KiB"), "after": (after, "KiB"), "moved": (after - before, "KiB")}, None, "0")
    rig.stop_all()


def ask_and_read(rig, process, **traffic):
    before = rig.cpu_ns(process)
    r = rig.load("ask", process.port, **traffic)
    r["cpu_us"] = (rig.cpu_ns(process) - before) / 1000 / max(1, r["good"])
    return r


def ask_fresh_guard(rig, count, window, kind):
    """A new guard each time: within one, Message IDs towards the device would run out (65536 in 247 s)."""
    guard = rig.guard(WIDE)
    rig.establish(guard, window)
    r = ask_and_read(rig, guard, kind=kind, sources=window, window=window, count=count, piv=4)
    r["verdicts"] = reasons(rig.verdicts(guard, {}))
    rig.stop(guard)
    return r


def forwarded(rig, report, args):
    report.part("Forwarded requests, 64 outstanding: CPU of the yardstick x", rig.handover())
    rig.device()
    yardstick = rig.yardstick()
    rivals = {"libcoap": rig.libcoap(), "aiocoap": rig.aiocoap()}
    fresh = iter(range(0, MILLION, 64))  # aiocoap remembers every client
    rivals = {name: process for name, process in rivals.items() if process}
    common = dict(sources=64, window=64, count=args.requests)
    subjects = {
        "yardstick": lambda: ask_and_read(rig, yardstick, kind="oscore", **common),
        "guard": lambda: ask_fresh_guard(rig, args.requests, 64, "oscore"),
        "guard, plain": lambda: ask_fresh_guard(rig, args.requests, 64, "get"),
    }
    if "libcoap" in rivals:
        subjects["libcoap"] = lambda: ask_and_read(rig, rivals["libcoap"], kind="proxy", **common)
    if "aiocoap" in rivals:
        few = dict(common, count=min(1000, args.requests), timeout=20000)
        subjects["aiocoap"] = lambda: ask_and_read(rig, rivals["aiocoap"], kind="get", first=next(fresh), **few)
    runs = interleave(args.repeats, subjects)
    for name in ("guard", "guard, plain"):
        lost = sum(r["lost"] for r in runs[name])
        note = "%s; codes %s, lost %d" % (runs[name][0]["verdicts"], runs[name][0]["codes"], lost)
        figures = {n: (middle(runs, n, "cpu_us"), "us") for n in (name, "yardstick")}
        report.row("%s / yardstick" % name, figures, ratio(runs, name, "yardstick", "cpu_us"), "<= 2.00", note)
        report.expect(name, 1 - lost / (args.requests * args.repeats), 0.99)
        for rival in rivals:
            figures = {n: (middle(runs, n, "cpu_us"), "us") for n in (rival, name)}
            report.row("%s's proxy / %s" % (rival, name), figures, ratio(runs, rival, name, "cpu_us"),
                       ">= 4.00" if rival == "libcoap" else "")
    rig.stop_all()


def latency(rig, report, args):
    report.part("Latency added at one outstanding request: the yardstick's x", rig.handover())
    device = rig.device()
    yardstick, libcoap, count = rig.yardstick(), rig.libcoap(), min(5000, args.requests)
    common = dict(kind="oscore", sources=1, window=1, count=count)
    subjects = {
        "direct": lambda: ask_and_read(rig, device, **common),
        "yardstick": lambda: ask_and_read(rig, yardstick, **common),
        "guard": lambda: ask_fresh_guard(rig, count, 1, "oscore"),
    }
    if libcoap:
        subjects["libcoap"] = lambda: ask_and_read(rig, libcoap, **dict(common, kind="proxy"))
    runs = interleave(args.repeats, subjects)
    for key, name in (("p500", "median"), ("p990", "p99")):
        added = [(g[key] - d[key], r[key] - d[key]) for d, r, g in zip(runs["direct"], runs["yardstick"], runs["guard"])]
        report.row(name, {n: (middle(runs, n, key), "us") for n in runs},
                   [g / r for g, r in added], "<= 1.20")
    rig.stop_all()


def good_client(rig, process, rate, kind, flood_kind, seconds):
    """Share of an established client's 10 requests/s that are answered within 2 s under a flood of GETs."""
    client = dict(kind=kind, sources=1, first=5 * MILLION, window=64, rate=10, timeout=2000, port=LOAD + 1)
    rig.load("ask", process.port, count=20, piv=1, **client)
    flood = rig.spawn([rig.bins + "/load", "flood", "--to", "127.0.0.1:%d" % process.port, "--port", LOAD + 2,
                       "--kind", flood_kind, "--sources", 100000, "--rate", rate, "--count", rate * (seconds + 3)],
                      OTHERS)
    rig.load("ask", process.port, count=10, piv=100, **client)
    r = rig.load("ask", process.port, count=10 * seconds, piv=200, **client)
    rig.stop(flood)
    return r


def under_flood(rig, report, args):
    report.part("An established client, device of 200 requests/s, spoofed GETs: answered", rig.handover())
    starts = {
        "guard": (lambda: rig.guard(TIGHT), "oscore", "get"),
        "yardstick": (rig.yardstick, "oscore", "get"),
        "libcoap": (rig.libcoap, "proxy", "proxy"),
    }
    for rate in (1000, 50000):
        for name, (start, kind, flood_kind) in starts.items():
            rig.device(rate=200)
            process = start()
            if process:
                r = good_client(rig, process, rate, kind, flood_kind, args.flood_seconds)
                report.row("%s, %d/s" % (name, rate),
                           {"answered": (100 * r["good"] / r["asked"], "%"), "p99": (r.get("p990", 0) / 1000, "ms")},
                           None, "100 %" if name == "guard" else "", str(r["codes"]))
            rig.stop_all()


def nested(rig, report, args):
    """In one process, without sockets: one layer off the request and on the response, beside the two raw operations."""
    report.part("One of the guard's own OSCORE layers", rig.handover())
    out = subprocess.run([os.path.join(args.bins, "nested"), str(args.repeats)], check=True, capture_output=True, text=True)
    rounds = [json.loads(line) for line in out.stdout.splitlines()]

    def each(f):
        return [f(r) for r in rounds]

    def ns(*names):
        return {n: (statistics.median(each(lambda r, n=n: r[n])), "ns") for n in names}

    report.row("layer off and on / raw open and seal", ns("plain", "nested", "raw_open", "raw_seal"),
               each(lambda r: (r["nested"] - r["plain"]) / (r["raw_open"] + r["raw_seal"])), "<= 1.5",
               "allocations in %d requests: %d" % (2000 * len(rounds), sum(r["nested_allocations"] for r in rounds)))
    report.row("look-up among 10^5 contexts / among 10", ns("find_10", "find_100000"),
               each(lambda r: r["find_100000"] / r["find_10"]), "<= 1.3")
    # who comes first uses up the tries that both have together, so two rounds are one
    pairs = list(zip(rounds, rounds[1:])) or [(rounds[0], rounds[0])]
    report.row("forged tag / unknown kid, from spoofed sources", ns("unknown_kid", "forged"),
               [(a["forged"] + b["forged"]) / (a["unknown_kid"] + b["unknown_kid"]) for a, b in pairs], "",
               "decryptions: %d and %d of 2000" % (rounds[0]["unknown_kid_opened"], rounds[0]["forged_opened"]))


PARTS = {"refused": refused, "challenged": challenged, "memory": memory, "forwarded": forwarded, "latency": latency,
         "flood": under_flood, "nested": nested, "sources": crowds.sources, "relations": crowds.relations, "dropped": kernel.dropped,
         "shared": sharing.shared}

# Seconds, not minutes: whether every path is there and is the one that was meant.
SMOKE = dict(only=["refused", "challenged", "forwarded", "shared", "sources"], repeats=1, requests=1000, tracked=512, sources=[1000], bodies=2,
             notifications=2, patience=2)


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--bins", default="build/bench", help="folder of bare, device, handover, load, yardstick")
    p.add_argument("--guard", default="build/coap-guardd")
    p.add_argument("--guardctl", default="build/coap-guardctl")
    p.add_argument("--only", action="append", choices=PARTS, help="a part; repeatable")
    p.add_argument("--repeats", type=int, default=7)
    p.add_argument("--requests", type=int, default=20000, help="of a forwarded sample; at most 55000")
    p.add_argument("--tracked", type=int, default=65536, help="room for relations in the large case; half is used")
    p.add_argument("--spoofed", type=int, default=3 * MILLION, help="datagrams of the memory part")
    p.add_argument("--flood-seconds", type=int, default=5)
    p.add_argument("--callgrind", action="store_true", help="count instructions per datagram instead")
    p.add_argument("--peers", default="build/peers", help="what tests/support/peers.sh made")
    p.add_argument("--sources", type=numbers, default=[1000, 10000, 100000, MILLION], help="sizes of crowds")
    p.add_argument("--relations", type=numbers, default=[1000, 100000, MILLION], help="room for relations")
    p.add_argument("--patience", type=int, default=20, help="seconds that a crowd may take to be served")
    p.add_argument("--bodies", type=int, default=20, help="of 4 KiB, of the part shared")
    p.add_argument("--notifications", type=int, default=20)
    p.add_argument("--table", default=callgrind.TABLE, help="instructions to compare with, of --callgrind")
    p.add_argument("--smoke", action="store_true", help="a short run of the main parts; fails if something went another way than meant")
    p.add_argument("--write", action="store_true", help="keep the figures, and make docs/bench of them; with --callgrind: the table")
    p.add_argument("--json", metavar="FILE")
    args = p.parse_args()
    if args.smoke:
        vars(args).update(SMOKE)
    return args


def numbers(text):
    return [int(x) for x in text.split(",")]


def measure(rig, report, args):
    if args.callgrind:
        callgrind.run(rig, report, args)
        return
    for name in args.only or PARTS:
        began = time.monotonic()
        PARTS[name](rig, report, args)
        print("  (%.0f s)" % (time.monotonic() - began), flush=True)


def main():
    args = arguments()
    report = Report()
    with tempfile.TemporaryDirectory(prefix="coap-guard-bench-") as directory:
        rig = Rig(args.bins, os.path.abspath(args.guard), os.path.abspath(args.guardctl), directory, args.peers)
        try:
            measure(rig, report, args)
        finally:
            rig.stop_all()
    if args.json:
        with open(args.json, "w") as f:
            json.dump(report.rows, f, indent=1)
            f.write("\n")
    if args.write and not args.callgrind:
        page.keep(report.rows, args)
    for line in report.wrong:
        print("not what was meant: " + line)
    return 1 if args.smoke and report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
