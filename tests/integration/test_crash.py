"""The guard dies at any moment and comes back: no nonce is ever used twice, nothing old is forwarded, and it is quick.

A client and a device of our own do OSCORE with the guard, one on each side, and see every message that it ever seals.
ROUNDS of kill -9 under traffic, and death at each single step of what it keeps on disk.
"""
import collections
import json
import os
import random
import select
import socket
import struct
import sys
import time
import unittest

import harness
from harness import BUILD, GUARD_SECRET, SALT, TESTS, Guard, guard_context
import rawcoap
import rawoscore
from rawcoap import ACK, CON, ECHO, EMPTY, FETCH, NON, OBSERVE, OSCORE, RST, Message

CLIENT, GUARD_TO_CLIENT, GUARD_TO_DEVICE, DEVICE = b"\xc0", b"\x40", b"\x41", b"\xd0"
DYING = BUILD / "tests" / "support" / "dying.so"
DYING_STATUS = 111
IP_PKTINFO = 8  # of ip(7); Python has no name for it
REPLAYED = 1000
AT_ONCE = 8  # requests under way

CONFIG = """
[listen all]
bind = 127.0.0.1:{port}
server = device
[link wide]
rate = 1000Mbit/s
burst = 1MiB
queue-length = 1024
nstart = 16
[server device]
address = coap://127.0.0.1:%d
mode = full
trusted-rate = 1000000/s
[throttle]
unknown-rate = 100000/s
reply-rate = 100000/s
[state]
directory = %s
ssn-reserve = %d
"""


def endpoint(host="127.0.0.1"):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    s.bind((host, 0))
    s.setblocking(False)
    return s


class Ledger:
    """All that was ever sealed, by key and nonce. A message may be repeated, but no other one have its nonce."""

    def __init__(self):
        self.sealed = {}

    def book(self, key, nonce, ciphertext):
        before = self.sealed.setdefault((key, nonce), ciphertext)
        assert before == ciphertext, "%s: nonce %s sealed two messages" % (key, nonce.hex())


class Receiver:
    """The device. It knows which requests are of today, and notifies the last observer after every third one."""

    def __init__(self, ledger, secret):
        self.socket, self.ledger = endpoint(), ledger
        self.port = self.socket.getsockname()[1]
        self.context = rawoscore.Context(DEVICE, GUARD_TO_DEVICE, secret, bytes.fromhex(SALT))
        self.replies, self.reached, self.observer = {}, {}, None
        self.oldest = 0  # requests with lower numbers were sent to a guard that has died since

    def handle(self, raw, guard):
        request = rawcoap.decode(raw)
        if request.code == EMPTY:
            return
        sealed = self.context.unprotect_request(request)
        self.ledger.book("towards the device", sealed.nonce, request.payload)
        number = int(sealed.message.payload)
        assert number >= self.oldest, "request %d of an earlier life reached the device" % number
        assert self.reached.setdefault(number, sealed.piv) == sealed.piv, "request %d reached it twice" % number
        if sealed.piv not in self.replies:
            self.replies[sealed.piv] = self.answer(sealed)
        self.socket.sendto(self.replies[sealed.piv], guard)
        if self.observer and number % 3 == 0:
            self.notify(guard)

    def answer(self, sealed):
        observing = sealed.message.option(OBSERVE) is not None
        reply = sealed.message._replace(type=ACK, code=rawcoap.code("2.05"),
                                        options=((OBSERVE, b""),) if observing else ())
        if observing:
            self.observer = sealed
        return rawcoap.encode(self.context.protect_response(reply, sealed.request, own_number=False))

    def notify(self, guard):
        notification = Message(NON, rawcoap.code("2.05"), self.context.next & 0xffff, self.observer.message.token,
                               ((OBSERVE, b""),), b"notification")
        self.socket.sendto(rawcoap.encode(self.context.protect_response(notification, self.observer.request)), guard)


class Asker:
    """The client. Whoever replays what it once sent has many addresses, and may read the answers."""

    def __init__(self, ledger, secret, port):
        self.socket, self.thief, self.ledger, self.guard = endpoint(), endpoint(""), ledger, ("127.0.0.1", port)
        self.context = rawoscore.Context(CLIENT, GUARD_TO_CLIENT, secret, bytes.fromhex(SALT))
        self.sent = collections.deque(maxlen=REPLAYED)
        self.requests, self.waiting = {}, set()
        self.echo = None
        self.echoes = self.notifications = self.refusals = self.pongs = self.replays = 0

    def ask(self, observe=False):
        """Sends a request that holds its own number, and returns its token."""
        number = self.context.number()
        token = number.to_bytes(4, "big")
        options = ((OBSERVE, b""),) if observe else ()
        options += ((ECHO, self.echo),) if self.echo else ()
        message = Message(CON, FETCH, number & 0xffff, token, options + rawcoap.path("n"), b"%d" % number)
        wire, self.requests[token] = self.context.protect_request(message, number=number)
        self.sent.append(rawcoap.encode(wire))
        self.waiting.add(token)
        self.socket.sendto(self.sent[-1], self.guard)
        return token

    def replay(self, raw, from_home):
        """Once more, with another Message ID, so that it is no duplicate for the message layer. Thieves are many."""
        self.replays += 1
        mid = int.from_bytes(raw[2:4], "big") + 1 + self.replays % 0xffff & 0xffff
        raw = raw[:2] + mid.to_bytes(2, "big") + raw[4:]
        if from_home:
            self.socket.sendto(raw, self.guard)
        else:
            source = struct.pack("i4s4x", 0, bytes([127]) + os.urandom(3))
            self.thief.sendmsg([raw], [(socket.IPPROTO_IP, IP_PKTINFO, source)], 0, self.guard)

    def ping(self):
        self.socket.sendto(rawcoap.encode(Message(CON, EMPTY, random.getrandbits(16))), self.guard)

    def handle(self, raw, to):
        message = rawcoap.decode(raw)
        if message.code == EMPTY:
            self.pongs += message.type == RST
            if message.type == CON and to is self.socket:
                to.sendto(rawcoap.encode(Message(RST, EMPTY, message.mid)), self.guard)
            return
        if message.type == CON:
            to.sendto(rawcoap.encode(Message(ACK, EMPTY, message.mid)), self.guard)
        if message.option(OSCORE) is None:
            self.refusals += 1
            return
        sealed = self.context.unprotect_response(message, self.requests[message.token])
        self.ledger.book("towards the client", sealed.nonce, message.payload)
        if sealed.message.option(ECHO):
            self.echo = sealed.message.option(ECHO)
            self.echoes += 1
        elif sealed.message.payload == b"notification":
            self.notifications += 1
        else:
            assert to is self.socket, "a replayed request was answered: %s" % (sealed.message,)
            assert rawcoap.dotted(sealed.message.code) == "2.05", sealed.message
        if to is self.socket:
            self.waiting.discard(message.token)


class World:
    """Client, guard and device, all but the guard on this thread."""

    def __init__(self, directory, reserve):
        self.directory, self.ledger, self.reserve = directory, Ledger(), reserve
        self.port = harness.free_port()
        secret = bytes.fromhex(GUARD_SECRET)
        self.device, self.client = Receiver(self.ledger, secret), Asker(self.ledger, secret, self.port)
        self.guard, self.starts = None, []

    def start(self, env=None, wait=True):
        state = self.directory / "state"
        text = CONFIG % (self.device.port, state, self.reserve)
        text += guard_context(self.directory, "client", GUARD_TO_CLIENT.hex(), CLIENT.hex(), "servers = device")
        text += guard_context(self.directory, "device", GUARD_TO_DEVICE.hex(), DEVICE.hex(), "next-hop = device")
        self.device.oldest, self.device.observer = self.client.context.next, None
        self.client.echo = None
        self.client.waiting.clear()
        began = time.monotonic()
        self.guard = Guard(text, port=self.port, directory=self.directory, env=env, wait=wait)
        if wait:
            self.starts.append(time.monotonic() - began)

    def drain(self, seconds):
        """Handles what has come, or comes within that time. False: nothing did."""
        parties = (self.client.socket, self.client.thief, self.device.socket)
        ready = select.select(parties, [], [], seconds)[0]
        for s in ready:
            try:
                while True:
                    raw, sender = s.recvfrom(2048)
                    self.device.handle(raw, sender) if s is self.device.socket else self.client.handle(raw, s)
            except BlockingIOError:
                pass
        return bool(ready)

    def pump(self, until, seconds):
        """True when it is so."""
        end = time.monotonic() + seconds
        while not until() and (left := end - time.monotonic()) > 0:
            self.drain(min(left, 0.05))
        return until()

    def get(self, observe=False):
        """One request and its answer; after a death the guard asks for one with its Echo."""
        for _ in range(2):
            echoes, token = self.client.echoes, self.client.ask(observe)
            if not self.pump(lambda: token not in self.client.waiting, 3):
                return False
            if self.client.echoes == echoes:
                return True
        return False

    def settle(self):
        """The guard has handled all that was sent to it."""
        pongs = self.client.pongs
        self.client.ping()
        assert self.pump(lambda: self.client.pongs > pongs, 2), "no pong"

    def replay(self, count, from_home=False):
        """What the client sent is sent again; the device looks at what reaches it."""
        old, step = list(self.client.sent)[-count:], self.reserve // 4  # an answer may cost a number
        for i in range(0, len(old), step):
            for raw in old[i:i + step]:
                self.client.replay(raw, from_home)
            self.settle()
        return len(old)

    def traffic(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            while len(self.client.waiting) < AT_ONCE:
                self.client.ask()
            self.drain(left)

    def short_life(self, seconds):
        """Dies while it starts, or while the first requests, old and new, make it find its feet."""
        self.start(wait=False)
        now = time.monotonic()
        end, patience = now + seconds, now
        while now < end:
            if now >= patience:  # what came before the guard listened is not answered
                self.client.waiting.clear()
                patience = now + 0.01
            for raw in list(self.client.sent)[-4:]:
                self.client.replay(raw, from_home=True)
            if len(self.client.waiting) < AT_ONCE:
                self.client.ask()
            self.drain(0.002)
            now = time.monotonic()
        self.kill()

    def kill(self):
        self.guard.kill()
        while self.drain(0):
            pass

    def rows(self):
        return {row["context"]: row for row in self.guard.ctl("contexts")[0]}

    def explain(self):
        """What one wants to know of a guard that did something odd."""
        text = self.guard.process.output()[-500:]
        if self.guard.process.alive():
            counters = [row for row in self.guard.ctl("counters")[0] if 0 not in row.values()]
            text += "%s\n%s\n" % (counters, list(self.rows().values()))
        return text

    def close(self):
        if self.guard and self.guard.process.alive():
            self.guard.stop()
        for s in (self.client.socket, self.client.thief, self.device.socket):
            s.close()


class Killed(unittest.TestCase):
    def setUp(self):
        self.world = World(harness.scratch(), 128)
        self.addCleanup(self.world.close)

    def round(self, seconds):
        w = self.world
        w.start()
        n = w.replay(REPLAYED)
        # most were authentic to it, and not refused beforehand for all that trouble
        self.assertGreater(w.rows()["client"]["unsynced"], n // 2)
        self.assertTrue(w.get(observe=True), "no answer after a start; " + w.guard.process.output()[-300:])
        refusals = w.client.refusals
        n = w.replay(50, from_home=True)
        self.assertEqual(w.client.refusals - refusals, n)
        w.traffic(seconds)
        w.kill()

    def test_rounds(self):
        rounds, w = int(os.environ.get("ROUNDS", 25)), self.world
        w.start()
        w.guard.begin_contexts()
        self.assertTrue(w.get())
        w.traffic(0.3)
        w.kill()
        w.starts.clear()
        try:
            for _ in range(rounds):
                self.round(random.uniform(0, 0.1))
                w.short_life(random.uniform(0, 0.05))
        except AssertionError as e:
            raise AssertionError("%s\n%s" % (e, w.explain())) from e
        finally:
            print("%d rounds: %d requests, %d of them reached the device, %d notifications, %d Echoes, "
                  "%d nonces; start %.0f ms at most, %.0f ms on average"
                  % (len(w.starts), w.client.context.next, len(w.device.reached), w.client.notifications,
                     w.client.echoes, len(w.ledger.sealed), 1000 * max(w.starts),
                     1000 * sum(w.starts) / len(w.starts)), file=sys.stderr)
        self.assertLess(max(w.starts), 1)
        # the rounds were about something
        self.assertGreater(len(w.device.reached), 10 * rounds)
        self.assertGreater(w.client.notifications, rounds)


class Dying(unittest.TestCase):
    """Death at each point of each write, fsync and rename in the state directory (support/dying.c)."""

    def setUp(self):
        self.world = World(harness.scratch(), 16)
        self.addCleanup(self.world.close)
        self.began = set()

    def begin_contexts(self):
        """A context has a state when the guard has said so; until then its key was not used."""
        w = self.world
        for name in ("client", "device"):
            if name not in self.began and w.guard.process.alive():
                _, code = w.guard.ctl("context", "new", name, json_output=False)
                if code == 0:
                    self.began.add(name)

    def tell(self, point, requests):
        """Start, serve, end; False: it died underway."""
        w = self.world
        w.start({"LD_PRELOAD": str(DYING), "DYING_DIRECTORY": str(w.directory / "state"), "DYING_AT": str(point)},
                wait=False)
        alive = w.guard.process.alive
        harness.wait_until(lambda: not alive() or "READY=1" in w.guard.notify.lines, 5, "READY=1")
        self.begin_contexts()
        # "context new" says that the key was never used: nothing may have been sent before it worked
        while requests and len(self.began) == 2 and alive():
            w.client.waiting.clear()
            w.client.ask(observe=requests % 8 == 0)
            w.pump(lambda: not alive() or not w.client.waiting, 1)
            requests -= 1
        code = w.guard.process.stop()
        w.kill()
        self.assertIn(code, (0, DYING_STATUS), w.guard.process.output()[-500:])
        return code == 0

    def assert_sound(self):
        """The next start knows all that was promised, and goes on."""
        w = self.world
        w.start()
        for name, row in w.rows().items():
            if name in self.began:
                self.assertIn(row["state"], ("ready", "unsynced"), row)
            elif row["state"] == "off":
                self.assertIn("no state for its key", row["note"])
            else:
                self.began.add(name)
        self.begin_contexts()
        w.replay(50)
        self.assertTrue(w.get(), w.guard.process.output()[-300:])
        w.replay(50, from_home=True)
        self.assertEqual(w.guard.stop(), 0)

    def die_everywhere(self, requests, prepare):
        point, whole = 0, False
        while not whole:
            point += 1
            prepare()
            try:
                whole = self.tell(point, requests)
                self.assert_sound()
            except (AssertionError, TimeoutError) as e:
                raise AssertionError("after death at point %d: %s" % (point, e)) from e
            self.assertLess(point, 500)
        return point - 1

    def begin_anew(self):
        """No state, and a key that was never used."""
        self.world.close()
        self.setUp()

    def test_beginning(self):
        points = self.die_everywhere(1, self.begin_anew)
        print("beginning: %d points" % points, file=sys.stderr)
        self.assertGreater(points, 20)

    def test_going_on(self):
        points = self.die_everywhere(30, lambda: None)
        print("going on: %d points" % points, file=sys.stderr)
        self.assertGreater(points, 40)


class Yardstick(unittest.TestCase):
    """Our own OSCORE against the vectors of RFC 8613, appendix C."""

    vectors = json.loads((TESTS / "vectors" / "rfc8613_appendix_c.json").read_text())["vectors"]

    def hex(self, vector, name):
        return bytes.fromhex(self.vectors[vector].get(name, ""))

    def context(self, setup, number=0):
        return rawoscore.Context(self.hex(setup, "Sender ID"), self.hex(setup, "Recipient ID"),
                                 self.hex(setup, "Master Secret"), self.hex(setup, "Master Salt"),
                                 self.hex(setup, "ID Context") or None, number)

    def test_requests(self):
        for vector, client, server in (("C.4", "C.1.1", "C.1.2"), ("C.5", "C.2.1", "C.2.2"), ("C.6", "C.3.1", "C.3.2")):
            with self.subTest(vector):
                context = self.context(client, self.vectors[vector]["Sender Sequence Number"])
                plain = rawcoap.decode(self.hex(vector, "Unprotected CoAP request"))
                inside = plain._replace(options=tuple(o for o in plain.options if o[0] != rawcoap.URI_HOST))
                wire, _ = context.protect_request(inside, [o for o in plain.options if o[0] == rawcoap.URI_HOST])
                self.assertEqual(rawcoap.encode(wire), self.hex(vector, "Protected CoAP request (OSCORE message)"))
                self.assertEqual(self.context(server).unprotect_request(wire).message, inside)

    def test_responses(self):
        request = rawoscore.Request(b"", b"\x14", False)
        for vector, own_number in (("C.7", False), ("C.8", True)):
            with self.subTest(vector):
                plain = rawcoap.decode(self.hex(vector, "Unprotected CoAP response"))
                wire = self.context("C.1.2").protect_response(plain, request, own_number)
                self.assertEqual(rawcoap.encode(wire), self.hex(vector, "Protected CoAP response (OSCORE message)"))
                self.assertEqual(self.context("C.1.1").unprotect_response(wire, request).message, plain)


if __name__ == "__main__":
    unittest.main(verbosity=2)
