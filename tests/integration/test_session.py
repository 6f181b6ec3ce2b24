"""CoAP over DTLS, TCP and TLS, on both sides of the guard, with libcoap's own client and server and with raw bytes."""
import concurrent.futures
import os
import re
import signal
import socket
import subprocess
import time
import unittest

import harness
from device import Device, default_answer, reply
from harness import PEERS, RawClient, wait_until
import rawcoap
import rawtcp

KEY = "0123456789abcdef"  # what libcoap's tools take as text
OTHER_KEY = "fedcba9876543210"
BODY = bytes(range(256)) * 16  # 4 KiB, four blocks of 1024
CLIENT = PEERS / "coap-client-openssl"

CONFIG = """
[guard]
exchanges = 4096
memory-limit = 64MiB
[listen udp]
bind = 127.0.0.1:{port}
[listen tcp]
bind = 127.0.0.1:{port}
transport = tcp
[listen dtls]
bind = 127.0.0.1:%(secure)d
transport = dtls
psk-file = clients.psk
[listen tls]
bind = 127.0.0.1:%(secure)d
transport = tls
psk-file = clients.psk
[link wide]
rate = 100Mbit/s
burst = 1MiB
queue-length = 1024
nstart = 16
ack-timeout = 1s
max-retransmit = 1
[throttle]
unknown-rate = 100000/s
reply-rate = 100000/s
%(servers)s
"""
SERVER = """
[server %s]
address = %s
unknown-rate = 100000/s
unknown-budget = 1000000/day
observe-max = 200
"""
PSK = "psk-identity = guard\npsk-file = %s\n"
SCHEMES = {"udp": "coap", "dtls": "coaps", "tcp": "coap+tcp", "tls": "coaps+tcp"}


def free_ports():
    """A port, and the one after it, that are free for UDP and TCP: libcoap's server takes both."""
    while True:
        port = harness.free_port()
        try:
            if harness.free_port() != port + 1:
                continue
            for p in (port, port + 1):
                with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
                    s.bind(("127.0.0.1", p))
            return port
        except OSError:
            continue


def private(path, text):
    path.write_text(text)
    path.chmod(0o600)
    return path


def hex_of(key):
    return key.encode().hex()


class Server:
    """libcoap's: plain at `port`, DTLS and TLS at the next one. It can be stopped and started again."""

    def __init__(self, directory, kids=()):
        self.directory, self.port, self.kids = directory, free_ports(), kids
        self.process = None
        self.start()

    def start(self):
        argv = [PEERS / "coap-server-openssl", "-A", "127.0.0.1", "-p", self.port, "-d", 250, "-v", 1, "-k", KEY]
        if self.kids:
            argv += ["-E", harness.libcoap_context(self.directory / ("server-%d.conf" % self.port), "02", self.kids)]
        self.process = harness.Process(argv, self.directory / ("server-%d.log" % self.port))
        harness.wait_until(lambda: harness.answers_ping(self.port), 5, "coap-server-openssl")

    def address(self, transport):
        secure = transport in ("dtls", "tls")
        return "%s://127.0.0.1:%d" % (SCHEMES[transport], self.port + secure)

    def section(self, name, transport, key="server.key", more=""):
        return (SERVER % (name, self.address(transport)) +
                (PSK % key if transport in ("dtls", "tls") else "") + more)


class Client:
    """libcoap's tool."""

    def __init__(self, directory, tool=CLIENT):
        self.directory, self.tool, self.serial = directory, tool, iter(range(1 << 20))

    def run(self, uri, *more, seconds=8, key=KEY, context=None):
        argv = [self.tool, "-B", seconds, "-v", 1]
        if uri.startswith("coaps"):
            argv += ["-u", "phone", "-k", key]
        if context:
            argv += ["-E", "%s,%s" % (context, context.with_suffix(".seq"))]
        done = subprocess.run([str(a) for a in (*argv, *more, uri)], capture_output=True, timeout=seconds + 20,
                              stdin=subprocess.DEVNULL)
        return done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")

    def get(self, uri, **more):
        """The payload, or what went wrong in its place."""
        out = self.directory / ("out-%d" % next(self.serial))
        said = self.run(uri, "-m", "get", "-o", out, **more)
        return out.read_bytes() if out.exists() else " ".join(said).encode()

    def put(self, uri, body):
        source = self.directory / ("in-%d" % next(self.serial))
        source.write_bytes(body)
        return self.run(uri, "-m", "put", "-f", source)

    def observe(self, uri, seconds=4):
        out, errors = self.run(uri, "-m", "get", "-w", "-s", seconds)
        return [line for line in out.splitlines() if line], errors


def is_time(payload):
    return re.search(rb"\d\d:\d\d:\d\d", payload) is not None


def libcoap_of_the_guard():
    said = subprocess.run([str(harness.GUARDD), "--version"], capture_output=True, text=True).stdout
    found = re.search(r"libcoap (\d+)\.(\d+)\.(\d+)", said)
    return tuple(int(n) for n in found.groups())


class Rig:
    """A guard with four doors before a server with four."""

    WAYS = ("udp", "dtls", "tcp", "tls")

    def start(self):
        self.directory = harness.scratch()
        private(self.directory / "clients.psk", "# who may come\nphone %s\n\nwatch 0x%s\n"
                % (hex_of(KEY), hex_of(OTHER_KEY)))
        private(self.directory / "server.key", hex_of(KEY))
        private(self.directory / "wrong.key", hex_of(OTHER_KEY))
        self.server = Server(self.directory)
        self.oscore = Server(self.directory, ["10", "11", "12", "13", "14", "15", "16"])
        self.secure, self.port = free_ports(), free_ports()
        self.oscore_ports = {way: free_ports() for way in self.WAYS}
        sections = "".join(self.server.section(way, way) for way in self.WAYS)
        sections += "".join(self.oscore.section("o" + way, way, more="uri-host = o%s\nforward = %s\n" % (way, "no" if way == "udp" else "yes")) +
                            "[listen o%s]\nbind = 127.0.0.1:%d\nserver = o%s\n" % (way, self.oscore_ports[way], way)
                            for way in self.WAYS)
        for way in ("dtls", "tcp", "tls"):
            sections += ("[listen p%s]\nbind = 127.0.0.1:%d\ntransport = %s\nserver = oudp\n" %
                         (way, self.oscore_ports["udp"] + (1 if way == "dtls" else 0) if way != "tls"
                          else self.oscore_ports["udp"] + 1, way))
            sections += "" if way == "tcp" else "psk-file = clients.psk\n"
        self.guard = harness.Guard(CONFIG % {"secure": self.secure, "servers": sections}, port=self.port,
                                   directory=self.directory)
        self.client = Client(self.directory)

    def uri(self, way, path):
        return "%s://127.0.0.1:%d/%s" % (SCHEMES[way], self.secure if way in ("dtls", "tls") else self.port, path)

    def stop(self):
        self.guard.stop()
        for server in (self.server, self.oscore):
            server.process.stop()


rig = Rig()


def setUpModule():
    rig.start()


def tearDownModule():
    rig.stop()


def in_parallel(deed, rows):
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        return list(zip(rows, pool.map(lambda row: deed(*row), rows)))


class RealPeers(unittest.TestCase):
    def test_every_way_in_with_every_way_out(self):
        rows = [(way_in, way_out) for way_in in rig.WAYS for way_out in rig.WAYS]
        for row, payload in in_parallel(lambda i, o: rig.client.get(rig.uri(i, o + "/time")), rows):
            with self.subTest(row=row):
                self.assertTrue(is_time(payload), payload)

    def test_client_of_this_debian(self):
        tool = "/usr/bin/coap-client-openssl"
        if not os.path.exists(tool):
            self.skipTest("only one libcoap here")
        client = Client(rig.directory, tool)
        for way in rig.WAYS:
            with self.subTest(way=way):
                self.assertTrue(is_time(client.get(rig.uri(way, "udp/time"))))

    def test_four_kilobytes(self):
        rows = [("udp", "dtls"), ("udp", "tcp"), ("udp", "tls"), ("dtls", "udp"), ("tcp", "udp"), ("tls", "udp"),
                ("tcp", "tls")]
        plain = RawClient(rig.server.port)
        for i, o in rows:  # one by one: several block-wise PUTs of one endpoint are one to libcoap's server
            plain.ask(plain.request(rawcoap.PUT, "big-%s-%s" % (i, o), payload=b"-"))
        plain.close()

        def there_and_back(i, o):
            uri = rig.uri(i, "%s/big-%s-%s" % (o, i, o))
            said = rig.client.put(uri, BODY)
            return said, rig.client.get(uri)

        for row in rows:
            said, payload = there_and_back(*row)
            with self.subTest(row=row):
                self.assertEqual(payload, BODY, "%s; %d bytes came back" % (said, len(payload)))

    def test_observe(self):
        rows = [("udp", "dtls"), ("udp", "tcp"), ("udp", "tls"), ("dtls", "udp"), ("tcp", "udp"), ("tls", "udp")]
        for row, (lines, errors) in in_parallel(lambda i, o: rig.client.observe(rig.uri(i, o + "/time")), rows):
            with self.subTest(row=row):
                self.assertGreaterEqual(len(set(lines)), 3, "%s %s" % (lines, errors))

    def test_oscore_through_every_way_out(self):
        for kid, way in zip(("10", "11", "12", "13"), rig.WAYS):
            context = harness.libcoap_context(rig.directory / ("client-%s.conf" % kid), kid, ["02"])
            uri = "coap://127.0.0.1:%d/time" % rig.oscore_ports[way]
            with self.subTest(way=way):
                payload = rig.client.get(uri, context=context)
                self.assertTrue(is_time(payload), payload)

    def test_oscore_by_every_way_in(self):
        passes = libcoap_of_the_guard() < (4, 3, 2)
        port = rig.oscore_ports["udp"]
        for kid, way in zip(("14", "15", "16"), ("dtls", "tcp", "tls")):
            context = harness.libcoap_context(rig.directory / ("client-%s.conf" % kid), kid, ["02"])
            uri = "%s://127.0.0.1:%d/time" % (SCHEMES[way], port if way == "tcp" else port + 1)
            with self.subTest(way=way):
                payload = rig.client.get(uri, context=context, seconds=5)
                if passes:
                    self.assertTrue(is_time(payload), payload)
                else:
                    self.assertFalse(is_time(payload), payload)
        raw = rawtcp.Connection(port)
        option = (rawcoap.OSCORE, rawcoap.oscore_value(b"\x77", 1))
        answer = raw.ask(raw.request(rawcoap.POST, options=(option,), payload=b"no ciphertext at all"), 20)
        self.assertEqual(rawcoap.dotted(answer.code), "4.01" if passes else "4.02")  # the device's, or libcoap's
        raw.close()
        self.assertEqual("lets no OSCORE through" in rig.guard.process.output(), not passes)

    def test_wrong_key_of_a_client(self):
        for way in ("dtls", "tls"):
            said = rig.client.get(rig.uri(way, "udp/time"), key=OTHER_KEY, seconds=3)
            self.assertFalse(is_time(said), said)
        self.assertTrue(is_time(rig.client.get(rig.uri("tls", "udp/time"))))

    def test_forward_proxying_finds_them_by_host(self):
        client = RawClient(rig.port)
        port = rig.oscore.port
        rows = (("coap://otcp:%d/time" % port, "2.05"), ("coap://127.0.0.1:%d/time" % port, "5.05"),
                ("coaps://odtls:%d/time" % (port + 1), "5.05"), ("coap+tcp://otcp:%d/time" % port, "5.05"))
        for uri, code in rows:
            with self.subTest(uri=uri):
                answer = client.ask(client.request(options=((rawcoap.PROXY_URI, uri.encode()),)))
                self.assertEqual(rawcoap.dotted(answer.code), code)
        client.close()

    def test_well_known_core_is_the_devices(self):
        payload = rig.client.get(rig.uri("tcp", "tcp/.well-known/core"))
        self.assertIn(b"</time>", payload)
        self.assertIn("4.04", rig.client.get(rig.uri("tcp", ".well-known/core")).decode())


class Broken(unittest.TestCase):
    """Servers that go, come back, or are not who they should be."""

    def setUp(self):
        self.directory = harness.scratch()
        private(self.directory / "server.key", hex_of(KEY))
        private(self.directory / "wrong.key", hex_of(OTHER_KEY))
        private(self.directory / "clients.psk", "phone %s" % hex_of(KEY))
        self.server = Server(self.directory)
        self.closers = [self.server.process.stop]

    def guard(self, sections):
        guard = harness.Guard(CONFIG % {"secure": free_ports(), "servers": sections}, port=free_ports(),
                              directory=self.directory)
        self.addCleanup(guard.stop)
        return guard

    def tearDown(self):
        self.server.process.stop()

    def test_wrong_key(self):
        guard = self.guard(self.server.section("d", "dtls", "wrong.key") + self.server.section(
            "t", "tls", "wrong.key", more="uri-path = t\n") .replace("127.0.0.1", "127.0.0.1"))
        client = RawClient(guard.port)
        for name in ("d", "t"):
            answer = client.ask(client.request(path=name + "/time"), 15)
            self.assertEqual(rawcoap.dotted(answer.code), "5.02", name)
            self.assertRegex(guard.process.output(), r"\[server %s\] not connected: no handshake.*is the key the right one" % name)
        self.assertNotIn(hex_of(OTHER_KEY), guard.process.output())
        client.close()

    def restart(self, way, how):
        guard = self.guard(self.server.section("s", way))
        client = RawClient(guard.port)
        self.assertEqual(client.ask(client.request(path="s/time")).code, rawcoap.code("2.05"))
        self.server.process.child.send_signal(how)
        self.server.process.child.wait()
        first = client.ask(client.request(path="s/time"), 20)
        self.assertEqual(first.code >> 5, 5, "%s is a failure" % rawcoap.dotted(first.code))
        self.server.start()
        time.sleep(1.1)  # it is tried once in a second
        answer = client.ask(client.request(path="s/time"), 15)
        self.assertEqual(answer and rawcoap.dotted(answer.code), "2.05", guard.process.output())
        self.assertIn("not connected", guard.process.output())
        client.close()

    def test_restart_tcp(self):
        self.restart("tcp", signal.SIGKILL)

    def test_restart_tls(self):
        self.restart("tls", signal.SIGTERM)

    def test_restart_dtls(self):
        self.restart("dtls", signal.SIGTERM)

    def test_power_cut_dtls(self):
        self.restart("dtls", signal.SIGKILL)

    def test_end_of_a_connection_ends_observations(self):
        guard = self.guard(self.server.section("s", "tcp"))
        client = RawClient(guard.port)
        request = client.request(path="s/time", options=((rawcoap.OBSERVE, b""),))
        answer = client.ask(request)
        numbers = [int.from_bytes(answer.option(rawcoap.OBSERVE), "big")]
        self.server.process.kill()
        while (answer := client.receive_message(5)) is not None and answer.code == rawcoap.code("2.05"):
            numbers.append(int.from_bytes(answer.option(rawcoap.OBSERVE), "big"))
        self.assertEqual(rawcoap.dotted(answer.code), "5.02")
        self.assertEqual(answer.token, request.token)
        self.assertEqual(numbers, sorted(set(numbers)))
        client.close()


class Verdicts(unittest.TestCase):
    """A TCP client has proved its address, and that is all it has."""

    DIAGNOSTIC = b"far-guard " * 25 + b"x"  # with token and marker 256 bytes, where libcoap 4.3.1 writes one too many

    @classmethod
    def setUpClass(cls):
        cls.device = Device(answer=lambda request: reply(request, "5.08", cls.DIAGNOSTIC) if b"loop" in request.all(
            rawcoap.URI_PATH) else default_answer(request))
        cls.port = free_ports()
        cls.guard = harness.Guard("""
[listen udp]
bind = 127.0.0.1:{port}
server =
[listen tcp]
bind = 127.0.0.1:{port}
transport = tcp
max-sessions = 4
server =
[link wide]
rate = 1Mbit/s
[throttle]
reply-rate = 1000000/s
[server lamp]
address = coap://127.0.0.1:%d
unknown-rate = 6/min
""" % cls.device.port, port=cls.port)

    @classmethod
    def tearDownClass(cls):
        cls.guard.stop()
        cls.device.close()

    def check_grown(self, before, most):
        """A sanitizer keeps what is freed, and so says nothing about it."""
        if b"__asan_init" not in harness.GUARDD.read_bytes():
            self.assertLess(self.guard.resident() - before, most)

    def test_throttled_and_never_asked_for_a_proof(self):
        client = rawtcp.Connection(self.port)
        codes = []
        for _ in range(12):
            answer = client.ask(client.request(path="lamp/x"), 3)
            codes.append(rawcoap.dotted(answer.code) if answer else None)
            self.assertIsNone(answer and answer.option(rawcoap.ECHO))
        self.assertIn("2.05", codes)
        self.assertTrue(None in codes or "4.29" in codes, codes)  # queued, or refused for want of room in the queue
        self.assertEqual(self.guard.ctl("status")[0].get("pings", 0), 0)
        # the same address by UDP has proved nothing, and is asked
        stranger = RawClient(self.port, pong=False)
        found = set()
        for _ in range(12):
            answer = stranger.ask(stranger.request(path="lamp/x", type=rawcoap.NON), 1)
            found.add(answer and (rawcoap.dotted(answer.code), answer.option(rawcoap.ECHO) is not None))
        self.assertTrue(any(f and f[1] for f in found), found)
        stranger.close()
        client.close()

    def test_hop_limit_reached_is_passed_on_as_it_is(self):
        client = rawtcp.Connection(self.port)
        for _ in range(3):
            answer = client.ask(client.request(path="lamp/loop"), 30)
            self.assertEqual((rawcoap.dotted(answer.code), answer.options, answer.payload), ("5.08", (), self.DIAGNOSTIC))
        client.close()

    def test_same_address_by_udp_is_somebody_else(self):
        """What a spoofer of a TCP client's address and port is asked for, the client has shown."""
        client = rawtcp.Connection(self.port)
        stranger = RawClient(self.port, pong=False)
        stranger.socket.close()
        stranger.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        stranger.socket.bind(client.socket.getsockname())
        found = set()
        for _ in range(12):
            answer = stranger.ask(stranger.request(path="lamp/x", type=rawcoap.NON), 1)
            found.add(answer and answer.option(rawcoap.ECHO) is not None)
        self.assertIn(True, found)
        answer = client.ask(client.request(path="lamp/x"), 30)
        self.assertIsNone(answer and answer.option(rawcoap.ECHO))
        stranger.close()
        client.close()

    def test_idle(self):
        client = rawtcp.Connection(self.port)
        client.ask(client.request(path="nobody"), 2)
        before = self.guard.cpu_seconds()
        time.sleep(2)
        self.assertLess(self.guard.cpu_seconds() - before, 0.2)
        client.close()

    def test_one_too_many(self):
        clients = [rawtcp.Connection(self.port) for _ in range(4)]
        for client in clients:
            time.sleep(0.05)
            self.assertEqual(client.ask(client.request(path="nobody"), 2).code, rawcoap.code("4.04"))
        fifth = rawtcp.Connection(self.port)
        self.assertEqual(fifth.ask(fifth.request(path="nobody"), 2).code, rawcoap.code("4.04"))
        self.assertTrue(clients[0].is_closed(), "the one silent for longest goes")
        self.assertEqual(clients[1].ask(clients[1].request(path="nobody"), 2).code, rawcoap.code("4.04"))
        for client in (*clients, fifth):
            client.close()

    def test_rubbish(self):
        before = self.guard.resident()
        for blob in (b"\0" * 64, b"\xff" * 4096, os.urandom(4096), b"\xf0\xff\xff\xff\xff\x01",  # 4 GiB announced
                     b"\xe0\x07\xff\x01" + b"a" * 3000, b"\x0f\x01", b"GET / HTTP/1.1\r\n\r\n",
                     rawtcp.encode(rawcoap.Message(0, 0xe5, 0)), rawtcp.encode(rawcoap.Message(0, 0x45, 0, b"ab")),
                     rawtcp.encode(rawcoap.Message(0, 1, 0, b"t", ((16, b"\x01"),)))):
            for csm in (True, False):
                client = rawtcp.Connection(self.port, csm=csm)
                try:
                    client.send(blob)
                    client.receive(0.05)
                except (OSError, EOFError):
                    pass
                client.close()
        client = rawtcp.Connection(self.port)
        self.assertEqual(client.ask(client.request(path="nobody"), 2).code, rawcoap.code("4.04"))
        client.close()
        self.check_grown(before, 4 << 20)

    def test_larger_than_announced(self):
        client = rawtcp.Connection(self.port)
        client.send(client.request(rawcoap.PUT, "lamp/x", payload=b"p" * 2000))
        self.assertTrue(client.is_closed(), "longer than Max-Message-Size")
        client.close()

    def test_who_does_not_read_is_left(self):
        """What libcoap keeps for him is bounded: he is pinged, does not answer, and is gone."""
        client = rawtcp.Connection(self.port, pong=False)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        before = self.guard.resident()
        request = rawtcp.encode(client.request(path="nobody")) * 100
        try:
            for _ in range(2000):
                client.socket.settimeout(2)
                client.send(request)
        except OSError:
            pass
        self.assertTrue(client.is_closed(), "200 000 requests, and none of the answers was read")
        self.check_grown(before, 8 << 20)
        client.close()

    def test_who_reads_may_ask_as_much_as_he_likes(self):
        client = rawtcp.Connection(self.port)
        for _ in range(100):
            requests = [client.request(path="nobody") for _ in range(100)]
            client.send(b"".join(map(rawtcp.encode, requests)))
            self.assertEqual([client.receive().token for _ in requests], [r.token for r in requests])
        self.assertGreater(client.pings, 5)
        client.close()


class Configuration(unittest.TestCase):
    BASE = "[listen x]\nbind = 127.0.0.1:5683\n%s\n[server s]\naddress = %s\n%s\n"

    def check(self, listen="", address="coap://192.0.2.1", server=""):
        directory = harness.scratch()
        path = directory / "guard.conf"
        path.write_text(self.BASE % (listen, address, server))
        done = subprocess.run([str(harness.GUARDD), "-c", str(path), "--check-config"], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def test_what_goes_together(self):
        rows = (
            ({"listen": "transport = tcp"}, None),
            ({"listen": "transport = tls\npsk-file = a.psk"}, None),
            ({"address": "coaps://192.0.2.1", "server": "psk-identity = g\npsk-file = k"}, None),
            ({"address": "coap+tcp://192.0.2.1"}, None),
            ({"listen": "transport = sctp"}, "expected one of udp|dtls|tcp|tls"),
            ({"listen": "transport = dtls"}, "psk-file: missing, and its transport needs it"),
            ({"listen": "psk-file = a.psk"}, 'only "transport = dtls" and "transport = tls" need it'),
            ({"listen": "transport = tcp\ninterface = lo"}, 'only for "transport = udp"'),
            ({"listen": "max-sessions = 0"}, "1 to 1024"),
            ({"address": "coaps://192.0.2.1"}, "psk-identity: missing, and the address needs it"),
            ({"address": "coaps+tcp://192.0.2.1", "server": "psk-identity = g"}, "psk-file: missing"),
            ({"server": "psk-file = k"}, "only an address with coaps:// or coaps+tcp:// needs it"),
            ({"address": "coap+ws://192.0.2.1"}, "expected an address like"),
            ({"address": "coap://192.0.2.1/tcp"}, "expected an address like"),
        )
        for arguments, error in rows:
            with self.subTest(arguments=arguments):
                code, said = self.check(**arguments)
                self.assertEqual(code, 78 if error else 0, said)
                self.assertIn(error or "", said)

    def test_keys(self):
        rows = (
            ("phone 00112233445566778899aabbccddeeff", 0o600, None),
            ("phone 00112233445566778899aabbccddeeff", 0o640, "others may read or write it"),
            ("phone 0011", 0o600, "line 1: shorter than 16 bytes"),
            ("# none\n", 0o600, "no identity"),
            ("a 00112233445566778899aabbccddeeff\na 00112233445566778899aabbccddeef0", 0o600, "line 2: an identity"),
            (None, 0o600, "No such file"),
        )
        for text, mode, error in rows:
            with self.subTest(text=text, mode=mode):
                directory = harness.scratch()
                if text is not None:
                    private(directory / "a.psk", text).chmod(mode)
                guard = harness.Guard("[listen x]\nbind = 127.0.0.1:{port}\ntransport = dtls\npsk-file = a.psk\n"
                                      "[server s]\naddress = coap://192.0.2.1\n", directory=directory, wait=False)
                if error:
                    self.assertNotEqual(guard.process.child.wait(5), 0)
                    self.assertIn(error, guard.process.output())
                else:
                    guard.wait_ready()
                self.assertNotIn("00112233", guard.process.output())
                guard.stop()


class Reload(unittest.TestCase):
    TEXT = "[listen u]\nbind = 127.0.0.1:{port}\n%s[server s]\naddress = %s\nunknown-rate = 1000/s\n"
    TLS = "[listen t]\nbind = 127.0.0.1:{port}\ntransport = tls\npsk-file = a.psk\n"

    def test_keys_and_places(self):
        server = Server(rig.directory)
        guard = harness.Guard("[server s]\naddress = coap://192.0.2.1\n[listen u]\nbind = 127.0.0.1:{port}\n",
                              port=free_ports())
        client = Client(guard.directory)
        uri = "coaps+tcp://127.0.0.1:%d/s/time" % guard.port

        def reload(text):
            guard.write(text)
            said, code = guard.ctl("reload", json_output=False)
            self.assertEqual(code, 0, said)

        private(guard.directory / "a.psk", "phone " + hex_of(KEY))
        reload(self.TEXT % (self.TLS, server.address("tcp")))
        self.assertTrue(is_time(client.get(uri)))
        private(guard.directory / "a.psk", "phone " + hex_of(OTHER_KEY))
        reload(self.TEXT % (self.TLS, server.address("udp")))
        self.assertFalse(is_time(client.get(uri, seconds=2)))
        self.assertTrue(is_time(client.get(uri, key=OTHER_KEY)))
        # what is no good changes nothing
        (guard.directory / "a.psk").chmod(0o644)
        guard.write(self.TEXT % (self.TLS, server.address("udp")))
        self.assertNotEqual(guard.ctl("reload", json_output=False)[1], 0)
        self.assertTrue(is_time(client.get(uri, key=OTHER_KEY)))
        reload(self.TEXT % ("", server.address("udp")))
        with self.assertRaises(OSError):
            rawtcp.Connection(guard.port)
        guard.stop()
        server.process.stop()

    def test_many_connections_cost_little(self):
        """Who is shown out, for one more or for a smaller max-sessions, is found without comparing all with all."""
        text = ("[listen t]\nbind = 127.0.0.1:{port}\ntransport = tcp\nmax-sessions = %d\n"
                "[server s]\naddress = coap://192.0.2.1\n")
        guard = harness.Guard(text % 400, port=free_ports())
        self.addCleanup(guard.stop)
        clients = []

        def connect(n):
            for i in range(n):
                clients.append(socket.create_connection(("127.0.0.1", guard.port)))
                time.sleep(0.01 if i % 4 == 3 else 0)  # libcoap listens for five at a time

        connect(400)
        wait_until(lambda: guard.descriptors() > 400, 5, "the connections")
        before = guard.cpu_seconds()
        connect(200)
        guard.write(text % 1)
        said, code = guard.ctl("reload", json_output=False)
        self.assertEqual(code, 0, said)
        wait_until(lambda: guard.descriptors() < 100, 5, "all but one to be gone")
        self.assertLess(guard.cpu_seconds() - before, 0.3)
        for client in clients:
            client.close()

    def test_renamed(self):
        """A place under another name, or two that changed theirs, stay open, and so do their connections."""
        first, second = free_ports(), free_ports()
        text = ("[listen u]\nbind = 127.0.0.1:{port}\n[listen %%s]\nbind = 127.0.0.1:%d\nserver =\ntransport = tcp\n"
                "[listen %%s]\nbind = 127.0.0.1:%d\nserver =\ntransport = tcp\n"
                "[server s]\naddress = coap://192.0.2.1\n" % (first, second))
        guard = harness.Guard(text % ("a", "b"), port=free_ports())
        self.addCleanup(guard.stop)
        clients = [rawtcp.Connection(port) for port in (first, second)]
        descriptors = None
        for names in (("a", "b"), ("c", "b"), ("b", "c"), ("d", "e")):
            with self.subTest(names):
                guard.write(text % names)
                said, code = guard.ctl("reload", json_output=False)
                self.assertEqual(code, 0, said)
                for client in clients:
                    self.assertEqual(client.ask(client.request(path="nobody"), 2).code, rawcoap.code("4.04"))
                descriptors = descriptors or guard.descriptors()
                self.assertEqual(guard.descriptors(), descriptors)
        # another place that wants the same port is not to be had before a restart, and is told so
        guard.write((text % ("d", "e")).replace("127.0.0.1:%d" % first, "0.0.0.0:%d" % first))
        said, code = guard.ctl("reload", json_output=False)
        self.assertEqual(code, 1, said)
        self.assertIn("Address already in use; the running configuration has the port, so this needs a restart", said)
        self.assertEqual(clients[0].ask(clients[0].request(path="nobody"), 2).code, rawcoap.code("4.04"))
        for client in clients:
            client.close()


if __name__ == "__main__":
    unittest.main()
