#!/usr/bin/python3
"""The first five minutes of somebody new, done in bare systems of Debian 12 and 13 under their own systemd: docs/first-five-minutes.md
is what was printed. As a test: a fresh run prints the same but for numbers. --write SUITE makes the page anew."""
import os
import re
import subprocess
import sys
import time
import unittest

import harness
from trees import SUITES, Tree, build, must

ROOT = harness.TESTS.parent
PAGE = ROOT / "docs" / "first-five-minutes.md"
OUT = harness.BUILD / "deb"

# Three neighbours of the router, each in a network namespace of its own; only the lamp is inside.
NETWORK = """set -e
for n in lamp phone other; do
	ip netns add $n
	ip link add $n type veth peer name eth0 netns $n
	ip link set $n up
	ip -n $n link set lo up
	ip -n $n link set eth0 up
done
ip address add fd00:db8::1/64 dev lamp nodad
ip -n lamp address add fd00:db8::17/64 dev eth0 nodad
ip address add 2001:db8:1::1/64 dev phone nodad
ip -n phone address add 2001:db8:1::5/64 dev eth0 nodad
ip -n phone route add default via 2001:db8:1::1
ip address add 2001:db8:f::1/64 dev other nodad
ip -n other address add 2001:db8:f::66/64 dev eth0 nodad
ip -n other route add default via 2001:db8:f::1
ip -n other route add local 2001:db8:2::/48 dev lo
ip route add 2001:db8:2::/48 via 2001:db8:f::66
ip netns exec lamp setsid coap-server-notls -A fd00:db8::17 >/run/lamp.log 2>&1 &
"""

GET = "coap-client-notls -m get"

# Prose, or (where, what is typed, which lines of the answer are shown).
STORY = [
    "## Install it",
    ("router#", "apt-get install ./coap-guardd_0.1.0-1_amd64.deb", "Setting up coap-guardd"),
    "It runs, and guards nothing yet:",
    ("router#", "systemctl status coap-guardd", "Active:|Status:"),
    "## Three lines",
    "The lamp is a CoAP device at fd00:db8::17, behind this router, on a network that has no air time to spare.",
    ("router#", "cat >/etc/coap-guard/conf.d/lamp.conf <<END\n[server lamp]\naddress = coap://[fd00:db8::17]\n"
                "unknown-rate = 6/min  ; what all strangers together may ask it\nEND", None),
    ("router#", "systemctl reload coap-guardd", None),
    "## Ask the lamp",
    "Clients ask the router as if it were the lamp, under the name of the section:",
    ("phone$", GET + " coap://[2001:db8:1::1]/lamp/time", None),
    "## See it",
    ("router#", "coap-guardctl status", None),
    "## Break it",
    "Whoever mistypes is told so, and the guard goes on with what it had:",
    ("router#", "sed -i s/address/adress/ /etc/coap-guard/conf.d/lamp.conf", None),
    ("router#", "systemctl reload coap-guardd", "Job for"),
    ("router#", "journalctl -u coap-guardd -o cat | grep conf.d", None),
    ("phone$", GET + " coap://[2001:db8:1::1]/lamp/time", None),
    ("router#", "sed -i s/adress/address/ /etc/coap-guard/conf.d/lamp.conf", None),
    ("router#", "coap-guardd --check-config && systemctl reload coap-guardd", None),
    "## Flood it",
    "Somebody else sends 500 requests per second, for four seconds (`tests/support/flood` of the sources). The lamp gets what "
    "`unknown-rate` allows.",
    ("other$", "flood -t 2001:db8:1::1 -P 5683 -r 500 -s 4 -n 1 -p 2001:db8:2::/60 -k v -g lamp/time", None),
    "Why does the other one get nothing any more?",
    ("router#", "coap-guardctl why 2001:db8:2:1::1", None),
    "And who is at fault at 3 a.m.? The phone, a stranger like the other one, shows that its address is its own, waits for its turn, "
    "and is served; its user notices a pause.",
    ("phone$", GET + " -B 60 coap://[2001:db8:1::1]/lamp/time", None),
    ("router#", "coap-guardctl why 2001:db8:1::5", None),
    ("router#", "coap-guardctl counters", "lamp|server"),
    "## Go away",
    "Removing leaves the configuration; purging takes it, and the keys together with what is remembered of their use. What you wrote "
    "yourself stays.",
    ("router#", "apt-get purge coap-guardd", "Purging"),
    ("router#", "find /etc/coap-guard /var/lib/coap-guard", None),
]

HEAD = """# The first five minutes

What somebody new types, and what is printed: done by `tests/integration/newcomer.py` in a bare Debian 12 and a bare Debian 13, each
under its own systemd. The router has the package; `coap-client-notls` is in Debian's `libcoap3-bin`. A line with … stands for lines that
were left out.
"""

WHERE = {"router#": "", "phone$": "ip netns exec phone ", "other$": "ip netns exec other "}


def prepare(suite):
    """A booted tree with the package's file, what the neighbours need, and the neighbours."""
    deb = next(p for p in build(OUT / suite, suite).glob("coap-guardd_*.deb"))
    flood = harness.scratch() / "flood"
    subprocess.run(["cc", "-O2", "-static", "-std=c11", "-D_GNU_SOURCE", "-o", flood, harness.SUPPORT / "flood.c"], check=True)
    tree = Tree(suite)
    tree.put(deb, "root/" + deb.name)
    tree.put(flood, "usr/local/bin/flood", 0o755)
    tree.write("etc/apt/apt.conf.d/99quiet", 'APT::Get::Assume-Yes "yes"; APT::Install-Recommends "no";\n')
    tree.must("apt-get install libcoap3-bin")
    tree.must(NETWORK)
    harness.wait_until(lambda: tree.sh("ip netns exec lamp %s -B 1 coap://[fd00:db8::17]/time" % GET)[0].strip(), 10, "the lamp")
    return tree


def shown(text, wanted):
    """Lines that nobody wants to read become one …"""
    lines = []
    for line in text.strip("\n").splitlines():
        if wanted is None or re.search(wanted, line):
            lines.append(line.rstrip())
        elif not lines or lines[-1] != "…":
            lines.append("…")
    return lines


def tell(suite):
    """The page."""
    tree = prepare(suite)
    page, block = [HEAD], False
    try:
        for step in STORY:
            if isinstance(step, str):
                page += ["```", ""] * block + [step, ""]
                block = False
                continue
            where, typed, wanted = step
            page += [] if block else ["```console"]
            block = True
            text, _ = tree.sh("cd /root; " + WHERE[where] + typed, timeout=120)
            page += ["%s %s" % (where, typed)] + shown(text, wanted)
    finally:
        tree.remove()
    return "\n".join(page + ["```", ""])


def shape(page):
    """Without what differs from run to run: numbers, and how often a line comes that differs in them only."""
    lines = []
    for line in page.splitlines():
        line = re.sub(r"\w{3} \w{3,9} *\d+ |\w{3} \d+ (?=\d\d:)", "DATE ", line)
        line = re.sub(r"\d+([.:]\d+)*", "N", re.sub(r" {2,}", " ", line)).strip()
        line = re.sub(r"N ?\w+ ago", "N ago", line)
        line = re.sub(r"for lamp: \w+ ", "for lamp: refused ", line)  # by a ping, a word or nothing, as it comes
        if line and lines[-1:] != [line]:
            lines.append(line)
    return lines


class Page(unittest.TestCase):
    """What needs no system to be tried in."""

    def test_tells_this_story(self):
        page = PAGE.read_text()
        typed = ["%s %s" % step[:2] for step in STORY if not isinstance(step, str)]
        self.assertEqual([t for t in typed if "\n%s\n" % t not in page], [])
        self.assertEqual(len(re.findall("^(?:router#|phone\\$|other\\$) ", page, re.M)), len(typed))

    def test_readme_tells_the_same(self):
        """The README's five minutes are lines of the page."""
        part = (ROOT / "README.md").read_text().split("### The first five minutes")[1].split("\n## ")[0]
        lines = [line for block in re.findall(r"```console\n(.*?)```", part, re.S) for line in shape(block)]
        self.assertGreater(len(lines), 10)
        page = shape(PAGE.read_text())
        self.assertEqual([line for line in lines if line not in page], [])


@unittest.skipUnless(os.getuid() == 0, "only root can make such systems")
class Newcomer(unittest.TestCase):
    maxDiff = None


def make(suite):
    def test(self):
        self.assertEqual(shape(tell(suite)), shape(PAGE.read_text()))
    test.__doc__ = "Debian %s prints what the page says." % suite
    return test


for name in SUITES:
    setattr(Newcomer, "test_" + name, make(name))

if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        PAGE.write_text(tell(sys.argv[2] if sys.argv[2:] else SUITES[0]))
    else:
        unittest.main(verbosity=2)
