"""OSCORE (RFC 8613) on rawcoap: AES-CCM-16-64-128 and HKDF SHA-256, for tests that make thousands of messages or look
at every nonce. All options given are protected; what goes outside is named apart."""
import functools
from typing import NamedTuple, Optional

import cbor2
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

import rawcoap

AES_CCM_16_64_128 = 10
KEY, NONCE, TAG = 16, 13, 8


class Option(NamedTuple):
    """Value of an OSCORE option (section 6.1); None: not there."""
    piv: Optional[bytes] = None
    kid: Optional[bytes] = None
    kid_context: Optional[bytes] = None


class Request(NamedTuple):
    """What a response needs to know of its request."""
    kid: bytes
    piv: bytes
    fetch: bool


class Sealed(NamedTuple):
    """A message as it came: what was inside, and under which nonce it was sealed."""
    message: rawcoap.Message
    nonce: bytes
    piv: Optional[bytes]
    request: Request


def parse(value):
    flags, at = (value[0] if value else 0), 1
    piv = kid = kid_context = None
    if flags & 7:
        piv, at = value[at:at + (flags & 7)], at + (flags & 7)
    if flags & 0x10:
        kid_context, at = value[at + 1:at + 1 + value[at]], at + 1 + value[at]
    if flags & 8:
        kid = value[at:]
    return Option(piv, kid, kid_context)


def piv_of(number):
    return rawcoap.uint(number) or b"\0"


def _plaintext(message):
    """Code, options and payload are what follows type, Message ID and token."""
    raw = rawcoap.encode(message._replace(token=b"", mid=0))
    return raw[1:2] + raw[4:]


def _message(outer, plaintext):
    inside = rawcoap.decode(b"\x40" + plaintext[:1] + b"\0\0" + plaintext[1:])
    return inside._replace(type=outer.type, mid=outer.mid, token=outer.token)


class Context:
    def __init__(self, sender, recipient, secret, salt=b"", id_context=None, next_number=0):
        self.sender, self.recipient, self.id_context, self.next = sender, recipient, id_context, next_number
        derive = functools.partial(self._derive, secret, salt)
        self.sealer, self.opener = AESCCM(derive(sender, "Key", KEY), TAG), AESCCM(derive(recipient, "Key", KEY), TAG)
        self.common_iv = derive(b"", "IV", NONCE)

    def _derive(self, secret, salt, of, kind, length):
        info = cbor2.dumps([of, self.id_context, AES_CCM_16_64_128, kind, length])
        return HKDF(SHA256(), length, salt, info).derive(secret)

    def nonce(self, owner, piv):
        plain = bytes([len(owner)]) + owner.rjust(NONCE - 6, b"\0") + piv.rjust(5, b"\0")
        return bytes(a ^ b for a, b in zip(plain, self.common_iv))

    @staticmethod
    def _aad(request):
        array = cbor2.dumps([1, [AES_CCM_16_64_128], request.kid, request.piv, b""])
        return cbor2.dumps(["Encrypt0", b"", array])

    def number(self):
        self.next += 1
        return self.next - 1

    def protect_request(self, message, outside=(), number=None):
        """(what goes on the wire, what its responses need)"""
        number = self.number() if number is None else number
        observe = tuple(o for o in message.options if o[0] == rawcoap.OBSERVE)
        request = Request(self.sender, piv_of(number), bool(observe))
        sealed = self.sealer.encrypt(self.nonce(self.sender, request.piv), _plaintext(message), self._aad(request))
        value = rawcoap.oscore_value(self.sender, number, self.id_context)
        return message._replace(code=rawcoap.FETCH if observe else rawcoap.POST, payload=sealed,
                                options=observe + ((rawcoap.OSCORE, value),) + tuple(outside)), request

    def protect_response(self, message, request, own_number=True):
        """own_number=False: with the nonce of the request, which is good for one response."""
        piv, owner = (piv_of(self.number()), self.sender) if own_number else (request.piv, request.kid)
        sealed = self.sealer.encrypt(self.nonce(owner, piv), _plaintext(message), self._aad(request))
        observe = tuple(o for o in message.options if o[0] == rawcoap.OBSERVE)
        value = bytes([len(piv)]) + piv if own_number else b""
        return message._replace(code=rawcoap.code("2.05" if request.fetch else "2.04"), payload=sealed,
                                options=observe + ((rawcoap.OSCORE, value),))

    def _open(self, message, owner, piv, own_piv, request):
        nonce = self.nonce(owner, piv)
        plaintext = self.opener.decrypt(nonce, message.payload, self._aad(request))
        return Sealed(_message(message, plaintext), nonce, own_piv, request)

    def unprotect_request(self, message):
        """No replay window: who calls this looks at the numbers himself. Raises InvalidTag."""
        option = parse(message.option(rawcoap.OSCORE))
        request = Request(self.recipient, option.piv, message.code == rawcoap.FETCH)
        return self._open(message, self.recipient, option.piv, option.piv, request)

    def unprotect_response(self, message, request):
        piv = parse(message.option(rawcoap.OSCORE)).piv
        owner = self.recipient if piv is not None else self.sender
        return self._open(message, owner, request.piv if piv is None else piv, piv, request)
