#!/usr/bin/python3
"""Several aiocoap clients in one process, each with an OSCORE context and a socket of its own, observe one resource.

oscore_observers.py --notifications N URI CONTEXT...: one JSON line for each answer, {"observer": 0, "payload": "..."};
at last, or after --timeout, {"observer": 0, "end": "..."}. Run it by aio-python.
"""
import argparse
import asyncio
import json
from urllib.parse import urlsplit

import aiocoap
from aiocoap.message import UndecidedRemote
from aiocoap.transports.oscore import OSCOREAddress, TransportOSCORE

from oscore_client import RoutedContext, resolved


def say(n, **more):
    print(json.dumps(dict(more, observer=n)), flush=True)


async def listen(n, running, args):
    say(n, payload=(await running.response).payload.decode())
    seen = 0
    async for message in running.observation:
        say(n, payload=message.payload.decode())
        seen += 1
        if seen >= args.notifications:
            return


async def observe(n, directory, args):
    uri = urlsplit(args.uri)
    context = await aiocoap.Context.create_client_context(transports=["udp6"])
    context.request_interfaces.insert(0, TransportOSCORE(context, context))
    message = aiocoap.Message(code=aiocoap.GET, observe=0)
    message.opt.uri_path = tuple(uri.path.strip("/").split("/"))
    message.remote = OSCOREAddress(RoutedContext(directory),
                                   await resolved(context, UndecidedRemote(uri.scheme, uri.netloc)))
    running = context.request(message)
    try:
        await asyncio.wait_for(listen(n, running, args), args.timeout)
        say(n, end="")
        running.observation.cancel()
        await asyncio.sleep(0.2)
    except Exception as e:  # every failure is a line of the report
        say(n, end="%s %s" % (type(e).__name__, e))


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--notifications", type=int, default=10)
    parser.add_argument("--timeout", type=float, default=30)
    parser.add_argument("uri")
    parser.add_argument("contexts", nargs="+", help="directories of OSCORE contexts")
    args = parser.parse_args()
    await asyncio.gather(*(observe(n, directory, args) for n, directory in enumerate(args.contexts)))


asyncio.run(main())
