#!/usr/bin/python3
"""The attack laboratory: a constrained device behind a guard, clients, newcomers and an attacker, each in a network namespace of its own.

    attacker ──┐
               internet ── guard ═══ link (radio) ═══ device
    client ── near ──┘

experiment.py run [--repeats N] [--rows ...] [--attackers ...] [--jobs N]   all cells that have no result yet, into build/experiment
experiment.py cell ROW ATTACKER SEED                                       one cell; its result is printed
experiment.py smoke                                                        a few short cells as a unittest

A cell: the clients make themselves known, a quiet phase, a phase under attack. Rows, attackers and figures: docs/experiment/README.md.
"""
import argparse
import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]
import energy  # noqa: E402
import harness  # noqa: E402
import mote  # noqa: E402
from harness import GUARDD, wait_until  # noqa: E402

TOOLS = harness.BUILD / "tests" / "experiment"
RESULTS = harness.BUILD / "experiment"
PYTHON = "/usr/bin/python3"

ROWS = ("router", "open", "throttle", "exemptions", "full")
ATTACKERS = ("none", "keys", "A", "B", "C", "G", "D", "N", "I", "R", "F")  # none, and none but newcomers who make keys
UNATTACKED = "none", "keys"
KEYED = "keys", "D"  # where every other newcomer makes a key
ROUTER_ATTACKERS = "none", "keys", "A", "C", "D", "R", "F"  # where there is no guard at all
QUIET, ATTACK = 12, 40  # s
SMOKE_QUIET, SMOKE_ATTACK = 6, 24
# Another link: options of radio, what the guard may send into it, seconds between two requests of a client, and of each phase.
VARIANTS = {"flat": (("-r", 1000), "1kbit/s", 60, 60, 150), "fer0": (("-f", 0), None, 2, QUIET, ATTACK), "fer20": (("-f", 20), None, 2, QUIET, ATTACK)}
RATE, BOTS, GREEDY_RATE = 1000, 10000, 100
UNKNOWN_RATE = 10  # cost units a minute: what strangers may spend at the device
SITE_RATE = 50  # requests a second of all clients behind the other guard, who are one relation
DISTURBED = 0.06  # s: no answer takes so long on a quiet day

GUARD, NEAR, NEAR_OUTSIDE, DEVICE = "2001:db8:9::2", "2001:db8:c::1", "2001:db8:b::2", "fd00:6::17"
ATTACKER, VICTIM, CLIENT = "2001:db8:a::2", "2001:db8:f::1", "2001:db8:c:1::1"
HOST = DEVICE

APART = "unshare", "-n", "-m", "-p", "--fork", "--kill-child", "--mount-proc"

# The namespace this runs in is the internet.
NETWORK = """
ip link set lo up
mkdir -p /run/netns
mount -t tmpfs none /run/netns
sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.accept_dad=0
ip -6 route add blackhole default metric 9999
for ns in attacker near client guard device; do
	ip netns add $ns
	ip -n $ns link set lo up
	ip netns exec $ns sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.accept_dad=0 net.ipv6.ip_nonlocal_bind=1
done
wire() { # NS NAME-HERE ADDRESS-HERE ADDRESS-THERE
	ip link add $2 type veth peer name net0 netns $1
	ip -6 addr add $3/64 dev $2 nodad
	ip link set $2 up
	ip -n $1 -6 addr add $4/64 dev net0 nodad
	ip -n $1 link set net0 up
	ip -n $1 -6 route add default via $3
}
wire attacker attacker0 2001:db8:a::1 2001:db8:a::2
wire near near0 2001:db8:b::1 2001:db8:b::2
wire guard guard0 2001:db8:9::1 2001:db8:9::2
ip -n near link add site0 type veth peer name net0 netns client
ip -n near -6 addr add 2001:db8:c::1/64 dev site0 nodad
ip -n near link set site0 up
ip -n client -6 addr add 2001:db8:c::2/64 dev net0 nodad
ip -n client link set net0 up
ip -n client -6 route add default via 2001:db8:c::1
ip -n attacker -6 route add local 2a0b::/16 dev lo
ip -6 route add 2a0b::/16 via 2001:db8:a::2
ip -6 route add fd00:6::/64 via 2001:db8:9::2
for prefix in 2001:db8:c:1::/64 2001:db8:f::/48 2400::/12; do
	ip -n client -6 route add local $prefix dev lo
	ip -n near -6 route add $prefix via 2001:db8:c::2
	ip -6 route add $prefix via 2001:db8:b::2
done
ip -6 route add 2001:db8:c::/64 via 2001:db8:b::2
"""
LINK = """
ip -n guard link set air0 mtu 1280 up
ip -n guard -6 addr add fd00:6::1/64 dev air0 nodad
ip -n device link set air0 mtu 1280 up
ip -n device -6 addr add fd00:6::17/64 dev air0 nodad
ip -n device -6 route add default via fd00:6::1
"""

BORDER = """
[guard]
exchanges = 65536
memory-limit = 512MiB
[listen all]
bind = [%s]:5683
[link air]
rate = %s
nstart = %d
[server lamp]
address = coap://[%s]
mode = %s
unknown-rate = %d/min
trusted-rate = %d/s
"""
SITE = """
[guard]
exchanges = 65536
memory-limit = 512MiB
[listen site]
bind = [%s]:5683
server =
[link uplink]
rate = 10Mbit/s
nstart = 16
ack-timeout = 2s
[server border]
address = coap://[%s]
mode = open
proxy = yes
forward = yes
"""
STATE = "[state]\ndirectory = %s/state\n"


def shell(script):
    done = subprocess.run(["sh", "-ec", script], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)


def missing():
    """Why this can't run here, or None."""
    if os.geteuid() != 0:
        return "not root"
    for tool in ("ip", "unshare", "sysctl", "nsenter"):
        if not shutil.which(tool):
            return "no %s here" % tool
    if not Path("/dev/net/tun").exists():
        return "no /dev/net/tun here"
    tried = subprocess.run([*APART, "sh", "-ec", NETWORK], capture_output=True, text=True)
    return "no network of namespaces here: " + tried.stderr.strip()[-200:] if tried.returncode else None


def inside(ns, *argv):
    return ["ip", "netns", "exec", ns, *map(str, argv)]


class Counter:
    """A child that prints a line of JSON when asked."""

    def __init__(self, argv, log):
        self.process = harness.Process(argv, log, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.first = self.process.child.stdout.readline()
        if not self.first:
            raise RuntimeError("%s: %s" % (argv, self.process.output()))

    def counts(self):
        self.process.child.stdin.write("\n")
        self.process.child.stdin.flush()
        return json.loads(self.process.child.stdout.readline())


def grown(before, after):
    return {name: after[name] - before.get(name, 0) for name in after}


def engine():
    """The guard's revision, as it says itself."""
    said = subprocess.run([GUARDD, "--version"], capture_output=True, text=True, check=True).stdout
    return re.search(r"\((\S+)\)", said)[1] if "(" in said else said.strip()


def steal():
    """Jiffies that this machine's CPUs worked, and those they could have."""
    fields = [int(f) for f in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return sum(fields) - fields[3] - fields[4], sum(fields)


class Cell:
    """One row, one attacker, one seed."""

    def __init__(self, row, attacker, seed, quiet=None, attack=None, rate=RATE, variant=""):
        self.row, self.attacker, self.seed, self.rate, self.variant = row, attacker, seed, rate, variant
        self.link, self.link_rate, self.mean, self.quiet, self.attack = VARIANTS.get(variant, ((), None, 2, QUIET, ATTACK))
        self.quiet, self.attack = quiet or self.quiet, attack or self.attack
        self.directory = harness.scratch()
        self.guards = []

    # what is there

    def start(self):
        shell(NETWORK)
        kid = mote.GREEDY if self.attacker == "G" else -1
        self.radio = Counter([TOOLS / "radio", "-g", "/run/netns/guard", "-d", "/run/netns/device", "-S", self.seed, "-k", kid, *self.link],
                             self.directory / "radio.log")
        shell(LINK)
        self.mote = Counter(inside("device", PYTHON, HERE / "mote.py"), self.directory / "mote.log")
        self.start_guards()
        target = {"router": DEVICE, "full": NEAR}.get(self.row, GUARD)
        argv = [PYTHON, HERE / "clients.py", "--target", target, "--seed", self.seed, "--mean", self.mean]
        argv += ["--host", HOST] if self.row == "full" else []
        argv += ["--keyed"] if self.attacker in KEYED else []
        self.clients = harness.Process(inside("client", *argv), self.directory / "clients.log", stdin=subprocess.PIPE)
        try:
            wait_until(lambda: "\nwarm\n" in self.clients.output() or not self.clients.alive(), 60 if self.mean < 10 else 300, "warm clients")
        except TimeoutError:
            why = [line for line in harness.json_lines(self.clients.output()) if not line["ok"]]
            raise RuntimeError("clients did not get warm: %s %s %s" % (why, self.radio.counts(), self.mote.counts()))

    def start_guards(self):
        if self.row == "router":
            return
        rate, nstart = ("1000kbit/s", 16) if self.row == "open" else ("10kbit/s", 1)
        text = BORDER % (GUARD, rate if self.row == "open" else self.link_rate or rate, nstart, DEVICE, self.row, UNKNOWN_RATE, SITE_RATE if self.row == "full" else 10)
        if self.row == "full":
            (self.directory / "guard").mkdir()
            text += STATE % (self.directory / "guard") + harness.guard_context(self.directory / "guard", "near", "52", "51", "servers = lamp")
        self.guards.append(self.guard("guard", text))
        if self.row == "full":
            (self.directory / "near").mkdir()
            text = SITE % (NEAR, GUARD) + STATE % (self.directory / "near")
            text += harness.guard_context(self.directory / "near", "border", "51", "52", "next-hop = border")
            self.guards.append(self.guard("near", text))

    def guard(self, ns, text):
        directory = self.directory / ns
        directory.mkdir(exist_ok=True)
        notify = harness.NotifySocket(directory)
        config = directory / "guard.conf"
        config.write_text(text + "[allow-list]\nsave = no\n[control]\nsocket = %s/control.sock\ngroup =\n" % directory)
        process = harness.Process(inside(ns, GUARDD, "-c", config), directory / "guard.log", env={"NOTIFY_SOCKET": notify.path})
        process.directory = directory
        wait_until(lambda: "READY=1" in notify.lines or not process.alive(), 10, "READY=1; " + process.output())
        if not process.alive():
            raise RuntimeError(process.output())
        if "[context" in text:
            name = re.search(r"\[context (\S+)\]", text)[1]
            subprocess.run([harness.GUARDCTL, "-s", directory / "control.sock", "context", "new", name], check=True, capture_output=True)
        return process

    # what happens

    def command(self, line):
        self.clients.child.stdin.write(line + "\n")
        self.clients.child.stdin.flush()

    def snapshot(self):
        return {"radio": self.radio.counts(), "mote": self.mote.counts(), "at": time.monotonic(), "cpu": steal()}

    def victim(self):
        """Address and port that B speaks in the name of."""
        if self.row != "full":
            return CLIENT, 41000
        table = subprocess.run(inside("near", "cat", "/proc/net/udp6"), capture_output=True, text=True).stdout
        ports = [int(line.split()[1].split(":")[1], 16) for line in table.splitlines()[1:]]
        return NEAR_OUTSIDE, next(p for p in ports if p not in (5683, 0))

    def attack_argv(self):
        """The attacker's namespace and command, or None."""
        if self.attacker in UNATTACKED:
            return None
        target = DEVICE if self.row == "router" else GUARD
        if self.attacker == "G":
            return inside("attacker", PYTHON, HERE / "greedy.py", "--target", target, "--rate", GREEDY_RATE,
                          "--seconds", self.attack)
        argv = [TOOLS / "attacker", "-a", self.attacker, "-t", target, "-r", self.rate, "-s", self.attack, "-S", self.seed]
        if self.attacker in "IR":
            return [*map(str, argv), "-i", "guard0"]
        if self.attacker == "B":
            address, port = self.victim()
            argv += ["-v", address, "-L", port]
        elif self.attacker == "C":
            argv += ["-v", ATTACKER, "-k", mote.FORMER]
        elif self.attacker == "F":
            argv += ["-v", VICTIM]
        elif self.attacker in "DN":
            argv += ["-n", BOTS]
        return inside("attacker", *argv)

    def play(self):
        self.start()
        result = {"row": self.row, "attacker": self.attacker, "seed": self.seed, "quiet_seconds": self.quiet, "attack_seconds": self.attack,
                  "rate": self.rate, "variant": self.variant, "engine": engine() if self.guards else "", "load_before": os.getloadavg()[0]}
        snapshots = [self.snapshot()]
        self.command("quiet %g" % self.quiet)
        time.sleep(self.quiet)
        snapshots.append(self.snapshot())
        argv = self.attack_argv()
        attacker = harness.Process(argv, self.directory / "attacker.log") if argv else None
        self.command("attack %g" % self.attack)
        time.sleep(self.attack)
        snapshots.append(self.snapshot())
        result["counters"] = self.counters()
        if attacker:
            attacker.child.wait(10)
            lines = harness.json_lines(attacker.output())
            if not lines:
                raise RuntimeError(attacker.output())
            result["attacker_says"] = lines[-1]
        self.command("end")
        self.clients.child.wait(60)
        self.collect(result, snapshots)
        for what in (*self.guards, self.mote.process, self.radio.process):
            what.stop()
        for guard in self.guards:
            assert "Sanitizer" not in guard.output(), guard.output()
        return result

    def counters(self):
        """Verdicts and faults of the guard before the device."""
        if not self.guards:
            return {}
        done = subprocess.run([harness.GUARDCTL, "-s", self.guards[0].directory / "control.sock", "counters", "--json"], capture_output=True, text=True)
        rows = json.loads(done.stdout) if done.returncode == 0 else []
        return rows

    def collect(self, result, snapshots):
        lines = harness.json_lines(self.clients.output())
        begins = {line["begins"]: line for line in lines if "begins" in line}
        for i, phase in enumerate(("quiet", "attack")):
            before, after = snapshots[i], snapshots[i + 1]
            radio, device, seconds = grown(before["radio"], after["radio"]), grown(before["mote"], after["mote"]), after["at"] - before["at"]
            worked, could = (b - a for a, b in zip(before["cpu"], after["cpu"]))
            result[phase] = {"seconds": seconds, "radio": radio, "mote": device, "machine": worked / could,
                             "mw": {name: energy.milliwatts(radio, device, seconds, k) for name, k in energy.DEVICES.items()},
                             "operations": self.operations(lines, phase, begins[phase]["at"])}
        warm = [line for line in lines if line.get("phase") == "warm"]
        result["warm"] = {"asked": len(warm), "ok": sum(line["ok"] for line in warm), "why": [line["why"] for line in warm if "why" in line],
                          "sent": sum(line["sent"] for line in warm), "radio": snapshots[0]["radio"], "mote": snapshots[0]["mote"]}
        end = next(line for line in lines if "end" in line)
        result["victim_bytes"] = end["victim_bytes"] - begins["attack"]["victim_bytes"]
        result["victim_datagrams"] = end["victim_datagrams"] - begins["attack"]["victim_datagrams"]
        result["late_max_us"] = snapshots[2]["radio"]["late_max_us"]

    def operations(self, lines, phase, start):
        """Those whose whole deadline lies in the phase; on the quiet day those that had a second at least."""
        from clients import DEADLINE

        found = {}
        for line in lines:
            if line.get("phase") != phase:
                continue
            spare = DEADLINE[line["kind"]] if phase == "attack" else 1
            if line["began"] - start > (self.attack if phase == "attack" else self.quiet) - spare:
                continue
            kind = found.setdefault(line["kind"], {"asked": 0, "ok": 0, "took": [], "why": {}, "sent": 0, "refusals": 0})
            kind["asked"] += 1
            kind["ok"] += line["ok"]
            kind["sent"] += line["sent"]
            kind["refusals"] += line.get("refusals", 0)
            if line["ok"]:
                kind["took"].append(round(line["took"], 4))
            else:
                kind["why"][line["why"]] = kind["why"].get(line["why"], 0) + 1
        return found


# all cells

def result_path(row, attacker, seed, variant=""):
    return RESULTS / variant / ("%s-%s-%d.json" % (row, attacker, seed))


def run_cell(row, attacker, seed, *options):
    """In namespaces of its own, which end with it, and so does every process in them."""
    argv = [*APART, sys.executable, __file__, "cell", row, attacker, str(seed), *map(str, options)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=900)
    if done.returncode:
        raise RuntimeError("%s %s %d: %s" % (row, attacker, seed, done.stderr[-2000:]))
    return json.loads(done.stdout.splitlines()[-1])


def is_disturbed(result):
    """Something else took this machine's time: on the quiet day nobody waits but for the device's key exchanges."""
    if result["attacker"] in KEYED:
        return False
    quiet = result["quiet"]["operations"]["established"]
    return result["warm"]["why"] or quiet["ok"] < quiet["asked"] or max(quiet["took"]) > DISTURBED or result["late_max_us"] > 1e6 * DISTURBED


def run_all(args):
    (RESULTS / args.variant).mkdir(parents=True, exist_ok=True)
    cells = [(row, attacker, seed) for seed in range(1, args.repeats + 1) for attacker in args.attackers for row in args.rows
             if not result_path(row, attacker, seed, args.variant).exists() and (row != "router" or attacker in ROUTER_ATTACKERS)]
    print("%d cells to run" % len(cells), file=sys.stderr)

    options = ("--variant", args.variant) if args.variant else ()

    def one(cell):
        try:
            result = run_cell(*cell, *options)
            if not args.variant and is_disturbed(result):
                result = dict(run_cell(*cell, *options), again=True)
        except (RuntimeError, subprocess.TimeoutExpired) as why:
            print("%s: %s" % (cell, why), file=sys.stderr, flush=True)
            return False
        path = result_path(*cell, args.variant)
        path.with_suffix(".new").write_text(json.dumps(result))
        path.with_suffix(".new").rename(path)
        established = result["attack"]["operations"]["established"]
        print("%s %s %d: established %d/%d, %.2f mW" % (*cell, established["ok"], established["asked"], result["attack"]["mw"]["nRF52840"]),
              file=sys.stderr, flush=True)
        return True

    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        return all(list(pool.map(one, cells)))


# in make check

class Smoke(unittest.TestCase):
    """Short cells, loose bars."""

    @classmethod
    def setUpClass(cls):
        cells = [("open", "A"), ("exemptions", "A"), ("exemptions", "B"), ("full", "A")]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            runs = [pool.submit(run_cell, row, attacker, 1, "--quiet", SMOKE_QUIET, "--attack", SMOKE_ATTACK) for row, attacker in cells]
            cls.results = {cell: run.result() for cell, run in zip(cells, runs)}

    def under_attack(self, row, attacker):
        phase = self.results[row, attacker]["attack"]
        self.assertGreater(self.results[row, attacker]["attacker_says"]["sent"], 0.8 * RATE * SMOKE_ATTACK)
        return phase, phase["operations"]["established"]

    def test_nobody_is_served_without_a_guard(self):
        """Else the attack was none."""
        phase, established = self.under_attack("open", "A")
        self.assertGreater(phase["radio"]["attack_datagrams"] / phase["seconds"], 30)
        self.assertLess(established["ok"], 0.9 * established["asked"])

    def held(self, row, attacker):
        phase, established = self.under_attack(row, attacker)
        self.assertGreater(established["asked"], 10)
        self.assertGreaterEqual(established["ok"], 0.95 * established["asked"], established["why"])
        # a minute's worth stands ready, then it refills
        self.assertLessEqual(phase["radio"]["attack_datagrams"], UNKNOWN_RATE * (1 + phase["seconds"] / 60) + 2)

    def test_exemptions_hold(self):
        self.held("exemptions", "A")

    def test_a_spoofed_client_is_served(self):
        self.held("exemptions", "B")

    def test_full_lets_nothing_through(self):
        self.held("full", "A")
        self.assertEqual(self.results["full", "A"]["attack"]["radio"]["attack_datagrams"], 0)


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run")
    run.add_argument("--repeats", type=int, default=3)
    run.add_argument("--rows", nargs="+", default=ROWS)
    run.add_argument("--attackers", nargs="+", default=ATTACKERS)
    run.add_argument("--jobs", type=int, default=1)
    run.add_argument("--variant", default="", choices=VARIANTS)
    cell = commands.add_parser("cell")
    cell.add_argument("row", choices=ROWS)
    cell.add_argument("attacker", choices=ATTACKERS)
    cell.add_argument("seed", type=int)
    cell.add_argument("--quiet", type=float)
    cell.add_argument("--attack", type=float)
    cell.add_argument("--rate", type=float, default=RATE)
    cell.add_argument("--variant", default="", choices=VARIANTS)
    commands.add_parser("smoke")
    args = parser.parse_args()
    why = missing() if args.command != "cell" else None
    if args.command == "smoke":
        if why:
            globals()["Smoke"] = unittest.skip(why)(Smoke)
        unittest.main(argv=[sys.argv[0]], verbosity=2)
    if why:
        print("skipped: " + why)
        return 0
    if args.command == "run":
        return 0 if run_all(args) else 1
    print(json.dumps(Cell(args.row, args.attacker, args.seed, args.quiet, args.attack, args.rate, args.variant).play()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
