"""Reload under load: SIGHUP every 100 ms, and no client in good standing notices.

Each request is sent once: what is lost is not repeated. Three clients: one that the device knows (OSCORE end to end), one that
the guard knows (a context of its own), and one that observes. The device takes its time, so that requests are under way in every
reload. RELOAD_SECONDS of it for each way to reload; `make reload` takes a minute for each.
"""
import heapq
import os
import random
import select
import signal
import socket
import sys
import time
import unittest

import harness
from harness import GUARD_SECRET, SALT, SECRET, Guard, guard_context
import rawcoap
import rawoscore
from rawcoap import ACK, CON, EMPTY, GET, NON, OBSERVE, OSCORE, RST, Message

SECONDS = float(os.environ.get("RELOAD_SECONDS", 2))
RATE = 20  # requests per second and client
SLOW = 0.3  # seconds the device may take
GAP = 0.1  # between reloads

ALWAYS = """
[listen all]
bind = 127.0.0.1:{port}
[server lamp]
address = coap://127.0.0.1:%(device)d
unknown-rate = 1000/min
unknown-budget = 100000/day
trusted-rate = 100/s
%(lamp)s
[allow-list]
save = yes
[state]
directory = %(state)s
[echo]
secret-file = echo.key
%(context)s
"""
FIRST = "[link air]\nrate = 1Mbit/s\nburst = 4KiB\nnstart = 16\n"
SECOND = """
[guard]
name = another
max-options = 32
[link air]
rate = 900kbit/s
burst = 8KiB
nstart = 8
queue-length = 64
[server fan]
address = coap://127.0.0.1:%(fan)d
[listen more]
bind = 127.0.0.1:%(more)d
server = fan
[throttle]
unknown-rate = 3/s
reply-rate = 30/s
"""


def endpoint():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    s.setblocking(False)
    return s


class Lamp:
    """The device: OSCORE with whoever has its key, each number once; plain for others; it notifies who observes."""

    def __init__(self):
        self.socket = endpoint()
        self.port = self.socket.getsockname()[1]
        self.contexts = {kid: rawoscore.Context(b"\x02", kid, bytes.fromhex(SECRET), bytes.fromhex(SALT))
                         for kid in (b"\x01", b"\x03")}
        self.seen, self.requests, self.replays = set(), 0, 0
        self.observer = self.guard = None
        self.notified = 0
        self.thinking = []  # (when, bytes) of answers to come

    def handle(self):
        raw, self.guard = self.socket.recvfrom(2048)
        request = rawcoap.decode(raw)
        if request.code == EMPTY:
            return
        self.requests += 1
        if request.option(OSCORE) is None:
            answer = request._replace(type=ACK, code=rawcoap.code("2.05"), options=(), payload=request.payload)
        else:
            answer = self.protected(request)
        heapq.heappush(self.thinking, (time.monotonic() + random.random() * SLOW, rawcoap.encode(answer)))

    def due(self):
        """Sends what it has thought about for long enough. Returns how long the next one takes."""
        while self.thinking and self.thinking[0][0] <= time.monotonic():
            self.socket.sendto(heapq.heappop(self.thinking)[1], self.guard)
        return max(0, self.thinking[0][0] - time.monotonic()) if self.thinking else 1

    def protected(self, request):
        kid = rawoscore.parse(request.option(OSCORE)).kid
        sealed = self.contexts[kid].unprotect_request(request)
        if (kid, sealed.piv) in self.seen:
            self.replays += 1
            return Message(ACK, rawcoap.code("4.01"), request.mid, request.token, (), b"Replay detected")
        self.seen.add((kid, sealed.piv))
        observing = sealed.message.option(OBSERVE) is not None
        if observing:
            self.observer = (kid, sealed)
        reply = sealed.message._replace(type=ACK, code=rawcoap.code("2.05"), options=((OBSERVE, b""),) if observing else ())
        return self.contexts[kid].protect_response(reply, sealed.request, own_number=False)

    def notify(self):
        kid, sealed = self.observer
        self.notified += 1
        note = Message(NON, rawcoap.code("2.05"), 0x8000 + self.notified & 0xffff, sealed.message.token,
                       ((OBSERVE, b""),), b"%d" % self.notified)
        self.socket.sendto(rawcoap.encode(self.contexts[kid].protect_response(note, sealed.request)), self.guard)


class Client:
    """Sends each request once, and books what is answered as it should be."""

    def __init__(self, name, port, context, path="lamp"):
        self.name, self.context, self.path, self.guard = name, context, path, ("127.0.0.1", port)
        self.socket = endpoint()
        self.waiting, self.answered, self.wrong, self.slowest = {}, 0, [], 0.0
        self.notes = 0

    def send(self, observe=False):
        number = self.context.number()
        token = number.to_bytes(4, "big")
        options = ((OBSERVE, b""),) if observe else ()
        message = Message(CON, GET, number & 0xffff, token, options + rawcoap.path(self.path), b"%d" % number)
        outside = rawcoap.path(self.path) if self.context.recipient == b"\x02" else ()
        wire, request = self.context.protect_request(message, outside, number=number)
        self.waiting[token] = (time.monotonic(), request, b"%d" % number)
        self.socket.sendto(rawcoap.encode(wire), self.guard)

    def handle(self):
        raw = self.socket.recv(2048)
        answer = rawcoap.decode(raw)
        if answer.code == EMPTY:
            if answer.type == CON:
                self.socket.sendto(b"\x70\x00" + raw[2:4], self.guard)
            return
        if answer.type == CON:
            self.socket.sendto(rawcoap.encode(Message(ACK, EMPTY, answer.mid)), self.guard)
        if answer.token not in self.waiting:
            self.wrong.append(answer)
            return
        since, request, expected = self.waiting[answer.token]
        if answer.option(OSCORE) is None:
            self.wrong.append(answer)
            return
        inside = self.context.unprotect_response(answer, request).message
        if request.fetch and inside.payload != expected:
            self.notes += 1
        elif inside.payload == expected:
            if not request.fetch:
                del self.waiting[answer.token]
            self.answered += 1
            self.slowest = max(self.slowest, time.monotonic() - since)
        else:
            self.wrong.append(answer)


class ReloadTest(unittest.TestCase):
    def setUp(self):
        self.directory = harness.scratch()
        self.lamp = Lamp()
        self.state = self.directory / "state"
        self.state.mkdir(mode=0o700)
        (self.directory / "echo.key").write_text("00112233445566778899aabbccddeeff")
        (self.directory / "echo.key").chmod(0o600)
        self.context = guard_context(self.directory, "phone", "40", "c0", "servers = lamp\n")
        self.fan, self.more = harness.free_port(), harness.free_port()
        self.guard = Guard(self.text(FIRST), directory=self.directory)
        self.guard.begin_contexts()
        salt = bytes.fromhex(SALT)
        self.trusted = Client("trusted", self.guard.port, rawoscore.Context(b"\x01", b"\x02", bytes.fromhex(SECRET), salt))
        self.observer = Client("observer", self.guard.port, rawoscore.Context(b"\x03", b"\x02", bytes.fromhex(SECRET), salt))
        self.phone = Client("phone", self.guard.port,
                            rawoscore.Context(b"\xc0", b"\x40", bytes.fromhex(GUARD_SECRET), salt))
        self.clients = (self.trusted, self.phone, self.observer)

    def text(self, more, lamp="link = air"):
        return (ALWAYS + more) % {"device": self.lamp.port, "state": self.state, "context": self.context, "lamp": lamp,
                                  "fan": getattr(self, "fan", 0), "more": getattr(self, "more", 0)}

    def tearDown(self):
        for s in (self.lamp, *self.clients):
            s.socket.close()
        self.assertEqual(self.guard.stop(), 0)

    def pump(self, seconds):
        """Lets everybody answer for so long."""
        end = time.monotonic() + seconds
        sockets = {self.lamp.socket: self.lamp, **{c.socket: c for c in self.clients}}
        while (left := end - time.monotonic()) > 0:
            for ready in select.select(list(sockets), [], [], min(left, self.lamp.due()))[0]:
                sockets[ready].handle()

    def warm_up(self):
        self.observer.send(observe=True)
        for _ in range(12):
            self.trusted.send()
            self.phone.send()
            self.pump(0.05)
        self.pump(SLOW + 0.2)
        rows = {row["kid"]: row["standing"] for row in self.guard.ctl("clients")[0]}
        self.assertEqual(rows.get("01"), "trusted", rows)
        self.assertEqual((self.trusted.answered, self.phone.answered, self.observer.answered), (12, 12, 1))

    def rewrite(self, text):
        """As a careful editor does: whoever reads it sees the old one or the new one."""
        whole = self.guard.config
        self.guard.config = whole.with_suffix(".new")
        self.guard.write(text)
        os.replace(self.guard.config, whole)
        self.guard.config = whole

    def load(self, configurations):
        """Requests at a steady pace, and reloads between them. Returns how many of each."""
        start = time.monotonic()
        sent = reloads = 0
        while (now := time.monotonic() - start) < SECONDS:
            while sent < now * RATE:
                self.trusted.send()
                self.phone.send()
                self.lamp.notify()
                sent += 1
            while reloads < now / GAP:
                if len(configurations) > 1:
                    self.rewrite(configurations[reloads % len(configurations)])
                self.guard.signal(signal.SIGHUP)
                reloads += 1
            self.pump(0.005)
        self.pump(1)
        return sent, reloads

    def assert_nothing_lost(self, configurations):
        self.warm_up()
        sent, reloads = self.load(configurations)
        seen = self.guard.notify.lines.count("RELOADING=1")
        for client in self.clients:
            print("%s: %d answered of %d, slowest %.1f ms, %d notifications of %d; %d reloads of %d signals" %
                  (client.name, client.answered, client.context.next, client.slowest * 1000, client.notes,
                   self.lamp.notified, seen, reloads), file=sys.stderr)
        for client in (self.trusted, self.phone):
            self.assertEqual(client.waiting, {}, "%s: lost %s" % (client.name, [w[2] for w in client.waiting.values()]))
            self.assertEqual((client.answered, client.wrong), (12 + sent, []))
        self.assertEqual(self.observer.notes, self.lamp.notified)
        self.assertEqual(self.lamp.replays, 0)
        self.assertGreater(seen, 0.8 * reloads)  # a signal that comes during a reload is one with it
        self.assertNotIn("reload failed", self.guard.process.output())
        rows = {row["kid"]: row["standing"] for row in self.guard.ctl("clients")[0]}
        self.assertEqual(rows.get("01"), "trusted", rows)

    def test_same_configuration(self):
        self.assert_nothing_lost([self.text(FIRST)])

    def test_two_configurations(self):
        self.assert_nothing_lost([self.text(SECOND, "link = air\nobserve-max = 8\n"), self.text(FIRST)])

    def test_bad_configuration_between(self):
        """Every second one is refused, and the old one goes on."""
        self.warm_up()
        sent, reloads = self.load([self.text(FIRST) + "[nonsense]\n", self.text(FIRST)])
        for client in (self.trusted, self.phone):
            self.assertEqual((client.waiting, client.answered, client.wrong), ({}, 12 + sent, []))
        self.assertIn("reload failed", self.guard.process.output())


if __name__ == "__main__":
    unittest.main()
