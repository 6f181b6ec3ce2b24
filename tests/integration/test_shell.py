"""The daemon as an operator meets it: configuration, reload, control socket, start and stop; and how it behaves when
devices are away, slow or asked twice."""
import json
import os
import signal
import socket
import subprocess
import time
import unittest

import harness
from harness import GUARDD, Guard, RawClient, wait_until
import rawcoap
from device import Device, default_answer, reply
from rawcoap import ACK, CON, EMPTY, NON, RST, Message, dotted

BASIC = """[guard]
name = shell
[listen all]
bind = 127.0.0.1:{port}
server =
[link air]
rate = 10Mbit/s
burst = 64KiB
ack-timeout = 1s
max-retransmit = 1
nstart = 4
[server lamp]
address = coap://127.0.0.1:%d
unknown-rate = 1000/s
unknown-budget = 100000/day
[throttle]
unknown-rate = 1000/s
"""

WRONG = """[guard]
log-level = chatty
max-datagramm = 1280B
[listen all]
bind = 127.0.0.1:5683
bind = somewhere
[link air]
rate = 10
rate = 20kbit/s
queue-wait = 20
[server lamp]
adress = coap://[::1]:7000
mode = exemption
[sever other]
address = coap://[::1]:7001
[echo]
validity = 99d
"""


def run_guardd(*argv, **more):
    return subprocess.run([str(GUARDD), *[str(a) for a in argv]], capture_output=True, text=True, timeout=10, **more)


class ConfigurationCase(unittest.TestCase):
    def setUp(self):
        self.directory = harness.scratch()
        self.path = self.directory / "guard.conf"

    def check(self, text):
        self.path.write_text(text)
        return run_guardd("--check-config", "-c", self.path)

    def test_all_errors_at_once(self):
        done = self.check(WRONG)
        self.assertEqual(done.returncode, 78, done.stderr)
        complaints = done.stderr.splitlines()
        for line, words in ((2, ("log-level", "chatty")), (3, ("max-datagramm", "max-datagram")),
                            (6, ("bind", "somewhere")), (8, ("rate", "bit/s")), (9, ("rate",)),
                            (10, ("queue-wait",)), (12, ("adress", "address")), (13, ("mode", "exemptions")),
                            (14, ("sever", "server")), (17, ("validity",))):
            with self.subTest(line=line):
                found = [c for c in complaints if "%s:%d:" % (self.path, line) in c]
                self.assertTrue(found, "no complaint of line %d in:\n%s" % (line, done.stderr))
                for word in words:
                    self.assertIn(word, " ".join(found))

    def test_wrong_configuration_does_not_start(self):
        self.path.write_text(WRONG)
        done = run_guardd("-c", self.path)
        self.assertEqual(done.returncode, 78)
        self.assertIn("%s:3:" % self.path, done.stderr)

    def test_missing_file(self):
        done = run_guardd("-C", "-c", self.directory / "nothing.conf")
        self.assertEqual(done.returncode, 78)
        self.assertIn("nothing.conf", done.stderr)

    def test_planned_keys_are_refused(self):
        for text in ("[egress]\nallow = ::/0\n", "[throttle]\nexempt = ::1\n"):
            with self.subTest(text=text):
                self.assertEqual(self.check(text).returncode, 78)

    def test_what_the_parser_would_misread(self):
        good = "[server lamp]\naddress = coap://[::1]:7000\n"
        for name, text in (("long line", good + "uri-path = " + "a" * 250 + "\n"),
                           ("no bracket", good + "[server b\naddress = coap://[::1]:7001\n"),
                           ("continued", good + "  uri-path = b\n"), ("no value", good + "uri-path\n"),
                           ("NUL", good + "uri-path = a\0b\n"), ("twice", good + good)):
            with self.subTest(name):
                self.assertEqual(self.check(text).returncode, 78)
        self.assertEqual(run_guardd("-C", "-c", self.directory).returncode, 78)

    def test_keys_are_not_read(self):
        """Whoever checks may be another user than the guard: a key that is missing is found at the start."""
        text = ("[listen l]\nbind = 127.0.0.1:%d\n[control]\nsocket =\n[server lamp]\naddress = coaps://[fd00:db8::17]\n"
                "psk-identity = guard\npsk-file = lamp.psk\n" % harness.free_port())
        self.assertEqual(self.check(text).returncode, 0)
        done = run_guardd("-c", self.path)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("[server lamp] psk-file: %s/lamp.psk: No such file" % self.directory, done.stderr)

    def test_good_configuration(self):
        done = self.check("[server lamp]\naddress = coap://[fd00:db8::17]\n")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_dump_is_a_configuration(self):
        self.path.write_text("[server lamp]\naddress = coap://[fd00:db8::17]\nunknown-rate = 7/min\n")
        done = run_guardd("--dump-config", "-c", self.path)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"(?m)^unknown-rate = 7/min\b")
        self.assertIn("queue-wait", done.stdout)
        again = self.directory / "again.conf"
        again.write_text(done.stdout)
        second = run_guardd("-D", "-c", again)
        self.assertEqual(second.returncode, 0, second.stderr)

        def values(text):
            return [line.split(";")[0].strip() for line in text.splitlines() if line and line[0] not in ";#"]

        self.assertEqual(values(done.stdout), values(second.stdout))

    def test_directory_beside_it(self):
        (self.directory / "conf.d").mkdir()
        self.path.write_text("[server lamp]\naddress = coap://[fd00:db8::17]\n")
        (self.directory / "conf.d" / "10-fan.conf").write_text("[server fan]\naddress = coap://[fd00:db8::18]\n")
        done = run_guardd("-D", "-c", self.path)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("[server fan]", done.stdout)
        (self.directory / "conf.d" / "20-bad.conf").write_text("[server fan]\nwhat = 1\n")
        done = run_guardd("-C", "-c", self.path)
        self.assertEqual(done.returncode, 78)
        self.assertIn("20-bad.conf:2:", done.stderr)

    def test_usage(self):
        self.assertEqual(run_guardd("--nonsense").returncode, 64)
        self.assertEqual(run_guardd("-c", self.path, "more").returncode, 64)
        self.assertEqual(run_guardd("--help").returncode, 0)
        self.assertIn("libuv", run_guardd("-V").stdout)


class RunningCase(unittest.TestCase):
    """A guard before a device of ours."""

    configuration = BASIC

    def setUp(self):
        self.device = Device()
        self.guard = Guard(self.configuration % self.device.port)
        self.client = RawClient(self.guard.port)

    def tearDown(self):
        self.client.close()
        self.guard.stop()
        self.device.close()

    def get(self, path="lamp/a", client=None, **more):
        client = client or self.client
        return client.ask(client.request(path=path, **more))

    def assert_served(self, path="lamp/a", payload=b"a"):
        got = self.get(path)
        self.assertIsNotNone(got, "no answer")
        self.assertEqual((dotted(got.code), got.payload), ("2.05", payload))

    def status(self):
        answer, code = self.guard.ctl("status")
        self.assertEqual(code, 0, answer)
        return answer


class ShellTest(RunningCase):
    def test_start_and_stop(self):
        self.assert_served()
        self.assertIn("READY=1", self.guard.notify.lines)
        self.guard.signal(signal.SIGTERM)
        self.guard.notify.wait("STOPPING=1")
        self.assertEqual(self.guard.process.child.wait(5), 0)
        self.assertFalse(self.guard.socket.exists())

    def test_interrupt_stops(self):
        self.guard.signal(signal.SIGINT)
        self.assertEqual(self.guard.process.child.wait(5), 0)

    def test_start_is_quick(self):
        self.guard.stop()
        started = time.monotonic()
        self.guard = Guard(self.configuration % self.device.port)
        self.assertLess(time.monotonic() - started, 1)  # the 50 ms of a quiet machine is the bench's business

    def test_reload(self):
        self.guard.write(self.configuration % self.device.port + "[server fan]\naddress = coap://127.0.0.1:%d\n" %
                         self.second_device().port)
        self.guard.signal(signal.SIGHUP)
        wait_until(lambda: self.reload_word() == "ok", 3, "the reload")
        self.assert_served()
        self.assert_served("fan/b", b"b")
        self.assertTrue(any(line.startswith("RELOADING=1") for line in self.guard.notify.lines))

    def second_device(self):
        device = Device()
        self.addCleanup(device.close)
        return device

    def reload_word(self):
        return find(self.status(), "reload")

    def test_bad_reload_keeps_the_old(self):
        self.guard.write(self.configuration % self.device.port + "[server fan]\naddres = coap://127.0.0.1:1\n")
        self.guard.signal(signal.SIGHUP)
        wait_until(lambda: self.reload_word() == "failed", 3, "the failed reload")
        self.assertIn("guard.conf", json.dumps(self.status()))
        self.assert_served()
        text, code = self.guard.ctl("reload", json_output=False)
        self.assertNotEqual(code, 0)
        self.assertIn("addres", text)
        self.guard.write(self.configuration % self.device.port)
        text, code = self.guard.ctl("reload", json_output=False)
        self.assertEqual((text, code), ("the configuration is in force: 1 server\n", 0))
        self.assertEqual(self.reload_word(), "ok")
        self.assert_served()

    def test_dry_run_is_told(self):
        """What refuses nothing is not to be forgotten."""
        self.assertNotIn("dry-run", self.guard.ctl("status", json_output=False)[0])
        self.guard.write("[guard]\ndry-run = yes\n" + self.configuration % self.device.port)
        text, _ = self.guard.ctl("reload", json_output=False)
        self.assertEqual(text, "the configuration is in force: 1 server, dry-run: nothing is refused\n")
        self.assertIn("\ndry-run: all is judged and counted, nothing is refused\n", self.guard.ctl("status", json_output=False)[0])
        wait_until(lambda: any("STATUS=1 server, dry-run" in line for line in self.guard.notify.lines), 3, "the service manager's status")

    def test_reload_under_way(self):
        """An exchange survives a reload."""
        self.device.slow = 1
        self.client.send(self.client.request(path="lamp/a"))
        wait_until(lambda: self.device.requests(), 2, "the request at the device")
        self.guard.signal(signal.SIGHUP)
        wait_until(lambda: self.reload_word() == "ok", 3, "the reload")
        wait_until(lambda: (m := self.client.receive_message(2)) and m.payload == b"a", 4, "the answer")

    def test_reload_storm(self):
        for _ in range(30):
            self.guard.signal(signal.SIGHUP)
            self.assert_served()
        self.assertTrue(self.guard.process.alive())

    def test_control_commands(self):
        self.assert_served()
        for command in ("links", "servers", "clients", "counters"):
            with self.subTest(command):
                answer, code = self.guard.ctl(command)
                self.assertEqual(code, 0, answer)
                self.assertIsInstance(answer, list)
        self.assertEqual([row["server"] for row in self.guard.ctl("servers")[0]], ["lamp"])
        self.assertEqual([row["link"] for row in self.guard.ctl("links")[0]], ["air"])
        self.assertEqual(find(self.status(), "name"), "shell")
        answer, code = self.guard.ctl("why", "127.0.0.1")
        self.assertEqual(code, 0, answer)
        self.assertIn("lamp", json.dumps(answer))
        text, code = self.guard.ctl("why", "nonsense", json_output=False)
        self.assertNotEqual(code, 0)
        text, code = self.guard.ctl("forget", "127.0.0.1", json_output=False)
        self.assertEqual(code, 0, text)
        text, code = self.guard.ctl("no-such-command", json_output=False)
        self.assertEqual(code, 64, text)
        text, code = self.guard.ctl("status", json_output=False)
        self.assertEqual(code, 0)
        self.assertIn("lamp", text)

    def test_metrics_text(self):
        self.assert_served()
        text, code = self.guard.ctl("metrics", json_output=False)
        self.assertEqual(code, 0)
        samples = [line for line in text.splitlines() if line and not line.startswith("#")]
        self.assertTrue(samples)
        for line in samples:
            self.assertRegex(line, r"^(coapguard|process)_[a-z_]+(\{[^}]*\})? [-+0-9.e]+$")
            self.assertNotIn("127.0.0.1", line)

    def test_control_socket_is_private(self):
        self.assertEqual(self.guard.socket.stat().st_mode & 0o777, 0o660)

    def test_control_socket_survives_rudeness(self):
        for text in (b"\n", b"status", b"x" * 5000, b"status \xff\xfe\n", b"\0\n"):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
                s.connect(str(self.guard.socket))
                s.sendall(text)
                s.settimeout(0.3)
                try:
                    s.recv(4096)
                except (socket.timeout, ConnectionResetError, BrokenPipeError):
                    pass
        hold = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(20)]
        for s in hold:
            s.connect(str(self.guard.socket))
        self.assert_served()
        for s in hold:
            s.close()
        wait_until(lambda: self.guard.ctl("status")[1] == 0, 8, "the control socket")

    def test_no_daemon(self):
        self.guard.stop()
        text, code = self.guard.ctl("status", json_output=False)
        self.assertNotEqual(code, 0)
        self.assertIn("control.sock", text)

    def test_daemon_does_not_answer(self):
        """Stopped, or stuck: it runs, and the socket is the right one."""
        self.guard.signal(signal.SIGSTOP)
        try:
            done = subprocess.run([str(harness.GUARDCTL), "-s", str(self.guard.socket), "status"], capture_output=True,
                                  text=True, timeout=30)
        finally:
            self.guard.signal(signal.SIGCONT)
        self.assertEqual(done.returncode, 69, done.stderr)
        self.assertIn("no answer within 10 s", done.stderr)
        self.assertIn("process %d" % self.guard.process.child.pid, done.stderr)
        self.assertNotIn("[control] socket", done.stderr)
        wait_until(lambda: self.guard.ctl("status")[1] == 0, 8, "the control socket")

    def test_socket_that_cannot_be(self):
        """What stands in the way of the control socket, and what to do."""
        text = self.guard.config.read_text().replace(str(self.guard.port), str(harness.free_port()))
        for name, path, code, words in (
                ("no directory", "nowhere/control.sock", 73, "make its directory, or name another [control] socket"),
                ("no socket", "guard.conf", 73, "is not a socket")):
            with self.subTest(name):
                second = self.guard.directory / "second.conf"
                second.write_text(text.replace("control.sock", path))
                done = run_guardd("-c", second)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertIn(words, done.stderr)

    def test_wrong_commands(self):
        """What is missing, too much or mistyped is named; nobody is asked."""
        for words, said in (("statsu", 'unknown command: "statsu"; did you mean "status"?'),
                            ("client", 'unknown command: "client"; did you mean "clients"?'),
                            ("xyzzy", 'unknown command: "xyzzy"'), ("why", "why needs an argument: why ADDRESS"),
                            ("context new", "context new needs an argument: context new NAME"),
                            ("context", "context is not all: context new, context reset"),
                            ("trace", "trace is not all: trace on, trace off"),
                            ("status now", "status takes no argument"), ("trace off now", "trace off takes no argument"),
                            ("context renew phone", 'unknown command: "context renew phone"')):
            with self.subTest(words):
                text, code = self.guard.ctl(*words.split(), json_output=False)
                self.assertEqual(code, 64, text)
                self.assertIn("coap-guardctl: " + said + "\n", text)

    def test_second_instance(self):
        second = self.guard.directory / "second.conf"
        second.write_text(self.guard.config.read_text().replace(str(self.guard.port), str(harness.free_port())))
        done = run_guardd("-c", second)
        self.assertEqual(done.returncode, 73, done.stderr)
        self.assertIn("control.sock", done.stderr)
        self.assert_served()
        self.assertEqual(self.guard.ctl("status")[1], 0)

    def test_port_taken(self):
        second = self.guard.directory / "second.conf"
        second.write_text(self.guard.config.read_text().replace("control.sock", "other.sock"))
        done = run_guardd("-c", second)
        self.assertNotIn(done.returncode, (0, 78))
        self.assertIn(str(self.guard.port), done.stderr)

    def test_trace(self):
        path = self.guard.directory / "trace.txt"
        text, code = self.guard.ctl("trace", "on", str(path), json_output=False)
        self.assertEqual(code, 0, text)
        self.assert_served()
        text, code = self.guard.ctl("trace", "on", str(path) + "2", json_output=False)
        self.assertNotEqual(code, 0)
        text, code = self.guard.ctl("trace", "off", json_output=False)
        self.assertEqual(code, 0, text)
        lines = path.read_text().splitlines()
        self.assertTrue(any(line.startswith("conf ") for line in lines))
        kinds = [" ".join(line.split()[1:3]) for line in lines if not line.startswith("conf ")]
        for kind in ("in client", "out device", "in device", "out client"):
            self.assertIn(kind, kinds)
        self.assertTrue(any(" verdict " in line and " lamp " in line for line in lines))
        before = path.read_text()
        self.assert_served()
        self.assertEqual(path.read_text(), before)

    def test_log_is_quiet(self):
        for _ in range(20):
            self.assert_served()
            self.client.send(b"\xff\xff\xff")
        time.sleep(0.2)
        self.assertLess(len(self.guard.process.output().splitlines()), 15, self.guard.process.output())


CONTEXTS = BASIC + """[context phone]
sender-id = 0x01
recipient-id = 0x02
servers = lamp
[context guard]
sender-id =
recipient-id = 0x03
[state]
directory = {state}
"""


class ContextTest(unittest.TestCase):
    """The guard's own OSCORE contexts: their keys, and what survives what."""

    def setUp(self):
        self.device = Device()
        self.addCleanup(self.device.close)
        self.directory = harness.scratch()
        self.state = self.directory / "state"
        self.text = CONTEXTS.replace("{state}", str(self.state)) % self.device.port
        (self.directory / "keys").mkdir()
        self.put_key("phone")
        self.put_key("guard")
        self.guard = None
        self.addCleanup(self.stop)

    def put_key(self, name, key=None, mode=0o600):
        path = self.directory / "keys" / name
        path.write_text(key or os.urandom(16).hex())
        path.chmod(mode)
        return path

    def start(self, **more):
        (self.directory / "notify").unlink(missing_ok=True)
        self.guard = Guard(self.text, directory=self.directory, **more)

    def stop(self):
        if self.guard and self.guard.process.alive():
            self.assertEqual(self.guard.stop(), 0)

    def kill(self):
        self.guard.process.kill()
        self.guard.notify.close()

    def row(self, name="phone"):
        rows, code = self.guard.ctl("contexts")
        self.assertEqual(code, 0, rows)
        return next(row for row in rows if row["context"] == name)

    def order(self, what, name="phone", code=0):
        text, got = self.guard.ctl("context", what, name, json_output=False)
        self.assertEqual(got, code, text)
        return text

    def begin(self):
        """A guard whose contexts both work."""
        self.start()
        self.order("new", "phone")
        self.order("new", "guard")

    def file(self, name="phone"):
        return (self.state / (name + ".context")).read_text()

    def assert_forwards(self):
        client = RawClient(self.guard.port)
        got = client.ask(client.request(path="lamp/a"))
        client.close()
        self.assertIsNotNone(got, "no answer")
        self.assertEqual((dotted(got.code), got.payload), ("2.05", b"a"))

    def test_first_set_up(self):
        self.start()
        self.assertIn("0 of 2 contexts at work", "\n".join(self.guard.notify.lines))
        self.assertEqual((self.row()["state"], self.row()["servers"]), ("off", "lamp"))
        self.assertEqual(self.row()["note"], "no state for its key: coap-guardctl context new phone")
        self.assert_forwards()
        self.assertIn("works", self.order("new"))
        self.assertEqual((self.row()["state"], self.row()["note"]), ("ready", ""))
        self.assertEqual(self.row("guard")["state"], "off")
        self.assertIn("works already", self.order("new", code=1))
        self.assertIn("defined contexts: phone, guard", self.order("new", "fan", code=1))
        self.assertEqual(self.guard.ctl("context", "new", json_output=False)[1], 64)
        self.assertEqual(self.state.stat().st_mode & 0o777, 0o700)
        self.assertEqual((self.state / "phone.context").stat().st_mode & 0o777, 0o600)
        text, code = self.guard.ctl("status", json_output=False)
        self.assertRegex(text, r"(?m)^  phone +ready +lamp")
        status = self.guard.ctl("status")[0]
        self.assertEqual((status["status"]["contexts"], status["status"]["contexts_working"]), (2, 1))
        metrics, code = self.guard.ctl("metrics", json_output=False)
        self.assertIn('coapguard_context_ready{context="phone"} 1\n', metrics)
        self.assertIn('coapguard_context_ready{context="guard"} 0\n', metrics)
        self.assertIn("coapguard_state_write_errors_total 0\n", metrics)

    def test_without_contexts_nothing_is_touched(self):
        self.text = self.text.split("[context")[0] + "[state]" + self.text.split("[state]")[1]
        self.start()
        self.assert_forwards()
        self.assertEqual(self.guard.ctl("contexts")[0], [])
        self.assertNotIn("context", self.guard.ctl("status", json_output=False)[0])
        self.stop()
        self.assertFalse(self.state.exists())

    def test_clean_restart(self):
        self.begin()
        self.assertNotIn("window", self.file())
        self.stop()
        self.assertIn("\nnext 0\nwindow 32 0 0\nend ", self.file())
        self.start()
        self.assertEqual(self.row()["state"], "ready")
        self.assertEqual(self.row()["number"], 0)

    def test_kill(self):
        """What was reserved is not used again, and the window is lost; the start takes less than a second."""
        self.begin()
        number = 0
        for _ in range(3):
            self.kill()
            self.assertNotIn("window", self.file())
            started = time.monotonic()
            self.start()
            self.assertLess(time.monotonic() - started, 1)
            self.assertEqual(self.row()["state"], "unsynced")
            self.assertGreater(self.row()["number"], number)
            number = self.row()["number"]
            self.assert_forwards()
        self.stop()
        self.assertNotIn("window", self.file())

    def ask_under_context(self):
        """A real client's GET lamp/a as the peer of "phone": (code, how often the device was asked for it)."""
        directory = self.directory / "client"
        if not directory.exists():
            directory.mkdir()
            (directory / "settings.json").write_text(json.dumps(
                {"sender-id_hex": "02", "recipient-id_hex": "01",
                 "secret_hex": (self.directory / "keys" / "phone").read_text()}))
        before = len(self.device.requests())
        done = subprocess.run([harness.PEERS / "aio-python", harness.SUPPORT / "oscore_client.py", "--context", directory,
                               "--timeout", "3", "coap://127.0.0.1:%d/lamp/a" % self.guard.port],
                              capture_output=True, text=True, timeout=30)
        answer = harness.json_lines(done.stdout)
        self.assertTrue(answer, done.stderr)
        return answer[-1].get("code", "none")[:4], len(self.device.requests()) - before

    def assert_replay_refused(self, datagram, code="4.01"):
        """Recorded bytes from another address bring nothing to the device. 2.04: what is inside only the peer can read."""
        before = len(self.device.requests())
        client = RawClient(self.guard.port)
        client.send(datagram)
        got = client.receive_message(2)
        client.close()
        self.assertIsNotNone(got, "no answer")
        self.assertEqual(dotted(got.code), code)
        self.assertEqual(len(self.device.requests()), before)

    @unittest.skipUnless((harness.PEERS / "aio-python").exists(), "no peers")
    def test_replays(self):
        """A real client is served before and after every end, and what it sent is taken once."""
        self.begin()
        trace = self.directory / "trace.txt"
        self.assertEqual(self.guard.ctl("trace", "on", str(trace), json_output=False)[1], 0)
        self.assertEqual(self.ask_under_context(), ("2.05", 1))
        self.assertEqual(self.guard.ctl("trace", "off", json_output=False)[1], 0)
        recorded = [bytes.fromhex(line.split()[-1]) for line in trace.read_text().splitlines() if " in client " in line]
        requests = [datagram for datagram in recorded if rawcoap.decode(datagram).option(rawcoap.OSCORE)]
        self.assertTrue(requests)
        self.assert_replay_refused(requests[0])
        self.stop()
        self.assertIn("\nwindow 32 1 1\n", self.file())
        self.start()
        self.assert_replay_refused(requests[0])
        self.assertEqual(self.ask_under_context(), ("2.05", 1))
        self.assert_replay_refused(requests[0])
        self.kill()
        self.start()
        self.assertEqual(self.row()["state"], "unsynced")
        self.assert_replay_refused(requests[0], "2.04")
        self.assertEqual(self.row()["state"], "unsynced")
        self.assertEqual(self.ask_under_context(), ("2.05", 1))
        self.assertEqual(self.row()["state"], "ready")
        self.assert_replay_refused(requests[0])

    def test_wrong_key_is_told(self):
        """A request under a kid of ours that is not from its holder, refused or passed on to the only server."""
        for name, listener, words in (
                ("refused", "server =\n", r"refused +\S+ s ago, port \d+: not-authentic: "),
                ("passed on", "", r"layer +\S+ s ago, port \d+: not taken off, so it was for lamp: not-authentic: ")):
            with self.subTest(name):
                self.text = self.text.replace("server =\n", listener)
                self.start()
                if name == "refused":
                    self.order("new")
                client = RawClient(self.guard.port)
                got = client.ask(client.request(rawcoap.POST, options=((rawcoap.OSCORE, bytes.fromhex("090902")),),
                                                payload=bytes(16)))
                client.close()
                self.assertIsNotNone(got, "no answer")
                text, code = self.guard.ctl("why", "127.0.0.1", json_output=False)
                self.assertRegex(text, words)
                self.assertNotIn("None of", text)
                self.stop()

    def test_kill_and_refuse(self):
        self.text = self.text.replace("servers = lamp\n", "servers = lamp\nrecovery = refuse\n")
        self.begin()
        self.kill()
        self.start()
        self.assertEqual(self.row()["state"], "refused")
        peers = (harness.PEERS / "aio-python").exists()
        if peers:
            self.assertEqual(self.ask_under_context()[1], 0)
        self.assertEqual(self.row()["state"], "refused")
        self.assertIn("an Echo will show", self.order("reset"))
        self.assertEqual(self.row()["state"], "unsynced")
        if peers:
            self.assertEqual(self.ask_under_context(), ("2.05", 1))
            self.assertEqual(self.row()["state"], "ready")
            self.assertEqual(self.guard.ctl("reload", json_output=False)[1], 0)
            self.assertEqual(self.row()["state"], "ready")

    def test_missing_state(self):
        """A key whose state has gone is not used before somebody says so."""
        self.begin()
        self.stop()
        (self.state / "phone.context").unlink()
        self.start()
        self.assertEqual((self.row()["state"], self.row("guard")["state"]), ("off", "ready"))
        self.assertIn("context new phone", self.row()["note"])
        self.assertIn("[context phone] refused: no state for its key", self.guard.process.output())
        self.assert_forwards()
        self.assertIn("must be new at both ends", self.order("reset"))
        self.assertEqual(self.row()["state"], "ready")

    def test_damaged_state(self):
        self.begin()
        self.stop()
        good = self.file()
        for text in ("", good[:-1], good.replace("next 0", "next 9"), good + "\n", "\0" * len(good)):
            with self.subTest(text=text):
                (self.state / "phone.context").write_text(text)
                self.start()
                self.assertEqual(self.row()["state"], "off")
                self.assertRegex(self.row()["note"], "^state .*: new key at both ends")
                self.assert_forwards()
                self.stop()
                self.assertEqual(self.file(), text)

    def test_state_of_another_context(self):
        self.begin()
        self.stop()
        (self.state / "phone.context").write_text(self.file("guard"))
        self.start()
        self.assertEqual(self.row()["state"], "off")
        self.assertIn("of another key or identifier", self.row()["note"])
        self.assert_forwards()

    def test_key_permissions(self):
        """Each is refused with what to do about it; the other context works."""
        key = self.directory / "keys" / "phone"
        self.begin()
        self.stop()
        for name, spoil, note in (
                ("group", lambda: key.chmod(0o640), "chmod 0600"), ("others", lambda: key.chmod(0o604), "chmod 0600"),
                ("short", lambda: self.put_key("phone", "00" * 15), "shorter than 16 bytes"),
                ("text", lambda: self.put_key("phone", "secret" * 8), "not hexadecimal"),
                ("gone", key.unlink, "No such file"),
                ("link", lambda: key.symlink_to("guard"), "symbolic link")):
            with self.subTest(name):
                spoil()
                self.start()
                self.assertEqual((self.row()["state"], self.row("guard")["state"]), ("off", "ready"))
                self.assertIn(note, self.row()["note"])
                self.stop()

    def test_reload(self):
        """Keys and contexts come, go and change without harm to the others."""
        self.begin()
        before = self.file("guard")
        number = self.row("guard")["number"]
        self.put_key("phone")
        self.assertEqual(self.guard.ctl("reload", json_output=False),
                         ("the configuration is in force: 1 server, 1 of 2 contexts at work\n", 0))
        self.assertIn("of another key", self.row()["note"])
        self.assertEqual((self.row("guard")["state"], self.row("guard")["number"]), ("ready", number))
        self.assertEqual(self.file("guard"), before)
        self.assertIn("must be new at both ends", self.order("reset"))
        self.assertEqual(self.row()["state"], "ready")
        self.guard.write(self.text.split("[context phone]")[0] + "[context guard]" +
                         self.text.split("[context guard]")[1])
        self.assertEqual(self.guard.ctl("reload", json_output=False)[1], 0)
        self.assertEqual([row["context"] for row in self.guard.ctl("contexts")[0]], ["guard"])
        self.assertIn("window", self.file())
        self.guard.write(self.text)
        self.assertEqual(self.guard.ctl("reload", json_output=False)[1], 0)
        self.assertEqual(self.row()["state"], "ready")

    def test_second_daemon(self):
        self.begin()
        second = self.directory / "second.conf"
        second.write_text(self.guard.config.read_text().replace("control.sock", "other.sock")
                          .replace(":%d" % self.guard.port, ":%d" % harness.free_port()))
        done = run_guardd("-c", second)
        self.assertEqual(done.returncode, 73, done.stderr)
        self.assertIn("%s: locked by another coap-guardd" % self.state, done.stderr)
        self.assertEqual(self.row()["state"], "ready")
        self.kill()
        self.start()  # a dead one's lock is none
        self.assertEqual(self.row()["state"], "unsynced")

    def test_directory_not_usable(self):
        """The guard starts, says why no context works, and goes on by itself when the directory is there."""
        self.state.write_text("")
        self.start()
        self.assertIn("Not a directory", self.row()["note"])
        self.assertEqual(self.row()["state"], "off")
        self.assert_forwards()
        self.assertIn("cannot be used", self.order("new", code=1))
        self.state.unlink()
        wait_until(lambda: "context new" in self.row()["note"], 8, "the state directory")
        self.order("new")
        self.assertEqual(self.row()["state"], "ready")

    def move_to_small_disk(self):
        """The state is on a disk of 64 KiB from now on; where that cannot be mounted the test is skipped."""
        mount = self.directory / "small"
        mount.mkdir()
        if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=64,mode=700", "none", mount],
                                          capture_output=True).returncode:
            self.skipTest("tmpfs cannot be mounted")
        self.addCleanup(subprocess.run, ["umount", "-l", mount], check=True)
        self.addCleanup(self.stop)
        for file in self.state.iterdir():
            (mount / file.name).write_bytes(file.read_bytes())
        self.text = self.text.replace(str(self.state), str(mount))
        self.state = mount

    def assert_mute(self, cause):
        """Nothing is sent under the context, and people hear why; forwarding goes on."""
        self.assertEqual(self.row()["state"], "mute")
        self.assertIn(cause, self.row()["note"])
        self.assertIn(cause, self.guard.ctl("status", json_output=False)[0])
        self.assert_forwards()
        metrics, _ = self.guard.ctl("metrics", json_output=False)
        self.assertIn('coapguard_context_ready{context="phone"} 0\n', metrics)
        self.assertRegex(metrics, r"(?m)^coapguard_state_write_errors_total [1-9]")

    def assert_recovers(self):
        wait_until(lambda: self.row()["state"] == "ready", 8, "the context")
        self.assertEqual(self.row()["note"], "")
        self.assertIn("its state is on disk again", self.guard.process.output())

    def test_full_disk(self):
        """ENOSPC: what was written before stays good, and it goes on by itself when there is room."""
        self.begin()
        self.stop()
        self.move_to_small_disk()
        before = self.file()
        filler = self.state / "filler"
        out = os.open(filler, os.O_WRONLY | os.O_CREAT)
        try:
            while True:
                os.write(out, b"x" * 4096)
        except OSError:
            os.close(out)
        self.start()
        self.assert_mute("No space left on device")
        self.assertEqual(self.file(), before)
        filler.unlink()
        self.assert_recovers()

    def test_read_only_disk(self):
        self.begin()
        self.stop()
        self.move_to_small_disk()
        before = self.file()
        subprocess.run(["mount", "-o", "remount,ro", self.state], check=True)
        self.start()
        self.assert_mute("Read-only file system")
        self.assertEqual(self.file(), before)
        subprocess.run(["mount", "-o", "remount,rw", self.state], check=True)
        self.assert_recovers()

    def test_credentials(self):
        """systemd's credentials come before files, and need no mode of ours."""
        key = self.put_key("phone").rename(self.directory / "keys" / "elsewhere").read_text()
        credentials = self.directory / "credentials"
        credentials.mkdir()
        (credentials / "phone").write_text(key)
        (credentials / "phone").chmod(0o440)
        self.start(env={"CREDENTIALS_DIRECTORY": str(credentials)})
        self.order("new")
        self.assertEqual(self.row()["state"], "ready")

    def test_keys_are_not_told(self):
        """Neither in the log at its loudest, nor by any command, nor in dump, trace or state."""
        keys = [self.put_key(name, os.urandom(16).hex()).read_text() for name in ("phone", "guard")]
        self.text = self.text.replace("name = shell\n", "name = shell\nlog-level = debug\n")
        self.begin()
        trace = self.directory / "trace.txt"
        self.assertEqual(self.guard.ctl("trace", "on", str(trace), json_output=False)[1], 0)
        self.assert_forwards()
        said = [self.guard.ctl(*command, json_output=False)[0] for command in
                (("status",), ("contexts",), ("counters",), ("metrics",), ("why", "127.0.0.1"), ("reload",),
                 ("context", "reset", "phone"), ("trace", "off"))]
        said += [run_guardd("-D", "-c", self.guard.config).stdout, trace.read_text(), self.file(), self.file("guard")]
        self.stop()
        said += [self.guard.process.output(), self.file()]
        for key in keys:
            for at in range(0, len(key) - 8):
                self.assertNotIn(key[at:at + 8], "\n".join(said).replace(str(self.directory), ""))

    @unittest.skipIf(os.geteuid(), "needs root")
    def test_keys_are_wiped(self):
        """After the start, a reload and a reset no byte string of the process is a Master Secret."""
        self.begin()
        self.assertEqual(self.guard.ctl("reload", json_output=False)[1], 0)
        self.order("reset")
        keys = [(self.directory / "keys" / name).read_text() for name in ("phone", "guard")]
        memory = self.memory()
        self.assertIn(b"phone", memory)  # it can be read
        for key in keys:
            self.assertNotIn(key.encode(), memory)
            self.assertNotIn(bytes.fromhex(key), memory)

    def memory(self):
        """All that the daemon may write to. Shadow memory of a sanitizer holds nothing and is large."""
        found = []
        with open("/proc/%d/maps" % self.guard.process.child.pid) as maps, \
                open("/proc/%d/mem" % self.guard.process.child.pid, "rb", 0) as mem:
            for line in maps:
                start, end = (int(part, 16) for part in line.split()[0].split("-"))
                if " rw" in line and end - start < 1 << 28:
                    try:
                        mem.seek(start)
                        found.append(mem.read(end - start))
                    except OSError:
                        continue
        return b"".join(found)

    def test_unsound_configuration(self):
        """Mistakes that would be dangerous are found before anything starts."""
        lamp = "[server lamp]\naddress = coap://[fd00:db8::17]\n"
        for name, text, words in (
                ("one identifier", "[context a]\nsender-id = 0x01\nrecipient-id = 0x01\n", "the same as sender-id"),
                ("no identifier", "[context a]\nsender-id = 0x01\n", "recipient-id: missing"),
                ("twins", "[context a]\nsender-id = 0x01\nrecipient-id = 0x02\n"
                          "[context b]\nsender-id = 0x03\nrecipient-id = 0x02\n", "has it already"),
                ("nobody's server", lamp + "mode = full\n", "nobody could reach it"),
                ("no such server", "[context a]\nsender-id = 0x01\nrecipient-id = 0x02\nservers = lamp\n", "lamp"),
                ("a secret in the file", "[context a]\nmaster-secret = 0x" + "00" * 16 + "\n", "master-secret-file"),
                ("10 000 digits", "[context a]\nsender-id = 0x" + "00" * 5000 + "\n", "longer than"),
                ("half a byte", "[context a]\nsender-id = 0x1\nrecipient-id =\n", "hexadecimal"),
                ("twice", lamp + "[context a]\nsender-id = 0x01\nrecipient-id = 0x02\nservers = lamp lamp\n", "once")):
            with self.subTest(name):
                path = self.directory / "bad.conf"
                path.write_text(text)
                done = run_guardd("-C", "-c", path)
                self.assertEqual(done.returncode, 78, done.stderr)
                self.assertIn(words, done.stderr)


class DeviceTest(RunningCase):
    """What clients see when devices misbehave."""

    configuration = BASIC

    def test_unreachable(self):
        """ICMP says that nobody listens: an error at once, not after all retransmissions."""
        self.device.close()
        started = time.monotonic()
        got = self.get()
        self.assertIsNotNone(got)
        self.assertIn(dotted(got.code), ("5.02", "5.03", "5.04"))
        self.assertLess(time.monotonic() - started, 1.5)
        self.device = Device(port=self.device.port)
        time.sleep(0.1)
        self.assert_served()

    def test_device_resets(self):
        self.device.answer = lambda rq: Message(RST, EMPTY, rq.mid) if rq.code else None
        got = self.get()
        self.assertIsNotNone(got)
        self.assertEqual(dotted(got.code), "5.02")

    def test_silent_device(self):
        """Unanswered requests of some clients delay nobody else's."""
        self.device.answer = lambda rq: None if rq.option(rawcoap.URI_PATH) == b"mute" else default_answer(rq)
        deaf = [RawClient(self.guard.port) for _ in range(3)]
        for client in deaf:
            client.send(client.request(path="lamp/mute"))
        wait_until(lambda: len(self.device.requests()) >= 3, 2, "the requests at the device")
        for _ in range(5):
            started = time.monotonic()
            self.assert_served()
            self.assertLess(time.monotonic() - started, 0.5)
        for client in deaf:
            client.close()

    def oscore_request(self, number):
        value = rawcoap.oscore_value(b"\x07", number)
        return self.client.request(rawcoap.POST, "lamp", ((rawcoap.OSCORE, value),), payload=os.urandom(20))

    def become_trusted(self):
        """As far as a guard without keys can tell, the device accepts these."""
        self.device.answer = lambda rq: reply(rq, "2.04", os.urandom(12), ((rawcoap.OSCORE, b""),)) if rq.code else None
        for number in range(1, 12):
            self.assertIsNotNone(self.client.ask(self.oscore_request(number)))
        rows, _ = self.guard.ctl("clients")
        self.assertEqual([row["standing"] for row in rows], ["trusted"])

    def test_silence_to_a_trusted_client(self):
        """Its request is repeated with the link's parameters; then it hears 5.04."""
        self.become_trusted()
        self.device.answer = None
        before = len(self.device.requests())
        started = time.monotonic()
        request = self.oscore_request(20)
        self.client.send(request)
        while (got := self.client.receive_message(15)) is not None and got.code == EMPTY:
            self.assertLess(time.monotonic() - started, 2, "the ACK came after the client's own timeout")
        self.assertIsNotNone(got, "no 5.04")
        self.assertEqual((dotted(got.code), got.token), ("5.04", request.token))
        self.assertLess(time.monotonic() - started, 8)
        sent = self.device.requests()[before:]
        self.assertEqual(len(sent), 2)  # ack-timeout = 1s, max-retransmit = 1
        self.assertEqual(sent[0], sent[1])

    def test_unproven_confirmable_is_not_multiplied(self):
        """A stranger's CON that the device ignores reaches it once."""
        self.device.answer = None
        client = RawClient(self.guard.port, pong=False)
        client.send(client.request(path="lamp/mute"))
        time.sleep(4)
        self.assertEqual(len(self.device.requests()), 1)
        client.close()

    def test_other_device_is_not_delayed(self):
        other = Device()
        self.addCleanup(other.close)
        self.guard.write(self.configuration % self.device.port + "[server fan]\naddress = coap://127.0.0.1:%d\n"
                         "unknown-rate = 1000/s\nunknown-budget = 100000/day\n" % other.port)
        self.assertEqual(self.guard.ctl("reload", json_output=False)[1], 0)
        self.device.answer = None
        for _ in range(4):
            self.client.send(self.client.request(path="lamp/mute"))
        started = time.monotonic()
        self.assert_served("fan/x", b"x")
        self.assertLess(time.monotonic() - started, 0.5)

    def test_slow_device_gets_acknowledged_for(self):
        """A separate response: an empty ACK before the client would retransmit, then the answer as CON."""
        self.device.slow = 3.0
        request = self.client.request(path="lamp/a")
        self.client.send(request)
        started = time.monotonic()
        first = self.client.receive_message(2.5)
        if first is not None:
            self.assertEqual((first.type, first.code, first.mid), (ACK, EMPTY, request.mid))
            self.assertLess(time.monotonic() - started, 2)
        second = self.client.receive_message(5)
        self.assertIsNotNone(second)
        self.assertEqual((second.token, second.payload), (request.token, b"a"))
        if first is not None:
            self.assertEqual(second.type, CON)
            self.client.send(Message(ACK, EMPTY, second.mid))
            self.assertIsNone(self.client.receive(3), "the acknowledged response came again")


class MessageTest(RunningCase):
    def test_duplicate_gets_the_same_bytes(self):
        request = rawcoap.encode(self.client.request(path="lamp/a"))
        self.client.send(request)
        first = self.client.receive()
        self.assertIsNotNone(first)
        for _ in range(3):
            self.client.send(request)
            self.assertEqual(self.client.receive(), first)
        self.assertEqual(len(self.device.requests()), 1)

    def test_duplicate_while_under_way(self):
        self.device.slow = 0.5
        request = self.client.request(path="lamp/a")
        for _ in range(3):
            self.client.send(request)
        got = self.client.receive_message(3)
        self.assertEqual(got.payload, b"a")
        self.assertEqual(len(self.device.requests()), 1)

    def test_non(self):
        got = self.client.ask(self.client.request(path="lamp/a", type=NON))
        self.assertEqual((got.type, got.payload), (NON, b"a"))

    def test_ping(self):
        """A client's ping is answered by RST (RFC 7252 section 4.3), when it has been served before."""
        self.assert_served()
        self.client.send(Message(CON, EMPTY, 0x1234))
        got = self.client.receive_message()
        self.assertIsNotNone(got)
        self.assertEqual((got.type, got.code, got.mid), (RST, EMPTY, 0x1234))

    def test_unknown_path(self):
        got = self.get("nowhere/a")
        self.assertIsNotNone(got)
        self.assertEqual(dotted(got.code), "4.04")
        self.assertEqual(self.device.requests(), [])

    def test_forwarding_is_denied(self):
        for options, codes in (
                (((rawcoap.PROXY_URI, b"coap://127.0.0.1:%d/a" % self.device.port),), ("5.02", "5.05", "4.03", "4.01")),
                (((rawcoap.PROXY_URI, b"coap://192.0.2.7/a"),), ("5.02", "5.05", "4.03", "4.01")),
                (((rawcoap.PROXY_URI, b"http://192.0.2.7/a"),), ("5.05",)),
                (((rawcoap.PROXY_SCHEME, b"coap"), (rawcoap.URI_HOST, b"127.0.0.1")), ("5.02", "5.05", "4.03")),
                (((rawcoap.PROXY_SCHEME, b"coap"), (rawcoap.URI_HOST, b"::ffff:127.0.0.1")),
                 ("5.02", "5.05", "4.03", "4.00")),
                (((rawcoap.PROXY_SCHEME, b"coap"), (rawcoap.URI_HOST, b"device.example")), ("5.02", "5.05", "4.03"))):
            with self.subTest(options=options):
                got = self.client.ask(self.client.request(options=options))
                self.assertIsNotNone(got)
                self.assertIn(dotted(got.code), codes)
        self.assertEqual(self.device.requests(), [])

    def test_unsafe_option(self):
        got = self.client.ask(self.client.request(path="lamp/a", options=((65001 | 2, b""),)))
        self.assertEqual(dotted(got.code), "4.02")
        got = self.client.ask(self.client.request(path="lamp/a", options=((65000, b"safe"),)))
        self.assertEqual(dotted(got.code), "2.05")
        self.assertEqual([m.option(65000) for m in self.device.requests()], [b"safe"])

    def test_hop_limit(self):
        got = self.client.ask(self.client.request(path="lamp/a", options=((rawcoap.HOP_LIMIT, b"\x01"),)))
        self.assertEqual(dotted(got.code), "5.08")
        self.assertIn(b"shell", got.payload)
        got = self.client.ask(self.client.request(path="lamp/a", options=((rawcoap.HOP_LIMIT, b"\x05"),)))
        self.assertEqual(dotted(got.code), "2.05")
        self.assertEqual(self.device.requests()[-1].option(rawcoap.HOP_LIMIT), b"\x04")

    def test_malformed_gets_no_reply(self):
        good = rawcoap.encode(self.client.request(path="lamp/a", token=b"abcd", payload=b"x"))
        garbage = [good[:n] for n in range(len(good))]
        garbage += [b"", b"\0" * 4, b"\xff" * 64, bytes([0x4f]) + good[1:], good + b"\xff" * 0]
        garbage += [bytes([version << 6 | good[0] & 63]) + good[1:] for version in (0, 2, 3)]
        garbage += [b"\x40\x01\x00\x01" + b"\x00" * 1000, b"\x40\x01\x00\x01\xe0\xfe\xf3" * 1, b"\x40\x01\x00\x01\xff",
                    b"\x40\x01\x00\x01" + b"\xe0\xff\xff" * 3, b"\x40\x01\x00\x01\xf0", b"\x40\x01\x00\x01\x0f",
                    b"\x41\x00\x00\x01a", b"\x40\x20\x00\x01", b"\x60\x45\x00\x01", b"\x70\x00\x12\x34"]
        for datagram in garbage:
            if datagram == good or is_message(datagram):
                continue
            self.client.send(datagram)
        self.assertIsNone(self.client.receive(0.5))
        self.assert_served()
        self.assertEqual(len(self.device.requests()), 1)

    def test_replies_leave_from_the_address_asked(self):
        self.guard.stop()
        self.guard = Guard((self.configuration % self.device.port).replace("127.0.0.1:{port}", "0.0.0.0:{port}"))
        for host in ("127.0.0.1", "127.0.0.2", "127.3.4.5"):
            client = RawClient(self.guard.port, host)
            client.socket.connect((host, self.guard.port))  # the kernel drops what comes from elsewhere
            client.socket.send(rawcoap.encode(client.request(path="lamp/a")))
            self.assertIsNotNone(client.receive_message(2), host)
            client.close()

    def test_ipv6(self):
        self.guard.stop()
        self.guard = Guard((self.configuration % self.device.port).replace("127.0.0.1:{port}", "[::1]:{port}"))
        client = RawClient(self.guard.port, "::1")
        got = client.ask(client.request(path="lamp/a"))
        self.assertIsNotNone(got)
        self.assertEqual(got.payload, b"a")
        client.close()


class ObserveTest(RunningCase):
    configuration = BASIC + "\n"

    def register(self, client, token=b"obs1", path="lamp/t"):
        self.device.answer = self.answer
        request = client.request(path=path, options=((rawcoap.OBSERVE, b""),), token=token)
        return client.ask(request)

    def answer(self, rq):
        if rq.option(rawcoap.OBSERVE) == b"":
            self.registered = rq
            return reply(rq, "2.05", b"first", ((rawcoap.OBSERVE, b"\x01"),))
        return default_answer(rq) if rq.code else None

    def notify(self, number, type=NON):
        self.device.send(Message(type, rawcoap.code("2.05"), 100 + number, self.registered.token,
                                 ((rawcoap.OBSERVE, bytes([number])),), b"n%d" % number))

    def fresher(self, message, last):
        """The number of a notification, which is the guard's own and goes up (RFC 7641 section 3.4)."""
        number = int.from_bytes(message.option(rawcoap.OBSERVE), "big")
        self.assertTrue(0 < (number - last) % (1 << 24) < 1 << 23, (last, number))
        return number

    def test_notifications(self):
        got = self.register(self.client)
        self.assertEqual(got.payload, b"first")
        last = int.from_bytes(got.option(rawcoap.OBSERVE), "big")
        for number in (2, 3, 4):
            self.notify(number, CON if number == 3 else NON)
            got = self.client.receive_message()
            self.assertIsNotNone(got, number)
            self.assertEqual((got.token, got.payload), (b"obs1", b"n%d" % number))
            last = self.fresher(got, last)
            if got.type == CON:
                self.client.send(Message(ACK, EMPTY, got.mid))
                time.sleep(0.05)  # a burst is another test
        wait_until(lambda: any(m and m.type == ACK and m.mid == 103 for _, _, m in self.device.received), 3,
                   "the guard's ACK of the confirmable notification")

    def test_burst_ends_with_the_latest(self):
        """However many notifications were left out, the client learns the latest state (RFC 7641 section 1.3)."""
        self.register(self.client)
        for number in range(2, 10):
            self.notify(number)
        seen = []

        def latest():
            got = self.client.receive_message(1)
            if got is not None and got.type == CON:
                self.client.send(Message(ACK, EMPTY, got.mid))
            seen.append(got and got.payload)
            return seen[-1] == b"n9"

        try:
            wait_until(latest, 5, "n9")
        except TimeoutError:
            self.fail("the latest state never came, only %s" % seen)

    def test_cancellation(self):
        self.register(self.client)
        request = self.client.request(path="lamp/t", options=((rawcoap.OBSERVE, b"\x01"),), token=b"obs1")
        self.assertIsNotNone(self.client.ask(request))
        cancel = self.device.requests()[-1]
        self.assertEqual(cancel.option(rawcoap.OBSERVE), b"\x01")
        self.assertEqual(cancel.token, self.registered.token)
        self.notify(9)
        self.assertIsNone(self.client.receive(0.5))

    def test_reset(self):
        """A client that resets a notification is no longer observing, and the device is told."""
        self.register(self.client)
        self.notify(2, CON)
        got = self.client.receive_message()
        self.client.send(Message(RST, EMPTY, got.mid))
        time.sleep(0.3)
        before = len(self.device.received)
        self.notify(3, CON)
        self.assertIsNone(self.client.receive(0.5))
        wait_until(lambda: any(m and (m.type == RST or m.option(rawcoap.OBSERVE) == b"\x01")
                               for _, _, m in self.device.received[before - 1:]), 3,
                   "RST or deregistration at the device")

    def test_two_observers(self):
        """Of two things: each has its relation, and hears of its own only."""
        other = RawClient(self.guard.port)
        self.addCleanup(other.close)
        self.register(self.client)
        first = self.registered
        self.register(other, path="lamp/u")
        self.assertNotEqual(first.token, self.registered.token)
        self.notify(5)
        self.assertEqual(other.receive_message().payload, b"n5")
        self.assertIsNone(self.client.receive(0.3))

    def test_observers_of_one_thing(self):
        """The device has one relation, and both hear of it."""
        other = RawClient(self.guard.port)
        self.addCleanup(other.close)
        last = [int.from_bytes(self.register(c).option(rawcoap.OBSERVE), "big") for c in (self.client, other)]
        self.assertEqual(sum(m.option(rawcoap.OBSERVE) == b"" for m in self.device.requests()), 1)
        self.notify(5)
        for i, client in enumerate((self.client, other)):
            got = client.receive_message()
            self.assertEqual(got.payload, b"n5")
            self.fresher(got, last[i])


def is_message(datagram):
    try:
        return 0 < rawcoap.decode(datagram).code < 32 and datagram[0] & 15 <= 8 and not datagram.endswith(b"\xff")
    except (ValueError, IndexError):
        return False


def find(answer, key):
    """The value of this key, wherever in the JSON it stands."""
    if isinstance(answer, dict):
        if key in answer:
            return answer[key]
        answer = list(answer.values())
    if isinstance(answer, list):
        for part in answer:
            found = find(part, key) if isinstance(part, (dict, list)) else None
            if found is not None:
                return found
    return None


if __name__ == "__main__":
    unittest.main(verbosity=2)
