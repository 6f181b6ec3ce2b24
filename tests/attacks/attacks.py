#!/usr/bin/python3
"""Stages every attack of the catalogue (tests/attacks/catalogue.py) and prints one list: what was measured against which criterion.

attacks.py [--short] [--write] [ID...]
BUILD: the daemon to attack; LAB: the program that attacks the engine; ASAN: where the unit tests are. --short: smaller counts, for make
check, and docs/attacks.md is compared with the list; --write: docs/attacks.md gets the figures of this run. Exit 1 when something has
failed.
"""
import argparse
import ast
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import catalogue
from catalogue import Known, NotYet

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ.get("BUILD", ROOT / "build")).resolve()
ASAN = Path(os.environ.get("ASAN", BUILD / "asan")).resolve()
LAB = Path(os.environ.get("LAB", BUILD / "tests/attacks/attacks"))  # the engine's
RESULTS = Path(os.environ["RESULTS"]) if "RESULTS" in os.environ else None  # what make check has seen already
PAGE = ROOT / "docs/attacks.md"
BEGIN, END = "<!-- figures: make attacks -->", "<!-- end of figures -->"
PASSED, FAILED, NOT_YET, SKIPPED, KNOWN = "passed", "FAILED", "not yet", "skipped", "failed, known"
SHORT = 0.1


class Line:
    """One of the list: (id, name, criterion), figures and a verdict."""

    def __init__(self, name, title, criterion, references):
        self.id, self.title, self.criterion, self.references = name, title, criterion, references
        self.figures, self.shown, self.state, self.why, self.seconds = [], [], PASSED, "", 0.0

    def fail(self, why):
        self.state, self.why = FAILED, why


def number(value):
    return "%g" % float("%.4g" % float(value)) if abs(float(value)) < 1e6 else "%.10g" % float(value)


# --- attacks: on the engine, on the daemon

def staged_by_engine():
    done = subprocess.run([LAB], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def stage_engine(line, scale):
    done = subprocess.run([LAB, line.id, str(scale)], capture_output=True, text=True, timeout=900)
    for row in done.stdout.splitlines():
        name, what, value, relation, limit, ok = row.split("\t")
        line.figures.append((what, value, relation, limit, ok == "ok"))
    if done.returncode not in (0, 1) or done.stderr or not line.figures:
        line.fail("exit %d: %s" % (done.returncode, done.stderr.strip()[-800:]))


def stage_daemon(line, scale):
    import live
    try:
        line.figures += live.stage(line.id, scale)
    except live.Skip as why:
        line.state, line.why = SKIPPED, str(why)
    except Exception as error:  # one scene that breaks is one failure; the others go on
        line.fail("%s: %s" % (type(error).__name__, error))


def stage(line, engine, scale):
    import live
    start = time.monotonic()
    if line.id in engine:
        stage_engine(line, scale)
    if line.id in live.SCENES:
        stage_daemon(line, scale)
    if not line.figures and (line.id in engine or line.id in live.SCENES) and line.state == PASSED:
        line.fail("it said nothing")
    broken = [what for what, _, _, _, ok in line.figures if not ok]
    if broken and line.state == PASSED:
        line.fail("not within its limit: " + "; ".join(broken))
    line.seconds = time.monotonic() - start


# --- what tests elsewhere show

def run(program):
    return subprocess.run([program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT).stdout


class Elsewhere:
    """Runs a test program once, and knows which of its tests passed."""

    def __init__(self, short):
        self.short, self.passed = short, {}

    def outcome(self, kind, where, name):
        """None: it passed; else what is wrong with the reference."""
        return getattr(self, kind)(where, name)

    def cmocka(self, program):
        if program not in self.passed and not program.exists():
            self.passed[program] = set()
        if program not in self.passed:
            log = RESULTS / program.name if RESULTS else None
            text = log.read_text() if log and log.exists() else run(program)
            self.passed[program] = set(re.findall(r"\[       OK \] (\w+)", text))
        return self.passed[program]

    def unit(self, where, name):
        if name not in (ROOT / ("tests/unit/test_%s.c" % where)).read_text():
            return "no %s in tests/unit/test_%s.c" % (name, where)
        return None if name in self.cmocka(ASAN / ("tests/unit/test_" + where)) else "%s of test_%s did not pass" % (name, where)

    def story(self, where, name):
        return None if name in self.cmocka(ASAN / ("tests/replay/test_" + where)) else "%s did not pass" % name

    def symbol(self, where, name):
        """A name that the program must not take from any library."""
        nm = subprocess.run(["nm", "-D", "--undefined-only", BUILD / where], capture_output=True, text=True, check=True).stdout
        if not nm.strip():
            return "nm says nothing"
        return "it uses " + name if re.search(r"\b%s(@|$)" % name, nm, re.M) else None

    def attack(self, where, name):
        return None  # asked about when all is staged

    def integration(self, where, name):
        """In make check it has been run before, file by file; else it is run now."""
        file = ROOT / ("tests/integration/test_%s.py" % where)
        case, test = name.split(".")
        cases = {c.name: c for c in ast.walk(ast.parse(file.read_text())) if isinstance(c, ast.ClassDef)}
        if case not in cases or test not in (f.name for f in cases[case].body if isinstance(f, ast.FunctionDef)):
            return "no %s in %s" % (name, file.name)
        if RESULTS and (RESULTS / where).exists():
            return None if (RESULTS / where).read_text().split()[1] == "0" else where + " failed"
        if self.short:
            return None
        done = subprocess.run([sys.executable, file, name], capture_output=True, text=True, env=dict(os.environ, ROUNDS="25"))
        return None if done.returncode == 0 else "%s failed: %s" % (name, done.stderr[-500:])


def refer(line, elsewhere):
    for kind, where, name in line.references:
        wrong = elsewhere.outcome(kind, where, name)
        line.shown.append({"unit": "test_%s: %s", "story": "test_%s: %s", "integration": "test_%s.py: %s", "symbol": "%s does without %s",
                           "attack": "%s: %s"}[kind] % (where, name))
        if wrong and line.state in (PASSED, SKIPPED):
            line.fail(wrong)


def refer_to_attacks(lines):
    by_id = {line.id: line for line in lines}
    for line in lines:
        for kind, _, name in line.references:
            if kind == "attack" and name in by_id and by_id[name].state in (FAILED, KNOWN) and line.state == PASSED:
                line.state, line.why = by_id[name].state, "see " + name


# --- the list

def make_lines(wanted):
    lines = []
    for name, title, criterion, references in catalogue.ATTACKS:
        lines.append(Line(name, title, criterion, references))
    for name, title, references in catalogue.BUGS:
        lines.append(Line(name, title, "", references))
    for line in lines:
        if isinstance(line.references, NotYet):
            line.state, line.why, line.references = NOT_YET, str(line.references), []
    return [line for line in lines if not wanted or line.id in wanted]


def settle_known(line, short):
    """What a short run does not see, a full one may."""
    known = catalogue.KNOWN.get(line.id)
    if known and (line.state == FAILED or short and line.state == PASSED):
        line.state, line.why = KNOWN, str(known)
    elif known and line.state == PASSED:
        line.fail("passes, though catalogue.py knows it as failed: take it off that list")


def show(line, out):
    out.append("%-4s %-46s %s" % (line.id, line.title, line.state))
    if line.criterion:
        out.append("       wanted: " + line.criterion)
    if line.why:
        out.append("       %s" % line.why)
    for what, value, relation, limit, ok in line.figures:
        bound = {"-": "", "<=": "  (at most %s)" % number(limit), ">=": "  (at least %s)" % number(limit)}[relation]
        out.append("       %-66s %12s%s%s" % (what, number(value), bound, "" if ok else "  NOT KEPT"))
    for text in line.shown:
        out.append("       shown by %s" % text)


def summary(lines):
    return ", ".join("%d %s" % (sum(line.state == state for line in lines), state)
                     for state in (PASSED, FAILED, KNOWN, NOT_YET, SKIPPED) if any(line.state == state for line in lines))


def play(args):
    lines = make_lines(args.ids)
    engine, scale = staged_by_engine(), SHORT if args.short else 1
    elsewhere = Elsewhere(args.short)
    ids = {line.id for line in make_lines(())}
    if engine - ids:
        raise SystemExit("attacks that the catalogue does not know: %s" % sorted(engine - ids))
    import live
    alive = [line for line in lines if line.state != NOT_YET]
    alive.sort(key=lambda line: line.id not in live.SCENES)  # they wait most of the time
    # one at a time in full, since times are measured
    with ThreadPoolExecutor(4 if args.short else 1) as pool:
        list(pool.map(lambda line: stage(line, engine, scale), alive))
    for line in alive:
        refer(line, elsewhere)
        if not line.figures and not line.shown and line.state == PASSED:
            line.fail("nothing shows it")
        settle_known(line, args.short)
    refer_to_attacks(lines)
    return lines


# --- the page

def page_block(lines):
    out = []
    for line in lines:
        show(line, out)
    return "%s\n```\n%s\n\n%s\n```\n%s" % (BEGIN, "\n".join(out), summary(lines), END)


def write_page(lines):
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    PAGE.write_text(before + page_block(lines) + rest.split(END)[1])


def page_differs(lines):
    """Figures of a short run are others; ids, titles, verdicts and what is measured must be those of the page."""
    block = PAGE.read_text().split(BEGIN)[1].split(END)[0]
    wrong = []
    for line in lines:
        found = re.search(r"^%s +%s +(%s)$" % (line.id, re.escape(line.title), "|".join((PASSED, KNOWN, NOT_YET))), block, re.M)
        if not found:
            wrong.append("%s is not on the page, or not as passed" % line.id)
        elif line.state not in (found.group(1), SKIPPED):
            wrong.append("%s is %s on the page, and was %s now" % (line.id, found.group(1), line.state))
        mine = block.split("\n%s " % line.id)[-1]
        wrong += ["%s: the page has no figure for: %s" % (line.id, what) for what, *_ in line.figures
                  if "       " + what not in re.split(r"\n[AV]\d+ ", mine)[0]]
    return wrong


def complete():
    ids = [row[0] for row in catalogue.ATTACKS + catalogue.BUGS]
    return ids == ["A%d" % i for i in range(1, 38)] + ["V%d" % i for i in range(1, 40)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("ids", nargs="*", metavar="ID")
    args = parser.parse_args()
    start = time.monotonic()
    lines, out = play(args), []
    for line in lines:
        show(line, out)
    wrong = [] if complete() else ["the catalogue lacks an id, or has one twice"]
    if args.short and not args.ids:
        wrong += page_differs(lines)
    if args.write and not args.ids:
        write_page(lines)
    if os.environ.get("V"):
        print("\n".join("%6.1f s  %s" % (line.seconds, line.id) for line in sorted(lines, key=lambda line: -line.seconds)[:12]))
    print("\n".join(out + [""] + wrong + [summary(lines)]))
    failed = sum(line.state == FAILED for line in lines) + len(wrong)
    skipped = sum(line.state in (SKIPPED, KNOWN, NOT_YET) for line in lines)
    if args.short:  # in the words of unittest, for tests/check.sh
        print("Ran %d tests in %.1fs\n\n%s" % (len(lines), time.monotonic() - start,
                                             "FAILED (failures=%d, skipped=%d)" % (failed, skipped) if failed else "OK (skipped=%d)" % skipped))
        return 1 if failed else 0
    return 1 if failed or any(line.state == KNOWN for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
