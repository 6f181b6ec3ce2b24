"""What people see of a guard that runs: coap-guardctl, metrics by HTTP, the journal, the manual, the completions of shells."""
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest
from pathlib import Path

import harness
from harness import GUARDCTL, GUARDD, Guard, RawClient, wait_until
import promtext
import rawcoap
from device import Device, reply

ROOT = harness.TESTS.parent
DOCS = ROOT / "docs"

CONFIGURATION = """[guard]
name = face
[listen all]
bind = 127.0.0.1:{port}
[link air]
rate = 10Mbit/s
burst = 64KiB
[server lamp]
address = coap://127.0.0.1:%d
uri-host = secret-name.example
unknown-rate = 1000/s
unknown-budget = 100000/day
[throttle]
unknown-rate = 1000/s
[allow-list]
save = no
[metrics]
listen = 127.0.0.1:%d
"""


def free_tcp_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def is_installed(program):
    return unittest.skipUnless(shutil.which(program), program + " is not installed")


class Running(unittest.TestCase):
    def setUp(self):
        self.device = Device()
        self.addCleanup(self.device.close)
        self.http = free_tcp_port()
        self.text = CONFIGURATION % (self.device.port, self.http)
        self.guard = Guard(self.text)
        self.addCleanup(self.guard.stop)
        self.client = RawClient(self.guard.port)
        self.addCleanup(self.client.close)

    def serve(self, payload=b"a"):
        got = self.client.ask(self.client.request(path="lamp/a"))
        self.assertIsNotNone(got)
        self.assertEqual(rawcoap.dotted(got.code), "2.05")

    def ctl(self, *words, env=None, code=0):
        done = subprocess.run([GUARDCTL, "-s", self.guard.socket, *words], capture_output=True, text=True, timeout=15,
                              env=dict(os.environ, **(env or {})))
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout


def talk(port, data, seconds=3.0, half_close=False):
    """All that is answered to these bytes until the connection ends."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as s:
        s.sendall(data)
        if half_close:
            s.shutdown(socket.SHUT_WR)
        got = b""
        try:
            while more := s.recv(65536):
                got += more
        except (socket.timeout, ConnectionResetError):
            pass
        return got


def page(port):
    return talk(port, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")


class HttpTest(Running):
    def scrape(self):
        head, _, body = page(self.http).partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 200 OK\r\n"), head)
        self.assertIn(b"Content-Type: text/plain; version=0.0.4; charset=utf-8", head)
        self.assertIn(b"Content-Length: %d\r\n" % len(body), head)
        return body.decode()

    def test_the_page_is_that_of_the_tool(self):
        self.serve()
        mine, tools = promtext.parse(self.scrape()), promtext.parse(self.ctl("metrics"))
        self.assertEqual(list(mine), list(tools))
        self.assertEqual(list(mine["coapguard_requests_total"].samples), list(tools["coapguard_requests_total"].samples))

    def test_answers(self):
        host = b"\r\nHost: x\r\n\r\n"
        for request, status in ((b"GET /metrics?x=1 HTTP/1.1" + host, 200), (b"HEAD /metrics HTTP/1.1" + host, 200),
                                (b"GET http://x/metrics HTTP/1.1" + host, 200), (b"GET /metrics HTTP/1.0\r\n\r\n", 200),
                                (b"GET / HTTP/1.1" + host, 404), (b"GET /metrics/ HTTP/1.1" + host, 404),
                                (b"GET /../etc/passwd HTTP/1.1" + host, 404), (b"POST /metrics HTTP/1.1" + host, 405),
                                (b"DELETE / HTTP/1.1" + host, 405), (b"GET /metrics HTTP/1.1\r\n\r\n", 400),
                                (b"GET /metrics HTTP/3.0" + host, 505), (b"\x16\x03\x01\x02\x00\x01", 400),
                                (b"GET /" + b"a" * 5000, 431), (b"GET / HTTP/1.1\r\nX: " + b"a" * 5000, 431),
                                (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 1000, 431), (os.urandom(4096) + b"\0", 400)):
            with self.subTest(request[:40]):
                head, _, body = talk(self.http, request).partition(b"\r\n\r\n")
                self.assertTrue(head.startswith(b"HTTP/1.1 %d " % status), head)
                self.assertIn(b"\r\nConnection: close", head)
                self.assertEqual(b"\r\nAllow: GET, HEAD" in head, status == 405)
                self.assertEqual(body == b"", request.startswith(b"HEAD"))
        self.assertTrue(self.guard.process.alive())

    def test_pipelined(self):
        """One answer, then it is over; what is behind the first request is not even looked at."""
        request = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
        got = talk(self.http, request * 50 + b"\xff" * 20000)
        self.assertEqual(got.count(b"HTTP/1.1 "), 1)

    def test_in_pieces(self):
        with socket.create_connection(("127.0.0.1", self.http), timeout=3) as s:
            for byte in b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n":
                s.send(bytes([byte]))
                time.sleep(0.002)
            self.assertTrue(s.recv(100).startswith(b"HTTP/1.1 200"))

    def test_gone_before_the_answer(self):
        for _ in range(20):
            s = socket.create_connection(("127.0.0.1", self.http))
            s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
            s.close()
        self.scrape()

    def test_slow_visitors(self):
        """A hundred that say nothing, or a byte now and then, keep nobody out, are cut off, and delay no request."""
        slow = [socket.create_connection(("127.0.0.1", self.http), timeout=10) for _ in range(100)]
        begin = time.monotonic()
        ends = begin + 7
        times = []

        def dribble():
            while time.monotonic() < ends:
                for s in slow:
                    try:
                        s.send(b"G")
                    except OSError:
                        pass
                time.sleep(0.2)

        thread = threading.Thread(target=dribble)
        thread.start()
        for _ in range(10):
            start = time.monotonic()
            self.scrape()
            self.serve()
            times.append(time.monotonic() - start)
            time.sleep(0.1)
        self.assertLess(max(times), 1.0)
        thread.join()
        for s in slow:
            s.settimeout(0.5)
            try:
                self.assertIn(s.recv(4096)[:12], (b"", b"HTTP/1.1 400"))
            except ConnectionResetError:
                pass
            s.close()

    def test_slow_reader(self):
        """Who does not read its answer is cut off, too, and holds nobody up."""
        readers = []
        for _ in range(16):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            s.connect(("127.0.0.1", self.http))
            s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            readers.append(s)
        self.serve()
        wait_until(lambda: page(self.http).startswith(b"HTTP/1.1 200"), 12, "a place")
        for s in readers:
            s.close()

    def test_many_at_once(self):
        results = []

        def visit():
            try:
                results.append(page(self.http))
            except OSError as error:
                results.append(error)

        threads = [threading.Thread(target=visit) for _ in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertGreaterEqual(sum(isinstance(r, bytes) and r.startswith(b"HTTP/1.1 200") for r in results), 50)
        self.scrape()
        descriptors = Path("/proc/%d/fd" % self.guard.process.child.pid)
        wait_until(lambda: len(list(descriptors.iterdir())) < 40, 3, "the descriptors")

    def reload(self, text, code=0):
        self.guard.write(text)
        out, got = self.guard.ctl("reload", json_output=False)
        self.assertEqual(got, code, out)
        return out

    def test_reload(self):
        other = free_tcp_port()
        self.reload(self.text.replace(":%d\n" % self.http, ":%d\npath = /m\n" % other))
        self.assertRaises(ConnectionRefusedError, page, self.http)
        self.assertTrue(talk(other, b"GET /m HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200"))
        self.assertTrue(page(other).startswith(b"HTTP/1.1 404"))
        self.reload(self.text.partition("[metrics]")[0])
        self.assertRaises(ConnectionRefusedError, page, other)
        self.reload(self.text)
        self.scrape()

    def test_port_taken(self):
        """A reload that cannot have the port changes nothing at all; a start with it fails, and says why."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            text = self.text.replace(str(self.http), str(taken.getsockname()[1])).replace("face", "other")
            self.assertIn("[metrics] cannot listen on 127.0.0.1:%d" % taken.getsockname()[1], self.reload(text, 1))
            self.scrape()
            self.assertIn("face", self.ctl("status"))
            second = Guard(text, wait=False)
            self.assertEqual(second.process.child.wait(5), 71)
            self.assertIn("[metrics] cannot listen", second.process.output())
            second.notify.close()

    def test_off_by_default(self):
        guard = Guard(self.text.partition("[metrics]")[0])
        self.addCleanup(guard.stop)
        tables = Path("/proc/%d/net/tcp" % guard.process.child.pid).read_text()
        inodes = {re.search(r"\d+", os.readlink(fd)).group() for fd in Path("/proc/%d/fd" % guard.process.child.pid).iterdir()
                  if os.readlink(fd).startswith("socket:")}
        listening = {line.split()[9] for line in tables.splitlines()[1:] if line.split()[3] == "0A"}
        self.assertFalse(inodes & listening)

    def test_stop_with_visitors(self):
        idle = [socket.create_connection(("127.0.0.1", self.http)) for _ in range(5)]
        start = time.monotonic()
        self.assertEqual(self.guard.stop(), 0)
        self.assertLess(time.monotonic() - start, 2)
        for s in idle:
            s.close()


class SharingTest(Running):
    """What is answered twice and asked once."""

    def setUp(self):
        super().setUp()
        self.quiet = self.ctl("status")
        self.guard.stop()
        self.guard = Guard(self.text + "[cache]\nsize = 64KiB\n[guard]\nlog-level = debug\n", port=self.guard.port)
        self.addCleanup(self.guard.stop)

    def test_screen(self):
        self.assertNotRegex(self.quiet, "(?m)^(cache|shared):")
        self.assertEqual(json.loads(self.ctl("--json", "servers"))[0]["device"], "unheard")
        self.serve()
        self.serve()
        self.assertRegex(self.ctl("status"), "(?m)^cache: 128 of 65536 bytes; responses 1, hits 1, validated 0, stale 0$")
        row = json.loads(self.ctl("--json", "sharing"))[0]
        self.assertEqual({name: row[name] for name in ("hit", "joined", "responses", "relations", "observers")},
                         {"hit": 1, "joined": 0, "responses": 1, "relations": 0, "observers": 0})
        self.assertEqual(json.loads(self.ctl("--json", "status"))["sharing"], [row])
        self.assertEqual(json.loads(self.ctl("--json", "servers"))[0]["device"], "answers")
        self.assertEqual(len(self.device.requests()), 1)
        self.assertIn("coapguard_shared_requests_total{result=\"hit\"} 1\n", self.ctl("metrics"))

    def test_observers(self):
        """Two who observe one thing."""
        self.device.answer = lambda rq: reply(rq, "2.05", b"on", ((rawcoap.OBSERVE, b"\x01"),)) if rq.code else None
        other = RawClient(self.guard.port)
        self.addCleanup(other.close)
        for client in (self.client, other):
            got = client.ask(client.request(path="lamp/o", options=((rawcoap.OBSERVE, b""),)))
            self.assertIsNotNone(got.option(rawcoap.OBSERVE))
        self.assertRegex(self.ctl("status"), "(?m)^shared: requests joined 1, observers 2, relations with servers 1$")

    def test_told(self):
        """What is not judged stands in the log and in traces, and a trace of it can be played."""
        path = self.guard.directory / "trace.txt"
        self.ctl("trace", "on", str(path))
        self.serve()
        self.serve()
        self.ctl("trace", "off")
        self.assertRegex(self.guard.process.output(), r"127\.0\.0\.1:\d+ to lamp: lane -, share: cached")
        self.assertRegex(path.read_text(), r"(?m)^\S+ verdict 127\.0\.0\.1:\d+ lamp - share cached$")
        replay = harness.BUILD / "tests/replay/replay"
        if replay.exists():
            done = subprocess.run([replay, path], capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stdout.splitlines()[-1]), (0, "%s: 2 verdicts, 0 differ" % path), done.stdout)


class ExpositionTest(Running):
    def exposition(self):
        """With a context and with traffic of several kinds, so that every family has a sample."""
        section = harness.guard_context(self.guard.directory, "phone", "01", "02", "servers = lamp")
        self.guard.write(self.text + section + "[state]\ndirectory = %s\n" % (self.guard.directory / "state"))
        self.guard.stop()
        self.guard = Guard(self.guard.config.read_text().partition("\n[control]")[0], port=self.guard.port,
                           directory=self.guard.directory)
        self.addCleanup(self.guard.stop)
        self.serve()
        for datagram in (b"\xff" * 20, b"\x40\x01\x12\x34", b"\x70\x00\x12\x34", os.urandom(60)):
            self.client.send(datagram)
        time.sleep(0.1)
        return self.ctl("metrics")

    def test_format(self):
        text = self.exposition()
        families = promtext.parse(text)
        self.assertGreater(len(families), 40)
        for family in families.values():
            self.assertTrue(family.name in promtext.PROCESS or family.name.startswith("coapguard_"), family.name)
            for _, labels in family.samples:
                for label, value in labels:
                    if label == "version":  # a revision may have five digits in a row
                        continue
                    self.assertNotRegex(value, r"127\.0\.0|::|\d{5}", "%s: %s" % (family.name, label))
        promtool = shutil.which("promtool")
        if promtool:
            done = subprocess.run([promtool, "check", "metrics"], input=text, text=True, capture_output=True)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_nobody_outside_makes_series(self):
        """Whatever is sent, label values are names of sections and words that docs/guard.md or operations.md explain."""
        self.exposition()
        for number in range(500):
            self.client.send(self.client.request(path="lamp/%d" % number, token=os.urandom(number % 9)))
            self.client.send(self.client.request(rawcoap.POST, options=((rawcoap.OSCORE, rawcoap.oscore_value(os.urandom(3), number)),),
                                                 payload=os.urandom(20)))
            self.client.send(os.urandom(number % 60))
        time.sleep(0.3)
        words = set(re.findall(r"`([a-z0-9-]+)`", (DOCS / "guard.md").read_text() + (DOCS / "operations.md").read_text()))
        version = subprocess.run([GUARDD, "-V"], capture_output=True, text=True).stdout.splitlines()[0].split(" ", 1)[1]
        for family in promtext.parse(self.ctl("metrics")).values():
            for _, labels in family.samples:
                for label, value in labels:
                    self.assertIn(value, words | {"lamp", "air", "phone", version}, "%s: %s" % (family.name, label))

    def test_documented(self):
        """docs/operations.md has a row for each family, and no other."""
        families = promtext.parse(self.exposition())
        page = (DOCS / "operations.md").read_text()
        rows = re.findall(r"^\| `((?:coapguard|process)_\w+)` \| (\w+) \| (.*) \|$", page, re.M)
        self.assertEqual(sorted(rows), sorted((f.name, f.type, f.help) for f in families.values()))

    def test_dashboard(self):
        """Every query of the dashboard, and every alarm in the documentation, names metrics and labels that exist."""
        families = promtext.parse(self.exposition())
        labels = {f.name: {label for _, ls in f.samples for label, _ in ls} | {"instance", "job"} for f in families.values()}
        dashboard = json.loads((ROOT / "conf/examples/grafana.json").read_text())
        queries = [t["expr"] for p in dashboard["panels"] for t in p["targets"]]
        queries += [v["query"]["query"] for v in dashboard["templating"]["list"] if v["type"] == "query"]
        queries += re.findall(r"^  expr: (.*)$", (DOCS / "operations.md").read_text(), re.M)
        self.assertGreater(len(queries), 25)
        used = set()
        for query in queries:
            for name, selector in re.findall(r"\b((?:coapguard|process)_\w+)(\{[^}]*\})?", query):
                self.assertIn(name, labels, query)
                used.add(name)
                for label in re.findall(r"(\w+)\s*[=!]~?\"", selector):
                    self.assertIn(label, labels[name], query)
            self.assertEqual((query.count("("), query.count("{")), (query.count(")"), query.count("}")), query)
        self.assertGreater(len(used), 25)
        ids = [p["id"] for p in dashboard["panels"]]
        self.assertEqual(len(ids), len(set(ids)))

    def test_the_reader_is_strict(self):
        """What promtext has to refuse."""
        good = '# HELP a_total Help.\n# TYPE a_total counter\na_total{x="1"} 1\na_total{x="2"} 2\n'
        promtext.parse(good)
        for old, new in ((' 2\n', ' 2'), ('x="2"', 'x="1"'), ('x="2"', 'y="2"'), ('x="2"', 'x="2'), ('x="2"', 'x="\\q"'),
                         ('x="2"', 'x=2'), (' 2\n', '  2\n'), (' 2\n', ' two\n'), (' 2\n', ' -2\n'), ('# HELP a_total Help.\n', ''),
                         ('Help.', ''), ('counter', 'count'), ('a_total', 'a'), ('a_total', 'a_ms_total'), ('counter', 'gauge'),
                         ('a_total{x="2"}', 'b_total{x="2"}'), (' 2\n', ' 2\n\n'), (' 2\n', ' 2 \n'), (' 2\n', ' NaN\n'),
                         (' 2\n', ' 2\n# HELP b_total Help.\n# TYPE b_total counter\n'), ('{x="2"}', ''),
                         (' 2\n', ' 2\n# HELP b B.\n# TYPE b gauge\nb 1\na_total{x="3"} 1\n')):
            with self.subTest((old, new)):
                self.assertNotEqual(good.replace(old, new), good)
                self.assertRaises(promtext.FormatError, promtext.parse, good.replace(old, new))


def terminal():
    try:
        return pty.openpty()
    except OSError as error:
        raise unittest.SkipTest("no pseudo-terminals here: %s" % error)


class Terminal:
    """A program that believes to be on a terminal of 24 rows and 80 columns."""

    def __init__(self, argv, env=None):
        import fcntl
        import struct
        import termios
        self.master, slave = terminal()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.child = subprocess.Popen([str(a) for a in argv], stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                      env={**os.environ, "TERM": "xterm", "NO_COLOR": "", **(env or {})})
        self.text = ""

    def read(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            ended = self.child.poll() is not None
            if select.select([self.master], [], [], 0.02)[0]:
                self.text += os.read(self.master, 65536).decode(errors="replace")
            elif ended:
                break
        return self.text

    def wait_for(self, words, seconds=10):
        end = time.monotonic() + seconds
        while words not in self.text and time.monotonic() < end:
            self.read(0.1)
        return words in self.text

    def key(self, text):
        os.write(self.master, text)

    def settings(self):
        import termios
        return termios.tcgetattr(self.slave)

    def close(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        os.close(self.master)
        os.close(self.slave)


class ToolTest(Running):
    def terminal(self, *words, env=None):
        t = Terminal([GUARDCTL, "-s", self.guard.socket, *words], env)
        self.addCleanup(t.close)
        return t

    def test_colours(self):
        self.assertIn("\033[1m", self.terminal("status").read(5))
        self.guard.write("[guard]\nlog-level = loud\n")
        self.ctl("reload", code=1)
        self.assertRegex(self.terminal("status").read(5), "\033\\[31mfailed")
        for words, env in (("status", {"NO_COLOR": "1"}), ("status", {"TERM": "dumb"})):
            self.assertNotIn("\033", self.terminal(words, env=env).read(5))
        self.assertNotIn("\033", self.ctl("status"))

    def test_top_once(self):
        for _ in range(5):
            self.serve()
        text = self.ctl("top", "-n", "1")
        for words in ("face", "lamp", "air", "exemptions", "rates since the start", "forward: "):
            self.assertIn(words, text)
        self.assertNotIn("\033", text)

    def test_top_rates(self):
        """Between two looks with 20 requests and a second there are 20 requests a second, or a little less."""
        child = subprocess.Popen([GUARDCTL, "-s", self.guard.socket, "top", "-n", "2", "-d", "1"], stdout=subprocess.PIPE, text=True)
        time.sleep(0.3)
        for _ in range(20):
            self.serve()
        text = child.communicate(timeout=10)[0]
        self.assertEqual(child.returncode, 0)
        row = [line.split() for line in text.partition("since the last look")[2].splitlines() if line.startswith("lamp")][0]
        self.assertTrue(12 <= float(row[2]) <= 21, row)

    def test_top_on_a_terminal(self):
        for end in (b"q", b"\x03", signal.SIGTERM):
            with self.subTest(end):
                t = self.terminal("top", "-d", "1")
                self.assertTrue(t.wait_for("\033[?1049h") and t.wait_for("lamp"), t.text)
                self.assertNotEqual(t.settings(), t.before)
                frames = t.text.count("\033[H")
                self.assertTrue(frames >= 1)
                wait_until(lambda: t.read(0.2).count("\033[H") > frames, 4, "the next look")
                if isinstance(end, bytes):
                    t.key(end)
                else:
                    t.child.send_signal(end)
                wait_until(lambda: t.read(0.1) and t.child.poll() is not None, 3, "its end")
                self.assertEqual(t.child.returncode, 0)
                self.assertTrue(t.text.rstrip().endswith("\033[?1049l"), repr(t.text[-40:]))
                self.assertEqual(t.settings(), t.before)
                for frame in t.text.split("\033[H")[1:]:
                    rows = frame.partition("\033[J")[0].split("\r\n")
                    self.assertLessEqual(len(rows), 24)
                    self.assertLessEqual(max(len(re.sub("\033\\[[0-9;?]*[a-zA-Z]", "", row)) for row in rows), 80)

    def test_top_when_the_daemon_goes(self):
        t = self.terminal("top", "-d", "1")
        self.assertTrue(t.wait_for("lamp"))
        self.guard.stop()
        wait_until(lambda: t.read(0.1) and t.child.poll() is not None, 5, "its end")
        self.assertEqual(t.child.returncode, 69)
        self.assertEqual(t.settings(), t.before)

    def test_usage(self):
        for words in (("top", "-n", "0"), ("top", "-n", "x"), ("-d", "-1", "top"), ("--completion", "csh"), ("--nonsense",),
                      ("why",), ()):
            with self.subTest(words):
                self.ctl(*words, code=64)

    def test_log(self):
        self.ctl("forget", "192.0.2.7")
        rows = json.loads(self.ctl("--json", "log"))
        self.assertEqual([row["event"] for row in rows], ["started", "forgotten"])
        self.assertIn("192.0.2.7", rows[1]["message"])
        self.assertRegex(rows[0]["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")

    def test_config_and_version(self):
        dumped = subprocess.run([GUARDD, "-D", "-c", self.guard.config], capture_output=True, text=True).stdout
        self.assertEqual(self.ctl("config"), dumped)
        versions = subprocess.run([GUARDD, "-V"], capture_output=True, text=True).stdout
        self.assertEqual(self.ctl("version"), versions)

    def test_report(self):
        self.guard.stop()
        state = "[state]\ndirectory = %s\n" % (self.guard.directory / "state")
        self.guard = Guard(self.text + state, port=self.guard.port, directory=self.guard.directory)
        self.addCleanup(self.guard.stop)
        self.guard.write((self.text + state + harness.guard_context(self.guard.directory, "phone", "01aa", "02bb", "servers = lamp\n"
                                                            "source = 2001:db8:77::5")))
        self.ctl("reload")
        self.serve()
        self.ctl("forget", "198.51.100.9")
        self.ctl("forget", "198.51.100.10")
        text = self.ctl("report")
        for part in ("version", "status", "config", "links", "servers", "contexts", "counters", "log", "metrics", "clients", "redacted"):
            self.assertIn("\n== %s\n" % part, text)
        for secret in ("2001:db8:77", "198.51.100", "0x01aa", "0x02bb", harness.SALT, harness.GUARD_SECRET, "secret-name"):
            self.assertNotIn(secret, text)
        first, second = re.findall(r"records of <ip4-net(\d+)-host(\d+)>", text)
        self.assertEqual(first[0], second[0])
        self.assertNotEqual(first[1], second[1])
        self.assertIn("source = <ip6-net", text)
        self.assertIn("master-salt = <hidden>", text)
        self.assertRegex(text, r"3 addresses in 2 networks, \d+ identifiers of clients, 4 values")

    def test_report_without_daemon(self):
        self.guard.stop()
        text = self.ctl("report", code=69)
        self.assertIn("support report", text)
        self.assertIn("did not answer", text)


class CompletionTest(unittest.TestCase):
    def script(self, shell):
        done = subprocess.run([GUARDCTL, "--completion", shell], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        path = harness.scratch() / ("completion." + shell)
        path.write_text(done.stdout)
        return path

    def check(self, shell):
        done = subprocess.run([shell, "-n", self.script(shell)], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def words(self):
        """What --help says."""
        text = subprocess.run([GUARDCTL, "--help"], capture_output=True, text=True).stdout
        commands = re.findall(r"^  ([a-z]+)(?: ([a-z]+))?\b", text, re.M)
        options = re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", text, re.M)
        return commands, options

    def test_bash(self):
        self.check("bash")

    @is_installed("zsh")
    def test_zsh(self):
        self.check("zsh")

    @is_installed("fish")
    def test_fish(self):
        self.check("fish")

    def bash_offers(self, *line, program="coap-guardctl"):
        function = "_" + program.replace("-", "_")
        script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); compopt() { :; }; %s; '
                  'printf "%%s\\n" "${COMPREPLY[@]}"' % function)
        done = subprocess.run(["bash", "-c", script, "bash", self.script("bash"), program, *line], capture_output=True, text=True,
                              env=dict(os.environ, PATH="%s:%s" % (harness.BUILD, os.environ["PATH"])))
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    def test_bash_offers(self):
        commands, options = self.words()
        self.assertGreater(len(commands), 15)
        self.assertEqual(self.bash_offers(""), list(dict.fromkeys(first for first, _ in commands)))
        self.assertLessEqual(set(options), set(self.bash_offers("-")))
        self.assertEqual(self.bash_offers("--json", "st"), ["status"])
        self.assertEqual(self.bash_offers("context", ""), ["new", "reset"])
        self.assertEqual(self.bash_offers("-s", "/a", "trace", "o"), ["on", "off"])
        self.assertEqual(self.bash_offers("--completion", "z"), ["zsh"])
        self.assertEqual(self.bash_offers("status", ""), [])
        self.assertEqual(self.bash_offers("-l", "w", program="coap-guardd"), ["warn"])
        self.assertIn("--check-config", self.bash_offers("--c", program="coap-guardd"))
        self.assertTrue(any(w.endswith("LICENSE") for w in self.bash_offers("trace", "on", str(ROOT) + "/L")))

    @is_installed("fish")
    def test_fish_offers(self):
        def offers(line):
            done = subprocess.run(["fish", "--no-config", "-c", 'source $argv[1]; complete -C $argv[2]', self.script("fish"), line],
                                  capture_output=True, text=True, env=dict(os.environ, HOME=str(harness.scratch())))
            return [l.split("\t")[0] for l in done.stdout.splitlines()]

        commands, options = self.words()
        self.assertEqual(set(offers("coap-guardctl ")), {first for first, _ in commands})
        self.assertLessEqual(set(options), set(offers("coap-guardctl --")))
        self.assertEqual(set(offers("coap-guardctl context ")), {"new", "reset"})
        self.assertEqual(offers("coap-guardd --log-level w"), ["warn"])


class ManualTest(unittest.TestCase):
    def dump(self):
        path = harness.scratch() / "all.conf"
        path.write_text("[listen a]\n[link b]\n[server c]\naddress = coap://[2001:db8::1]\n"
                        "[context d]\nsender-id = 0x01\nrecipient-id = 0x02\n")
        done = subprocess.run([GUARDD, "-D", "-c", path], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_every_key(self):
        """What --dump-config prints is in coap-guard.conf(5), each key under its section."""
        manual = dict(re.findall(r"^\.Ss \[([a-z-]+)(?: NAME)?\]\\&\n(.*?)(?=^\.S[sh] )", (DOCS / "man/coap-guard.conf.5").read_text(),
                                 re.M | re.S))
        section, seen = None, 0
        for line in self.dump().splitlines():
            if line.startswith("["):
                section = re.match(r"\[([a-z-]+)", line).group(1)
                self.assertIn(section, manual)
            elif " = " in line or re.match(r"[a-z-]+ =", line):
                self.assertIn("\n.It Ic %s\n" % line.split(" ")[0], manual[section])
                seen += 1
        self.assertGreater(seen, 60)

    def test_every_option(self):
        for program, page in ((GUARDD, "coap-guardd.8"), (GUARDCTL, "coap-guardctl.8")):
            manual = (DOCS / "man" / page).read_text()
            text = subprocess.run([program, "--help"], capture_output=True, text=True).stdout
            for option in re.findall(r"--([a-z-]+)", text):
                self.assertRegex(manual, r"Fl Fl %s\b" % option)

    def test_every_example(self):
        examples = sorted((ROOT / "conf/examples").glob("*.conf"))
        self.assertLessEqual({"reverse-proxy.conf", "forward-proxy.conf", "two-links.conf", "oscore.conf", "sleepy-sensor.conf"},
                             {path.name for path in examples})
        for path in examples:
            done = subprocess.run([GUARDD, "-C", "-c", path], capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stderr), (0, ""), path)

    def test_every_file_installs(self):
        target = harness.scratch()
        build = harness.BUILD
        done = subprocess.run(["make", "-s", "-C", str(ROOT), "install", "-o", "all", "B=%s" % build, "DESTDIR=%s" % target],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        for path in ("usr/share/man/man8/coap-guardd.8", "usr/share/man/man8/coap-guardctl.8", "usr/share/man/man5/coap-guard.conf.5",
                     "usr/share/man/man7/coap-guard.7", "usr/share/bash-completion/completions/coap-guardd",
                     "usr/share/zsh/vendor-completions/_coap-guardctl", "usr/share/fish/vendor_completions.d/coap-guardd.fish",
                     "usr/share/doc/coap-guardd/examples/grafana.json", "usr/share/doc/coap-guardd/examples/reverse-proxy.conf"):
            self.assertTrue((target / path).stat().st_size > 0, path)


JOURNAL = """
import os, socket, sys, threading
os.makedirs("/run/systemd/journal")
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("/run/systemd/journal/socket")
def collect():
    with open(sys.argv[1], "a") as out:
        while True:
            print(repr(s.recv(65536)), file=out, flush=True)
threading.Thread(target=collect, daemon=True).start()
stream, far = socket.socketpair()
st = os.fstat(stream.fileno())
if os.fork() == 0:
    os.dup2(stream.fileno(), 2)
    os.environ["JOURNAL_STREAM"] = "%d:%d" % (st.st_dev, st.st_ino)
    os.execv(sys.argv[2], sys.argv[2:])
stream.close()
with open(sys.argv[1] + ".stream", "wb") as out:
    while more := far.recv(4096):
        out.write(more)
os.wait()
"""


def may_unshare():
    return shutil.which("unshare") and subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0


class JournalTest(unittest.TestCase):
    @unittest.skipUnless(may_unshare(), "no mount namespace to put a journal in")
    def test_fields(self):
        """The daemon between a service manager and a journal, both of which are this test."""
        directory = harness.scratch()
        collected = directory / "journal"
        (directory / "journal.py").write_text(JOURNAL)
        device = Device()
        self.addCleanup(device.close)
        config, control = directory / "guard.conf", directory / "control.sock"
        text = (CONFIGURATION % (device.port, free_tcp_port())).replace("{port}", str(harness.free_port()))
        text += "[control]\nsocket = %s\ngroup =\n" % control
        config.write_text(text)
        process = harness.Process(["unshare", "-m", "sh", "-c", "mount -t tmpfs none /run && exec python3 \"$@\"", "sh",
                                   directory / "journal.py", collected, GUARDD, "-c", config], directory / "log")

        def ctl(*words):
            return subprocess.run([GUARDCTL, "-s", control, *words], capture_output=True, text=True)

        def entries():
            if not collected.exists():
                return []
            return [dict(field.split("=", 1) for field in eval(line).decode().splitlines())
                    for line in collected.read_text().splitlines()]

        wait_until(lambda: any(e.get("COAP_GUARD_EVENT") == "started" for e in entries()), 10, "the journal; " + process.output())
        ctl("forget", "2001:db8::5")
        config.write_text(text.replace("name = face", "nonsense = 1\nlog-level = loud"))
        self.assertEqual(ctl("reload").returncode, 1)
        config.write_text(text)
        self.assertEqual(ctl("reload").returncode, 0)
        wait_until(lambda: entries() and entries()[-1].get("COAP_GUARD_EVENT") == "reloaded", 5, "the reload")
        daemon = ctl("--json", "status")
        os.kill(json.loads(daemon.stdout)["status"]["pid"], signal.SIGTERM)
        wait_until(lambda: not process.alive(), 5, "its end")
        got = entries()
        self.assertEqual([e.get("COAP_GUARD_EVENT") for e in got],
                         ["started", "forgotten", "config-error", "config-error", "reload-failed", "reloaded", "stopped"])
        self.assertEqual([e["PRIORITY"] for e in got], ["6", "6", "3", "3", "3", "6", "6"])
        self.assertEqual(got[1]["COAP_PEER"], "2001:db8::5")
        rows = dict(re.findall(r"^\| `([a-z-]+)` \| `([0-9a-f]{32})` \|", (DOCS / "operations.md").read_text(), re.M))
        for e in got:
            self.assertEqual(e["MESSAGE_ID"], rows[e["COAP_GUARD_EVENT"]])
            self.assertEqual(e["SYSLOG_IDENTIFIER"], "coap-guardd")
        # nothing twice: the stream got nothing
        self.assertEqual((directory / "journal.stream").read_bytes(), b"")


if __name__ == "__main__":
    unittest.main(verbosity=2)
