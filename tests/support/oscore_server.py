#!/usr/bin/python3
"""CoAP device on aiocoap: OSCORE when contexts are given, also within OSCORE, and plain CoAP always.

Resources: /hello, /time (observable, every 0.3 s), /big (4 KiB), /store/ANYTHING (GET and PUT). Run it by aio-python.
"""
import argparse
import asyncio

import aiocoap
from aiocoap import resource
from aiocoap.credentials import CredentialsMap
from aiocoap.oscore_sitewrapper import OscoreSiteWrapper

BIG = b"0123456789abcdef" * 256
TICK = 0.3


class Hello(resource.Resource):
    async def render_get(self, request):
        return aiocoap.Message(payload=b"hello")


class Big(resource.Resource):
    async def render_get(self, request):
        return aiocoap.Message(payload=BIG)


class Store(resource.Resource, resource.PathCapable):
    """/store/ANYTHING keeps what is PUT there."""

    def __init__(self):
        super().__init__()
        self.contents = {}

    async def render_get(self, request):
        if request.opt.uri_path not in self.contents:
            return aiocoap.Message(code=aiocoap.NOT_FOUND)
        return aiocoap.Message(payload=self.contents[request.opt.uri_path])

    async def render_put(self, request):
        known = request.opt.uri_path in self.contents
        self.contents[request.opt.uri_path] = request.payload
        return aiocoap.Message(code=aiocoap.CHANGED if known else aiocoap.CREATED)


class Time(resource.ObservableResource):
    def __init__(self):
        super().__init__()
        self.ticks = 0
        self.timer = None

    def update_observation_count(self, newcount):
        if newcount and self.timer is None:
            self.schedule()
        elif not newcount and self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def schedule(self):
        self.timer = asyncio.get_running_loop().call_later(TICK, self.tick)

    def tick(self):
        self.ticks += 1
        self.updated_state()
        self.schedule()

    async def render_get(self, request):
        return aiocoap.Message(payload=b"tick %d" % self.ticks)


def credentials(directories):
    found = CredentialsMap()
    found.load_from_dict({":%d" % i: {"oscore": {"basedir": d + "/"}} for i, d in enumerate(directories)})
    return found


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("contexts", nargs="*", help="directories of OSCORE contexts")
    args = parser.parse_args()

    site = resource.Site()
    for name, what in (("hello", Hello()), ("big", Big()), ("store", Store()), ("time", Time())):
        site.add_resource([name], what)
    known = credentials(args.contexts)
    served = OscoreSiteWrapper(OscoreSiteWrapper(site, known), known) if args.contexts else site
    await aiocoap.Context.create_server_context(served, bind=(args.host, args.port), server_credentials=known,
                                                transports=["udp6"])
    print("ready", flush=True)
    await asyncio.get_running_loop().create_future()


try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
