#!/usr/bin/python3
"""clients: established clients and newcomers, each with an address and an OSCORE context of its own, in one process; and the victim of
reflection. They do what RFC 7252, 8516 and 9175 ask of a client: retransmit, answer pings, wait for Max-Age after 4.29, give Echo back. An
unprotected error with their token ends an operation: it failed, as with clients that set up a new context then.

First the established ones make themselves known; then "warm" is printed, and each line on stdin begins a phase of arrivals, drawn from --seed
and the phase's number alone: "quiet 12", "attack 40". Each operation is a line of JSON when it has ended.
"""
import argparse
import asyncio
import json
import os
import random
import socket
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import rawcoap  # noqa: E402
import rawoscore  # noqa: E402
from cryptography.exceptions import InvalidTag  # noqa: E402
from mote import CLIENTS, KEYED, NEWCOMER, client_context  # noqa: E402

ACK_TIMEOUT, RANDOM_FACTOR, MAX_RETRANSMIT = 2, 1.5, 4
DEADLINE = {"established": 10, "newcomer": 20, "keyed": 20}
WARM = 12
WARM_PAUSE = 0.25  # of the mean, between two requests
PATH = rawcoap.path("status")
EDHOC = rawcoap.path(".well-known/edhoc")
CONTENT_FORMAT = 12
MESSAGE_1 = b"\xf5\x03\x02\x58\x20%s\x20"
MESSAGE_3 = 19
SITE, NEW = "2001:db8:c:1::%x", "2400:%x::1"  # each newcomer comes from a /32 that nobody else is in


class Failed(Exception):
    """The operation's end, and why."""


class Endpoint(asyncio.DatagramProtocol):
    """One address: requests by token."""

    def __init__(self):
        self.waiting, self.pings, self.received = {}, 0, 0

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, sender):
        self.received += 1
        try:
            message = rawcoap.decode(data)
        except (ValueError, IndexError):
            return
        if message.type == rawcoap.CON and message.code == rawcoap.EMPTY:
            self.pings += 1
            self.send(rawcoap.Message(rawcoap.RST, rawcoap.EMPTY, message.mid))
            return
        if message.type == rawcoap.CON:
            self.send(rawcoap.Message(rawcoap.ACK, rawcoap.EMPTY, message.mid))
        for queue, mid, token in list(self.waiting.values()):
            if message.token == token and message.code >= 64 or message.code == rawcoap.EMPTY and message.mid == mid:
                queue.put_nowait(message)

    def send(self, message):
        self.transport.sendto(rawcoap.encode(message))

    def close(self):
        self.transport.close()


async def endpoint(address, port, to):
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.setsockopt(socket.IPPROTO_IPV6, 78, 1)  # IPV6_FREEBIND
    sock.setblocking(False)
    sock.bind((address, port))
    sock.connect(to)
    _, protocol = await asyncio.get_running_loop().create_datagram_endpoint(Endpoint, sock=sock)
    return protocol


class Operation:
    """What one client wants, with all the tries that takes until its deadline."""

    def __init__(self, args, at, kind, record):
        self.args, self.at, self.kind, self.record = args, at, kind, record
        self.echo, self.sent = None, 0
        self.end = time.monotonic() + DEADLINE[kind]

    def left(self):
        left = self.end - time.monotonic()
        if left <= 0:
            raise Failed("late")
        return left

    async def exchange(self, message):
        """Sends until answered; the response."""
        queue = asyncio.Queue()
        self.at.waiting[message.token] = queue, message.mid, message.token
        timeout, sends = ACK_TIMEOUT * random.uniform(1, RANDOM_FACTOR), 0
        resend = time.monotonic()
        try:
            while True:
                if resend is not None and time.monotonic() >= resend:
                    if sends > MAX_RETRANSMIT:
                        raise Failed("silence")
                    self.at.send(message)
                    sends, self.sent = sends + 1, self.sent + 1
                    resend, timeout = time.monotonic() + timeout, 2 * timeout
                try:
                    wait = self.left() if resend is None else min(self.left(), max(0, resend - time.monotonic()))
                    answer = await asyncio.wait_for(queue.get(), wait)
                except asyncio.TimeoutError:
                    continue
                if answer.code == rawcoap.EMPTY:
                    if answer.type == rawcoap.RST:
                        raise Failed("reset")
                    resend = None
                    continue
                return answer
        finally:
            del self.at.waiting[message.token]

    def outer(self):
        """Outer options: the way through two guards, and a proof of the address."""
        way = ((rawcoap.URI_HOST, self.args.host.encode()), (rawcoap.PROXY_SCHEME, b"coap")) if self.args.host else ()
        return way + (((rawcoap.ECHO, self.echo),) if self.echo else ())

    def header(self, code, options, payload=b""):
        return rawcoap.Message(rawcoap.CON, code, random.getrandbits(16), os.urandom(4), tuple(options), payload)

    async def refused(self, answer):
        """Waits as told; anything but "later" and "who are you" is the end."""
        code, echo, age = rawcoap.dotted(answer.code), answer.option(rawcoap.ECHO), answer.option(rawcoap.MAX_AGE)
        self.record["refusals"] = self.record.get("refusals", 0) + 1
        if echo:
            self.echo = echo
        if code == "4.01" and echo:
            return
        if code not in ("4.29", "5.03"):
            raise Failed("unprotected " + code)
        pause = int.from_bytes(age, "big") if age is not None else 60
        if pause >= self.left():
            raise Failed(code)
        await asyncio.sleep(pause)

    async def plain(self, options, payload):
        while True:
            answer = await self.exchange(self.header(rawcoap.POST, tuple(options) + self.outer(), payload))
            if answer.code >> 5 == 2:
                return answer
            await self.refused(answer)

    async def protected(self, context):
        while True:
            message, request = context.protect_request(self.header(rawcoap.GET, PATH), self.outer())
            answer = await self.exchange(message)
            if answer.option(rawcoap.OSCORE) is None:
                await self.refused(answer)
                continue
            try:
                inside = context.unprotect_response(answer, request)
            except InvalidTag:
                raise Failed("not authentic")
            if inside.message.code >> 5 != 2:
                raise Failed("protected " + rawcoap.dotted(inside.message.code))
            return

    async def key_exchange(self):
        form = ((CONTENT_FORMAT, b"\x41"),)
        await self.plain(EDHOC + form, MESSAGE_1 % os.urandom(32))
        await self.plain(EDHOC + form, os.urandom(1).replace(b"\xf5", b"\0") + os.urandom(MESSAGE_3 - 1))

    async def run(self, context):
        began = time.monotonic()
        self.record.update(kind=self.kind, began=began, ok=False)
        try:
            if self.kind == "keyed":
                await self.key_exchange()
                self.record["keyed"] = time.monotonic() - began
            await self.protected(context)
            self.record["ok"] = True
        except Failed as why:
            self.record["why"] = str(why)
        self.record.update(took=time.monotonic() - began, sent=self.sent)
        print(json.dumps(self.record), flush=True)


class Site:
    def __init__(self, args):
        self.args, self.to = args, (args.target, 5683)
        self.tasks, self.newcomers, self.phase = set(), 0, 0

    async def open(self):
        self.established = [(await endpoint(SITE % (i + 1), 41000 + i, self.to), client_context(bytes([kid])))
                            for i, kid in enumerate(CLIENTS[:self.args.clients])]
        self.victim = await endpoint("2001:db8:f::1", 40000, self.to)
        self.victim_bytes = self.victim_datagrams = 0
        self.victim.datagram_received = self.reflected

    def reflected(self, data, sender):
        self.victim_bytes += len(data) + 48
        self.victim_datagrams += 1

    def spawn(self, coroutine):
        task = asyncio.ensure_future(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def warm(self):
        """Each gets as many answers as it takes to be known."""
        async def one(i, at, context):
            good = 0
            pause = WARM_PAUSE * self.args.mean
            await asyncio.sleep(i * pause / len(self.established))
            while good < WARM:
                record = {"phase": "warm"}
                await Operation(self.args, at, "established", record).run(context)
                good += record["ok"]
                await asyncio.sleep(pause)
        await asyncio.gather(*(one(i, *client) for i, client in enumerate(self.established)))

    async def ask(self, when, client, phase):
        await asyncio.sleep(max(0, when - time.monotonic()))
        at, context = self.established[client]
        await Operation(self.args, at, "established", {"phase": phase, "client": client}).run(context)

    async def arrive(self, when, kind, number, phase):
        await asyncio.sleep(max(0, when - time.monotonic()))
        at = await endpoint(NEW % number, 41000, self.to)
        first = KEYED if kind == "keyed" else NEWCOMER
        await Operation(self.args, at, kind, {"phase": phase, "number": number}).run(client_context(bytes([first, number & 0xff])))
        at.close()

    def begin(self, phase, seconds):
        """Poisson arrivals, the same for every row and attacker."""
        start, self.phase = time.monotonic(), self.phase + 1
        draw = random.Random("%d %d" % (self.args.seed, self.phase))
        for client in range(len(self.established)):
            at = draw.expovariate(1 / self.args.mean)
            while at < seconds:
                self.spawn(self.ask(start + at, client, phase))
                at += draw.expovariate(1 / self.args.mean)
        at = draw.expovariate(1 / self.args.mean)
        while at < seconds:
            self.newcomers += 1
            kind = "keyed" if self.args.keyed and self.newcomers % 2 else "newcomer"
            self.spawn(self.arrive(start + at, kind, self.newcomers, phase))
            at += draw.expovariate(1 / self.args.mean)
        print(json.dumps({"begins": phase, "at": start, "victim_bytes": self.victim_bytes, "victim_datagrams": self.victim_datagrams}), flush=True)

    async def obey(self):
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := (await reader.readline()).split():
            if line[0] == b"end":
                break
            self.begin(line[0].decode(), float(line[1]))
        while self.tasks:
            await asyncio.wait(list(self.tasks))
        print(json.dumps({"end": time.monotonic(), "victim_bytes": self.victim_bytes, "victim_datagrams": self.victim_datagrams}), flush=True)


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--target", required=True)
    parser.add_argument("--host", help="Uri-Host beside the layer, for a proxy that passes it on")
    parser.add_argument("--clients", type=int, default=5)
    parser.add_argument("--keyed", action="store_true", help="every other newcomer makes its key by EDHOC")
    parser.add_argument("--mean", type=float, default=2, help="seconds between two requests of a client, and between two newcomers")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    site = Site(args)
    await site.open()
    await site.warm()
    print("warm", flush=True)
    await site.obey()


if __name__ == "__main__":
    asyncio.run(main())
