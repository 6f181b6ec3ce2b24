#!/usr/bin/python3
"""report: tables and the picture of docs/experiment, out of what experiment.py and bots.py measured.

report.py [--results DIR] [--out DIR]: takes results into OUT/results.json, if there are any, and writes the tables between the marks of
OUT/README.md and OUT/picture.svg from it. What was measured anew takes the place of what is there."""
import argparse
import json
import math
import re
import statistics
from pathlib import Path

import energy
from bots import AGES, CROWDS, MODEL, UNITS
from experiment import ATTACKERS, KEYED, RESULTS, ROWS, UNATTACKED, VARIANTS

DOCS = Path(__file__).resolve().parent.parent.parent / "docs" / "experiment"
STUDENT = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}  # 95 %, by the number of seeds
GOOD, SLOWER = 0.99, 1.5
ORIGINS = "untouched", "same_32", "same_48", "all"
NONE, LOW = 0.01, 0.20
NAMES = {"none": "nobody", "keys": "nobody; every other newcomer makes a key", "A": "A, random spoofed sources", "B": "B, a client's address spoofed",
         "C": "C, formerly authorized client", "G": "G, greedy client, good context, 100/s", "D": "D, bots that make keys",
         "N": "N, bots with unknown kids", "I": "I, injects errors on the path", "R": "R, replays and guesses on the path", "F": "F, reflection"}
COLOURS = {"router": "#888888", "open": "#c23b3b", "throttle": "#d98e04", "exemptions": "#2f6db3", "full": "#2c8a57"}


# gathering

def attack_requests(attacker, phase):
    """What the attacker got through to the device; replays and plain requests bear no mark, but nobody else makes them."""
    device = phase["mote"]
    if attacker == "F":
        return device.get("plain", 0)
    again = device.get("replays", 0) + device.get("repeated", 0) if attacker == "R" else 0
    return phase["radio"]["attack_datagrams"] + again


def short(operations):
    """Without what no table needs; times in ms."""
    return {kind: {"asked": one["asked"], "ok": one["ok"], "took": [round(1000 * t) for t in one["took"]], "why": one["why"]}
            for kind, one in operations.items()}


def compact(result):
    """One cell as it is kept: figures of the phase under attack, and how long answers took in the quiet one before."""
    attack, attacker = result["attack"], result.get("attacker_says", {})
    kept = {key: result[key] for key in ("row", "attacker", "seed", "engine", "victim_bytes")}
    kept["variant"] = result.get("variant", "")
    kept["seconds"] = round(attack["seconds"], 2)
    kept["mw"] = {name: round(v, 4) for name, v in attack["mw"].items()}
    kept["bytes"], kept["answers"] = attack["radio"]["bytes"], attack["radio"]["answers"]
    kept["attack_requests"] = attack_requests(result["attacker"], attack)
    kept["sent"], kept["sent_bytes"] = attacker.get("sent", 0), attacker.get("sent_bytes", 0)
    kept["operations"] = short(attack["operations"])
    for kind, name in (("established", "quiet"), ("keyed", "quiet_keyed")):
        kept[name] = short({kind: result["quiet"]["operations"].get(kind, {"asked": 0, "ok": 0, "took": [], "why": {}})})[kind]
    return kept


def compact_bots(run):
    return {"engine": run["engine"], **{key: run[key] for key in ("sent", "regions", "sites")},
            **{who: {key: run[who].get(key) for key in ("asked", "within_60s", "p50")} for who in ORIGINS}}


def gather(results):
    paths = [path for folder in ("", *VARIANTS) for path in sorted((results / folder).glob("*-*-*.json"))]
    bots = results / "bots.json"
    runs = json.loads(bots.read_text()) if bots.exists() else {}
    return {"cells": [compact(json.loads(path.read_text())) for path in paths], "bots": {name: compact_bots(run) for name, run in runs.items()}}


def group_name(cell):
    return "|".join((cell["row"], cell["attacker"], cell["variant"]))


def crowd_of(name):
    return name.rpartition("|")[0]


def update(kept, found):
    """All seeds of a row and attacker, and all of a crowd, are replaced together: one table field never mixes states of the engine."""
    names = {group_name(cell) for cell in found["cells"]}
    crowds = {crowd_of(name) for name in found["bots"]}
    cells = [cell for cell in kept["cells"] if group_name(cell) not in names] + found["cells"]
    bots = {name: run for name, run in kept["bots"].items() if crowd_of(name) not in crowds}
    return {"cells": sorted(cells, key=lambda c: (c["variant"], c["row"], c["attacker"], c["seed"])), "bots": {**bots, **found["bots"]}}


def written(data):
    """A cell a line."""
    def line(value):
        return json.dumps(value, separators=(",", ":"))

    bots = "{\n%s\n}" % ",\n".join("%s:%s" % (line(k), line(v)) for k, v in sorted(data["bots"].items()))
    return '{"cells":[\n%s\n],"bots":%s}\n' % (",\n".join(map(line, data["cells"])), bots)


# statistics

def wilson(ok, asked):
    if not asked:
        return 0, 1
    z, p = 1.96, ok / asked
    middle, half = p + z * z / (2 * asked), z * math.sqrt(p * (1 - p) / asked + z * z / (4 * asked * asked))
    return max(0, middle - half) / (1 + z * z / asked), (middle + half) / (1 + z * z / asked)


def interval(values):
    """Median, and the 95 % confidence interval of the mean (Student)."""
    middle = statistics.median(values)
    if len(values) < 2:
        return middle, None
    half = STUDENT.get(len(values), 1.96) * statistics.stdev(values) / math.sqrt(len(values))
    return middle, (statistics.mean(values) - half, statistics.mean(values) + half)


def percentile(values, p):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * p / 100))] if ordered else math.nan


class Group:
    """All seeds of one row and attacker."""

    def __init__(self, cells):
        self.cells = cells

    def __bool__(self):
        return bool(self.cells)

    def values(self, function):
        return [function(cell) for cell in self.cells]

    def rate(self, name):
        return interval(self.values(lambda c: c[name] / c["seconds"]))[0]

    def operations(self, kind):
        found = {"asked": 0, "ok": 0, "took": [], "why": {}}
        for cell in self.cells:
            one = cell["operations"].get(kind)
            if not one:
                continue
            found["asked"] += one["asked"]
            found["ok"] += one["ok"]
            found["took"] += [ms / 1000 for ms in one["took"]]
            for why, n in one["why"].items():
                found["why"][why] = found["why"].get(why, 0) + n
        return found


class Results:
    def __init__(self, data, variant=""):
        self.data, self.bots = data, data["bots"]
        self.cells = [cell for cell in data["cells"] if cell["variant"] == variant]

    def group(self, row, attacker):
        return Group([c for c in self.cells if c["row"] == row and c["attacker"] == attacker])

    @staticmethod
    def reference(attacker):
        return "keys" if attacker in KEYED else "none"

    def excess(self, row, attacker, device="nRF52840"):
        """mW above the same row, seed and arrivals without the attacker."""
        quiet = {c["seed"]: c["mw"][device] for c in self.group(row, self.reference(attacker)).cells}
        return [c["mw"][device] - quiet[c["seed"]] for c in self.group(row, attacker).cells if c["seed"] in quiet]

    def unthrottled(self, attacker):
        """Median excess where nothing is in the way."""
        values = self.excess("router", attacker) or self.excess("open", attacker)
        return statistics.median(values) if values else math.nan

    def share(self, row, attacker):
        values = self.excess(row, attacker)
        return statistics.median(values) / self.unthrottled(attacker) if values else math.nan

    def resource(self, row, attacker):
        share = self.share(row, attacker)
        if attacker in ("I", "F") and self.unthrottled(attacker) < 0.1:
            return "none"  # this attacker spends nothing of the device
        return "none" if share <= NONE else "low" if share <= LOW else "high"

    def service(self, row, attacker, kind):
        group = self.group(row, attacker).operations(kind)
        quiet = self.group("router", self.reference(attacker)).operations(kind)
        if not group["asked"]:
            return "–"
        if group["ok"] < GOOD * group["asked"]:
            return "losses"
        return "good" if percentile(group["took"], 99) <= SLOWER * percentile(quiet["took"], 99) else "throttled"


# tables

def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def seconds(value):
    return "–" if math.isnan(value) else "%.3f" % value if value < 0.1 else "%.2f" % value if value < 10 else "%.1f" % value


def served(operations):
    if not operations["asked"]:
        return "–"
    low, high = wilson(operations["ok"], operations["asked"])
    took = operations["took"]
    times = ", %s / %s" % (seconds(percentile(took, 50)), seconds(percentile(took, 99))) if took else ""
    return "%d/%d [%.0f, %.0f]%s" % (operations["ok"], operations["asked"], 100 * low, 100 * high, times)


def power(group):
    middle, around = interval(group.values(lambda c: c["mw"]["nRF52840"]))
    return "%.2f" % middle + (" [%.2f, %.2f]" % around if around else "")


def excess(results, row, attacker):
    values = results.excess(row, attacker)
    if attacker in UNATTACKED or not values:
        return "–"
    middle = statistics.median(values)
    share = results.share(row, attacker)
    return "%+.2f%s → %.1f" % (middle, "" if results.unthrottled(attacker) < 0.1 else " (%.1f %%)" % (100 * share), max(0, energy.days_per_hour(middle)))


def figures(results):
    rows = []
    for attacker in ATTACKERS:
        for row in ROWS:
            group = results.group(row, attacker)
            if not group:
                continue
            rows.append(("**%s**" % attacker if row == ROWS[0] or not results.group(ROWS[0], attacker) and row == ROWS[1] else "",
                         row,
                         "%.1f" % group.rate("attack_requests"), "%.0f" % group.rate("bytes"), power(group), excess(results, row, attacker),
                         served(group.operations("established")), served(group.operations("newcomer"))))
    return table(("attacker", "row", "attack datagrams/s", "bytes/s, all", "power mW", "excess mW (of unthrottled) → days of life/h",
                  "established: ok [%], p50 / p99 s", "newcomers: ok [%], p50 / p99 s"), rows)


def verdicts(results):
    """The paper's table 1: resource, set-up, after set-up."""
    rows = []
    for attacker in ATTACKERS:
        cells = []
        for row in ROWS:
            if not results.group(row, attacker):
                cells.append("")
                continue
            what = [] if attacker in UNATTACKED else [results.resource(row, attacker)]
            cells.append(", ".join(what + [results.service(row, attacker, "newcomer"), results.service(row, attacker, "established")]))
        rows.append((NAMES[attacker], *cells))
    return table(("attacker", *ROWS), rows)


def reasons(results):
    """Why operations failed where the guard stood."""
    rows = []
    for attacker in ATTACKERS:
        for row in ("exemptions", "full"):
            group = results.group(row, attacker)
            for kind in ("established", "newcomer", "keyed"):
                operations = group.operations(kind) if group else {"why": {}}
                if operations["why"]:
                    rows.append((attacker, row, kind, "%d of %d" % (operations["asked"] - operations["ok"], operations["asked"]),
                                 ", ".join("%s: %d" % pair for pair in sorted(operations["why"].items()))))
    return table(("attacker", "row", "who", "failed", "why"), rows)


def key_makers(results):
    rows = []
    for attacker in KEYED:
        for row in ROWS:
            group = results.group(row, attacker)
            if group:
                before = [cell["quiet_keyed"] for cell in group.cells]
                rows.append((attacker, row, "%d/%d" % (sum(b["ok"] for b in before), sum(b["asked"] for b in before)),
                             served(group.operations("keyed")), power(group)))
    return table(("attacker", "row", "in the 12 s before", "newcomers that make a key: ok [%], p50 / p99 s", "power mW"), rows)


def devices(results):
    rows = []
    for attacker in ("A", "C", "D"):
        for row in ROWS:
            if results.group(row, attacker):
                values = {name: statistics.median(results.excess(row, attacker, name)) for name in energy.DEVICES}
                rows.append((attacker, row, *("%.2f → %.1f" % (v, max(0, energy.days_per_hour(v))) for v in values.values())))
    return table(("attacker", "row", *("%s: excess mW → days/h" % name for name in energy.DEVICES)), rows)


def quiet(results):
    """The quiet phases of all cells of a row."""
    rows = []
    for row in ROWS:
        cells = [c["quiet"] for c in results.cells if c["row"] == row and c["attacker"] not in KEYED]
        took = [ms / 1000 for c in cells for ms in c["took"]]
        rows.append((row, "%d/%d" % (sum(c["ok"] for c in cells), sum(c["asked"] for c in cells)), *(seconds(percentile(took, p)) for p in (50, 90, 99))))
    return table(("row", "ok", "p50 s", "p90 s", "p99 s"), rows)


def reflected(results):
    rows = []
    for row in ROWS:
        group = results.group(row, "F")
        if group:
            got, sent = (interval(group.values(lambda c: c[name]))[0] for name in ("victim_bytes", "sent_bytes"))
            rows.append((row, "%.0f" % sent, "%.0f" % got, "%.3f" % (got / sent)))
    return table(("row", "bytes sent", "bytes at the victim", "ratio"), rows)


def states(results):
    """Which revision of the guard was measured where."""
    parts = {}
    for cell in results.data["cells"]:
        if cell["row"] != "router":
            parts.setdefault(cell["engine"], set()).add("other links" if cell["variant"] else "`%s`" % cell["row"])
    for run in results.bots.values():
        parts.setdefault(run["engine"], set()).add("bots")
    return "Revision of the guard: %s." % "; ".join("%s (%s)" % (engine, ", ".join(sorted(what))) for engine, what in sorted(parts.items()))


def bot_groups(results, prefix):
    return [result for name, result in results.bots.items() if name.startswith(prefix + "|")]


def pooled(runs, who):
    asked, soon = sum(r[who]["asked"] for r in runs), sum(r[who]["within_60s"] for r in runs)
    return "%.0f" % (100 * soon / asked) if asked else "–"


def median_wait(runs, who):
    values = [r[who].get("p50") for r in runs]
    known = sorted(math.inf if v is None else v for v in values)
    middle = known[len(known) // 2] if known else math.nan
    return "over 1 h" if math.isinf(middle) else "–" if math.isnan(middle) else "%.1f s" % middle


def crowds(results):
    rows = []
    for crowd in CROWDS:
        runs = bot_groups(results, "model|" + crowd)
        if runs:
            sent = sum(r["sent"] for r in runs) / len(runs) / (2 * 3600)
            rows.append((crowd, "%d" % sent, "%d / %d" % (runs[0]["regions"], runs[0]["sites"]), "%d" % MODEL[crowd], "**%s**" % pooled(runs, "all"),
                         *(pooled(runs, who) for who in ("untouched", "same_32", "same_48")),
                         *(median_wait(runs, who) for who in ("untouched", "same_48"))))
    return table(("bots", "requests/s", "/32s / /48s", "model, %", "all, %", "untouched /32, %", "/48 untouched, %", "/48 with bots, %",
                  "median, untouched", "median, /48 with bots"), rows)


def ages(results):
    """Newcomers of untouched /32s, by the age of the attack."""
    rows = []
    for crowd, (minutes, _, when) in AGES.items():
        for age in when:
            for run in bot_groups(results, "age|%s|%d" % (crowd, age)):
                newcomers = run["untouched"]
                rows.append((crowd, str(run["regions"]), str(age), "%d of %d" % (newcomers["within_60s"], newcomers["asked"]),
                             "%.1f s" % newcomers["p50"] if newcomers["p50"] is not None else "over %d min" % minutes))
    return table(("bots", "/32s", "newcomers come from minute", "served within 60 s", "median"), rows)


def tolerance(results):
    """Question 1: share served within a minute, at the rate that an energy budget allows."""
    rows = []
    for x, units in UNITS.items():
        for kind, name in (("o", "OSCORE at once"), ("e", "key exchange first")):
            for crowd in ("10^2", "10^3", "10^4", "10^5"):
                cells = []
                for manner in ("patient", "hasty"):
                    runs = bot_groups(results, "%s|%s|%s|%s" % (x, kind, crowd, manner))
                    cells.append("%s / %s, %s" % (pooled(runs, "untouched"), pooled(runs, "all"), median_wait(runs, "untouched")) if runs else "–")
                rows.append((x, name, crowd, *cells))
    return table(("budget", "newcomers", "bots", "wait for Max-Age", "do not wait for it"), rows)


# the picture

def svg(results):
    """Power at the device above, success below; one group of bars for each attacker."""
    attackers = [a for a in ATTACKERS if a not in UNATTACKED and results.group("exemptions", a)]
    rows = [row for row in ROWS if any(results.group(row, a) for a in attackers)]
    left, top, width, height, gap, bar = 70, 40, 92, 200, 70, 14
    right = left + width * len(attackers)
    total = top + 2 * height + gap + 70
    low, high = 0.3, 40.0

    def power_y(mw):
        return top + height * (1 - math.log(max(mw, low) / low) / math.log(high / low))

    def share_y(share):
        return top + height + gap + height * (1 - share)

    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">' % (right + 80, total),
           '<rect width="100%" height="100%" fill="white"/>',
           '<text x="%d" y="20" font-size="14">Power of the device under attack, mW (nRF52840, marginal; logarithmic; lines: 95 %% of the mean)</text>' % left]
    for mw in (0.3, 1, 3, 10, 30):
        out.append('<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%g</text>'
                   % (left, right, power_y(mw), power_y(mw), left - 6, power_y(mw) + 4, mw))
    quiet = statistics.median(results.group("exemptions", "none").values(lambda c: c["mw"]["nRF52840"]))
    out.append('<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#333" stroke-dasharray="4 3"/><text x="%d" y="%.1f">no attack</text>'
               % (left, right, power_y(quiet), power_y(quiet), right + 4, power_y(quiet) + 4))
    out.append('<text x="%d" y="%d" font-size="14">Served under attack, %% (full: established clients; hollow: newcomers)</text>' % (left, top + height + gap - 14))
    for share in (0, 0.25, 0.5, 0.75, 1):
        out.append('<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%d</text>'
                   % (left, right, share_y(share), share_y(share), left - 6, share_y(share) + 4, 100 * share))
    for i, attacker in enumerate(attackers):
        middle = left + width * i + width / 2
        for j, row in enumerate(rows):
            group = results.group(row, attacker)
            if not group:
                continue
            x = middle + (j - len(rows) / 2) * (bar + 2)
            mw, around = interval(group.values(lambda c: c["mw"]["nRF52840"]))
            out.append('<rect x="%.1f" y="%.1f" width="%d" height="%.1f" fill="%s"/>' % (x, power_y(mw), bar, power_y(low) - power_y(mw), COLOURS[row]))
            if around:
                out.append('<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" stroke="black"/>'
                           % (x + bar / 2, x + bar / 2, power_y(around[0]), power_y(min(around[1], high))))
            for kind, fill, part in (("established", COLOURS[row], 0), ("newcomer", "white", 1)):
                operations = group.operations(kind)
                share = operations["ok"] / operations["asked"] if operations["asked"] else 0
                out.append('<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s" stroke="%s"/>'
                           % (x + part * bar / 2, share_y(share), bar / 2, max(share_y(0) - share_y(share), 0.5), fill, COLOURS[row]))
        for y in (top + height + 18, top + 2 * height + gap + 18):
            out.append('<text x="%.1f" y="%d" text-anchor="middle" font-weight="bold">%s</text>' % (middle, y, attacker))
    for j, row in enumerate(rows):
        out.append('<rect x="%d" y="%d" width="12" height="12" fill="%s"/><text x="%d" y="%d">%s</text>'
                   % (left + 120 * j, total - 24, COLOURS[row], left + 120 * j + 18, total - 14, row))
    return "\n".join(out + ["</svg>", ""])


def variants(results):
    rows = []
    for name in VARIANTS:
        other = Results(results.data, name)
        for attacker in ("none", "A"):
            for row in ROWS:
                group = other.group(row, attacker)
                if group:
                    rows.append((name, attacker, row, "%.2f" % group.rate("attack_requests"), "%.0f" % group.rate("bytes"),
                                 "–" if name == "flat" else power(group), served(group.operations("established")), served(group.operations("newcomer"))))
    return table(("link", "attacker", "row", "attack datagrams/s", "bytes/s, all", "power mW", "established: ok [%], p50 / p99 s",
                  "newcomers: ok [%], p50 / p99 s"), rows)


TABLES = {"quiet": quiet, "variants": variants, "figures": figures, "verdicts": verdicts, "reasons": reasons, "keys": key_makers, "devices": devices, "reflected": reflected,
          "states": states, "crowds": crowds, "ages": ages, "tolerance": tolerance}


def fill_in(text, results):
    for name, make in TABLES.items():
        text = re.sub(r"(<!-- %s -->\n).*?(<!-- end -->)" % name, lambda m: m[1] + "\n" + make(results) + "\n\n" + m[2], text, flags=re.S)
    return text


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--out", type=Path, default=DOCS)
    args = parser.parse_args()
    kept = args.out / "results.json"
    data = json.loads(kept.read_text()) if kept.exists() else {"cells": [], "bots": {}}
    if any(args.results.glob("*-*-*.json")):
        data = update(data, gather(args.results))
        kept.write_text(written(data))
    results = Results(data)
    page = args.out / "README.md"
    page.write_text(fill_in(page.read_text(), results))
    (args.out / "picture.svg").write_text(svg(results))


if __name__ == "__main__":
    main()
