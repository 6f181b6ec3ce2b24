"""CoAP messages as bytes (RFC 7252 section 3): what the tests send and compare themselves, without any stack."""
from typing import NamedTuple

CON, NON, ACK, RST = range(4)
EMPTY, GET, POST, PUT, DELETE, FETCH = range(6)
URI_HOST, OBSERVE, URI_PORT, OSCORE, URI_PATH, MAX_AGE, URI_QUERY, HOP_LIMIT = 3, 6, 7, 9, 11, 14, 15, 16
BLOCK2, BLOCK1, PROXY_URI, PROXY_SCHEME, ECHO = 23, 27, 35, 39, 252


class Message(NamedTuple):
    type: int
    code: int
    mid: int
    token: bytes = b""
    options: tuple = ()  # of (number, bytes), in order
    payload: bytes = b""

    def option(self, number):
        """The first value of this option, or None."""
        return next((value for n, value in self.options if n == number), None)

    def all(self, number):
        return [value for n, value in self.options if n == number]


def dotted(code):
    return "%d.%02d" % (code >> 5, code & 31)


def code(text):
    """code("2.05") is 0x45"""
    left, right = text.split(".")
    return int(left) << 5 | int(right)


def _nibble(value):
    if value < 13:
        return value, b""
    if value < 269:
        return 13, bytes([value - 13])
    return 14, (value - 269).to_bytes(2, "big")


def encode(m):
    out = bytearray()
    tkl, extended = _nibble(len(m.token))  # RFC 8974
    out += bytes([0x40 | m.type << 4 | tkl, m.code]) + m.mid.to_bytes(2, "big") + extended + m.token
    last = 0
    for number, value in sorted(m.options, key=lambda o: o[0]):
        delta, more_delta = _nibble(number - last)
        length, more_length = _nibble(len(value))
        out += bytes([delta << 4 | length]) + more_delta + more_length + value
        last = number
    if m.payload:
        out += b"\xff" + m.payload
    return bytes(out)


def _extended(data, at, nibble):
    if nibble < 13:
        return nibble, at
    if nibble == 13:
        return data[at] + 13, at + 1
    if nibble == 14:
        return int.from_bytes(data[at:at + 2], "big") + 269, at + 2
    raise ValueError("reserved nibble")


def decode(data):
    if len(data) < 4 or data[0] >> 6 != 1:
        raise ValueError("no CoAP message")
    tkl, at = _extended(data, 4, data[0] & 15)
    token, at = data[at:at + tkl], at + tkl
    options, number = [], 0
    while at < len(data) and data[at] != 0xff:
        head, at = data[at], at + 1
        delta, at = _extended(data, at, head >> 4)
        length, at = _extended(data, at, head & 15)
        number += delta
        if at + length > len(data):
            raise ValueError("option runs over the end")
        options.append((number, data[at:at + length]))
        at += length
    return Message(data[0] >> 4 & 3, data[1], int.from_bytes(data[2:4], "big"), token, tuple(options), data[at + 1:])


def path(text):
    """path("a/b") as options"""
    return tuple((URI_PATH, part.encode()) for part in text.split("/") if part)


def uint(value):
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def oscore_value(kid, piv, kid_context=None):
    """Value of the OSCORE option of a request (RFC 8613 section 6.1)."""
    n = uint(piv) or b"\0"
    head = bytes([len(n) | 0x08 | (0x10 if kid_context is not None else 0)]) + n
    return head + (bytes([len(kid_context)]) + kid_context if kid_context is not None else b"") + kid
