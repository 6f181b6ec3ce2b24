#!/usr/bin/python3
"""bots: runs the simulation (bots.c) for all crowds and rates, and keeps what it prints; what is there already is not run again.

bots.py [--seeds N] [--jobs N]: into build/experiment/bots.json"""
import argparse
import concurrent.futures
import json
import subprocess
import sys

from experiment import RESULTS, TOOLS, engine

CROWDS = {  # options of bots.c
    "10^2": ("-b", 100), "10^3": ("-b", 1000), "10^4": ("-b", 10000), "10^5": ("-b", 100000), "10^6": ("-b", 1000000),
    "10^3 × 256": ("-b", 1000, "-a", 256), "10^3 + rogue /32": ("-b", 1000, "-g", 65536)}
MODEL = {"10^2": 100, "10^3": 100, "10^4": 62, "10^5": 34, "10^6": 8, "10^3 × 256": 67, "10^3 + rogue /32": 38}  # % within 60 s, mix3
AGES = {  # minutes of newcomers, seconds between two of them, and how old the attack is when they begin to come
    "10^3": (5, 3, (1, 8, 15, 20)), "10^4": (10, 3, (1, 10, 20, 30, 45, 60)), "10^5": (20, 5, (120, 180, 240, 360))}
UNITS = {"x = 1": 4.5, "x = 24": 108}  # a minute: what x times the life power of an nRF52840 pays for, 0.18 mJ each


RATE = 200  # requests a second of all bots, at most, and what they add when they are pinged


def runs(seeds):
    """Name and options of every run."""
    for seed in range(1, seeds + 1):
        for crowd, options in CROWDS.items():
            yield "model|%s|%d" % (crowd, seed), (*options, "-u", 60, "-r", RATE, "-S", seed)
        for x, units in UNITS.items():
            for kind in "oe":
                for crowd in ("10^2", "10^3", "10^4", "10^5"):
                    options = *CROWDS[crowd], "-k", kind, "-u", units, "-r", RATE, "-n", 60, "-S", seed
                    yield "|".join((x, kind, crowd, "patient", str(seed))), options
                    yield "|".join((x, kind, crowd, "hasty", str(seed))), (*options, "-i")  # newcomers that do not wait for Max-Age
    for crowd, (minutes, between, ages) in AGES.items():
        for age in ages:
            yield "age|%s|%d|1" % (crowd, age), (*CROWDS[crowd], "-u", 60, "-r", RATE, "-w", age, "-m", minutes, "-n", between, "-S", 1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / "bots.json"
    known = json.loads(path.read_text()) if path.exists() else {}

    def one(run):
        name, options = run
        done = subprocess.run([str(a) for a in ("nice", "-n", 15, TOOLS / "bots", *options)], capture_output=True, text=True, check=True)
        return name, dict(json.loads(done.stdout), engine=engine())

    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for name, result in pool.map(one, [run for run in runs(args.seeds) if run[0] not in known]):
            known[name] = result
            path.with_suffix(".new").write_text(json.dumps(known, indent=0))
            path.with_suffix(".new").rename(path)
            print(name, result["all"], file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
