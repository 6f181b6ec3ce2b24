#!/usr/bin/python3
"""CoAP device on aiocoap: OSCORE when contexts are given, also within OSCORE, and plain CoAP always.

Resources: /hello, /time (observable, every 0.3 s), /state (the same with a Max-Age of 2 s), /log (the same, 300 bytes),
/observers (how many each of them has), /big (4 KiB), /store/ANYTHING (GET and PUT, and POST to
/store/ANYTHING makes a new one and says where). Run it by aio-python.
"""
import argparse
import asyncio
import json

import aiocoap
from aiocoap import interfaces, pipe as pipes, resource
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
    """/store/ANYTHING keeps what is PUT there; POST makes /store/1, /store/2 and so on, and says which."""

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

    async def render_post(self, request):
        made = str(len(self.contents) + 1)
        self.contents[made,] = request.payload
        return aiocoap.Message(code=aiocoap.CREATED, location_path=("store", made))


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


class State(Time):
    """What is observed says so soon when nothing more is heard."""

    async def render_get(self, request):
        return aiocoap.Message(payload=b"tick %d" % self.ticks, max_age=2)


class Log(Time):
    """Larger than a block of a constrained link."""

    async def render_get(self, request):
        return aiocoap.Message(payload=(b"tick %d " % self.ticks).ljust(300, b"."))


class Observers(resource.Resource):
    def __init__(self, observed):
        super().__init__()
        self.observed = observed

    async def render_get(self, request):
        counts = {name: len(what._observations) for name, what in self.observed.items()}
        return aiocoap.Message(payload=json.dumps(counts).encode())


class OuterBlocks(interfaces.Resource):
    """
    OSCORE messages in blocks around them (RFC 8613 section 4.1.3.4.2), which OscoreSiteWrapper itself knows nothing of:
    requests are put together before they are opened, responses are cut when they are sealed.
    """

    def __init__(self, site):
        super().__init__()
        self.site = site

    async def render(self, request):
        raise RuntimeError("only by render_to_pipe")

    needs_blockwise_assembly = render

    async def render_to_pipe(self, pipe):
        if pipe.request.opt.oscore is None:
            await self.site.render_to_pipe(pipe)
            return
        whole = self._block1.feed_and_take(pipe.request)  # raises what asks for the next one
        if whole.opt.block2 is not None and whole.opt.block2.block_number:
            pipe.add_response(await self._block2.extract_or_insert(whole, None), is_last=True)
            return
        async for event in self.answers(whole):
            response = await self._block2.extract_or_insert(whole, self.known(event.message))
            response.opt.block1 = whole.opt.block1
            pipe.add_response(response, is_last=event.is_last)
            if event.is_last:
                return

    def answers(self, request):
        """What the site says to the request without its outer blocks."""
        inside = pipes.IterablePipe(request.copy(block1=None, block2=None))
        pipes.run_driving_pipe(pipes.error_to_message(inside, self.site.log), self.site.render_to_pipe(inside))
        return inside

    @staticmethod
    def known(message):
        async def build():
            return message
        return build


def credentials(directories):
    found = CredentialsMap()
    found.load_from_dict({":%d" % i: {"oscore": {"basedir": d + "/"}} for i, d in enumerate(directories)})
    return found


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--outer-blocks", action="store_true", help="OSCORE messages may come in blocks")
    parser.add_argument("contexts", nargs="*", help="directories of OSCORE contexts")
    args = parser.parse_args()

    site = resource.Site()
    observed = {"time": Time(), "state": State(), "log": Log()}
    others = {"hello": Hello(), "big": Big(), "store": Store(), "observers": Observers(observed)}
    for name, what in (observed | others).items():
        site.add_resource([name], what)
    known = credentials(args.contexts)
    served = OscoreSiteWrapper(OscoreSiteWrapper(site, known), known) if args.contexts else site
    if args.outer_blocks:
        served = OuterBlocks(served)
    await aiocoap.Context.create_server_context(served, bind=(args.host, args.port), server_credentials=known,
                                                transports=["udp6"])
    print("ready", flush=True)
    await asyncio.get_running_loop().create_future()


try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
