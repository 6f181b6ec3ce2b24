"""What happens when the machine fails the daemon: memory, disk, descriptors, addresses, devices; and people who do not read.

tests/support/failing.c is loaded into the plain daemon and makes calls fail. FAULT_STEP: only each so many-th allocation is made to
fail (default 1: every one). EXCHANGES: how many mixed ones a daemon with LeakSanitizer has to get through.
"""
import errno
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

import harness
from harness import BUILD, Guard, RawClient, guard_context, wait_until
import rawcoap
from device import Device
from rawcoap import ACK, CON, EMPTY, GET, NON, RST, Message, dotted

TEXT = """[guard]
name = faults
[listen all]
bind = %s:{port}
[link air]
rate = 10Mbit/s
burst = 64KiB
ack-timeout = 1s
max-retransmit = 1
nstart = 4
[server lamp]
address = coap://127.0.0.1:%d
unknown-rate = 1000/s
unknown-budget = 10000000/day
[throttle]
unknown-rate = 1000/s
"""
PLAIN = Path(os.environ.get("PLAIN", BUILD)).resolve()  # a daemon without sanitizers
FAILING = PLAIN / "tests/support/failing.so"
STEP = int(os.environ.get("FAULT_STEP", "1"))
EXCHANGES = int(os.environ.get("EXCHANGES", "100000"))


class FaultCase(unittest.TestCase):
    host, more = "127.0.0.1", ""

    def setUp(self):
        self.directory = harness.scratch()
        self.device = Device()
        self.addCleanup(self.unplug)
        self.switch = self.directory / "fails-now"
        self.guard = None
        self.addCleanup(self.stop)

    def start(self, env=None, wait=True):
        text = TEXT % (self.host, self.device.port) + self.more
        self.guard = Guard(text, directory=self.directory, env=env, wait=wait)

    def unplug(self):
        if self.device:
            self.device.close()
        self.device = None

    def stop(self):
        self.switch.unlink(missing_ok=True)
        if self.guard and self.guard.process.alive():
            self.assertEqual(self.guard.stop(), 0)
        elif self.guard:
            self.guard.notify.close()

    def failing(self, **how):
        """From now on the plain daemon: a sanitizer has allocators of its own."""
        if not FAILING.exists():
            self.skipTest("no failing.so: make tests-build")
        self.addCleanup(setattr, harness, "GUARDD", harness.GUARDD)
        harness.GUARDD = PLAIN / "coap-guardd"
        return dict({"FAILING_" + key.upper(): str(value) for key, value in how.items()}, LD_PRELOAD=str(FAILING))

    def get(self, client=None, seconds=10):
        own = client or RawClient(self.guard.port, self.host)
        got = own.ask(own.request(path="lamp/a"), seconds)
        if client is None:
            own.close()
        return dotted(got.code) if got is not None else None

    def assert_serves(self):
        self.assertEqual(self.get(), "2.05")


class Memory(FaultCase):
    more = "[metrics]\nlisten = 127.0.0.1:%d\n"

    def setUp(self):
        super().setUp()
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.http = s.getsockname()[1]
        self.more = self.more % self.http

    def life(self, **how):
        """One start: "ready", or how it ended and what it said."""
        self.start(env=self.failing(**how), wait=False)
        process = self.guard.process
        wait_until(lambda: "READY=1" in self.guard.notify.lines or not process.alive(), 10, "a start or an end")
        ready = "READY=1" in self.guard.notify.lines
        if ready:
            self.assertTrue(harness.answers_ping(self.guard.port), "it listens elsewhere than it was told to")
            self.guard.signal(signal.SIGTERM)
        code = process.child.wait(10)
        self.guard.notify.close()
        said = process.log.read_text(errors="replace")
        process.log.unlink()
        return ready, code, said

    def test_each(self):
        """Every single allocation of a start and an end fails once: it runs, or ends with a word; it never crashes."""
        count = self.directory / "count"
        self.assertEqual(self.life(count=count)[:2], (True, 0))
        n = int(count.read_text())
        self.assertGreater(n, 50)
        started = 0
        for at in range(1, n + 1, STEP):
            ready, code, said = self.life(allocation=at)
            started += ready
            with self.subTest(at=at, of=n):
                self.assertGreaterEqual(code, 0, "killed by signal %d:\n%s" % (-code, said))
                if not ready:
                    self.assertNotEqual(code, 0)
                    self.assertRegex(said, "(?i)memory|allocate|random", "it ended without a word")
        print("\n%d allocations, %d made to fail, %d starts all the same" % (n, len(range(1, n + 1, STEP)), started), file=sys.stderr)

    def test_none_left(self):
        """No allocation succeeds for a while: requests are served, since the engine makes none; doors may stay shut, and open again."""
        self.start(env=self.failing(call="allocate", **{"while": self.switch}))
        self.assert_serves()
        self.switch.touch()
        for _ in range(20):
            self.assert_serves()
        for talk in (b"status\n", b"metrics\n", b"nonsense\n"):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
                s.settimeout(1)
                try:
                    s.connect(str(self.guard.socket))
                    s.sendall(talk)
                    s.recv(4096)
                except OSError:
                    pass
        self.guard.signal(signal.SIGHUP)
        time.sleep(0.5)
        self.assert_serves()
        self.switch.unlink()
        wait_until(lambda: self.guard.ctl("status")[1] == 0, 10, "the control socket")
        text, code = self.guard.ctl("reload", json_output=False)
        self.assertEqual(code, 0, text)
        self.assert_serves()


class Disk(FaultCase):
    """The state directory fails while contexts need it: mute until it is well again; forwarding goes on."""

    def renew(self, name):
        self.state = self.directory / ("state-" + name)
        self.more = guard_context(self.directory, "phone", "01", "02", "servers = lamp") + "[state]\ndirectory = %s\n" % self.state

    def begin(self, call, number):
        self.start(env=self.failing(call=call, errno=number, directory=self.state, **{"while": self.switch}))
        text, code = self.guard.ctl("context", "new", "phone", json_output=False)
        self.assertEqual(code, 0, text)
        self.assertEqual(self.guard.context("phone")["state"], "ready")
        self.stop()
        self.switch.touch()
        self.start(env=self.failing(call=call, errno=number, directory=self.state, **{"while": self.switch}))

    def check(self, call, number, state="mute"):
        self.renew(call + errno.errorcode[number])
        self.begin(call, number)
        before = (self.state / "phone.context").read_bytes()
        row = self.guard.context("phone")
        self.assertEqual(row["state"], state, row)
        self.assertIn(os.strerror(number), row["note"])
        for _ in range(10):
            self.assert_serves()
        if state == "mute":
            metrics, _ = self.guard.ctl("metrics", json_output=False)
            self.assertRegex(metrics, r"(?m)^coapguard_state_write_errors_total [1-9]")
        if call != "fsync":  # what is written, and not sure to be there, may be there
            self.assertEqual((self.state / "phone.context").read_bytes(), before)
        self.switch.unlink()
        wait_until(lambda: self.guard.context("phone")["state"] == "ready", 10, "the context")
        self.assertEqual(self.guard.context("phone")["note"], "")
        self.stop()
        self.assertIn("window", (self.state / "phone.context").read_text())

    def test_write(self):
        for number in (errno.ENOSPC, errno.EIO, errno.EDQUOT):
            with self.subTest(errno.errorcode[number]):
                self.check("write", number)

    def test_fsync(self):
        for number in (errno.EIO, errno.ENOSPC):
            with self.subTest(errno.errorcode[number]):
                self.check("fsync", number)

    def test_rename(self):
        self.check("rename", errno.EIO)

    def test_open(self):
        self.check("open", errno.EMFILE, state="off")

    def test_hints(self):
        """What is only a help is given up with a line, at the end, too."""
        self.state = self.directory / "hints"
        self.more = "[allow-list]\nsave = yes\n[state]\ndirectory = %s\n" % self.state
        self.state.mkdir(mode=0o700)
        for call in ("write", "fsync", "rename", "open"):
            with self.subTest(call):
                self.start(env=self.failing(call=call, errno=errno.EIO, directory=self.state, **{"while": self.switch}))
                self.assert_serves()
                self.switch.touch()
                self.assertEqual(self.guard.stop(), 0)
                self.switch.unlink()


class Descriptors(FaultCase):
    more = "[metrics]\nlisten = 127.0.0.1:%d\n"

    def test_none_left(self):
        """As many as it has, and two: control clients wait at the door, requests are served, and the door opens again."""
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.http = s.getsockname()[1]
        self.more = self.more % self.http
        self.start()
        pid = self.guard.process.child.pid
        used = len(list(Path("/proc/%d/fd" % pid).iterdir()))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 2, used + 2))
        visitors = []
        for family, address in ((socket.AF_UNIX, str(self.guard.socket)), (socket.AF_INET, ("127.0.0.1", self.http))) * 10:
            s = socket.socket(family, socket.SOCK_STREAM)
            s.setblocking(False)
            try:
                s.connect(address)
            except OSError:
                pass
            visitors.append(s)
        time.sleep(0.3)
        cpu = self.guard.cpu_seconds()
        for _ in range(50):
            self.assert_serves()
        time.sleep(1)
        self.assertLess(self.guard.cpu_seconds() - cpu, 0.7, "it turns in circles")
        for s in visitors:
            s.close()
        wait_until(lambda: self.guard.ctl("status")[1] == 0, 15, "the control socket")
        self.assert_serves()


class Readers(FaultCase):
    def test_control_client_that_never_reads(self):
        """It is cut off after its 5 s; those behind it get their turn; requests never wait, and memory stays."""
        self.start()
        self.assert_serves()
        before = self.guard.resident()
        for _ in range(2):
            stuck = []
            for i in range(12):
                s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
                s.setblocking(False)
                try:
                    s.connect(str(self.guard.socket))
                    s.send((b"metrics\n", b"log\n", b"counters\n")[i % 3])
                except OSError:
                    pass
                stuck.append(s)
            start = time.monotonic()
            for _ in range(20):
                begun = time.monotonic()
                self.assert_serves()
                self.assertLess(time.monotonic() - begun, 1)
            wait_until(lambda: self.guard.ctl("status")[1] == 0, 20, "a place")
            self.assertLess(time.monotonic() - start, 16)
            for s in stuck:
                s.close()
        if "asan" not in str(BUILD):
            self.assertLess(self.guard.resident() - before, 2 << 20)


class Network(FaultCase):
    def test_address(self):
        """The address that it listens at goes away and comes back: it serves again, without a restart."""
        if os.geteuid() or subprocess.run(["ip", "addr", "add", "10.211.5.1/32", "dev", "lo"], capture_output=True).returncode:
            self.skipTest("no address can be added")
        self.addCleanup(subprocess.run, ["ip", "addr", "del", "10.211.5.1/32", "dev", "lo"], capture_output=True)
        self.host = "10.211.5.1"
        self.start()
        self.assert_serves()
        self.device.slow = 1
        caller = RawClient(self.guard.port, self.host)
        message = caller.request(path="lamp/a")
        caller.send(message)
        wait_until(lambda: len(self.device.requests()) >= 2, 3, "the request at the device")
        subprocess.run(["ip", "addr", "del", "10.211.5.1/32", "dev", "lo"], check=True)
        time.sleep(2)  # its answer cannot leave
        self.assertTrue(self.guard.process.alive(), self.guard.process.output())
        self.assertEqual(self.guard.ctl("status")[1], 0)
        self.device.slow = 0
        subprocess.run(["ip", "addr", "add", "10.211.5.1/32", "dev", "lo"], check=True)
        self.assert_serves()
        before = len(self.device.requests())
        caller.send(message)  # its client's own retransmission
        answer = caller.receive_message(5)
        caller.close()
        self.assertIsNotNone(answer)
        self.assertEqual((dotted(answer.code), len(self.device.requests())), ("2.05", before))

    def test_device_reboots(self):
        """It is gone, somebody asks, it is back under the same address: the first request then is served."""
        self.start()
        self.assert_serves()
        port = self.device.port
        for _ in range(3):
            self.unplug()
            self.assertIn(self.get(), ("5.02", "5.04"))
            self.device = Device(port=port)
            self.assert_serves()

    def test_device_moves(self):
        """A reload tells its new address."""
        self.start()
        self.assert_serves()
        self.unplug()
        self.device = Device()
        self.guard.write(TEXT % (self.host, self.device.port))
        self.assertEqual(self.guard.ctl("reload", json_output=False)[1], 0)
        self.assert_serves()


class Leaks(FaultCase):
    def test_mixed_exchanges(self):
        """Requests of all kinds, observations, cancelled and not, garbage, a device that is silent now and then; LeakSanitizer at the end."""
        self.start()
        n, batch = 0, 50
        kinds = ({"path": "lamp/a"}, {"path": "lamp/a", "type": NON}, {"path": "nowhere"}, {"path": "lamp/o", "options": ((rawcoap.OBSERVE, b""),)},
                 {"path": "lamp/o", "options": ((rawcoap.OBSERVE, b"\1"),)}, {"path": "lamp/p", "code": rawcoap.PUT, "payload": b"x" * 900},
                 {"path": "lamp/s", "options": ((rawcoap.OSCORE, b"\x09\x01\x25"),), "payload": b"x" * 20},
                 {"path": "lamp/u", "options": ((65003, b"x"),)})
        clients = [RawClient(self.guard.port, local="127.0.%d.1" % (i + 1)) for i in range(8)]
        while n < EXCHANGES:
            for i in range(batch):
                clients[i % 8].send(clients[i % 8].request(**kinds[(n + i // 8) % len(kinds)]))
            clients[n % 8].send(os.urandom(n % 60))
            for client in clients:
                client.socket.settimeout(0.002)
                try:
                    for _ in range(20):
                        raw, sender = client.socket.recvfrom(2048)
                        if raw[0] & 0x30 == 0:  # CON: some are acknowledged, some reset, some not answered
                            if n % 3:
                                client.socket.sendto(bytes([0x70 if raw[1] == 0 or n % 5 == 0 else 0x60, 0]) + raw[2:4], sender)
                except OSError:
                    pass
            n += batch
        self.assert_serves()
        seen = len(self.device.received)
        for client in clients:
            client.close()
        self.assertGreater(seen, EXCHANGES / 10)
        self.assertEqual(self.guard.stop(), 0)
        if "asan" in str(BUILD):
            self.assertNotIn("LeakSanitizer", self.guard.process.output())


if __name__ == "__main__":
    unittest.main()
