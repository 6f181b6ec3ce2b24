"""What reaches the devices past the guard, with the rules of coap-guardd --print-nft on a router between two networks:

    outside  2001:db8:1::2 ---- 2001:db8:1::1  router  fd00:db8::1 ---- fd00:db8::17, ::18  inside
             192.0.2.2          192.0.2.1      guard   198.51.100.1     198.51.100.17

Three network namespaces, a real device, real floods. Skipped where namespaces or nft are missing."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import harness
from harness import GUARDD, PEERS, TESTS

USER = "nobody"
FLOOD = Path(os.environ.get("TOOLS", harness.BUILD / "tests" / "support")) / "flood"
GOLDEN = sorted((TESTS / "nft").glob("*.nft"))
LAMP, DOOR, GUARD, LAMP4 = "fd00:db8::17", "fd00:db8::18", "2001:db8:1::1", "198.51.100.17"
NEIGHBOUR, NEIGHBOUR4 = "fd00:db8::42", "198.51.100.42"  # no servers, but in the link

# The guard itself forwards whatever comes here: what is looked at is what goes past it.
CONFIG = """[listen outside]
bind = [::]:5683
[link air]
interface = r1
rate = 100Mbit/s
burst = 1MiB
[server lamp]
address = coap://[fd00:db8::17]
unknown-rate = 1000/s
unknown-budget = 1000000/day
plain = allow
bypass-rate = %(sum)s
[server lamp4]
address = coap://198.51.100.17
bypass-rate = %(sum)s
[server door]
address = coap://[fd00:db8::18]
mode = full
[context phone]
sender-id = 0x01
recipient-id = 0x02
servers = door
[throttle]
unknown-rate = 1000/s
bypass-rate = %(source)s
[control]
socket =
[state]
directory = %(directory)s/state
"""

ROUTER = """
ip link set lo up
mkdir -p /run/netns
mount -t tmpfs none /run/netns
ip netns add outside
ip netns add inside
for ns in outside inside; do ip netns exec $ns sysctl -qw net.ipv6.conf.default.dad_transmits=0; done
sysctl -qw net.ipv6.conf.default.dad_transmits=0
ip link add r0 type veth peer name o0 netns outside
ip link add r1 type veth peer name d0 netns inside
sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv4.ip_forward=1
ip -6 addr add 2001:db8:1::1/64 dev r0 nodad
ip addr add 192.0.2.1/24 dev r0
ip link set r0 up
ip -6 addr add fd00:db8::1/64 dev r1 nodad
ip addr add 198.51.100.1/24 dev r1
ip link set r1 up
ip -n outside link set lo up
ip -n outside link set o0 up
ip -n outside -6 addr add 2001:db8:1::2/64 dev o0 nodad
ip -n outside addr add 192.0.2.2/24 dev o0
ip -n outside -6 route add default via 2001:db8:1::1
ip -n outside route add default via 192.0.2.1
ip -n outside -6 route add local fd00:aaaa::/32 dev lo
ip -n outside route add local 10.0.0.0/8 dev lo
ip -6 route add fd00:aaaa::/32 via 2001:db8:1::2
ip route add 10.0.0.0/8 via 192.0.2.2
ip netns exec outside sysctl -qw net.ipv6.ip_nonlocal_bind=1
ip -n inside link set lo up
ip -n inside link set d0 up
ip -n inside -6 addr add fd00:db8::17/64 dev d0 nodad
ip -n inside -6 addr add fd00:db8::18/64 dev d0 nodad
ip -n inside addr add 198.51.100.17/24 dev d0
ip -n inside -6 addr add fd00:db8::42/64 dev d0 nodad
ip -n inside addr add 198.51.100.42/24 dev d0
ip -n inside -6 route add default via fd00:db8::1
ip -n inside route add default via 198.51.100.1
ip netns exec inside nft -f - <<RULES
table inet seen {
	counter guard { }
	counter past { }
	chain in {
		type filter hook input priority 0;
		meta l4proto udp ip6 saddr fd00:db8::1 counter name guard accept
		meta l4proto udp counter name past
	}
}
RULES
nft -c -f - <<RULES
table inet probe {
	set s { type ipv6_addr; size 16; flags dynamic,timeout; timeout 1m; }
	chain c {
		type filter hook prerouting priority raw;
		ip6 saddr fd00::/8 fib saddr . iif oif missing drop
	}
	chain f {
		type filter hook forward priority filter;
		ct state established ct direction reply accept
		update @s { ip6 saddr limit rate over 1/minute } drop
	}
}
RULES
"""


def run(*argv, check=True, **options):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, **options)
    if check and done.returncode:
        raise RuntimeError("%s: %s" % (" ".join(map(str, argv)), done.stderr))
    return done.stdout


def missing():
    """Why this can't run here, or None."""
    if os.geteuid() != 0:
        return "not root"
    for tool in ("nft", "ip", "unshare", "setpriv", "sysctl"):
        if not shutil.which(tool):
            return "no %s here" % tool
    if not os.environ.get("GUARD_TEST_ROUTER"):
        tried = subprocess.run(["unshare", "-n", "-m", "sh", "-ec", ROUTER], capture_output=True, text=True)
        if tried.returncode:
            return "no router of namespaces here: " + (tried.stderr.strip().splitlines() or ["?"])[-1]
    return None


def enter():
    """Runs this script again as the router, in namespaces that end with it."""
    os.execve(shutil.which("unshare"), ["unshare", "-n", "-m", "sh", "-ec", ROUTER + '\nexec "$0" "$@"', sys.executable,
                                        *sys.argv], dict(os.environ, GUARD_TEST_ROUTER="yes"))


def outside(*argv):
    return [str(a) for a in ("ip", "netns", "exec", "outside", *argv)]


def inside(*argv):
    return [str(a) for a in ("ip", "netns", "exec", "inside", *argv)]


def as_guard(*argv):
    return [str(a) for a in ("setpriv", "--reuid", USER, "--regid", "nogroup", "--clear-groups", *argv)]


def seen():
    """Datagrams at the device: (from the guard's machine, from others)."""
    counters = [c["counter"] for c in json.loads(run(*inside("nft", "-j", "list", "counters")))["nftables"]
                if "counter" in c]
    packets = {c["name"]: c["packets"] for c in counters}
    return packets["guard"], packets["past"]


def flood(target, rate=4000, seconds=1.0, sources=500, spoof=None):
    """From outside, until it is over."""
    argv = [FLOOD, "-t", target, "-P", 5683, "-r", rate, "-s", seconds, "-k", "v"]
    argv += (["-V", spoof, "-L", 4000] if spoof else
             ["-n", sources, "-p", "10.0.0.0/8" if "." in target else "fd00:aaaa::/32"])
    return subprocess.Popen(outside(*argv), stdout=subprocess.PIPE, text=True)


def sent(child):
    return json.loads(child.communicate()[0])["sent"]


def ask(path, patience=5):
    """True when somebody outside is told the time of day."""
    return ":" in run(*outside(PEERS / "coap-client-notls", "-B", patience, "coap://" + path), check=False)


def ask_through_guard(n):
    """How many of so many requests from outside are answered."""
    return sum(ask("[%s]/lamp/time" % GUARD) for _ in range(n))


class Bypass(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = Path(tempfile.mkdtemp(prefix="guard-test-"))
        cls.guardd = shutil.copy(GUARDD, cls.directory)  # where the guard's user can read it
        cls.config = cls.directory / "guard.conf"
        cls.configure("100/s", "100/s")
        (cls.directory / "keys").mkdir()
        (cls.directory / "keys" / "phone").write_text(harness.GUARD_SECRET)
        (cls.directory / "keys" / "phone").chmod(0o600)
        (cls.directory / "state").mkdir(mode=0o700)
        for path in [cls.directory, *cls.directory.rglob("*")]:
            shutil.chown(path, USER)
        cls.device = harness.Process(inside(PEERS / "coap-server-notls", "-v", 1), cls.directory / "device.log")
        cls.guard = harness.Process(as_guard(cls.guardd, "-c", cls.config), cls.directory / "guard.log")
        for path in ("[%s]/time" % LAMP, "[%s]/time" % DOOR, LAMP4 + "/time", "[%s]/lamp/time" % GUARD):
            harness.wait_until(lambda: ask(path, 1), 10, path + "; " + cls.guard.output())

    @classmethod
    def tearDownClass(cls):
        code = cls.guard.stop()
        cls.device.stop()
        output = cls.guard.output()
        shutil.rmtree(cls.directory)
        assert code == 0 and "Sanitizer" not in output, output

    def tearDown(self):
        run("nft", "delete", "table", "inet", "coap_guard", check=False)

    @classmethod
    def configure(cls, total, source):
        cls.config.write_text(CONFIG % {"sum": total, "source": source, "directory": cls.directory})

    def load(self, total, source):
        self.configure(total, source)
        run("nft", "-f", "-", input=run(self.guardd, "-c", self.config, "--print-nft=" + USER))

    def flooded(self, target, **options):
        """What others got through to the device in a flood, and how many seconds it took."""
        before, start = seen()[1], time.monotonic()
        self.assertGreater(sent(flood(target, **options)), 500)
        return seen()[1] - before, time.monotonic() - start

    def test_flood_from_everywhere(self):
        for target in (LAMP, LAMP4, NEIGHBOUR):
            with self.subTest(target):
                self.assertGreater(self.flooded(target, seconds=0.3)[0], 500)  # nothing is in the way yet
                self.load("20/s", "100/s")
                got, seconds = self.flooded(target, seconds=0.7)
                self.assertGreater(got, 5)
                self.assertLessEqual(got, 5 + 20 * seconds + 1)
                run("nft", "delete", "table", "inet", "coap_guard")

    def test_flood_from_one(self):
        """One /64 cannot take what is there for all."""
        self.load("1000/s", "10/s")
        got, seconds = self.flooded(LAMP, sources=1)
        self.assertGreater(got, 4)
        self.assertLessEqual(got, 5 + 10 * seconds + 1)
        self.assertGreater(self.flooded(LAMP, seconds=0.5, sources=500)[0], 200)

    def test_guard_untouched(self):
        """Nobody past the guard gets anything, and who asks the guard notices nothing of the flood."""
        self.load("0/s", "1/min")
        before = seen()
        child = flood(LAMP, seconds=2)
        time.sleep(0.2)
        self.assertEqual(ask_through_guard(20), 20)
        self.assertGreater(sent(child), 4000)
        after = seen()
        self.assertGreaterEqual(after[0] - before[0], 20)
        self.assertEqual(after[1], before[1])

    def test_full(self):
        """mode = full: nobody but the guard, not even this machine's other users."""
        say = "import socket; socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b'', ('%s', 5683))" % DOOR
        self.assertGreater(self.flooded(DOOR, seconds=0.3)[0], 500)
        self.load("100/s", "100/s")
        self.assertEqual(self.flooded(DOOR, seconds=0.5)[0], 0)
        before = seen()[0]
        refused = subprocess.run(["/usr/bin/python3", "-c", say], capture_output=True, text=True)
        self.assertIn("PermissionError", refused.stderr)
        run(*as_guard("/usr/bin/python3", "-c", say))
        harness.wait_until(lambda: seen()[0] == before + 1, 2, "the guard's datagram")

    def test_spoofed_inside(self):
        """Who claims to be inside but comes from outside reaches neither device nor guard."""
        self.assertGreater(self.flooded(LAMP, seconds=0.3, spoof=NEIGHBOUR)[0], 500)
        self.load("1000000/s", "1000000/s")
        self.assertGreater(self.flooded(LAMP, seconds=0.3)[0], 100)  # others are not in question
        for target, spoof in ((LAMP, NEIGHBOUR), (LAMP, "fd00:db8::1"), (LAMP4, NEIGHBOUR4)):
            with self.subTest(spoof):
                self.assertEqual(self.flooded(target, seconds=0.3, spoof=spoof)[0], 0)
        before = self.spoofed_drops()
        n = sent(flood(GUARD, seconds=0.3, spoof=NEIGHBOUR))
        self.assertEqual(self.spoofed_drops() - before, n)
        told = run(*inside(PEERS / "coap-client-notls", "-B", 5, "-a", NEIGHBOUR, "coap://[fd00:db8::1]/lamp/time"))
        self.assertIn(":", told)  # who is inside may say so

    @staticmethod
    def spoofed_drops():
        rules = run("nft", "list", "chain", "inet", "coap_guard", "spoofed").splitlines()
        return sum(int(rule.split("packets ")[1].split()[0]) for rule in rules if "fib" in rule)

    def test_answers_to_a_device(self):
        """What a device asked somebody itself it is told, a hundred datagrams long."""
        self.load("0/s", "1/min")
        server = ("import socket\ns = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)\ns.bind(('2001:db8:1::2', 7000))\n"
                  "print(flush=True)\nx, who = s.recvfrom(9)\n[s.sendto(b'x', who) for i in range(100)]\n")
        device = ("import socket\ns = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)\ns.settimeout(2)\n"
                  "s.sendto(b'?', ('2001:db8:1::2', 7000))\nprint(sum(len(s.recv(9)) for i in range(100)))\n")
        child = subprocess.Popen(outside("/usr/bin/python3", "-c", server), stdout=subprocess.PIPE, text=True)
        child.stdout.readline()
        self.assertEqual(run(*inside("/usr/bin/python3", "-c", device)), "100\n")
        child.communicate()

    def test_again_and_away(self):
        """Twice is once, a new configuration replaces the old one, and what others loaded is left alone."""
        run("nft", "add", "table", "inet", "others")
        bare = run("nft", "-s", "list", "ruleset")
        self.load("3/min", "1/min")
        once = run("nft", "-s", "list", "ruleset")
        self.load("3/min", "1/min")
        self.assertEqual(run("nft", "-s", "list", "ruleset"), once)
        self.load("4/min", "1/min")
        self.assertIn("4/minute", run("nft", "-s", "list", "ruleset"))
        self.assertEqual(run("nft", "-s", "list", "ruleset"), once.replace("over 3/minute", "over 4/minute"))
        run("nft", "delete", "table", "inet", "coap_guard")
        self.assertEqual(run("nft", "-s", "list", "ruleset"), bare)
        run("nft", "delete", "table", "inet", "others")

    def test_golden_files_load(self):
        self.assertGreater(len(GOLDEN), 4)
        for path in GOLDEN:
            with self.subTest(path.name):
                rules = path.read_text().replace('skuid "coap-guard"', 'skuid "%s"' % USER)
                run("nft", "-c", "-f", "-", input=rules)


if __name__ == "__main__":
    why = missing()
    if why:
        Bypass = unittest.skip(why)(Bypass)
    elif not os.environ.get("GUARD_TEST_ROUTER"):
        enter()
    unittest.main(verbosity=2)
