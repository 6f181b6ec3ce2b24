"""What outlives the guard: clients as hints, and Echo values where a secret makes them a fleet's. And what happens to both when
files are damaged, directories missing, and clocks wrong."""
import os
import shutil
import socket
import stat
import subprocess
import time
import unittest
from pathlib import Path

import harness
from harness import SALT, SECRET, Guard, RawClient
import rawcoap
import rawoscore
from device import Device
from rawcoap import ACK, CON, ECHO, EMPTY, GET, OSCORE, Message

CONFIG = """
[listen all]
bind = %(host)s:{port}
[link air]
rate = 1Mbit/s
burst = 4KiB
[server lamp]
address = coap://127.0.0.1:%(device)d
unknown-rate = %(unknown)s
unknown-budget = 100000/day
[allow-list]
save = yes
trusted-after = 4
[state]
directory = %(state)s
%(more)s
"""
LENIENT, STRICT = "1000/min", "0/min"


class Lamp:
    """Sees to it that requests are of the client's key and new, and answers them."""

    def __init__(self):
        self.context = rawoscore.Context(b"\x02", b"\x07", bytes.fromhex(SECRET), bytes.fromhex(SALT))
        self.seen = set()
        self.device = Device(self.answer)
        self.port = self.device.port

    def answer(self, request):
        if request.code == EMPTY:
            return None
        if request.option(OSCORE) is None:
            return request._replace(type=ACK, code=rawcoap.code("2.05"), options=(), payload=b"plain")
        refusal = Message(ACK, rawcoap.code("4.01"), request.mid, request.token, (), b"Replay detected")
        sealed = self.context.unprotect_request(request)
        if sealed.piv in self.seen:
            return refusal
        self.seen.add(sealed.piv)
        reply = sealed.message._replace(type=ACK, code=rawcoap.code("2.05"), options=())
        return self.context.protect_response(reply, sealed.request, own_number=False)

    def reached(self):
        return len(self.device.requests())

    def close(self):
        self.device.close()


class Phone:
    """One endpoint with one key, which sends each request once."""

    def __init__(self, port, context=None):
        self.raw = RawClient(port, pong=False)
        self.context = context or rawoscore.Context(b"\x07", b"\x02", bytes.fromhex(SECRET), bytes.fromhex(SALT))

    def ask(self, seconds=1, number=None):
        """True: answered as by the lamp; else whatever came, or None."""
        number = self.context.number() if number is None else number
        message = Message(CON, GET, number & 0xffff, os.urandom(4), rawcoap.path("lamp"))
        wire, request = self.context.protect_request(message, rawcoap.path("lamp"), number=number)
        self.raw.send(wire)
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            answer = self.raw.receive_message(left)
            if answer is None or answer.token != message.token:
                continue
            if answer.option(OSCORE) is None:
                return answer
            return self.context.unprotect_response(answer, request).message.code == rawcoap.code("2.05")
        return None

    def close(self):
        self.raw.close()


def fake(**how):
    """An environment in which the time of day is another, and time itself goes on."""
    library = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)
    if library is None:
        raise unittest.SkipTest("faketime is not installed")
    return dict(how, LD_PRELOAD=str(library), FAKETIME_DONT_FAKE_MONOTONIC="1", ASAN_OPTIONS="verify_asan_link_order=0")


class MemoryCase(unittest.TestCase):
    def setUp(self):
        self.directory = harness.scratch()
        self.state = self.directory / "state"
        self.state.mkdir(mode=0o700)
        self.lamp = Lamp()
        self.addCleanup(self.lamp.close)
        self.guard = self.phone = None
        self.port = harness.free_port()
        self.addCleanup(self.stop)

    def text(self, unknown=LENIENT, more="", host="127.0.0.1", state=None):
        return CONFIG % {"host": host, "device": self.lamp.port, "unknown": unknown, "state": state or self.state, "more": more}

    def start(self, unknown=LENIENT, more="", env=None):
        self.guard = Guard(self.text(unknown, more), port=self.port, directory=self.directory, env=env)
        if self.phone is None:
            self.phone = Phone(self.port)
            self.addCleanup(self.phone.close)

    def stop(self):
        if self.guard and self.guard.process.alive():
            self.assertEqual(self.guard.stop(), 0)

    def log(self):
        return self.guard.process.output()

    def clients(self):
        return self.guard.ctl("clients")[0]

    def become_trusted(self):
        for _ in range(6):
            self.assertIs(self.phone.ask(), True)
        self.assertEqual([row["standing"] for row in self.clients()], ["trusted"])

    def hints(self):
        return self.state / "hints"


class RestartTest(MemoryCase):
    def test_known_client_after_a_restart(self):
        """Strangers get nothing here: without its hint the client would be none the better."""
        self.start()
        self.become_trusted()
        self.stop()
        self.assertEqual(stat.S_IMODE(self.hints().stat().st_mode), 0o600)
        self.start(STRICT)
        self.assertIn("remembers 1 client", self.log())
        self.assertEqual([row["standing"] for row in self.clients()], ["tentative"])
        self.assertIs(self.phone.ask(), True)
        for _ in range(4):
            self.assertIs(self.phone.ask(), True)
        self.assertEqual([row["standing"] for row in self.clients()], ["trusted"])
        self.stop()
        self.hints().unlink()
        self.start(STRICT)
        self.assertEqual(self.clients(), [])
        self.assertIsNot(self.phone.ask(), True)

    def test_hint_that_is_wrong(self):
        """The client has lost its state meanwhile and counts from 0 again: it is a stranger, and not locked out."""
        self.start()
        self.phone.context.next = 5000
        self.become_trusted()
        self.stop()
        self.lamp.seen.clear()
        self.phone.context.next = 0
        self.start()
        for _ in range(6):
            self.assertIs(self.phone.ask(), True)
        self.assertEqual([row["standing"] for row in self.clients()], ["trusted"])

    def test_captured_requests(self):
        """What was accepted before the restart, sent again after it by who spoofs the client: strangers' business, so here nobody's."""
        self.start()
        self.become_trusted()
        self.stop()
        self.start(STRICT)
        before = self.lamp.reached()
        for number in range(6):
            self.assertIsNot(self.phone.ask(0.2, number=number), True)
        self.assertEqual(self.lamp.reached(), before)

    def test_killed(self):
        """A kill loses what was not written yet, and nothing else."""
        self.start()
        self.become_trusted()
        self.guard.kill()
        self.start()
        self.assertEqual(self.clients(), [])
        self.stop()

    def test_many_restarts(self):
        self.start()
        self.become_trusted()
        for _ in range(5):
            self.stop()
            self.start(STRICT)
            self.assertIs(self.phone.ask(), True)

    def test_forgotten(self):
        self.start()
        self.become_trusted()
        self.assertEqual(self.guard.ctl("forget", "127.0.0.1", json_output=False)[1], 0)
        self.stop()
        self.assertNotIn("client", self.hints().read_text())

    def test_damaged_files(self):
        """Every kind of damage: the guard starts, says so in one line, and writes it anew."""
        self.start()
        self.become_trusted()
        self.stop()
        whole = self.hints().read_bytes()
        for what in (b"", whole[:-1], whole[:40], whole.replace(b"server 0", b"server 1"), os.urandom(5000), b"\0" * 100000,
                     b"c" * 100000, whole + whole, whole.replace(b"hints 1", b"hints 2")):
            with self.subTest(what[:50]):
                self.hints().write_bytes(what)
                self.start()
                self.assertEqual(self.log().count("clients begin anew"), 1, self.log())
                self.assertEqual(self.clients(), [])
                self.assertIs(self.phone.ask(), True)
                self.stop()
                self.assertEqual(self.hints().read_bytes().count(b"\nclient 0 "), 1)
                self.guard.process.log.unlink()

    def test_two_lines_are_a_configuration(self):
        """No directory: one warning, and it works."""
        self.state.rmdir()
        self.start()
        self.become_trusted()
        self.assertEqual(self.log().count("clients are not remembered over a restart"), 1, self.log())
        self.stop()
        self.assertFalse(self.state.exists())

    def test_read_only(self):
        if os.getuid() != 0 or not shutil.which("mount"):
            self.skipTest("needs root, to mount")
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "none", self.state], capture_output=True)
        if mounted.returncode != 0:
            self.skipTest("may not mount here: " + mounted.stderr.decode().strip())
        self.addCleanup(subprocess.run, ["umount", "-l", self.state])
        self.start()
        self.become_trusted()
        self.stop()
        subprocess.run(["mount", "-o", "remount,ro", self.state], check=True)
        self.start()
        self.assertEqual([row["standing"] for row in self.clients()], ["tentative"])
        self.assertIs(self.phone.ask(), True)
        self.stop()
        self.assertEqual(self.log().count("cannot write hints"), 1, self.log())

    def test_two_guards_one_directory(self):
        """The second one goes on without."""
        self.start()
        other = Guard(self.text(), directory=harness.scratch())
        self.assertIn("locked by another coap-guardd; clients are not remembered", other.process.output())
        self.assertEqual(other.stop(), 0)


class ClockTest(MemoryCase):
    """The time of day steps while the guard runs. It is set in a file that the guard's clock comes from."""

    STEPS = ("+1d", "-1d", "+10y", "-10y", "+0", "@1970-01-01 00:00:10", "+0")

    def setUp(self):
        super().setUp()
        self.clock = self.directory / "clock"
        self.set("+0")
        self.env = fake(FAKETIME_TIMESTAMP_FILE=str(self.clock), FAKETIME_NO_CACHE="1")

    def set(self, when):
        fresh = self.clock.with_suffix(".new")
        fresh.write_text(when + "\n")
        os.replace(fresh, self.clock)

    def year(self):
        """What the guard itself believes."""
        text = self.guard.ctl("metrics", json_output=False)[0]
        line = next(l for l in text.splitlines() if l.startswith("coapguard_config_last_reload_success_timestamp_seconds "))
        return time.gmtime(float(line.split()[1])).tm_year

    def test_steps_under_way(self):
        """Whoever was trusted stays so, step by step, reload by reload."""
        (self.directory / "echo.key").write_text("00112233445566778899aabbccddeeff")
        (self.directory / "echo.key").chmod(0o600)
        self.start(more="[echo]\nsecret-file = echo.key\n", env=self.env)
        self.become_trusted()
        years = set()
        for step in self.STEPS:
            with self.subTest(step):
                self.set(step)
                self.assertIs(self.phone.ask(), True)
                self.assertEqual([row["standing"] for row in self.clients()], ["trusted"])
                self.assertEqual(self.guard.ctl("reload", json_output=False)[1], 0)
                years.add(self.year())
                self.assertIs(self.phone.ask(), True)
                self.assertEqual([row["standing"] for row in self.clients()], ["trusted"])
        self.assertGreaterEqual(len(years), 4, years)  # it did see them

    def test_steps_between_lives(self):
        """Back, or to a time that nobody believes: the hint stays. Ahead by more than a lifetime: it is gone, and no harm done."""
        self.start(env=self.env)
        self.become_trusted()
        for step, remembered in (("-1d", True), ("-10y", True), ("@1970-01-01 00:00:10", True), ("+0", True), ("+10y", False)):
            with self.subTest(step):
                self.stop()
                self.set(step)
                self.start(env=self.env)
                self.assertEqual(len(self.clients()), int(remembered))
                self.assertIs(self.phone.ask(), True)


class FleetTest(MemoryCase):
    """Two guards of one network, and one of another, each at an address of its own and all at one port."""

    def setUp(self):
        super().setUp()
        self.guards = {}
        self.addCleanup(lambda: [self.assertEqual(g.stop(), 0) for g in self.guards.values()])
        self.new_client()

    def new_client(self):
        """Who has proved itself gets no other Echo for a while."""
        self.client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.client.bind(("127.0.0.1", 0))
        self.addCleanup(self.client.close)

    def launch(self, name, host, secret, env=None, validity="60s"):
        directory = harness.scratch()
        (directory / "state").mkdir(mode=0o700)
        if secret:
            (directory / "echo.key").write_text(secret)
            (directory / "echo.key").chmod(0o600)
        more = "[echo]\nvalidity = %s\n" % validity + ("secret-file = echo.key\n" if secret else "")
        guard = Guard(self.text(STRICT, more, host, directory / "state"), port=self.port, directory=directory, env=env)
        self.guards[name] = guard
        return guard

    def stop_one(self, name):
        self.assertEqual(self.guards.pop(name).stop(), 0)

    def ask(self, host, echo=None, seconds=2):
        """A plain request; the unknown budget is nothing, so only an Echo helps. The answer."""
        token = os.urandom(4)
        options = rawcoap.path("lamp") + (((ECHO, echo),) if echo else ())
        # NON: whoever repeats by itself would be asked by a ping
        message = Message(rawcoap.NON, GET, int.from_bytes(os.urandom(2), "big"), token, tuple(sorted(options)))
        self.client.sendto(rawcoap.encode(message), (host, self.port))
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.client.settimeout(left)
            try:
                answer = rawcoap.decode(self.client.recv(2048))
            except socket.timeout:
                return None
            if answer.token == token:
                return answer
        return None

    def echo_of(self, host):
        answer = self.ask(host)
        self.assertIsNotNone(answer)
        echo = answer.option(ECHO)
        self.assertIsNotNone(echo, answer)
        return echo

    def verified(self, name):
        """How often it has found an Echo valid."""
        text = self.guards[name].ctl("metrics", json_output=False)[0]
        return next(int(float(line.split()[-1])) for line in text.splitlines()
                    if line.startswith("coapguard_echo_verifications_total") and '"ok"' in line)

    def takes(self, name, host, echo):
        before = self.verified(name)
        self.ask(host, echo, 0.3)  # who proved himself waits for a budget that is not there
        return self.verified(name) > before

    A, B, C = "127.0.0.1", "127.0.0.2", "127.0.0.3"
    KEY, OTHER = "00112233445566778899aabbccddeeff", "ff112233445566778899aabbccddeeff"

    def test_echo_of_a_fleet(self):
        self.launch("a", self.A, self.KEY)
        self.launch("b", self.B, self.KEY)
        self.launch("c", self.C, self.OTHER)
        self.launch("d", "127.0.0.4", None)
        echo = self.echo_of(self.A)
        self.assertTrue(self.takes("a", self.A, echo))
        self.assertTrue(self.takes("b", self.B, echo))
        self.assertFalse(self.takes("c", self.C, echo))
        self.assertFalse(self.takes("d", "127.0.0.4", echo))
        self.assertFalse(self.takes("a", self.A, self.echo_of(self.C)))

    def test_echo_over_a_restart(self):
        self.launch("a", self.A, self.KEY)
        self.launch("d", "127.0.0.4", None)
        shared, own = self.echo_of(self.A), self.echo_of("127.0.0.4")
        self.stop_one("a")
        self.stop_one("d")
        self.launch("a", self.A, self.KEY)
        self.launch("d", "127.0.0.4", None)
        self.assertTrue(self.takes("a", self.A, shared))
        self.assertFalse(self.takes("d", "127.0.0.4", own))

    def test_replay_after_its_time(self):
        self.launch("a", self.A, self.KEY, validity="2s")
        self.launch("b", self.B, self.KEY, validity="2s")
        echo = self.echo_of(self.A)
        self.assertTrue(self.takes("b", self.B, echo))
        time.sleep(2.3)
        self.assertFalse(self.takes("b", self.B, echo))
        self.assertFalse(self.takes("a", self.A, echo))

    def test_clocks_that_disagree(self):
        """By seconds: nobody notices. By days or years: each serves its own, and takes nothing of the other."""
        self.launch("a", self.A, self.KEY)
        for n, (offset, agree) in enumerate([("+5s", True), ("-20s", True), ("+1d", False), ("-1d", False), ("+10y", False)]):
            with self.subTest(offset):
                host = "127.0.1.%d" % (n + 1)
                self.launch(offset, host, self.KEY, env=fake(FAKETIME=offset))
                self.new_client()
                ours, theirs = self.echo_of(self.A), self.echo_of(host)
                self.assertEqual(self.takes(offset, host, ours), agree)
                self.assertEqual(self.takes("a", self.A, theirs), agree)
                self.assertTrue(self.takes(offset, host, theirs))

    def test_clock_that_is_not_set(self):
        guard = self.launch("a", self.A, self.KEY, env=fake(FAKETIME="@1970-01-01 00:00:10"))
        self.assertIn("the clock of this machine is not set", guard.process.output())
        self.launch("b", self.B, self.KEY)
        echo = self.echo_of(self.A)
        self.assertFalse(self.takes("b", self.B, echo))
        self.assertTrue(self.takes("a", self.A, echo))


if __name__ == "__main__":
    unittest.main()
