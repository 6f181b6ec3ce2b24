#!/usr/bin/python3
"""CoAP client on aiocoap with up to two OSCORE layers: one for the device and around it one for the guard.

Arguments and output are those of plain_client.py. --context is the end-to-end layer, --guard-context the one for the
next hop, which holds the options that lead on from there (draft-ietf-core-oscore-capable-proxies-07 section 2.2);
either may be missing. A 4.01 with Echo inside a layer is answered in that layer (RFC 8613 appendix B.1.2).
"""
import asyncio
from urllib.parse import urlsplit

from aiocoap import oscore
from aiocoap.message import Message, UndecidedRemote
from aiocoap.transports.oscore import OSCOREAddress, TransportOSCORE

import oscore_client
import plain_client


class GuardLayer(oscore.FilesystemSecurityContext):
    """The layer for the next hop: everything is inside, but the name that the next hop itself is called by."""

    def _split_message(self, message, request_id):
        if message.code.is_response():
            return super()._split_message(message, request_id)
        outside = {} if message.opt.proxy_scheme else {"uri_host": message.opt.uri_host,
                                                       "uri_port": message.opt.uri_port}
        outer = Message(code=oscore.POST if message.opt.observe is None else oscore.FETCH,
                        observe=message.opt.observe, **outside)
        inner = message.copy(**dict.fromkeys(outside))
        plaintext = bytes([inner.code]) + inner.opt.encode()
        return outer, plaintext + (b"\xff" + inner.payload if inner.payload else b"")


class Wire:
    """Carries what is protected in one piece: blocks are the business of whoever is innermost."""

    def __init__(self, context):
        self.context, self.loop = context, context.loop

    def request(self, message):
        return self.context.request(message, handle_blockwise=False)


async def main():
    parser = plain_client.arguments()
    parser.add_argument("--context", help="directory of the OSCORE context with the device")
    parser.add_argument("--guard-context", help="directory of the OSCORE context with the guard")
    parser.add_argument("--outer-host")
    args = parser.parse_args()

    context = await plain_client.open_context(args)
    # It takes what it has protected for the device once more, and protects it for the guard.
    context.request_interfaces.insert(0, TransportOSCORE(context, Wire(context)))
    uri = urlsplit(args.uri)
    first_hop = UndecidedRemote(uri.scheme, args.proxy_scheme or args.proxy_uri or uri.netloc)
    remote = await oscore_client.resolved(context, first_hop)
    if args.guard_context:
        remote = OSCOREAddress(GuardLayer(args.guard_context), remote)
    if args.context:
        end_to_end = oscore_client.RoutedContext(args.context)
        end_to_end.outer = oscore_client.outer_options(args)
        remote = OSCOREAddress(end_to_end, remote)

    def route(_, message):
        if not args.context:
            plain_client.route_plain(args, message)
        message.remote = remote

    await plain_client.run(args, route, context)


if __name__ == "__main__":
    asyncio.run(main())
