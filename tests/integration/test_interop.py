"""Real clients reach real devices through the guard: plain and OSCORE, reverse and forward, blocks, Observe.

Every case runs one client against one device by one way, all together in a small pool of threads; each test method
then reports its own case.
"""
import concurrent.futures
import itertools
import os
import subprocess
import unittest

import harness
from harness import PEERS, SUPPORT, RawClient
import rawcoap
from device import Device, reply

BODY = bytes(range(256)) * 16  # 4 KiB, four blocks of 1024
# libcoap's clients send a request with Proxy-Scheme to port 5683 of the proxy, whatever its URI says.
COAP_PORT_HOST = "127.83.%d.%d" % (1 + os.getpid() // 250 % 250, 1 + os.getpid() % 250)

CONFIG = """
[guard]
exchanges = 4096
memory-limit = 32MiB
[listen all]
bind = 127.0.0.1:{port}
bind = %s:5683
server =
%s
[link wide]
rate = 100Mbit/s
burst = 1MiB
queue-length = 1024
nstart = 16
%s
[throttle]
unknown-rate = 100000/s
"""
LISTEN = """
[listen for-%s]
bind = 127.0.0.1:%d
server = %s
"""
SERVER = """
[server %s]
address = coap://127.0.0.1:%d
uri-host = %s.example
forward = yes
unknown-rate = 100000/s
unknown-budget = 1000000/day
observe-max = 200
"""


class Peer:
    """A device behind the guard."""

    def __init__(self, name, kind, oscore):
        self.name, self.kind, self.oscore = name, kind, oscore
        self.port, self.listen = harness.free_port(), harness.free_port()

    def start(self, directory, kids):
        if self.kind == "aiocoap":
            return harness.start_aiocoap_server(self.port, directory, kids)
        process = harness.start_libcoap_server(self.kind, self.port, directory, kids if self.oscore else ())
        # When several block-wise PUTs of one endpoint create resources, libcoap's server takes one for another.
        client = RawClient(self.port)
        for case in CASES:
            if case.device is self and case.deed == "blocks":
                client.ask(client.request(rawcoap.PUT, case.store, payload=b"-"))
        client.close()
        return process

    get = property(lambda self: "hello" if self.kind == "aiocoap" else "time")
    ticks_in = property(lambda self: 2 if self.kind == "aiocoap" else 5)  # seconds for three notifications and one


# Plain and OSCORE clients have a libcoap server each; that they can also share one is the business of Mixed below.
DEVICES = [Peer("notls", "coap-server-notls", False), Peer("openssl", "coap-server-openssl", False),
           Peer("oscore", "coap-server-openssl", True), Peer("aiocoap", "aiocoap", True)]


class Case:
    """One client, one way, one device, one thing to do."""

    def __init__(self, client, way, device, deed, kid):
        self.client, self.way, self.device, self.deed, self.kid = client, way, device, deed, kid
        self.name = "_".join((client.name, way, device.name, deed)).replace("-", "_")
        self.store = "store/" + self.name if device.kind == "aiocoap" else self.name

    def uri(self, path):
        """What the client is asked for: the guard's URI when reverse, the device's own when forward."""
        if self.way.startswith("proxy"):
            return "coap://127.0.0.1:%d/%s" % (self.device.port, path)
        if self.client.oscore and self.way == "reverse":
            return "coap://127.0.0.1:%d/%s" % (self.device.listen, path)
        if self.way == "host":
            return "coap://127.0.0.1:%d/%s" % (run.guard.port, path)
        return "coap://127.0.0.1:%d/%s/%s" % (run.guard.port, self.device.name, path)

    def execute(self):
        getattr(self, self.deed)()

    def get(self):
        payload = self.client.fetch(self, self.device.get)
        if self.device.kind == "aiocoap":
            assert payload == b"hello", payload
        else:
            assert payload.startswith((b"Now", b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep",
                                       b"Oct", b"Nov", b"Dec")), payload

    def blocks(self):
        self.client.store(self, self.store, BODY)
        payload = self.client.fetch(self, self.store)
        assert payload == BODY, "%d bytes came back" % len(payload)

    def observe(self):
        seen = self.client.observe(self, "time")
        assert len(seen) >= 4 and len(set(seen)) >= 4, "the answer and three notifications, got %r" % seen


def run_client(argv, seconds=30):
    done = subprocess.run([str(a) for a in argv], capture_output=True, timeout=seconds, stdin=subprocess.DEVNULL)
    return done.stdout, done.stderr.decode(errors="replace")


class Libcoap:
    """coap-client: of this Debian without OSCORE, of Debian 13 with and without."""

    def __init__(self, name, tool, oscore):
        self.name, self.tool, self.oscore = name, tool, oscore
        # 4.3.4 crashes by itself on -E with a Proxy-Uri (free(): invalid pointer), before it sends anything
        self.ways = ("reverse", "proxy-scheme") if oscore else ("reverse", "host", "proxy-uri", "proxy-scheme")

    def command(self, case, *more):
        argv = [PEERS / self.tool, "-B", 15]
        if self.oscore:
            conf = run.directory / (case.name + ".conf")
            harness.libcoap_context(conf, case.kid, ["02"])
            argv += ["-E", "%s,%s" % (conf, conf.with_suffix(".seq"))]
        if case.way == "proxy-uri":
            argv += ["-P", "coap://127.0.0.1:%d" % run.guard.port]
        elif case.way == "proxy-scheme":
            argv += ["-P", "coap://" + COAP_PORT_HOST, "-O", "39,coap", "-O", "3,127.0.0.1"]
        elif case.way == "host":
            argv += ["-U", "-O", "3,%s.example" % case.device.name]
        return argv + list(more)

    def fetch(self, case, path):
        out = run.directory / (case.name + ".out")
        _, errors = run_client(self.command(case, "-o", out, case.uri(path)))
        assert out.exists(), "no payload; " + errors
        return out.read_bytes()

    def store(self, case, path, body):
        if self.oscore:  # 4.3.4 cannot repeat a first block with an Echo; by now the device's replay window is settled
            self.fetch(case, case.device.get)
        source = run.directory / (case.name + ".in")
        source.write_bytes(body)
        out, errors = run_client(self.command(case, "-m", "put", "-f", source, case.uri(path)))
        said = [line for line in (out.decode(errors="replace") + errors).splitlines()
                # what 4.3.4 says when it fails to answer a CoAP ping outside its OSCORE layer
                if line.strip() and "PDU could not be encrypted" not in line]
        assert not said, said

    def observe(self, case, path):
        out, errors = run_client(self.command(case, "-w", "-s", case.device.ticks_in, case.uri(path)))
        lines = [line for line in out.splitlines() if line]
        assert lines, "no notification; " + errors
        return lines


class Scripted:
    """The clients that print JSON lines: aiocoap with and without OSCORE, npm's coap."""

    def __init__(self, name, command, oscore, ways):
        self.name, self.command, self.oscore, self.ways = name, command, oscore, ways

    def run(self, case, path, *more):
        argv = [*self.command, *more, "--timeout", 15]
        if self.oscore:
            context = run.directory / (case.name + ".context")
            if not context.exists():
                harness.aiocoap_context(context, case.kid, "02")
            argv += ["--context", context]
        if case.way.startswith("proxy"):
            argv += ["--" + case.way, "127.0.0.1:%d" % run.guard.port]
        elif case.way == "host":
            argv += ["--outer-host", case.device.name + ".example"]
        out, errors = run_client(argv + [case.uri(path)])
        lines = harness.json_lines(out.decode())
        assert lines and all("code" in line for line in lines), "%s %s" % (lines, errors[-500:])
        return lines

    def fetch(self, case, path):
        line = self.run(case, path)[0]
        assert line["code"].startswith("2.05"), line
        return bytes.fromhex(line["payload"])

    def store(self, case, path, body):
        source = run.directory / (case.name + ".in")
        source.write_bytes(body)
        line = self.run(case, path, "--method", "put", "--file", source)[0]
        assert line["code"].startswith("2.0"), line

    def observe(self, case, path):
        return [line["payload"] for line in self.run(case, path, "--observe", 3)]


AIO = PEERS / "aio-python"
CLIENTS = [
    Libcoap("libcoap_notls", "coap-client-notls", False),
    Libcoap("libcoap_openssl", "coap-client-openssl", False),
    Libcoap("libcoap_oscore", "coap-client-openssl", True),
    Scripted("aiocoap", [AIO, SUPPORT / "plain_client.py"], False, ("reverse", "proxy-uri", "proxy-scheme")),
    Scripted("aiocoap_oscore", [AIO, SUPPORT / "oscore_client.py"], True,
             ("reverse", "host", "proxy-uri", "proxy-scheme")),
    Scripted("npm", [PEERS / "npm-node", SUPPORT / "npm_client.js"], False, ("reverse", "proxy-uri", "proxy-scheme")),
]


def wanted(client, way, device, deed):
    """Every client by every way; the slow observations against each device only once per client."""
    if client.oscore and not device.oscore or device.name == "oscore" and not client.oscore:
        return False
    if deed == "observe" and device.kind != "aiocoap":
        return way == client.ways[DEVICES.index(device) % len(client.ways)]
    return True


def all_cases():
    kid = 0x10
    for client in CLIENTS:
        for way in client.ways:
            for device in DEVICES:
                for deed in ("get", "blocks", "observe"):
                    if wanted(client, way, device, deed):
                        kid += client.oscore
                        yield Case(client, way, device, deed, "%02x" % kid)


class Run:
    """The guard, the devices and the cases under way; started once."""

    def start(self):
        self.directory = harness.scratch()
        kids = [case.kid for case in CASES if case.client.oscore]
        self.devices = [device.start(self.directory, kids) for device in DEVICES]
        text = CONFIG % (COAP_PORT_HOST, "".join(LISTEN % (d.name, d.listen, d.name) for d in DEVICES),
                         "".join(SERVER % (d.name, d.port, d.name) for d in DEVICES))
        self.guard = harness.Guard(text, directory=self.directory)
        self.pool = concurrent.futures.ThreadPoolExecutor(int(os.environ.get("POOL", 6)))
        # observations mostly wait: they go first
        self.results = {case.name: self.pool.submit(case.execute)
                        for case in sorted(CASES, key=lambda c: c.deed != "observe")
                        if case.client.name != "npm" or (PEERS / "npm-node").exists()}

    def stop(self):
        self.pool.shutdown(cancel_futures=True)
        self.guard.stop()
        for device in self.devices:
            device.stop()


CASES = list(all_cases())
run = Run()


def setUpModule():
    only = os.environ.get("CASES")
    if only:
        CASES[:] = [case for case in CASES if only in case.name]
    run.start()


def tearDownModule():
    run.stop()


class Interop(unittest.TestCase):
    def check(self, case):
        if case.name not in run.results:
            self.skipTest("npm's client is not on this machine" if case.client.name == "npm" else "not chosen")
        run.results[case.name].result(120)


for _case in CASES:
    setattr(Interop, "test_" + _case.name, lambda self, case=_case: self.check(case))


class Unmodified(unittest.TestCase):
    """No byte of a response changes but token, Message ID and type."""

    ODD = ((1, b"\x01"), (4, b"\xde\xad"), (8, b"x"), (9, b"\x01\x05"), (12, b""), (14, b""), (17, b"\x3c"),
           (20, b"q" * 40), (252, b"opaque!!"), (260, b"\x1a"), (65000, b"\0" * 20))

    @classmethod
    def setUpClass(cls):
        cls.device = Device()
        cls.guard = harness.Guard("""
            [listen all]
            bind = 127.0.0.1:{port}
            server = raw
            [link wide]
            rate = 100Mbit/s
            burst = 1MiB
            [server raw]
            address = coap://127.0.0.1:%d
            unknown-rate = 1000/s
            unknown-budget = 100000/day
            [throttle]
            unknown-rate = 100000/s
            """.replace("            ", "") % cls.device.port)
        cls.client = RawClient(cls.guard.port)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.guard.stop()
        cls.device.close()

    def tail(self, message):
        """Everything after the token: code, options, payload as they stood on the wire."""
        raw = rawcoap.encode(message._replace(token=b"", mid=0, type=0))
        return raw[1:2] + raw[4:]

    numbers = itertools.count(1)  # Partial IVs, over all tests of this class

    def oscore_request(self, **more):
        value = rawcoap.oscore_value(b"\x07", next(self.numbers))
        return self.client.request(rawcoap.POST, options=((rawcoap.OSCORE, value),), payload=os.urandom(30), **more)

    def test_response_bytes(self):
        for code, payload, options in (
                ("2.04", b"\xff\xff\0\xff", self.ODD), ("2.05", bytes(range(256)) * 3, self.ODD[3:4]),
                ("4.01", b"", ((9, b""), (14, b"\0"))), ("2.04", b"", ((9, b""),)), ("5.00", b"\0", ()),
                ("2.31", b"", ((9, b"\x29\x01\x02"), (27, b"\x0e")))):
            with self.subTest(code=code, payload=payload):
                sent = []

                def answer(request):
                    sent.append(reply(request, code, payload, options))
                    return sent[-1]

                self.device.answer = answer
                request = self.oscore_request()
                self.client.send(request)
                got = self.client.receive_message()
                self.assertIsNotNone(got)
                self.assertEqual((got.token, got.mid, got.type), (request.token, request.mid, rawcoap.ACK))
                self.assertEqual(self.tail(got), self.tail(sent[0]))

    def test_request_bytes(self):
        """Towards the device nothing that OSCORE protects or authenticates changes either."""
        self.device.answer = lambda request: reply(request, "2.04", b"", ((9, b""),))
        options = ((1, b"\x07"), (9, rawcoap.oscore_value(b"\x07", 50, b"ctx")), (12, b"\x2a"), (60, b"\x10"),
                   (292, b"\x01\x02\x03\x04"), (2048, b"\0\1"))
        request = self.client.request(rawcoap.FETCH, options=options, payload=b"\xff" + bytes(range(200)),
                                      token=bytes(range(8)))
        self.client.send(request)
        self.assertIsNotNone(self.client.receive_message())
        got = self.device.requests()[-1]
        kept = tuple(o for o in got.options if o[0] != rawcoap.HOP_LIMIT)
        self.assertEqual((got.code, kept, got.payload), (request.code, options, request.payload))
        self.assertEqual(len(got.token), 8)
        self.assertNotEqual(got.token, request.token)

    def test_separate_and_non(self):
        self.device.answer = lambda request: [
            rawcoap.Message(rawcoap.ACK, rawcoap.EMPTY, request.mid),
            rawcoap.Message(rawcoap.CON, rawcoap.code("2.04"), 4711, request.token, self.ODD, b"late")]
        request = self.oscore_request()
        got = self.client.ask(request)
        self.assertIsNotNone(got)
        self.assertEqual((got.token, self.tail(got)),
                         (request.token, self.tail(got._replace(options=self.ODD, payload=b"late"))))
        harness.wait_until(lambda: any(m and m.type == rawcoap.ACK and m.mid == 4711
                                       for _, _, m in self.device.received), 2, "our ACK at the device")

        self.device.answer = lambda request: reply(request, "2.04", b"non", self.ODD)
        request = self.oscore_request(type=rawcoap.NON)
        got = self.client.ask(request)
        self.assertIsNotNone(got)
        self.assertEqual(got.type, rawcoap.NON)
        self.assertEqual((got.token, got.options, got.payload), (request.token, self.ODD, b"non"))

    def test_long_tokens(self):
        """Tokens of RFC 8974 come back as they were sent."""
        self.device.answer = lambda request: reply(request, "2.04", b"", ((9, b""),))
        for length in (0, 1, 8, 9, 12, 13, 64):
            with self.subTest(length=length):
                request = self.oscore_request(token=os.urandom(length))
                got = self.client.ask(request)
                self.assertIsNotNone(got)
                self.assertEqual(got.token, request.token)


class Mixed(unittest.TestCase):
    """Plain and OSCORE clients at one device of libcoap 4.3.4, which keeps OSCORE per endpoint: once an endpoint has
    sent it OSCORE, it drops that endpoint's plain requests. All clients together must not be one endpoint to it."""

    def test_plain_after_oscore(self):
        directory = harness.scratch()
        port = harness.free_port()
        device = harness.start_libcoap_server("coap-server-openssl", port, directory, ["11"])
        guard = harness.Guard("[listen all]\nbind = 127.0.0.1:{port}\n[link l]\n[server dev]\n"
                              "address = coap://127.0.0.1:%d\n" % port, directory=directory)
        client = RawClient(guard.port)
        try:
            context = harness.aiocoap_context(directory / "client", "11", "02")
            out, errors = run_client([AIO, SUPPORT / "oscore_client.py", "--context", context,
                                      "coap://127.0.0.1:%d/time" % guard.port])
            self.assertIn(b"2.05", out, errors)
            got = client.ask(client.request(path="dev/time"), 3)
            self.assertIsNotNone(got, "no answer to the plain request")
            self.assertEqual(rawcoap.dotted(got.code), "2.05")
        finally:
            client.close()
            guard.stop()
            device.stop()


class Created(unittest.TestCase):
    """Where aiocoap's server says that it made something, aiocoap's client finds it: under the server's path, and forward."""

    def test_location(self):
        directory, port = harness.scratch(), harness.free_port()
        device = harness.start_aiocoap_server(port, directory)
        guard = harness.Guard("[listen all]\nbind = 127.0.0.1:{port}\n[link l]\n[server dev]\nuri-path = house/dev\n"
                              "forward = yes\naddress = coap://127.0.0.1:%d\n" % port, directory=directory)
        body = directory / "body"
        ways = [("coap://127.0.0.1:%d/" % guard.port, "house/dev/", []),
                ("coap://127.0.0.1:%d/" % port, "", ["--proxy-uri", "127.0.0.1:%d" % guard.port])]
        try:
            for n, (base, path, proxy) in enumerate(ways, 1):
                body.write_bytes(b"made %d" % n)
                made = self.ask(base + path + "store/new", "-m", "post", "-f", body, *proxy)
                self.assertEqual((made["code"], made.get("location")), ("2.01 Created", "%sstore/%d" % (path, n)))
                got = self.ask(base + made["location"], *proxy)
                self.assertEqual((got["code"], bytes.fromhex(got["payload"])), ("2.05 Content", b"made %d" % n))
        finally:
            guard.stop()
            device.stop()

    def ask(self, *argv):
        out, errors = run_client([AIO, SUPPORT / "plain_client.py", *argv])
        answers = harness.json_lines(out.decode())
        self.assertTrue(answers and "code" in answers[0], (out, errors))
        return answers[0]


class QuietDay(unittest.TestCase):
    """The default configuration, one unknown client, no attack: nobody notices the guard."""

    def test_first_request(self):
        with_device = Device()
        guard = harness.Guard("[listen all]\nbind = 127.0.0.1:{port}\n[link l]\n[server lamp]\n"
                              "address = coap://127.0.0.1:%d\n" % with_device.port)
        try:
            client = RawClient(guard.port)
            got = client.ask(client.request(path="lamp/a"))
            self.assertIsNotNone(got)
            self.assertEqual((rawcoap.dotted(got.code), got.payload), ("2.05", b"a"))
            self.assertEqual(len(with_device.requests()), 1)
        finally:
            client.close()
            guard.stop()
            with_device.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
