"""sharing: what an answer from the cache costs, a request cut into blocks of 64, and a notification to many."""

import json
import os
import subprocess

from figures import interleave, middle, ratio
from rig import DEVICE, OTHERS, SHARING, WIDE

FOLLOWERS = 200
TALK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "talk.py")


def talk(rig, process, what, **options):
    argv = ["taskset", "-c", str(OTHERS), "/usr/bin/python3", TALK, what, "--to", process.port, "--device", DEVICE, "--pid", process.pid]
    for key, value in options.items():
        argv += ["--" + key, value]
    r = subprocess.run([str(a) for a in argv], capture_output=True, text=True)
    if r.returncode:
        raise SystemExit("%s: %s" % (" ".join(map(str, argv)), r.stderr))
    return json.loads(r.stdout)


def through_fresh(rig, start, what, **options):
    process = start()
    result = talk(rig, process, what, **options)
    rig.stop(process)
    return result


def cached(rig, report, args):
    report.part("Answered from the cache: cost of the bare loop with 20-byte replies x", rig.handover())
    device = rig.device()
    guard, bare = rig.guard(SHARING), rig.bare("--pktinfo", "--reply", 20)
    rig.load("ask", guard.port, kind="get", count=20)
    traffic = dict(kind="get", sources=1000)
    runs = interleave(args.repeats, {"bare": lambda: rig.drain(bare, **traffic), "cached": lambda: rig.drain(guard, **traffic)})
    hits = rig.counters(guard)['coapguard_shared_requests_total{result="hit"}']
    asked = sum(r["datagrams"] for r in runs["cached"])
    report.row("a GET that the cache answers", {n: (middle(runs, n, "median"), "ns") for n in runs},
               ratio(runs, "cached", "bare", "median"), "", "%.0f%% answered from the cache" % (100 * hits / asked))
    report.expect("cached", hits / asked, 0.9)
    rig.stop(device)
    rig.stop_all()


def cut(rig, report, args):
    report.part("A kilobyte in blocks of 64 into the link, one block outstanding: CPU of the yardstick x", rig.handover())
    runs = interleave(args.repeats, {
        "yardstick": lambda: through_fresh(rig, rig.yardstick, "cut", szx=2, count=args.bodies),
        "guard, client cuts": lambda: through_fresh(rig, lambda: rig.guard(WIDE), "cut", szx=2, count=args.bodies),
        "guard cuts": lambda: through_fresh(rig, lambda: rig.guard(SHARING), "cut", szx=6, count=args.bodies),
    })
    figures = {n: (middle(runs, n, "cpu_us"), "us/KiB") for n in runs}
    for name in ("guard, client cuts", "guard cuts"):
        report.row("%s / yardstick, client cuts" % name, figures, ratio(runs, name, "yardstick", "cpu_us"))
    pieces = runs["guard cuts"][0]
    report.expect("cut", pieces["pieces"] * 64 / pieces["bytes"], 1)


def followers(rig, report, args):
    report.part("A notification to %d followers, each: CPU of the yardstick x" % FOLLOWERS, rig.handover())
    common = dict(followers=FOLLOWERS, count=args.notifications)
    runs = interleave(args.repeats, {
        "yardstick": lambda: through_fresh(rig, rig.yardstick, "follow", **common),
        "guard": lambda: through_fresh(rig, lambda: rig.guard(WIDE), "follow", **common),
    })
    report.row("guard / yardstick", {n: (middle(runs, n, "cpu_us"), "us/follower") for n in runs}, ratio(runs, "guard", "yardstick", "cpu_us"), "",
               "relations with the device: %d, yardstick %d" % (runs["guard"][0]["relations"], runs["yardstick"][0]["relations"]))
    report.expect("followers", 1 / runs["guard"][0]["relations"], 1)


def shared(rig, report, args):
    for part in (cached, cut, followers):
        part(rig, report, args)
