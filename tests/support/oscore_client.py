#!/usr/bin/python3
"""CoAP client on aiocoap with end-to-end OSCORE; arguments and output are those of plain_client.py.

The inner request is path, query, method, blocks; only the outer message names the way: nothing (a reverse proxy that
knows one server), --outer-host NAME, --proxy-scheme HOST:PORT or --proxy-uri HOST:PORT.
"""
import asyncio
from urllib.parse import urlsplit

from aiocoap import oscore
from aiocoap.message import UndecidedRemote
from aiocoap.transports.oscore import OSCOREAddress, TransportOSCORE

import plain_client


class RoutedContext(oscore.FilesystemSecurityContext):
    """Adds the outer options that lead to the device; none of them is protected (RFC 8613 section 4.1.3)."""

    outer = {}

    def protect(self, message, request_id=None, *, kid_context=True):
        protected, identifiers = super().protect(message, request_id, kid_context=kid_context)
        for name, value in self.outer.items():
            setattr(protected.opt, name, value)
        return protected, identifiers


def outer_options(args):
    uri = urlsplit(args.uri)
    if args.proxy_scheme:
        options = {"proxy_scheme": uri.scheme, "uri_host": uri.hostname}
        if uri.port:
            options["uri_port"] = uri.port
        return options
    if args.proxy_uri:
        return {"proxy_uri": "%s://%s" % (uri.scheme, uri.netloc)}
    return {"uri_host": args.outer_host} if args.outer_host else {}


async def main():
    parser = plain_client.arguments()
    parser.add_argument("--context", required=True, help="directory of the OSCORE context")
    parser.add_argument("--outer-host")
    args = parser.parse_args()

    security = RoutedContext(args.context)
    security.outer = outer_options(args)
    context = await plain_client.open_context(args)
    context.request_interfaces.insert(0, TransportOSCORE(context, context))
    uri = urlsplit(args.uri)
    first_hop = UndecidedRemote(uri.scheme, args.proxy_scheme or args.proxy_uri or uri.netloc)
    below = await resolved(context, first_hop)

    def route(_, message):
        message.remote = OSCOREAddress(security, below)

    await plain_client.run(args, route, context)


async def resolved(context, remote):
    """The endpoint address that a message to `remote` would get."""
    from aiocoap import GET, Message

    probe = Message(code=GET)
    probe.remote = remote
    await context.find_remote_and_interface(probe)
    return probe.remote


if __name__ == "__main__":
    asyncio.run(main())
