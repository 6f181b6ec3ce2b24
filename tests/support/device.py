#!/usr/bin/python3
"""A counting CoAP device of our own: keeps every datagram it gets and answers as told.

By itself: device.py --port PORT [--silent] [--slow SECONDS]; in a test: Device(answer=...). A plain GET gets 2.05 with
its path as payload, an OSCORE request the plain 4.01 of a server that does not know the context.
"""
import argparse
import json
import socket
import threading
import time

import rawcoap


def default_answer(request):
    """The reply to a decoded request: Message, raw bytes, a list of either, or None for silence."""
    if request.code == rawcoap.EMPTY:
        return None
    if request.option(rawcoap.OSCORE) is not None:
        return reply(request, "4.01", b"Security context not found")
    return reply(request, "2.05", b"/".join(request.all(rawcoap.URI_PATH)) or b"root")


def reply(request, code, payload=b"", options=()):
    """Piggybacked for a CON; a NON gets a NON with another Message ID."""
    confirmable = request.type == rawcoap.CON
    return rawcoap.Message(rawcoap.ACK if confirmable else rawcoap.NON, rawcoap.code(code),
                           request.mid if confirmable else request.mid ^ 0x8000, request.token, tuple(options), payload)


class Device:
    """Answers on its own thread. `received` holds (time, raw, message or None) of each datagram, in order."""

    def __init__(self, answer=default_answer, host="127.0.0.1", port=0, slow=0):
        self.answer = answer
        self.slow = slow
        self.received = []
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, port))
        self.port = self.socket.getsockname()[1]
        self.guard = None  # where the last datagram came from
        self.stopping = False
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            try:
                raw, self.guard = self.socket.recvfrom(2048)
            except ConnectionRefusedError:
                continue
            except OSError:
                return
            if self.stopping:
                return
            try:
                message = rawcoap.decode(raw)
            except (ValueError, IndexError):
                message = None
            self.received.append((time.monotonic(), raw, message))
            answers = self.answer(message) if message and self.answer else None
            if self.slow:
                threading.Timer(self.slow, self.send, [answers, self.guard]).start()
            else:
                self.send(answers, self.guard)

    def send(self, answers, to=None):
        if answers is None:
            return
        for one in answers if isinstance(answers, list) else [answers]:
            self.socket.sendto(one if isinstance(one, bytes) else rawcoap.encode(one), to or self.guard)

    def requests(self):
        """Messages with a request code, in order."""
        return [m for _, _, m in self.received if m and 0 < m.code < 32]

    def counts(self):
        """Requests by kind: "plain", or "kid 01" (last byte of the OSCORE option)."""
        found = {}
        for m in self.requests():
            value = m.option(rawcoap.OSCORE)
            kind = "plain" if value is None else "kid %s" % value[-1:].hex()
            found[kind] = found.get(kind, 0) + 1
        return found

    def close(self):
        self.stopping = True
        with socket.socket(self.socket.family, socket.SOCK_DGRAM) as s:  # wakes the thread
            s.sendto(b"", self.socket.getsockname()[:2])
        self.thread.join(2)
        self.socket.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5683)
    parser.add_argument("--silent", action="store_true")
    parser.add_argument("--slow", type=float, default=0)
    args = parser.parse_args()
    device = Device(None if args.silent else default_answer, args.host, args.port, args.slow)
    print("ready", flush=True)
    try:
        while True:
            input()
            print(json.dumps(device.counts()), flush=True)
    except (EOFError, KeyboardInterrupt):
        device.close()


if __name__ == "__main__":
    main()
