"""CoAP over TCP as bytes (RFC 8323 section 3), on top of rawcoap: one connection, and what the tests do with it."""
import os
import socket

import rawcoap

CSM, PING, PONG, RELEASE, ABORT = 0xe1, 0xe2, 0xe3, 0xe4, 0xe5


def encode(m):
    body = rawcoap.encode(m._replace(token=b"", type=0, mid=0))[4:]
    if len(body) < 13:
        length, more = len(body), b""
    elif len(body) < 269:
        length, more = 13, bytes([len(body) - 13])
    else:
        length, more = 14, (len(body) - 269).to_bytes(2, "big")
    return bytes([length << 4 | len(m.token)]) + more + bytes([m.code]) + m.token + body


class Connection:
    """One client: says its CSM, answers pings unless told not to."""

    def __init__(self, port, host="127.0.0.1", source=None, csm=True, pong=True):
        self.socket = socket.create_connection((host, port), 5, source_address=source)
        self.pong, self.pings, self.buffer = pong, 0, b""
        if csm:
            self.send(rawcoap.Message(0, CSM, 0))

    def send(self, message):
        self.socket.sendall(message if isinstance(message, bytes) else encode(message))

    def request(self, code=rawcoap.GET, path="", options=(), payload=b""):
        return rawcoap.Message(0, code, 0, os.urandom(4), rawcoap.path(path) + tuple(options), payload)

    def _need(self, n):
        while len(self.buffer) < n:
            more = self.socket.recv(65536)
            if not more:
                raise EOFError("closed")
            self.buffer += more

    def _take(self):
        self._need(1)
        nibble, tkl = self.buffer[0] >> 4, self.buffer[0] & 15
        extra = {13: 1, 14: 2, 15: 4}.get(nibble, 0)
        self._need(2 + extra)
        length = nibble if not extra else int.from_bytes(self.buffer[1:1 + extra], "big") + (13, 269, 65805)[nibble - 13]
        end = 2 + extra + tkl + length
        self._need(end)
        code, rest, self.buffer = self.buffer[1 + extra], self.buffer[2 + extra:end], self.buffer[end:]
        return rawcoap.decode(bytes([0x40 | tkl, code, 0, 0]) + rest)

    def receive(self, seconds=5):
        """The next message that is no signal and not empty; None when nothing comes; EOFError when it is closed."""
        self.socket.settimeout(seconds)
        while True:
            try:
                m = self._take()
            except socket.timeout:
                return None
            except ConnectionResetError:
                raise EOFError("reset") from None
            if m.code == PING:
                self.pings += 1
                if self.pong:
                    self.send(rawcoap.Message(0, PONG, 0, m.token))
            elif m.code >> 5 != 7:
                return m

    def ask(self, message, seconds=5):
        self.send(message)
        while (answer := self.receive(seconds)) is not None and answer.token != message.token:
            pass
        return answer

    def is_closed(self, seconds=3):
        try:
            while self.receive(seconds) is not None:
                pass
            return False
        except EOFError:
            return True

    def close(self):
        self.socket.close()
