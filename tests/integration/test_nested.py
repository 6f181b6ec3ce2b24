"""OSCORE within OSCORE through the guard with real peers: aiocoap and libcoap behind it, one guard behind another.

Every case is a client with contexts of its own; all run together in a small pool of threads, and each test method then
reports its own case. What only one guard can see is in the classes below.
"""
import concurrent.futures
import json
import os
import select
import shutil
import socket
import struct
import subprocess
import threading
import unittest

import harness
from harness import GUARD_SECRET, PEERS, SALT, SECRET, SUPPORT, Guard, RawClient, aiocoap_context, guard_context
import rawcoap
from device import Device

BODY = bytes(range(256)) * 16  # 4 KiB, four blocks of 1024
NOTIFICATIONS = 20
FOREIGN = "5a" * 16  # a secret that nobody shares

CONFIG = """
[listen all]
bind = 127.0.0.1:{port}
server =
[link wide]
rate = 100Mbit/s
burst = 1MiB
queue-length = 1024
nstart = 16
ack-timeout = 1s
[throttle]
unknown-rate = 100000/s
[state]
directory = %s/state
"""
SERVER = """
[server %s]
address = coap://127.0.0.1:%d
unknown-rate = 100000/s
unknown-budget = 1000000/day
trusted-rate = 1000/s
observe-max = 200
%s
"""


def run_client(argv, seconds=45):
    done = subprocess.run([str(a) for a in (PEERS / "aio-python", SUPPORT / "nested_client.py", *argv)],
                          capture_output=True, timeout=seconds, stdin=subprocess.DEVNULL)
    lines = harness.json_lines(done.stdout.decode())
    assert lines, done.stderr.decode(errors="replace")[-500:]
    return lines


class Box:
    """A device: its port, its identifier, how to start it, and under which kids it is spoken to."""

    def __init__(self, name, kind, own):
        self.name, self.kind, self.own, self.port, self.kids = name, kind, own, harness.free_port(), []

    def start(self, directory):
        if self.kind == "aiocoap":
            return harness.start_aiocoap_server(self.port, directory, self.kids, own=self.own)
        process = harness.start_libcoap_server("coap-server-openssl", self.port, directory, self.kids, self.own)
        # When several block-wise PUTs of one endpoint create resources, libcoap's server takes one for another.
        client = RawClient(self.port)
        for case in CASES:
            if case.box is self and case.deed == "put":
                client.ask(client.request(rawcoap.PUT, case.path, payload=b"-"))
        client.close()
        return process

    get = property(lambda self: "hello" if self.kind == "aiocoap" else "time")


# The last two get a layer from the guard.
BOXES = {name: Box(name, kind, own) for name, kind, own in (
    ("libcoap", "coap-server-openssl", "02"), ("aiocoap", "aiocoap", "02"), ("far", "aiocoap", "02"),
    ("under-libcoap", "coap-server-openssl", "03"), ("under-aiocoap", "aiocoap", "04"))}


class Case:
    """One client, one device, one way, one thing to do. layers: "both", "guard" or "end"."""

    count = 0

    def __init__(self, box, way, layers, deed):
        Case.count += 1
        self.box, self.way, self.layers, self.deed = BOXES[box], way, layers, deed
        self.name = "_".join((box, way, layers, deed)).replace("-", "_")
        self.context = "client-%d" % Case.count
        self.kid, self.guard_kid, self.guard_id = ("%s%02x" % (p, Case.count) for p in ("e0", "c0", "40"))
        self.path = "store/" + self.name if self.box.kind == "aiocoap" else self.name
        if layers != "guard":
            self.box.kids.append(self.kid)

    def section(self, directory):
        return guard_context(directory, self.context, self.guard_id, self.guard_kid,
                             "servers = " + ("next" if self.box.name == "far" else self.box.name))

    def prepare(self, directory):
        self.directory = directory / self.name
        aiocoap_context(self.directory / "end", self.kid, self.box.own)
        aiocoap_context(self.directory / "guard", self.guard_kid, self.guard_id, GUARD_SECRET)

    def ask(self, path, *more, guard=None):
        """Lines of answers, each out of as many layers as there are."""
        argv = ["--timeout", 40, "--" + self.way, "127.0.0.1:%d" % (guard or run.guard).port, *more]
        if self.layers != "guard":
            argv += ["--context", self.directory / "end"]
        if self.layers != "end":
            argv += ["--guard-context", self.directory / "guard"]
        lines = run_client([*argv, "coap://127.0.0.1:%d/%s" % (self.box.port, path)])
        wanted = 2 if self.layers == "both" else 1
        assert all(line.get("layers") == wanted for line in lines), lines
        return lines

    def get(self):
        line = self.ask(self.box.get)[0]
        assert line["code"].startswith("2.05") and line["payload"], line
        assert self.box.kind != "aiocoap" or line["payload"] == b"hello".hex(), line

    def put(self):
        source = self.directory / "body"
        source.write_bytes(BODY)
        line = self.ask(self.path, "--method", "put", "--file", source)[0]
        assert line["code"].startswith("2.0"), line
        line = self.ask(self.path)[0]
        assert line["payload"] == BODY.hex(), (line["code"], line["size"])

    def observe(self):
        # libcoap takes a second observation of the same thing by one endpoint, here the guard, for the first one anew
        lines = self.ask("time?" + self.context, "--observe", NOTIFICATIONS)
        payloads = [line["payload"] for line in lines]
        assert [line.get("notify") for line in lines] == [None, *range(1, NOTIFICATIONS + 1)], lines
        assert len(set(payloads)) == len(payloads), payloads

    def captured(self):
        """Every datagram between client and guard."""
        relay = Relay(run.guard.port)
        self.ask("hello", guard=relay)
        relay.close()
        return relay.datagrams

    def restarted(self):
        """All die between two requests. Of the second guard only the first one learns, of the others the client."""
        self.get()
        run.devices[self.box].kill()
        kept = run.directory / ("device-%d-%s" % (self.box.port, self.kid)) / "sequence.json"
        assert json.loads(kept.read_text())["received"] == "unknown"  # so it asks with an Echo, too
        run.devices[self.box] = self.box.start(run.directory)
        self.get()
        run.far.kill()
        run.start_second(run.far.port)
        assert run.far.context("near")["state"] == "unsynced", run.far.context("near")
        opened = run.guard.context(self.context)["opened"]
        self.get()
        row = run.far.context("near")
        assert (row["state"], row["unsynced"]) == ("ready", 1), row
        assert run.guard.context(self.context)["opened"] == opened + 1  # the client asked once
        run.guard.kill()
        run.start_near(run.guard.port)
        self.get()
        row = run.guard.context(self.context)
        assert (row["state"], row["unsynced"]) == ("ready", 1), row
        assert run.far.context("near")["unsynced"] == 1  # the first one's numbers went on

    def execute(self):
        return getattr(self, self.deed)()


class Relay:
    """Stands between one client and the guard, and keeps what it passes on as (from the guard, bytes)."""

    def __init__(self, port):
        self.datagrams = []
        self.outside, self.inside = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        self.outside.bind(("127.0.0.1", 0))
        self.port = self.outside.getsockname()[1]
        self.inside.connect(("127.0.0.1", port))
        self.client = None
        self.open = True
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while self.open:
            for ready in select.select([self.outside, self.inside], [], [], 0.1)[0]:
                if ready is self.outside:
                    raw, self.client = ready.recvfrom(4096)
                    self.inside.send(raw)
                else:
                    raw = ready.recv(4096)
                    self.outside.sendto(raw, self.client)
                self.datagrams.append((ready is self.inside, raw))

    def close(self):
        self.open = False
        self.thread.join()
        self.outside.close()
        self.inside.close()


def all_cases():
    for box in ("libcoap", "aiocoap"):
        for way in ("proxy-scheme", "proxy-uri"):
            for deed in DEEDS:
                yield Case(box, way, "both", deed)
    for deed in DEEDS:
        yield Case("under-aiocoap", "proxy-scheme", "both", deed)  # two layers arrive at the device
        yield Case("under-aiocoap", "proxy-uri", "guard", deed)    # one does
        yield Case("under-libcoap", "proxy-scheme", "guard", deed)
        yield Case("far", "proxy-scheme", "both", deed)
        yield Case("far", "proxy-uri", "guard", deed)
    yield Case("aiocoap", "proxy-scheme", "end", "get")


class Run:
    """Two guards, the devices and the cases under way; started once."""

    def start(self):
        self.directory = harness.scratch()
        self.near, self.second = self.directory / "near", self.directory / "second"
        self.near.mkdir()
        self.second.mkdir()
        self.plain = Device()
        BOXES["under-libcoap"].kids.append("d1")
        BOXES["under-aiocoap"].kids.append("d2")
        self.devices = {box: box.start(self.directory) for box in BOXES.values()}
        self.start_second(harness.free_port())
        self.far.begin_contexts()
        self.start_near(harness.free_port())
        self.guard.begin_contexts()
        self.pool = concurrent.futures.ThreadPoolExecutor(int(os.environ.get("POOL", 8)))
        for case in CASES:
            case.prepare(self.directory)
        # observations mostly wait: they go first
        self.results = {case.name: self.pool.submit(case.execute)
                        for case in sorted(CASES, key=lambda c: c.deed != "observe")
                        if case.deed in DEEDS and os.environ.get("CASES", "") in case.name}

    def start_second(self, port):
        """The guard before the device that is far."""
        text = CONFIG % self.second + SERVER % ("far", BOXES["far"].port, "mode = full")
        text += guard_context(self.second, "near", "5002", "5001", "servers = far")
        self.far = Guard(text, port=port, directory=self.second)

    def start_near(self, port):
        text = CONFIG % self.near
        for name, more in (("libcoap", "mode = full"), ("aiocoap", "forward = yes"), ("under-libcoap", "mode = full"),
                           ("under-aiocoap", "")):
            text += SERVER % (name, BOXES[name].port, more)
        text += SERVER % ("next", self.far.port, "proxy = yes\nmode = full")
        text += SERVER % ("strict", self.plain.port, "mode = full\nuri-host = strict.example")
        text += "".join(case.section(self.near) for case in CASES)
        text += guard_context(self.near, "to-next", "5001", "5002", "next-hop = next")
        text += guard_context(self.near, "to-libcoap", "d1", "03", "next-hop = under-libcoap", SECRET)
        text += guard_context(self.near, "to-aiocoap", "d2", "04", "next-hop = under-aiocoap", SECRET)
        text += guard_context(self.near, "phone", "40ff", "c0ff", "servers = strict")
        self.guard = Guard(text, port=port, directory=self.near)

    def stop(self):
        self.pool.shutdown(cancel_futures=True)
        self.guard.stop()
        self.far.stop()
        self.plain.close()
        for device in self.devices.values():
            device.stop()


DEEDS = ("get", "put", "observe")
CAPTURED = Case("aiocoap", "proxy-scheme", "both", "captured")
RESTARTED = Case("far", "proxy-scheme", "both", "restarted")
CASES = [*all_cases(), CAPTURED, RESTARTED]
run = Run()


def setUpModule():
    run.start()


def tearDownModule():
    run.stop()


class Nested(unittest.TestCase):
    def check(self, case):
        if case.name not in run.results:
            self.skipTest("not chosen")
        run.results[case.name].result(120)


for _case in CASES:
    if _case.deed in DEEDS:
        setattr(Nested, "test_" + _case.name, lambda self, case=_case: self.check(case))


class OnTheWay(unittest.TestCase):
    """What the guard itself does with layers, seen from the other side."""

    @staticmethod
    def all_done():
        concurrent.futures.wait(run.results.values(), 120)

    def test_layers_to_next_hops(self):
        """All of it was under the layer, and nothing of it was lost or changed."""
        self.all_done()
        for name in ("to-next", "to-libcoap", "to-aiocoap"):
            with self.subTest(name):
                row = run.guard.context(name)
                self.assertEqual((row["state"], row["forgeries"], row["replays"]), ("ready", 0, 0))
                # 3 GET or PUT of four blocks each way and 20 notifications at least
                self.assertGreater(row["sealed"], 8)
                self.assertGreater(row["opened"], 8 + NOTIFICATIONS)

    def test_restarts(self):
        self.all_done()
        RESTARTED.execute()


class Admission(unittest.TestCase):
    """Who may reach a server with mode = full, and what the others hear: 4.01, in as many layers as came off."""

    @classmethod
    def setUpClass(cls):
        cls.directory = run.directory / "admission"
        aiocoap_context(cls.directory / "phone", "c0ff", "40ff", GUARD_SECRET)
        forger = aiocoap_context(cls.directory / "forger", "c0ff", "40ff", FOREIGN)
        (forger / "sequence.json").write_text('{"next-to-send": 1000, "received": "unknown"}')  # no number seen before
        aiocoap_context(cls.directory / "stranger", "beef", "40ff", GUARD_SECRET)

    def ask(self, context, port, path="a"):
        lines = run_client(["--timeout", 10, "--guard-context", self.directory / context,
                            "--proxy-scheme", "127.0.0.1:%d" % run.guard.port, "coap://127.0.0.1:%d/%s" % (port, path)])
        return lines[0]["code"][:4], lines[0].get("layers"), bytes.fromhex(lines[0]["payload"])

    def test_authenticated(self):
        self.assertEqual(self.ask("phone", run.plain.port), ("2.05", 1, b"a"))

    def test_other_server(self):
        self.assertEqual(self.ask("phone", BOXES["libcoap"].port)[:2], ("4.01", 1))

    def test_wrong_key(self):
        forgeries = run.guard.context("phone")["forgeries"]
        self.assertEqual(self.ask("forger", run.plain.port, "forged")[:2], ("4.01", 0))
        self.assertEqual(run.guard.context("phone")["forgeries"], forgeries + 1)

    def test_unknown_kid(self):
        self.assertEqual(self.ask("stranger", run.plain.port, "strange")[:2], ("4.01", 0))

    def test_without_layer(self):
        foreign = ((rawcoap.URI_HOST, b"strict.example"), (rawcoap.OSCORE, rawcoap.oscore_value(b"\x07", 1)))
        client = RawClient(run.guard.port)
        for name, request in (
                ("plain by path", client.request(path="strict/a")),
                ("plain by name", client.request(path="a", options=((rawcoap.URI_HOST, b"strict.example"),))),
                ("foreign OSCORE", client.request(rawcoap.POST, options=foreign, payload=os.urandom(20)))):
            with self.subTest(name):
                got = client.ask(request)
                self.assertIsNotNone(got, "no answer")
                self.assertEqual((rawcoap.dotted(got.code), got.option(rawcoap.OSCORE)), ("4.01", None))
        client.close()

    def tearDown(self):
        """Only what was authenticated came through."""
        for request in run.plain.requests():
            self.assertEqual(request.all(rawcoap.URI_PATH), [b"a"])
            self.assertIsNone(request.option(rawcoap.OSCORE))


def udp_packet(from_server, data):
    """IPv4 and UDP around it; the checksums may be zero."""
    client, server = (b"\x7f\0\0\1", 40000), (b"\x7f\0\0\2", 5683)
    (source, source_port), (target, target_port) = (server, client) if from_server else (client, server)
    udp = struct.pack("!HHHH", source_port, target_port, 8 + len(data), 0) + data
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, source, target) + udp


def write_pcap(path, datagrams):
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101))  # 101: raw IP
        for i, (from_server, data) in enumerate(datagrams):
            packet = udp_packet(from_server, data)
            f.write(struct.pack("<IIII", i, 0, len(packet), len(packet)) + packet)


@unittest.skipUnless(shutil.which("tshark"), "tshark is not on this machine")
class Tshark(unittest.TestCase):
    """A third implementation takes the outer layer off what passed between client and guard."""

    FIELDS = ("udp.srcport", "coap.code", "oscore.code", "oscore.opt.proxy_scheme", "oscore.opt.uri_host",
              "oscore.opt.object_security_kid")

    @classmethod
    def setUpClass(cls):
        cls.case = CAPTURED
        cls.pcap = run.directory / "captured.pcap"
        write_pcap(cls.pcap, cls.case.execute())

    def read(self, secret):
        """Rows of FIELDS, of messages with an OSCORE layer."""
        keys = (self.case.guard_kid, self.case.guard_id, secret, SALT, "", "AES-CCM-16-64-128 (CCM*)")
        fields = [word for field in self.FIELDS for word in ("-e", field)]
        uat = "uat:oscore_contexts:" + ",".join('"%s"' % key for key in keys)
        done = subprocess.run(["tshark", "-r", self.pcap, "-T", "fields", *fields, "-o", uat,
                               "-Y", "coap.opt.name contains OSCORE"], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [line.split("\t") for line in done.stdout.splitlines()]

    def test_outer_layer(self):
        rows = self.read(GUARD_SECRET)
        # outside and inside: 2 is POST, 68 is 2.04; inside there is the layer for the device. In between the guard may
        # have asked with an Echo for a fresh request.
        self.assertEqual(rows[0], ["40000", "2", "2", "coap", "127.0.0.1", self.case.kid])
        self.assertEqual(rows[-1], ["5683", "68", "68", "", "", ""])
        self.assertTrue(all(row[2] for row in rows), rows)

    def test_needs_the_key(self):
        rows = self.read(FOREIGN)
        self.assertEqual({"".join(row[2:]) for row in rows}, {""})


if __name__ == "__main__":
    unittest.main(verbosity=2)
