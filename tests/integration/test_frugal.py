"""A frugal neighbour: blocks that fit the link, a cache, shared relations, and manners, with real peers on both sides.

Transfers run together in a pool of threads, and each test method reports its own. FRUGAL=long loses a tenth of the
datagrams of 16 KiB, too, and waits until a client is given up (some ten minutes); without it, of 2 KiB.
"""
import concurrent.futures
import functools
import itertools
import json
import os
import random
import select
import socket
import subprocess
import sys
import threading
import time
import unittest

import attack
import harness
from harness import PEERS, SUPPORT, Guard, RawClient, Process, wait_until
import rawcoap
from device import Device, reply

LONG = os.environ.get("FRUGAL") == "long"
BLOCK = 64
AIO = PEERS / "aio-python"

CONFIG = """
[listen all]
bind = 127.0.0.1:{port}
server =
[link narrow]
rate = 100Mbit/s
burst = 1MiB
queue-length = 1024
nstart = %(nstart)d
block-size = %(block)s
ack-timeout = 1s
max-retransmit = %(retransmit)d
probing-rate = %(probing)s
queue-wait = %(wait)s
[throttle]
unknown-rate = 100000/s
reply-rate = 100000/s
"""
USUAL = {"nstart": 16, "block": "64B", "retransmit": 8, "probing": "1Mbit/s", "wait": "20s"}
LISTEN = """
[listen for-%(name)s]
bind = 127.0.0.1:%(listen)d
server = %(name)s
"""
SERVER = """
[server %(name)s]
address = coap://127.0.0.1:%(port)d
mode = %(mode)s
unknown-rate = 1000000/s
unknown-budget = 1000000000/day
trusted-rate = 100000/s
observe-max = 400
"""


def config(servers, **more):
    """servers: dicts of name, port, mode and, for OSCORE clients, listen."""
    return CONFIG % dict(USUAL, **more) + "".join((LISTEN % s if "listen" in s else "") + SERVER % s for s in servers)


def one_server(port, extra="", mode="exemptions", **more):
    return config([{"name": "dev", "port": port, "mode": mode}], **more) + extra


def body(name, size):
    """Different for each name, and nowhere the same twice."""
    return random.Random(name).randbytes(size)


def run_client(argv, seconds):
    done = subprocess.run([str(a) for a in argv], capture_output=True, timeout=seconds, stdin=subprocess.DEVNULL)
    return done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


# --- transfers ------------------------------------------------------------------------------------------------------

class Link:
    """A relay before a device, and the guard's name for what is behind it."""

    def __init__(self, device, loss):
        self.device, self.loss = device, loss
        self.name = "%s-%d" % (device.name, loss)
        self.listen = harness.free_port()

    def start(self, directory):
        directory = directory / self.name
        directory.mkdir()
        # libcoap's server takes a last block that is sent again for a whole body: nothing is lost of what it stores
        loss = 0 if self.device.kind == "libcoap" else self.loss
        self.relay = attack.Relay(self.device.port, directory, ["-L", loss, "-S", 4711])
        return {"name": self.name, "port": self.relay.port, "listen": self.listen,
                "mode": "open" if self.loss else "exemptions"}


class Box:
    """A device. blocks: it takes OSCORE in outer blocks."""

    def __init__(self, name, kind, oscore, blocks):
        self.name, self.kind, self.oscore, self.blocks = name, kind, oscore, blocks
        self.port = harness.free_port()

    def start(self, directory, kids, paths):
        if self.kind == "aiocoap":
            self.process = harness.start_aiocoap_server(self.port, directory, kids, options=self.blocks)
            return
        self.process = harness.start_libcoap_server("coap-server-openssl", self.port, directory, kids)
        client = RawClient(self.port)
        for path in paths:  # what it creates on several block-wise PUTs of one endpoint it mixes up
            client.ask(client.request(rawcoap.PUT, path, payload=b"-"))
        client.close()


class Libcoap:
    def __init__(self, oscore):
        self.name, self.oscore = "libcoap_oscore" if oscore else "libcoap", oscore

    def command(self, case, *more):
        argv = [PEERS / "coap-client-openssl", "-B", case.patience]
        if self.oscore:
            conf = run.directory / (case.name + ".conf")
            if not conf.exists():
                harness.libcoap_context(conf, case.kid, ["02"])
            argv += ["-E", "%s,%s" % (conf, conf.with_suffix(".seq"))]
        return argv + list(more)

    def fetch(self, case, path):
        out = run.directory / (case.name + ".out")
        out.unlink(missing_ok=True)
        _, errors = run_client(self.command(case, "-o", out, case.uri(path)), case.patience + 15)
        assert out.exists(), "no payload; " + errors
        return out.read_bytes()

    def store(self, case, path, content):
        if self.oscore:  # 4.3.4 cannot repeat a first block with an Echo; by now the device's replay window is settled
            self.fetch(case, case.small)
        source = run.directory / (case.name + ".in")
        source.write_bytes(content)
        out, errors = run_client(self.command(case, "-m", "put", "-f", source, case.uri(path)), case.patience + 15)
        said = [line for line in (out + errors).splitlines()
                # what 4.3.4 says when it fails to answer a CoAP ping outside its OSCORE layer
                if line.strip() and "PDU could not be encrypted" not in line]
        assert not said, said


class Aiocoap:
    def __init__(self, oscore):
        self.name, self.oscore = "aiocoap_oscore" if oscore else "aiocoap", oscore

    def ask(self, case, path, *more):
        argv = [AIO, SUPPORT / ("oscore_client.py" if self.oscore else "plain_client.py"), "--timeout", case.patience]
        if self.oscore:
            context = run.directory / (case.name + ".context")
            if not context.exists():
                harness.aiocoap_context(context, case.kid, "02")
            argv += ["--context", context]
        out, errors = run_client([*argv, *more, case.uri(path)], case.patience + 15)
        lines = harness.json_lines(out)
        assert lines and "code" in lines[0], "%s %s" % (lines, errors[-500:])
        return lines[0]

    def fetch(self, case, path):
        line = self.ask(case, path)
        assert line["code"].startswith("2.05"), line
        return bytes.fromhex(line["payload"])

    def store(self, case, path, content):
        source = run.directory / (case.name + ".in")
        source.write_bytes(content)
        line = self.ask(case, path, "--method", "put", "--file", source)
        assert line["code"].startswith("2.0"), line


class Transfer:
    """One client stores a body at a device, and fetches it."""

    def __init__(self, client, link, size, kid, path=None):
        self.client, self.link, self.size, self.kid = client, link, size, kid
        self.name = "%s_%s_%dk" % (client.name, link.name.replace("-", "_"), size // 1024) + ("_same" if path else "")
        path = path or self.name
        self.path = "store/" + path if link.device.kind == "aiocoap" else path
        self.small = "hello" if link.device.kind == "aiocoap" else "time"
        self.patience = 30 + link.loss * size // 1024 * 2 if LONG else 60

    def uri(self, path):
        if self.client.oscore:
            return "coap://127.0.0.1:%d/%s" % (self.link.listen, path)
        return "coap://127.0.0.1:%d/%s/%s" % (run.guard.port, self.link.name, path)

    def content(self):
        return body(self.name, self.size)

    def whole(self):
        got = self.client.fetch(self, self.path)
        assert len(got) == self.size, "%d bytes came back, of %d" % (len(got), self.size)
        return got

    def patiently(self, do):
        """
        Where a tenth is lost, a block may take longer than MAX_TRANSMIT_WAIT; libcoap's client takes the first of
        several only with the acknowledgement, and its server forgets the ETag of a body after 93 s. Then it is done
        again. What comes back as long as it should be must be right the first time.
        """
        for left in reversed(range(4 if self.link.loss else 1)):
            self.tries += 1
            try:
                return do()
            except AssertionError:
                if not left:
                    raise

    def execute(self):
        started = time.monotonic()
        self.tries = 0
        self.patiently(lambda: self.client.store(self, self.path, self.content()))
        stored = time.monotonic()
        # what changes while it is fetched may come back mixed: these devices give no ETag
        run.stored[self.link].wait(1800)
        fetching = time.monotonic()
        got = self.patiently(self.whole)
        same = [t for t in TRANSFERS if t.path == self.path and t.link.device is self.link.device]
        assert got in [t.content() for t in same], "something else came back"
        return stored - started, time.monotonic() - fetching


CLIENTS = [Libcoap(False), Aiocoap(False), Libcoap(True), Aiocoap(True)]
# libcoap keeps OSCORE per endpoint, and its plain clients have a server of their own
BOXES = [Box("libcoap", "libcoap", False, ()), Box("aiocoap", "aiocoap", False, ()),
         Box("outer", "aiocoap", True, ("--outer-blocks",)),
         Box("oslibcoap", "libcoap", True, None), Box("osaiocoap", "aiocoap", True, ())]
# libcoap's server 4.3.4 knows no Message ID but the last of an endpoint: OSCORE that is sent again, since its answer
# was lost, is a replay to it if another client of the guard asked in between
LINKS = [Link(box, loss) for box in BOXES for loss in (0, 10) if not loss or box.name != "oslibcoap"]


def all_transfers():
    kid = itertools.count(0x10)
    for client, link in itertools.product(CLIENTS, LINKS):
        if client.oscore == link.device.oscore:
            size = 16 << 10 if LONG or not link.loss else 2 << 10
            yield Transfer(client, link, size, "%02x" % next(kid))
            yield Transfer(client, link, size, "%02x" % next(kid), "same-%d" % link.loss)


TRANSFERS = [t for t in all_transfers() if os.environ.get("CASES", "") in t.name]


class Run:
    """The guard, the devices and the transfers under way; started once, by who needs them first."""

    started = False

    def start(self):
        if self.started:
            return
        self.started = True
        attack.build_tools()
        self.directory = harness.scratch()
        for box in BOXES:
            mine = [t for t in TRANSFERS if t.link.device is box]
            box.start(self.directory, [t.kid for t in mine if t.client.oscore], sorted({t.path for t in mine}))
        self.guard = Guard("[guard]\nexchanges = 4096\nmemory-limit = 64MiB\n" +
                           config([link.start(self.directory) for link in LINKS]), directory=self.directory)
        self.stored = {link: threading.Barrier(max(1, sum(t.link is link for t in TRANSFERS)),
                                               functools.partial(link.relay.counts, link.loss)) for link in LINKS}
        self.pool = concurrent.futures.ThreadPoolExecutor(40)
        # those that lose something mostly wait: they go first
        self.results = {t.name: self.pool.submit(t.execute) for t in sorted(TRANSFERS, key=lambda t: -t.link.loss)}

    def stop(self):
        if not self.started:
            return
        self.pool.shutdown(cancel_futures=True)
        self.guard.stop()
        for link in LINKS:
            link.relay.process.stop()
        for box in BOXES:
            box.process.stop()


run = Run()


def setUpModule():
    if all(argument.startswith(("-", "Transfers")) for argument in sys.argv[1:]):
        run.start()  # they mostly wait, while the others are at it


def tearDownModule():
    run.stop()


class Transfers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        run.start()

    def check(self, transfer):
        stored, fetched = run.results[transfer.name].result(2400)
        print("%s: stored in %.1f s, fetched in %.1f s, in %d tries" % (transfer.name, stored, fetched, transfer.tries))

    def test_zz_link(self):
        """What was on the links, when all is done."""
        concurrent.futures.wait(run.results.values())
        for link in LINKS:
            with self.subTest(link.name):
                counts = link.relay.counts()
                print(link.name, counts)
                self.assertGreater(counts["to_device"], 0)
                if link.loss:
                    self.assertGreater(counts["lost"], 0)
                if link.device.blocks is None or link.device.oscore and not link.device.blocks:
                    continue  # knows no outer blocks, and gets whole messages
                self.assertLessEqual(counts["largest_payload"], BLOCK)


for _transfer in TRANSFERS:
    setattr(Transfers, "test_" + _transfer.name, lambda self, transfer=_transfer: self.check(transfer))


# --- one answer for many ----------------------------------------------------------------------------------------------

class Sensor:
    """A plain resource of our own device: a value, its ETag and Max-Age, and who observes it."""

    def __init__(self, max_age=60, size=20, port=0):
        self.max_age, self.size, self.observers, self.numbers = max_age, size, {}, itertools.count(2)
        self.value = 0
        self.extra = ()  # options of what it answers
        self.device = Device(self.answer, port=port)

    def payload(self):
        return (b"value %d " % self.value).ljust(self.size, b".")

    def options(self, *more):
        etag = (4, b"%04x" % self.value)
        return tuple(sorted((*more, *self.extra, etag, (rawcoap.MAX_AGE, rawcoap.uint(self.max_age)))))

    def answer(self, request):
        if request.type == rawcoap.RST or request.code == rawcoap.EMPTY:
            return None
        if request.code == rawcoap.PUT:
            self.value += 1
            return reply(request, "2.04")
        observe = request.option(rawcoap.OBSERVE)
        if observe == b"":
            self.observers[request.token] = request
        elif observe == b"\x01":
            self.observers.pop(request.token, None)
        if b"%04x" % self.value in request.all(4):
            return reply(request, "2.03", b"", self.options())
        more = ((rawcoap.OBSERVE, b"\x01"),) if observe == b"" else ()
        return reply(request, "2.05", self.payload(), self.options(*more))

    def change(self, type=rawcoap.NON):
        """A notification to each observer."""
        self.value += 1
        number = rawcoap.uint(next(self.numbers))
        for token in self.observers:
            self.device.send(rawcoap.Message(type, rawcoap.code("2.05"), random.getrandbits(16), token,
                                             self.options((rawcoap.OBSERVE, number)), self.payload()))

    def asked(self):
        return self.device.requests()

    def close(self):
        self.device.close()


def max_age(message):
    value = message.option(rawcoap.MAX_AGE)
    return 60 if value is None else int.from_bytes(value, "big")


def neighbours(n):
    """Addresses of as many /24s."""
    return ["127.%d.%d.7" % (20 + i // 200, 1 + i % 200) for i in range(n)]


CACHE = "[cache]\nsize = 64KiB\n"


class Cached(unittest.TestCase):
    def start(self, sensor, extra=CACHE, **more):
        self.sensor = sensor
        self.addCleanup(sensor.close)
        self.guard = Guard(one_server(sensor.device.port, extra, **more))
        self.addCleanup(self.guard.stop)

    def client(self, local="127.0.0.1"):
        client = RawClient(self.guard.port, local=local)
        self.addCleanup(client.close)
        return client

    def ask(self, client, path="dev/a", **more):
        answer = client.ask(client.request(path=path, **more))
        self.assertIsNotNone(answer)
        return answer

    def test_thousand_requests(self):
        """1000 requests of 50 clients cost the device one; what Max-Age they see only falls."""
        self.start(Sensor(60))
        clients = [self.client(local) for local in neighbours(50)]
        began, last = time.monotonic(), 60
        for n in range(1000):
            answer = self.ask(clients[n % 50])
            self.assertEqual((rawcoap.dotted(answer.code), answer.payload), ("2.05", self.sensor.payload()))
            self.assertLessEqual(max_age(answer), last)
            self.assertLessEqual(max_age(answer), 60 - int(time.monotonic() - began))
            last = max_age(answer)
            time.sleep(0.002)
        self.assertLess(last, 60)
        self.assertEqual(len(self.sensor.asked()), 1)

    def test_at_once(self):
        """Before there is an answer, too: 50 clients wait for the one that is under way."""
        self.start(Sensor(60))
        self.sensor.device.slow = 0.3
        clients = [self.client(local) for local in neighbours(50)]
        requests = [c.request(path="dev/a") for c in clients]
        for client, request in zip(clients, requests):
            client.send(request)
        for client, request in zip(clients, requests):
            answer = client.receive_message()
            self.assertEqual((answer.token, answer.payload), (request.token, self.sensor.payload()))
        self.assertEqual(len(self.sensor.asked()), 1)

    def test_validation(self):
        """What is old is asked for with its ETag: one small 2.03, and everybody has it again, with the options it says."""
        self.start(Sensor(2, 60))
        self.sensor.extra = ((65000, b"kept"), (65004, b"old"), (65004, b"older"))
        clients = [self.client(local) for local in neighbours(10)]
        for client in clients:
            self.ask(client)
        self.assertEqual(len(self.sensor.asked()), 1)
        for round in (2, 3):
            self.sensor.extra = ((65004, b"%d" % round),)
            time.sleep(2.1)
            for client in clients:
                answer = self.ask(client)
                self.assertEqual((rawcoap.dotted(answer.code), answer.payload), ("2.05", self.sensor.payload()))
                self.assertEqual((answer.all(65000), answer.all(65004)), ([b"kept"], [b"%d" % round]))
                self.assertLessEqual(max_age(answer), 2)
            self.assertEqual(len(self.sensor.asked()), round)
            self.assertEqual(self.sensor.asked()[-1].all(4), [b"0000"])
        answer = self.ask(clients[0], options=((4, b"0000"),))  # who has it already hears just that
        self.assertEqual((rawcoap.dotted(answer.code), answer.payload), ("2.03", b""))

    def test_change(self):
        """Once it has changed by way of the guard, nobody is told the old value."""
        self.start(Sensor(60))
        client = self.client()
        self.ask(client)
        self.assertEqual(rawcoap.dotted(self.ask(client, code=rawcoap.PUT, payload=b"x").code), "2.04")
        self.assertEqual(self.ask(client).payload, self.sensor.payload())
        self.assertEqual([m.code for m in self.sensor.asked()], [rawcoap.GET, rawcoap.PUT, rawcoap.GET])

    def test_sleeper(self):
        """A device that sleeps: the last that it said, marked as old, and 5.04 or 5.03 only where nothing is known."""
        self.start(Sensor(1), CACHE + "stale-if-silent = 1h\n", retransmit=1, probing="8bit/s", wait="1s")
        client = self.client()
        self.ask(client)
        self.sensor.device.answer = None
        time.sleep(1.1)
        for _ in range(3):
            answer = self.ask(client)
            self.assertEqual((rawcoap.dotted(answer.code), answer.payload, max_age(answer)),
                             ("2.05", self.sensor.payload(), 0))
        self.assertIn(rawcoap.dotted(self.ask(client, "dev/b").code), ("5.03", "5.04"))

    def test_real_devices(self):
        """libcoap's and aiocoap's own resources, by both kinds of clients."""
        directory = harness.scratch()
        attack.build_tools()
        ports = [harness.free_port() for _ in range(2)]
        devices = [harness.start_libcoap_server("coap-server-openssl", ports[0], directory),
                   harness.start_aiocoap_server(ports[1], directory)]
        relays = [attack.Relay(port, harness.scratch()) for port in ports]
        guard = Guard(config([{"name": name, "port": relay.port, "mode": "exemptions"}
                              for name, relay in zip(("libcoap", "aiocoap"), relays)]) + CACHE)
        try:
            for name, path, relay in (("libcoap", "", relays[0]), ("aiocoap", "/hello", relays[1])):
                seen = set()
                for _ in range(3):
                    uri = "coap://127.0.0.1:%d/%s%s" % (guard.port, name, path)
                    out, errors = run_client([AIO, SUPPORT / "plain_client.py", uri], 20)
                    lines = harness.json_lines(out)
                    self.assertTrue(lines and "payload" in lines[0], (lines, errors[-500:]))
                    seen.add(lines[0]["payload"])
                    out, errors = run_client([PEERS / "coap-client-openssl", "-B", 10, uri], 20)
                    seen.add(out.encode().hex())
                self.assertEqual(len({bytes.fromhex(s).rstrip(b"\n") for s in seen}), 1, seen)
                print(name, relay.counts())
                self.assertLessEqual(relay.counts()["to_device"], 4)  # one body in 64-byte blocks
        finally:
            guard.stop()
            for process in (*devices, *(r.process for r in relays)):
                process.stop()


# --- observers ------------------------------------------------------------------------------------------------------

class Observers:
    """Raw clients that observe dev/a; each acknowledges what is confirmable, and keeps what it was told."""

    def __init__(self, port, n, path="dev/a"):
        self.path = path
        self.clients = [RawClient(port, local=local) for local in neighbours(n)]
        self.tokens = [os.urandom(4) for _ in self.clients]
        self.told = [[] for _ in self.clients]  # (observe or None, code, payload, Max-Age)
        self.deaf = set()
        self.acknowledged = 0
        self.poll = select.poll()
        self.by_fd = {}
        for n, client in enumerate(self.clients):
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
            self.poll.register(client.socket, select.POLLIN)
            self.by_fd[client.socket.fileno()] = n

    def register(self):
        for n, client in enumerate(self.clients):
            client.send(client.request(path=self.path, options=((rawcoap.OBSERVE, b""),), token=self.tokens[n]))
            self.turn(0)

    def hear(self, n):
        client = self.clients[n]
        raw, sender = client.socket.recvfrom(4096)
        if n in self.deaf:
            return
        message = rawcoap.decode(raw)
        if message.code == rawcoap.EMPTY:
            if message.type == rawcoap.CON:
                client.socket.sendto(b"\x70\x00" + raw[2:4], sender)
            return
        if message.type == rawcoap.CON:
            self.acknowledged += 1
            client.send(rawcoap.Message(rawcoap.ACK, rawcoap.EMPTY, message.mid))
        observe = message.option(rawcoap.OBSERVE)
        self.told[n].append((None if observe is None else int.from_bytes(observe, "big"),
                             rawcoap.dotted(message.code), message.payload, max_age(message)))

    def turn(self, seconds):
        for fd, _ in self.poll.poll(seconds * 1000):
            self.hear(self.by_fd[fd])

    def listen(self, seconds, until=lambda: False):
        end = time.monotonic() + seconds
        while time.monotonic() < end and not until():
            self.turn(0.05)

    def all_know(self, payload, but=()):
        return all(t and t[-1][2] == payload for n, t in enumerate(self.told) if n not in but)

    def close(self):
        for client in self.clients:
            client.close()


class Together(unittest.TestCase):
    """Tests that mostly wait: all of a class run at the same time, and each reports its own."""

    CASES = {}  # name of the test: arguments of check()

    @classmethod
    def setUpClass(cls):
        attack.build_tools()
        cls.pool = concurrent.futures.ThreadPoolExecutor(len(cls.CASES))
        cls.running = {name: cls.pool.submit(cls(name).alone, *arguments) for name, arguments in cls.CASES.items()}

    @classmethod
    def tearDownClass(cls):
        cls.pool.shutdown()

    def alone(self, *arguments):
        try:
            self.check(*arguments)
        finally:
            self.doCleanups()

    def result(self):
        self.running[self._testMethodName].result(120)


class Observing(unittest.TestCase):
    """200 clients in plain."""

    COUNT = 200

    def start(self, device_port, **more):
        # half of the places for observers are for those who proved their address, and of those half are for others
        self.guard = Guard("[guard]\nexchanges = 4096\nmemory-limit = 64MiB\n" +
                           one_server(device_port, **dict({"retransmit": 2, "probing": "1Mbit/s"}, **more)))
        self.addCleanup(self.guard.stop)
        self.observers = Observers(self.guard.port, self.COUNT)
        self.addCleanup(self.observers.close)

    def check_order(self, n):
        """Numbers grow, in the sense of RFC 7641 section 3.4."""
        numbers = [told[0] for told in self.observers.told[n] if told[0] is not None]
        self.assertTrue(all(0 < (b - a) % (1 << 24) < 1 << 23 for a, b in zip(numbers, numbers[1:])), numbers)


class Observed(Observing):
    def test_one_relation(self):
        sensor = Sensor(60)
        self.addCleanup(sensor.close)
        self.start(sensor.device.port)
        o = self.observers
        o.register()
        o.listen(10, lambda: o.all_know(sensor.payload()))
        self.assertTrue(o.all_know(sensor.payload()))
        self.assertTrue(all(t[0][0] is not None for t in o.told))
        self.assertEqual((len(sensor.asked()), len(sensor.observers)), (1, 1))
        for n in range(20):
            sensor.change(rawcoap.CON if n % 5 == 4 else rawcoap.NON)
            o.listen(5, lambda: o.all_know(sensor.payload()))
            self.assertTrue(o.all_know(sensor.payload()), "change %d" % n)
        self.assertEqual((len(sensor.asked()), len(sensor.observers)), (1, 1))
        self.assertGreaterEqual(o.acknowledged, 2 * self.COUNT)  # one in eight is confirmable
        for n in range(self.COUNT):
            self.check_order(n)
            self.assertEqual([p for _, _, p, _ in o.told[n]],
                             [(b"value %d " % v).ljust(20, b".") for v in range(21)])

    @unittest.skipUnless(LONG, "until a client is given up takes 93 s")
    def test_deaf(self):
        """Who acknowledges nothing any more is dropped after one confirmable notification, and the others hear on."""
        sensor = Sensor(3600)
        self.addCleanup(sensor.close)
        self.start(sensor.device.port)
        o = self.observers
        o.register()
        o.listen(10, lambda: o.all_know(sensor.payload()))
        sensor.change()  # the first notification is confirmable, and shows that somebody is there
        o.listen(5, lambda: o.all_know(sensor.payload()))
        o.deaf = {0, 1, 2}
        for _ in range(9):
            sensor.change()
            o.listen(5, lambda: o.all_know(sensor.payload(), o.deaf))
        o.listen(0.2)
        before = self.guard.ctl("counters")[0]
        def gone():
            return next((c["count"] for c in self.guard.ctl("counters")[0] if c["reason"] == "client-gone"), 0)
        o.listen(100, lambda: gone() == 3)
        self.assertEqual(gone(), 3, before)
        for n in o.deaf:
            while select.select([o.clients[n].socket], [], [], 0)[0]:
                o.clients[n].socket.recv(4096)
        sensor.change()
        o.listen(5, lambda: o.all_know(sensor.payload(), o.deaf))
        self.assertTrue(o.all_know(sensor.payload(), o.deaf))
        for n in o.deaf:
            self.assertEqual(select.select([o.clients[n].socket], [], [], 0)[0], [])
        self.assertEqual((len(sensor.asked()), len(sensor.observers)), (1, 1))


class Restarts(Observing, Together):
    CASES = {"test_device": ("device",), "test_libcoap": ("libcoap",), "test_aiocoap": ("aiocoap",)}
    test_device = test_libcoap = test_aiocoap = Together.result

    def check(self, kind):
        getattr(self, kind)()

    def device(self):
        """Our own device forgets all, and is observed again within its Max-Age."""
        sensor = Sensor(6)
        self.start(sensor.device.port)
        o = self.observers
        o.register()
        o.listen(10, lambda: o.all_know(sensor.payload()))
        sensor.change()  # the first notification is confirmable: then it is known that somebody is there
        o.listen(5, lambda: o.all_know(sensor.payload()))
        told = time.monotonic()
        port = sensor.device.port
        sensor.close()
        o.listen(0.5)
        again = Sensor(6, port=port)
        self.addCleanup(again.close)
        again.value = 50
        o.listen(20, lambda: o.all_know(again.payload()))
        took = time.monotonic() - told
        print("observed again %.1f s after the last notification" % took)
        self.assertTrue(o.all_know(again.payload()))
        self.assertLess(took, 6 + 1)
        self.assertEqual(len(again.observers), 1)
        again.change()
        o.listen(3, lambda: o.all_know(again.payload()))
        self.assertTrue(o.all_know(again.payload()))
        self.assertEqual(len(again.observers), 1)

    def restart(self, start, path, count):
        """A real server is killed and started again."""
        port = harness.free_port()
        process = start(port)
        self.start(port)
        o = self.observers
        o.path = path
        o.register()
        o.listen(10, lambda: all(len(t) >= 3 for t in o.told))
        self.assertTrue(all(len(t) >= 3 for t in o.told), [len(t) for t in o.told])
        if count:
            self.assertEqual(count(port), 1)
        process.kill()
        told = [len(t) for t in o.told]
        o.listen(0.5)
        process = start(port)
        began = time.monotonic()
        o.listen(15, lambda: all(len(t) >= n + 4 for t, n in zip(o.told, told)))
        print("%s: four notifications more after %.1f s" % (path, time.monotonic() - began))
        self.assertTrue(all(len(t) >= n + 4 for t, n in zip(o.told, told)))
        for n in range(self.COUNT):
            self.check_order(n)
        if count:
            self.assertEqual(count(port), 1)
        process.stop()

    def libcoap(self):
        directory = harness.scratch()
        self.restart(lambda port: harness.start_libcoap_server("coap-server-openssl", port, directory),
                     "dev/time", None)

    def aiocoap(self):
        directory = harness.scratch()
        def count(port):
            client = RawClient(port)
            answer = client.ask(client.request(path="observers"))
            client.close()
            return json.loads(answer.payload)["state"]
        self.restart(lambda port: harness.start_aiocoap_server(port, directory), "dev/state", count)


class Opaque(Together):
    """OSCORE is never shared: each observer has its own relation, also where notifications are larger than a block."""

    def check(self, path, options, block):
        directory = harness.scratch()
        kids = ["%02x" % (0x40 + n) for n in range(20)]
        contexts = [harness.aiocoap_context(directory / ("client-" + kid), kid, "02") for kid in kids]
        port, listen = harness.free_port(), harness.free_port()
        device = harness.start_aiocoap_server(port, directory, kids, options=options)
        relay = attack.Relay(port, harness.scratch())
        guard = Guard(config([{"name": "dev", "port": relay.port, "mode": "exemptions", "listen": listen}]),
                      directory=directory)
        observers = Process([AIO, SUPPORT / "oscore_observers.py", "--notifications", 12, "--timeout", 60,
                             "coap://127.0.0.1:%d/%s" % (listen, path), *contexts], directory / "observers.log")
        try:
            def lines():
                return harness.json_lines(observers.output())
            def first():
                return {line["observer"] for line in lines() if "payload" in line}
            end = time.monotonic() + 60
            while len(first()) < 20 and time.monotonic() < end:
                time.sleep(0.05)
            self.assertEqual(len(first()), 20, (lines()[:3], observers.output()[-1000:]))
            client = RawClient(port)
            relations = json.loads(client.ask(client.request(path="observers")).payload)[path]
            client.close()
            self.assertEqual(relations, 20)
            wait_until(lambda: not observers.alive(), 70, "the last notification; " + observers.output()[-2000:])
            for n in range(20):
                mine = [line for line in lines() if line["observer"] == n]
                self.assertEqual(mine[-1], {"observer": n, "end": ""}, mine)
                ticks = [int(line["payload"].split()[1].rstrip(".")) for line in mine[:-1]]
                self.assertEqual(ticks, sorted(set(ticks)))
                self.assertGreaterEqual(len(ticks), 13)
                self.assertLessEqual(ticks[-1] - ticks[0], len(ticks) + 2, ticks)
            counts = relay.counts()
            print(path, counts)
            if block:
                self.assertLessEqual(counts["largest_payload"], BLOCK)
        finally:
            observers.stop()
            guard.stop()
            relay.process.stop()
            device.stop()

    CASES = {"test_small": ("time", (), True), "test_large": ("log", (), False),
             "test_large_in_blocks": ("log", ("--outer-blocks",), True)}
    test_small = test_large = test_large_in_blocks = Together.result

# --- manners, memory, figures ---------------------------------------------------------------------------------------

class Manners(Together):
    def answer_of(self, client, path):
        began = time.monotonic()
        answer = client.ask(client.request(path=path), 20)
        self.assertIsNotNone(answer)
        return rawcoap.dotted(answer.code), max_age(answer), time.monotonic() - began

    def check(self, start, path):
        """Dead: 5.04, then 5.03 at once, with a Max-Age after which it is asked again; back: as if nothing had been."""
        port, directory = harness.free_port(), harness.scratch()
        device = start(port, directory)
        relay = attack.Relay(port, harness.scratch())
        guard = Guard(one_server(relay.port, retransmit=1, probing="16bit/s", wait="500ms"))
        clients = [RawClient(guard.port, local=local) for local in neighbours(2)]
        try:
            self.assertEqual(self.answer_of(clients[0], path)[0], "2.05")
            device.kill()
            code, _, took = self.answer_of(clients[0], path)
            self.assertEqual(code, "5.04")
            self.assertGreater(took, 1)
            before = relay.counts()
            for _ in range(5):
                code, wait, took = self.answer_of(clients[0], path)
                self.assertEqual(code, "5.03")
                self.assertLess(took, 1)
                self.assertTrue(0 < wait <= 20, wait)
            self.assertEqual(relay.counts()["to_device"], before["to_device"])
            device = start(port, directory)
            time.sleep(wait)
            self.assertEqual(self.answer_of(clients[0], path)[0], "2.05")
            for client in clients * 3:
                code, _, took = self.answer_of(client, path)
                self.assertEqual(code, "2.05")
                self.assertLess(took, 1)
        finally:
            for client in clients:
                client.close()
            guard.stop()
            relay.process.stop()
            device.stop()

    CASES = {"test_libcoap": (functools.partial(harness.start_libcoap_server, "coap-server-openssl"), "dev/time"),
             "test_aiocoap": (harness.start_aiocoap_server, "dev/hello")}
    test_libcoap = test_aiocoap = Together.result


class Repeater:
    """One aiocoap client with OSCORE stores one body again and again; options: of the device."""

    def __init__(self, size, times, warm=0, interval=0, options=("--outer-blocks",)):
        attack.build_tools()
        self.directory = harness.scratch()
        self.content = body("repeater", size)
        (self.directory / "body").write_bytes(self.content)
        context = harness.aiocoap_context(self.directory / "client", "11", "02")
        self.port, listen = harness.free_port(), harness.free_port()
        self.device = harness.start_aiocoap_server(self.port, self.directory, ["11"], options=options)
        self.relay = attack.Relay(self.port, harness.scratch())
        text = config([{"name": "dev", "port": self.relay.port, "mode": "exemptions", "listen": listen}])
        # the sanitizer's own stacks grow with what is called, and memory is measured
        quiet = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_stack_use_after_return=0"}
        self.guard = Guard(text.replace("unknown-rate = 1000000/s", "unknown-rate = 60/min"), directory=self.directory,
                           env=quiet)
        self.process = Process([AIO, SUPPORT / "oscore_client.py", "--context", context, "--timeout", 90,
                                "--repeat", times, "--warm", warm, "--interval", interval,
                                "--method", "put", "--file", self.directory / "body",
                                "coap://127.0.0.1:%d/store/x" % listen], self.directory / "repeater.log")

    def done(self):
        return [line for line in harness.json_lines(self.process.output()) if "seconds" in line]

    def wait(self, times, seconds):
        wait_until(lambda: len(self.done()) >= times, seconds, "%d bodies; %s" % (times, self.process.output()[-1000:]))
        assert all(line.get("code", "").startswith("2.0") for line in self.done()), self.done()

    def stored(self):
        out, _ = run_client([AIO, SUPPORT / "plain_client.py", "coap://127.0.0.1:%d/store/x" % self.port], 20)
        return bytes.fromhex(harness.json_lines(out)[0]["payload"])

    def stop(self):
        self.process.stop()
        self.guard.stop()
        self.relay.process.stop()
        self.device.stop()


class Repeated(Together):
    CASES = {"test_loss": ("loss",), "test_remembered": ("remembered",)}
    test_loss = test_remembered = Together.result

    def check(self, what):
        getattr(self, what)()

    def loss(self):
        """A client in good standing, in the mode exemptions: what is lost on the link is sent again."""
        r = Repeater(1 << 10, 14, warm=11, interval=1)
        try:
            r.wait(11, 30)
            r.relay.counts(loss=10)
            r.wait(14, 100)
            self.assertEqual(r.stored(), r.content)
            counts = r.relay.counts()
            self.assertGreater(counts["lost"], 0)
            self.assertLessEqual(counts["largest_payload"], BLOCK)
        finally:
            r.stop()

    def remembered(self):
        """A device that knows no blocks around OSCORE refuses one of them, and gets whole messages from then on."""
        r = Repeater(4 << 10, 6, warm=1, interval=1, options=())
        try:
            r.wait(2, 20)
            first = r.relay.counts()
            r.wait(6, 20)
            counts = r.relay.counts()
            self.assertEqual(r.stored(), r.content)
            self.assertGreater(first["to_device"], 2 * 4)  # with the one that was refused
            self.assertEqual(counts["to_device"] - first["to_device"], 4 * 4)
            self.assertGreater(counts["largest_payload"], 1024)
        finally:
            r.stop()


class Memory(unittest.TestCase):
    """Attacks on what is remembered, while 64 KiB are stored: all are, and no memory is taken for the others."""

    def flood(self, port):
        sent = itertools.count(1)
        sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(100)]
        for s, local in zip(sockets, neighbours(100)):
            s.bind((local, 0))
        draw = random.Random(1)
        path = rawcoap.path("dev/store/x")
        block = lambda num, more: (rawcoap.BLOCK1, rawcoap.uint(num << 4 | more << 3 | 2))
        size1 = (60, b"\xff\xff\xff\xff")

        def send(s, code, *options, payload=b"", type=rawcoap.CON):
            if next(sent) % 100 == 0:  # so that the guard hears most of it
                time.sleep(0.004)
            s.sendto(rawcoap.encode(rawcoap.Message(type, code, draw.getrandbits(16), draw.randbytes(4),
                                                    path + options, payload)), ("127.0.0.1", port))

        for n in range(20000):  # A14, registrations: half of one client, half of many
            send(sockets[0 if n % 2 else n // 2 % 100], rawcoap.GET, (rawcoap.OBSERVE, b""))
        for n in range(20000):  # A16, first blocks, and last ones
            send(sockets[n % 100], rawcoap.PUT, block(0, 1), size1, payload=b"x" * 64)
            send(sockets[n % 100], rawcoap.PUT, block((1 << 20) - 1, n & 1), payload=b"x" * 64)
            send(sockets[n % 100], rawcoap.GET, (rawcoap.BLOCK2, rawcoap.uint(((1 << 20) - 1) << 4 | 2)))
        for n in range(100000):  # A17, Message IDs of one client
            if n % 100 == 0:
                time.sleep(0.004)
            sockets[1].sendto(b"\x40\x01" + (n & 0xffff).to_bytes(2, "big") + b"\xb3dev\x05store\x01" +
                              bytes([n >> 16 | 64]), ("127.0.0.1", port))
        for s in sockets:
            s.close()

    def test_flat(self):
        r = Repeater(64 << 10, 100)
        try:
            r.wait(1, 60)
            # what it takes for its first requests it has by now
            before, began, bodies = r.guard.resident(), time.monotonic(), len(r.done())
            self.flood(r.guard.port)
            print("flood of 180000 in %.1f s, %d bodies meanwhile" % (time.monotonic() - began, len(r.done()) - bodies))
            r.wait(bodies + 2, 60)
            heard = sum(float(line.split()[-1]) for line in r.guard.ctl("metrics", json_output=False)[0].splitlines()
                        if line.startswith("coapguard_received_datagrams_total"))
            print("received: %d" % heard)
            self.assertGreater(heard, 150000)
            grown = r.guard.resident() - before
            print("resident memory grew by %d KiB" % (grown // 1024))
            self.assertLess(grown, 1 << 20)
            self.assertTrue(all(line["code"].startswith("2.0") for line in r.done()), r.done())
            self.assertEqual(r.stored(), r.content)
            self.assertLessEqual(r.relay.counts()["largest_payload"], BLOCK)
        finally:
            r.stop()


class Figures(unittest.TestCase):
    """What a resource of 1 KiB costs the link and its client."""

    def measure(self, port, block):
        relay = attack.Relay(port, harness.scratch())
        guard = Guard(one_server(relay.port, mode="throttle", block=block))
        client, took = RawClient(guard.port), []
        for _ in range(50):
            began = time.monotonic()
            answer = client.ask(client.request(path="dev/store/kilo"))
            took.append(time.monotonic() - began)
            self.assertEqual(answer.payload, body("kilo", 1024))
        counts = relay.counts()
        client.close()
        guard.stop()
        relay.process.stop()
        each = {k: counts[k] / 50 for k in ("to_device", "to_device_bytes", "to_guard", "to_guard_bytes")}
        print("block-size %s: %s, largest datagram %d, median %.2f ms" % (block, each, counts["largest"],
                                                                        1000 * sorted(took)[25]))
        return each

    def test_kilobyte(self):
        attack.build_tools()
        directory, port = harness.scratch(), harness.free_port()
        device = harness.start_aiocoap_server(port, directory)
        client = RawClient(port)
        answer = client.ask(client.request(rawcoap.PUT, "store/kilo", payload=body("kilo", 1024)))
        self.assertEqual(rawcoap.dotted(answer.code), "2.01")
        client.close()
        self.assertEqual(self.measure(port, "64B")["to_device"], 16)
        self.assertEqual(self.measure(port, "0B")["to_device"], 1)
        device.stop()


if __name__ == "__main__":
    unittest.main(verbosity=2)
