"""A strict reader of the Prometheus text format, version 0.0.4: what a scraper would forgive is an error here.

parse(text) returns {family: Family}, or raises FormatError with the line and what is wrong with it."""
import math
import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
VALUE = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?|[+-]?Inf|NaN")
TYPES = ("counter", "gauge", "histogram", "summary", "untyped")
# https://prometheus.io/docs/practices/naming/#base-units, and what counts things
UNITS = ("seconds", "bytes", "ratio", "celsius", "meters", "volts", "amperes", "joules", "grams")
NO_UNITS = re.compile(r"_(milliseconds|microseconds|nanoseconds|ms|us|minutes|hours|days|kilobytes|megabytes|kib|bits|percent|"
                      r"percentage|permille)(_|$)")
# These hold in the names of every exporter.
PROCESS = {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_virtual_memory_bytes", "process_open_fds",
           "process_max_fds", "process_start_time_seconds"}


class FormatError(ValueError):
    pass


class Family:
    def __init__(self, name, help):
        self.name, self.help, self.type, self.labels = name, help, None, None
        self.samples = {}  # (name, ((label, value), ...)): number


def _labels(text, at):
    """Reads {a="b",c="d"} from text[at:]; returns ((label, value), ...) and what is behind."""
    labels, names = [], set()
    at += 1
    while text[at:at + 1] != "}":
        found = LABEL.match(text, at)
        if not found or text[found.end():found.end() + 2] != '="':
            raise FormatError("label expected at column %d" % at)
        if found.group() in names or found.group().startswith("__"):
            raise FormatError("label %s twice, or reserved" % found.group())
        names.add(found.group())
        at, value = found.end() + 2, ""
        while text[at:at + 1] != '"':
            ch = text[at:at + 1]
            if ch == "\\":
                at += 1
                ch = {"\\": "\\", '"': '"', "n": "\n"}.get(text[at:at + 1], "")
            if ch == "":
                raise FormatError("label value does not end, or has a strange escape")
            value += ch
            at += 1
        at += 1
        labels.append((found.group(), value))
        if text[at:at + 1] == "," and text[at + 1:at + 2] != "}":
            at += 1
        elif text[at:at + 1] != "}":
            raise FormatError("comma or closing brace expected at column %d" % at)
    return tuple(labels), at + 1


def _sample(line):
    found = NAME.match(line)
    if not found:
        raise FormatError("no metric name")
    labels, at = ((), found.end())
    if line[at:at + 1] == "{":
        labels, at = _labels(line, at)
    if line[at:at + 1] != " " or not VALUE.fullmatch(line[at + 1:]):
        raise FormatError("expected one blank and a value, got %r" % line[at:])
    return found.group(), labels, float(line[at + 1:])


def _belongs(name, family):
    suffixes = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("", "_sum", "_count")}
    return name in [family.name + s for s in suffixes.get(family.type, ("",))]


def _check_name(family):
    name = family.name
    if NO_UNITS.search(name):
        raise FormatError("%s: not a base unit" % name)
    if (family.type == "counter") != name.endswith("_total"):
        raise FormatError("%s: counters, and they only, end in _total" % name)
    if name.endswith(("_count", "_sum", "_bucket", "_info_total")) or "__" in name or name != name.lower():
        raise FormatError("%s: a reserved ending, or a strange form" % name)
    for word in ("counter", "gauge", "histogram", "summary"):
        if word in name.split("_"):
            raise FormatError("%s: the type in the name" % name)
    if "timestamp" in name and not name.endswith("_timestamp_seconds"):
        raise FormatError("%s: timestamps are in seconds" % name)


def _check_value(family, name, labels, value):
    if family.type in ("counter", "histogram") and not value >= 0:
        raise FormatError("%s is negative" % name)
    if math.isnan(value):
        raise FormatError("%s is NaN" % name)
    for label, _ in labels:
        if label in ("le", "quantile", "job", "instance") and family.type not in ("histogram", "summary"):
            raise FormatError("%s: label %s belongs to Prometheus" % (name, label))
    if name.endswith("_ratio") and not 0 <= value <= 1:
        raise FormatError("%s: a ratio of %g" % (name, value))


def parse(text):
    families, current = {}, None
    if not text.endswith("\n"):
        raise FormatError("the last line does not end")
    for number, line in enumerate(text[:-1].split("\n"), 1):
        try:
            if line.startswith("# HELP "):
                name, _, help = line[7:].partition(" ")
                if name in families or not NAME.fullmatch(name):
                    raise FormatError("%s: described twice, not in one piece, or no name" % name)
                if not help.strip() or re.search(r"\\[^\\n]|\\$", help):
                    raise FormatError("%s: HELP empty, or a strange escape" % name)
                if current and not current.samples:
                    raise FormatError("%s: no sample" % current.name)
                current = families[name] = Family(name, help)
            elif line.startswith("# TYPE "):
                words = line[7:].split(" ")
                if len(words) != 2 or words[1] not in TYPES:
                    raise FormatError("TYPE NAME KIND expected")
                if not current or words[0] != current.name or current.type or current.samples:
                    raise FormatError("%s: TYPE comes right behind its HELP" % words[0])
                current.type = words[1]
                _check_name(current)
            elif line.startswith("#") or not line.strip():
                raise FormatError("a line that says nothing")
            else:
                name, labels, value = _sample(line)
                if not current or not current.type or not _belongs(name, current):
                    raise FormatError("%s: not behind its own HELP and TYPE" % name)
                if (name, tuple(sorted(labels))) in current.samples:
                    raise FormatError("%s: the same sample twice" % name)
                names = sorted(label for label, _ in labels if label != "le")
                if names != (current.labels or names):
                    raise FormatError("%s: other labels than the samples before" % name)
                _check_value(current, name, labels, value)
                current.labels = names
                current.samples[name, tuple(sorted(labels))] = value
        except FormatError as error:
            raise FormatError("line %d: %s: %s" % (number, error, line)) from None
    if current and not current.samples:
        raise FormatError("%s: no sample" % current.name)
    return families
