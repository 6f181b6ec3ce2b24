"""page: what was measured, kept in docs/bench: figures, tables between the marks of its README, and pictures."""

import datetime
import json
import os
import platform
import re
from pathlib import Path

import picture

DOCS = Path(__file__).resolve().parent.parent.parent / "docs" / "bench"
BAND = 0.25  # what lies between the quartiles of the rounds is shown


def machine():
    """In words: a reader compares kinds of machines, not this one."""
    names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    virtual = "hypervisor" in Path("/proc/cpuinfo").read_text()
    return "%s machine, %d CPUs (%s), Linux %s, loopback" % ("virtual" if virtual else "real", os.cpu_count() or 1, names[0] if names else platform.machine(),
                                                             ".".join(platform.release().split(".")[:2]))


def keep(rows, args):
    """Parts that were measured now take the place of the same parts measured before."""
    kept = DOCS / "figures.json"
    DOCS.mkdir(parents=True, exist_ok=True)
    old = json.loads(kept.read_text())["rows"] if kept.exists() else []
    now = {"date": datetime.date.today().isoformat(), "rounds": args.repeats, "load": round(os.getloadavg()[1], 1), "machine": machine()}
    parts = {row["part"] for row in rows}
    rows = [row for row in old if row["part"] not in parts] + [dict(row, **now) for row in rows]
    kept.write_text('{"rows": [\n%s\n]}\n' % ",\n".join(json.dumps(row) for row in rows))
    make(rows)


def foot(rows):
    dates, machines = sorted({r["date"] for r in rows}), sorted({r["machine"] for r in rows})
    return "median of %s interleaved rounds; %s; %s; %s" % ("/".join(sorted({str(r["rounds"]) for r in rows})), "–".join(dates[:1] + dates[1:][-1:]),
                                                         "; ".join(machines), "load of the machine %s" % "/".join(sorted({"%.0f" % r["load"] for r in rows})))


# tables

def short(x):
    return "%.2f" % x if x < 10 else "%.1f" % x if x < 100 else "%.0f" % x


def between(row):
    ratios = row["ratios"]
    if len(ratios) < 3:
        return ""
    n = len(ratios) - 1
    return "%s–%s" % (short(ratios[int(n * BAND)]), short(ratios[-1 - int(n * BAND)]))


def table(head, lines):
    return "\n".join(["| %s |" % " | ".join(head), "|%s" % ("---|" * len(head)), *("| %s |" % " | ".join(one) for one in lines)])


def ratios(rows):
    lines, part = [], None
    for r in rows:
        if r["ratio"] is None:
            continue
        if r["part"] != part:
            part = r["part"]
            lines.append(("**%s**" % part, "", "", "", "", ""))
        figures = ", ".join("%s %s %s" % (name, short(v), r["units"][name]) for name, v in r["figures"].items())
        lines.append((r["what"], "%.2f" % r["ratio"], between(r), r["wish"].replace("<=", "≤").replace(">=", "≥"), figures, str(len(r["ratios"]))))
    return table(("what", "ratio", "quartiles", "wish", "medians", "rounds"), lines)


def plain(rows):
    lines = []
    for r in rows:
        if r["ratio"] is None:
            figures = ", ".join("%s %s %s" % (name, short(v), r["units"][name]) for name, v in r["figures"].items())
            lines.append((r["part"].split(":")[0], r["what"], figures or r["note"]))
    return table(("part", "what", "figures"), lines)


def when(rows):
    parts = {}
    for r in rows:
        parts.setdefault((r["date"], r["machine"], r["rounds"], r["load"]), set()).add(r["part"].split(":")[0])
    return table(("date", "machine", "rounds", "load meanwhile", "parts"),
                 [(d, m, str(n), "%.1f" % load, "; ".join(sorted(names))) for (d, m, n, load), names in sorted(parts.items())])


TABLES = {"ratios": ratios, "figures": plain, "runs": when}


# pictures

def crowd(rows, prefix):
    """name -> [(sources, value)] of the rows that start with prefix."""
    series, used = {}, []
    for r in rows:
        if r["what"].startswith(prefix):
            n = int(r["what"].split()[-1])
            used.append(r)
            for name, value in r["figures"].items():
                series.setdefault(name, []).append((n, value))
    return series, used


def find(rows, part, what, name):
    for r in rows:
        if r["part"].startswith(part) and r["what"] == what and name in r["figures"]:
            return r["figures"][name] / {"ns": 1000, "us": 1, "us/KiB": 1, "us/follower": 1}[r["units"][name]], r
    return None


PATHS = (  # what is shown, part, row, figure, whether it is the guard's
    ("bare loop: received", "Refused", "malformed", "bare", False),
    ("guard: malformed", "Refused", "malformed", "guard", True),
    ("guard: re-used Partial IV", "Refused", "re-used Partial IV, 10^3 tracked clients", "guard", True),
    ("guard: stranger, silent, 10^6 sources", "Refused", "oscore of 10^6 strangers, silent", "guard", True),
    ("bare loop: received, answered", "Challenged", "get", "bare", False),
    ("guard: stranger, challenged", "Challenged", "get", "guard", True),
    ("guard: answered from the cache", "Answered from the cache", "a GET that the cache answers", "cached", True),
    ("yardstick: forwarded and back", "Forwarded", "guard / yardstick", "yardstick", False),
    ("guard: forwarded and back", "Forwarded", "guard / yardstick", "guard", True),
    ("libcoap's proxy: forwarded and back", "Forwarded", "libcoap's proxy / guard", "libcoap", False),
    ("aiocoap's proxy: forwarded and back", "Forwarded", "aiocoap's proxy / guard", "aiocoap", False),
    ("guard: notification, each of 200 followers", "A notification", "guard / yardstick", "guard", True),
    ("guard: 1 KiB in blocks of 64, one by one", "A kilobyte", "guard cuts / yardstick, client cuts", "guard cuts", True),
    ("yardstick: the same, the client cuts", "A kilobyte", "guard cuts / yardstick, client cuts", "yardstick", False),
)


def pictures(rows):
    """name of a file -> SVG"""
    made = {}
    cost, used = crowd(rows, "a GET from each of")
    if cost:
        made["sources.svg"] = picture.curves("CPU time for a request of a stranger, by how many strangers there are", foot(used), "distinct source addresses",
                                             "ns for a datagram, kernel included", cost)
    grown, used = crowd(rows, "memory grown by")
    if grown:
        some = {name: [(n, max(v, 1)) for n, v in s] for name, s in grown.items()}
        made["memory.svg"] = picture.curves("Resident memory that strangers cost (1 KiB or less is drawn as 1)", foot(used), "distinct source addresses",
                                            "KiB more than at start", some)
    found = [(what, find(rows, part, row, name), ours) for what, part, row, name, ours in PATHS]
    found = [(what, value, ours) for what, value, ours in found if value]
    if found:
        made["paths.svg"] = picture.bars("CPU time by path, kernel included", foot([value[1] for _, value, _ in found]), "µs (logarithmic)",
                                         [(what, value[0], ours) for what, value, ours in found])
    return made


def make(rows):
    readme = DOCS / "README.md"
    text = readme.read_text()
    for name, fill in TABLES.items():
        text = re.sub(r"(<!-- %s -->\n).*?(<!-- end -->)" % name, lambda m: m[1] + "\n" + fill(rows) + "\n\n" + m[2], text, flags=re.S)
    readme.write_text(text)
    for name, svg in pictures(rows).items():
        (DOCS / name).write_text(svg)
