#!/usr/bin/python3
"""talk: conversations that a flood is not: bodies in blocks, and many who follow one resource. It is both the clients and the device, reads
the CPU time of the process between them, and prints a line of JSON.

talk.py cut|follow --to PORT --device PORT --pid PID [--count N] [--szx N] [--followers N]"""

import argparse
import json
import os
import select
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import rawcoap  # noqa: E402
from rawcoap import ACK, BLOCK1, CON, EMPTY, GET, MAX_AGE, NON, OBSERVE, PUT, RST, URI_HOST, Message, decode, encode, path, uint  # noqa: E402

PATIENCE = 5
CONTINUE, CHANGED, CONTENT = rawcoap.code("2.31"), rawcoap.code("2.04"), rawcoap.code("2.05")


def udp(address):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    s.bind(address)
    return s


def cpu_ns(pid):
    return time.clock_gettime_ns(~pid << 3 | 2)


class Talk:
    def __init__(self, args):
        self.args, self.mid = args, 0
        self.device = udp(("127.0.0.1", args.device))
        self.clients = []
        self.poll = select.poll()
        self.poll.register(self.device, select.POLLIN)
        self.sockets = {self.device.fileno(): self.device}

    def client(self, address):
        s = udp((address, 0))
        s.connect(("127.0.0.1", self.args.to))
        self.clients.append(s)
        self.poll.register(s, select.POLLIN)
        self.sockets[s.fileno()] = s
        return s

    def number(self):
        self.mid = self.mid + 1 & 0xffff
        return self.mid

    def heard(self):
        """Yields (socket, message, from) until nobody says anything; answers pings and acknowledges on the way."""
        ready = self.poll.poll(1000 * PATIENCE)
        if not ready:
            raise SystemExit("nothing was said for %d s" % PATIENCE)
        for fd, _ in ready:
            s = self.sockets[fd]
            raw, who = s.recvfrom(2048)
            m = decode(raw)
            if m.code == EMPTY:
                if m.type == CON:
                    s.sendto(encode(Message(RST, EMPTY, m.mid)), who)
                continue
            if m.type == CON and s is not self.device:
                s.send(encode(Message(ACK, EMPTY, m.mid)))
            yield s, m, who

    # cut

    def taken(self, m, who):
        """The device's answer to one block."""
        block = m.option(BLOCK1) or b""
        more = block and block[-1] & 8
        self.pieces += 1
        self.bytes += len(m.payload)
        self.device.sendto(encode(Message(ACK, CONTINUE if more else CHANGED, m.mid, m.token, ((BLOCK1, block),) if block else ())), who)

    def put(self, s, body, szx):
        size = 16 << szx
        for n in range(0, len(body), size):
            block = uint(n // size << 4 | (8 if n + size < len(body) else 0) | szx)
            s.send(encode(Message(CON, PUT, self.number(), self.number().to_bytes(2, "big"),
                                  (*path("firmware"), (URI_HOST, b"dev"), (BLOCK1, block)), body[n:n + size])))
            while not self.told(s):
                pass

    def told(self, client):
        answers = 0
        for s, m, who in self.heard():
            if s is self.device:
                self.taken(m, who)
            elif s is client:
                answers += 1
                if m.code not in (CONTINUE, CHANGED):
                    raise SystemExit("a block was answered %s %r" % (rawcoap.dotted(m.code), m.payload))
        return answers

    def cut(self):
        s = self.client("127.0.0.1")
        body = bytes(4096)
        self.pieces = self.bytes = 0
        self.put(s, body, self.args.szx)  # what is learnt by the first is not measured
        self.pieces = self.bytes = 0
        before = cpu_ns(self.args.pid)
        for _ in range(self.args.count):
            self.put(s, body, self.args.szx)
        spent = cpu_ns(self.args.pid) - before
        if self.bytes != len(body) * self.args.count:
            raise SystemExit("%d bytes arrived of %d" % (self.bytes, len(body) * self.args.count))
        return {"cpu_us": spent / 1000 / (self.bytes / 1024), "pieces": self.pieces, "bytes": self.bytes}

    # follow

    def registered(self, m, who):
        """What the device answers to a registration, and remembers of it."""
        self.relations[m.token] = who
        self.device.sendto(encode(Message(ACK, CONTENT, m.mid, m.token, ((OBSERVE, uint(1)), (MAX_AGE, uint(600))), b"1")), who)

    def join(self, s, token):
        s.send(encode(Message(CON, GET, self.number(), token, (*path("time"), (URI_HOST, b"dev"), (OBSERVE, b"")))))
        while True:
            for one, m, who in self.heard():
                if one is self.device:
                    self.registered(m, who)
                elif one is s and m.token == token:
                    if m.option(OBSERVE) is None:
                        raise SystemExit("%s without Observe" % rawcoap.dotted(m.code))
                    return

    def notify(self, n):
        """One notification to each relation; until every follower has it."""
        for token, who in self.relations.items():
            self.device.sendto(encode(Message(NON, CONTENT, self.number(), token, ((OBSERVE, uint(n)), (MAX_AGE, uint(600))), b"%d" % n)), who)
        waiting = set(self.clients)
        while waiting:
            for s, m, who in self.heard():
                if s is self.device:
                    self.registered(m, who)
                elif m.payload == b"%d" % n:
                    waiting.discard(s)

    def follow(self):
        for i in range(self.args.followers):
            self.join(self.client("127.1.%d.%d" % (i // 200, 1 + i % 200)), b"%04d" % i)
        self.notify(2)
        before = cpu_ns(self.args.pid)
        for n in range(self.args.count):
            self.notify(3 + n)
        spent = cpu_ns(self.args.pid) - before
        return {"cpu_us": spent / 1000 / (self.args.count * self.args.followers), "relations": len(self.relations)}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("what", choices=("cut", "follow"))
    for name in ("to", "device", "pid"):
        p.add_argument("--" + name, type=int, required=True)
    p.add_argument("--count", type=int, default=20)
    p.add_argument("--szx", type=int, default=6)
    p.add_argument("--followers", type=int, default=200)
    talk = Talk(p.parse_args())
    talk.relations = {}
    print(json.dumps(getattr(talk, talk.args.what)()))


if __name__ == "__main__":
    main()
