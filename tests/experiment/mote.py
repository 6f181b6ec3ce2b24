#!/usr/bin/python3
"""mote: the device. OSCORE (RFC 8613) with replay windows, the shape of EDHOC, GET /.well-known/core; one request after the other, each as
long as an nRF52840 takes (energy.py); what waits meanwhile is in a small buffer, what finds no room is lost.

Counts what it did: a line of JSON for each line on stdin. Errors of OSCORE are unprotected, with the codes of RFC 8613 section 8.2.
"""
import argparse
import collections
import json
import select
import socket
import sys
import time
from pathlib import Path

from cryptography.exceptions import InvalidTag

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import energy  # noqa: E402
import rawcoap  # noqa: E402
import rawoscore  # noqa: E402

SECRET, SALT = bytes.fromhex("0102030405060708090a0b0c0d0e0f10"), bytes.fromhex("9e7ca92223786340")
OWN = b"\x02"
CLIENTS, FORMER, GREEDY = range(0x11, 0x1b), 0x70, 0x60  # kids of one byte: clients, attacker C's, attacker G's
NEWCOMER, KEYED = 0x80, 0x90  # first of two bytes: newcomers provisioned, newcomers by EDHOC
WINDOW = 32
REMEMBERED = 32  # last answers, for retransmissions (RFC 7252 section 4.5)
BUFFER = 8192  # bytes of the socket: about 16 datagrams
LINKS = b",".join(b'</s/%d>;rt="sensor";if="core.s";title="Sensor %d"' % (i, i) for i in range(6))
STATUS = b"on; 21.5 C; 64 %"  # 16 bytes
MESSAGE_2 = 45  # bytes


def is_known(kid):
    return len(kid) == 1 and (kid[0] in CLIENTS or kid[0] == GREEDY) or len(kid) == 2 and kid[0] in (NEWCOMER, KEYED)


def client_context(kid):
    return rawoscore.Context(kid, OWN, SECRET, SALT)


class Window:
    def __init__(self):
        self.top, self.bits = -1, 0

    def admits(self, number):
        return number > self.top or self.top - number < WINDOW and not self.bits >> (self.top - number) & 1

    def take(self, number):
        if number > self.top:
            self.bits = (self.bits << (number - self.top) | 1) & (1 << WINDOW) - 1
            self.top = number
        else:
            self.bits |= 1 << (self.top - number)


class Mote:
    def __init__(self, constants):
        self.constants = constants
        self.counts = collections.Counter()
        self.contexts, self.windows, self.answers = {}, {}, collections.OrderedDict()

    def spend(self, seconds):
        self.counts["cpu_us"] += round(seconds * 1e6)
        return seconds

    def context(self, kid):
        if kid not in self.contexts:
            self.contexts[kid] = rawoscore.Context(OWN, kid, SECRET, SALT)
            self.windows[kid] = Window()
        return self.contexts[kid], self.windows[kid]

    def oscore(self, request):
        """(response, seconds of CPU)"""
        option = rawoscore.parse(request.option(rawcoap.OSCORE))
        if option.kid is None or option.piv is None or not is_known(option.kid):
            self.counts["unknown"] += 1
            return self.reply(request, "4.01", b"Security context not found"), 0
        context, window = self.context(option.kid)
        number = int.from_bytes(option.piv, "big")
        if not window.admits(number):
            self.counts["replays"] += 1
            return self.reply(request, "4.01", b"Replay detected"), 0
        self.counts["aead"] += 1
        try:
            inside = context.unprotect_request(request)
        except (InvalidTag, ValueError):
            self.counts["forgeries"] += 1
            return self.reply(request, "4.00", b"Decryption failed"), self.constants.t_aead
        window.take(number)
        self.counts["aead"] += 1
        self.counts["served"] += 1
        answer = self.reply(inside.message, "2.05", STATUS)
        return context.protect_response(answer, inside.request, own_number=False), 2 * self.constants.t_aead

    def edhoc(self, request):
        if request.payload[:1] == b"\xf5":
            self.counts["message_1"] += 1
            return self.reply(request, "2.04", b"\x58" * MESSAGE_2), energy.MESSAGE_1_SHARE * self.constants.t_edhoc
        self.counts["message_3"] += 1
        return self.reply(request, "2.04"), (1 - energy.MESSAGE_1_SHARE) * self.constants.t_edhoc

    def plain(self, request):
        path = request.all(rawcoap.URI_PATH)
        if path == [b".well-known", b"edhoc"] and request.code == rawcoap.POST:
            return self.edhoc(request)
        self.counts["plain"] += 1
        if path == [b".well-known", b"core"]:
            return self.reply(request, "2.05", LINKS), 0
        return self.reply(request, "4.04"), 0

    @staticmethod
    def reply(request, code, payload=b""):
        confirmable = request.type == rawcoap.CON
        return rawcoap.Message(rawcoap.ACK if confirmable else rawcoap.NON, rawcoap.code(code),
                               request.mid if confirmable else request.mid ^ 0x8000, request.token, (), payload)

    def handle(self, raw, sender):
        """(bytes to send or None, seconds of CPU)"""
        self.counts["datagrams"] += 1
        base = self.constants.t_dgram
        try:
            request = rawcoap.decode(raw)
        except (ValueError, IndexError):
            return None, base
        if request.code == rawcoap.EMPTY and request.type == rawcoap.CON:
            return rawcoap.encode(rawcoap.Message(rawcoap.RST, 0, request.mid)), base
        if not 0 < request.code < 32:
            return None, base
        key = sender, request.mid, request.token
        if key in self.answers:
            self.counts["repeated"] += 1
            return self.answers[key], base
        answer, seconds = (self.plain if request.option(rawcoap.OSCORE) is None else self.oscore)(request)
        self.answers[key] = rawcoap.encode(answer)
        while len(self.answers) > REMEMBERED:
            self.answers.popitem(last=False)
        return self.answers[key], base + seconds

    def serve(self, host, port):
        sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        sock.bind((host, port))
        print("ready", flush=True)
        while True:
            for ready in select.select([sock, sys.stdin], [], [])[0]:
                if ready is sys.stdin:
                    if not sys.stdin.readline():
                        return
                    print(json.dumps(self.counts), flush=True)
                    continue
                start = time.monotonic()
                raw, sender = sock.recvfrom(2048)
                answer, seconds = self.handle(raw, sender[:2])
                time.sleep(max(0, start + self.spend(seconds) - time.monotonic()))
                if answer:
                    sock.sendto(answer, sender)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="::")
    parser.add_argument("--port", type=int, default=5683)
    args = parser.parse_args()
    Mote(energy.NRF52840).serve(args.host, args.port)


if __name__ == "__main__":
    main()
