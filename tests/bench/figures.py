"""figures: rows of a bench, and the arithmetic of measuring in turn."""

import statistics


class Report:
    def __init__(self):
        self.rows, self.wrong = [], []

    def part(self, title, handover):
        self.title, self.phase = title, handover
        print("\n%s   (hand-over %.0f ns)" % (title, handover), flush=True)

    def row(self, what, figures, ratio=None, wish="", note=""):
        """figures: name -> (value, unit); ratio as printed, a number or the ratios of all rounds."""
        ratios = sorted(ratio) if isinstance(ratio, list) else []
        ratio = statistics.median(ratios) if ratios else ratio
        self.rows.append(dict(part=self.title, what=what, ratios=[round(x, 4) for x in ratios], figures={k: v[0] for k, v in figures.items()},
                              units={k: v[1] for k, v in figures.items()}, ratio=ratio, wish=wish, note=note,
                              handover=self.phase))
        cells = "  ".join("%s %s %s" % (k, short(v[0]), v[1]) for k, v in figures.items())
        print("  %-44s %5s  %-9s %s%s" % (what, "" if ratio is None else "%.2f" % ratio, wish, cells,
                                          "\n  %-62s%s" % ("", note) if note else ""), flush=True)


    def expect(self, what, share, least):
        """Whether what was measured is what was meant to be. Not about speed."""
        if share < least:
            self.wrong.append("%s: %.3f of it went the way that was to be measured" % (what, share))


def short(x):
    return "%.2f" % x if x < 10 else "%.1f" % x if x < 100 else "%.0f" % x


def interleave(repeats, subjects):
    """name -> callable; returns name -> list of what they returned, called in turn."""
    results = {name: [] for name in subjects}
    for _ in range(repeats):
        for name, measure in subjects.items():
            results[name].append(measure())
    return results


def ratio(results, over, under, key):
    """Of neighbours, one for each round."""
    return [a[key] / b[key] for a, b in zip(results[over], results[under])]


def middle(results, name, key):
    return statistics.median(r[key] for r in results[name])


def share(verdicts, names):
    return sum(n for name, n in verdicts.items() if name in names) / (sum(verdicts.values()) or 1)


def reasons(verdicts):
    total = sum(verdicts.values()) or 1
    top = sorted(verdicts.items(), key=lambda kv: -kv[1])[:4]
    return ", ".join("%s %.0f%%" % (name, 100 * n / total) for name, n in top)
