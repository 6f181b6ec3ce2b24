#!/usr/bin/python3
"""CoAP client on unmodified aiocoap; one JSON line per answer. Run it by aio-python.

{"n": 0, "code": "2.05 Content", "seconds": 0.004, "size": 5, "payload": "68656c6c6f"}, "notify": 1 in a notification;
"layers" tells how many OSCORE layers came off it, "location" where something was made; {"n": 0, "error": "..."} when no answer came; with --interval also
{"n": 0, "sent": ...} at the start. --proxy-scheme and --proxy-uri send the request to HOST:PORT instead.
"""
import argparse
import asyncio
import json
import time
from urllib.parse import urlsplit

import aiocoap
from aiocoap.message import UndecidedRemote
from aiocoap.oscore import NotAProtectedMessage


def arguments(parser=None):
    parser = parser or argparse.ArgumentParser()
    parser.add_argument("uri")
    parser.add_argument("-m", "--method", default="get")
    parser.add_argument("-f", "--file", help="the payload is read from here")
    parser.add_argument("--proxy-scheme", metavar="HOST:PORT")
    parser.add_argument("--proxy-uri", metavar="HOST:PORT")
    parser.add_argument("--observe", type=int, default=0, help="wait for so many notifications")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--interval", type=float, default=0, help="start one request each so many seconds")
    parser.add_argument("--timeout", type=float, default=10)
    parser.add_argument("--warm", type=int, default=0, help="send so many of them one after the other first")
    parser.add_argument("--local", help="local address")
    parser.add_argument("--local-port", type=int, default=0)
    parser.add_argument("--non", action="store_true")
    return parser


def request(args):
    """The message as an application would write it; the outer route is set apart."""
    uri = urlsplit(args.uri)
    message = aiocoap.Message(code=getattr(aiocoap, args.method.upper()))
    message.opt.uri_path = tuple(part for part in uri.path.split("/") if part)
    if uri.query:
        message.opt.uri_query = tuple(uri.query.split("&"))
    if args.file:
        with open(args.file, "rb") as f:
            message.payload = f.read()
    if args.observe:
        message.opt.observe = 0
    if args.non:
        message.transport_tuning = aiocoap.Unreliable
    return message


def route_plain(args, message):
    uri = urlsplit(args.uri)
    if args.proxy_scheme:
        message.opt.proxy_scheme = uri.scheme
        message.opt.uri_host = uri.hostname
        if uri.port:
            message.opt.uri_port = uri.port
    elif args.proxy_uri:
        message.opt.uri_path = message.opt.uri_query = ()
        message.opt.proxy_uri = args.uri
    message.remote = UndecidedRemote(uri.scheme, args.proxy_scheme or args.proxy_uri or uri.netloc)


def layers(remote):
    """An endpoint under OSCORE stands on the one that is below it."""
    return 1 + layers(remote.underlying_address) if hasattr(remote, "underlying_address") else 0


def say(n, started, message, **more):
    line = {"n": n, "code": str(message.code), "seconds": round(time.monotonic() - started, 6),
            "size": len(message.payload), "payload": message.payload.hex(), "at": started,
            "layers": layers(message.remote)}
    if message.opt.location_path:
        line["location"] = "/".join(message.opt.location_path)
    print(json.dumps(dict(line, **more)), flush=True)


async def notifications(running, args, n, started):
    seen = 0
    async for message in running.observation:
        seen += 1
        say(n, started, message, notify=seen)
        if seen >= args.observe:
            return


async def exchange(context, args, n, route):
    started = time.monotonic()
    if args.interval:
        print(json.dumps({"n": n, "sent": started}), flush=True)
    try:
        message = request(args)
        route(args, message)
        running = context.request(message)
        answer = await asyncio.wait_for(running.response, args.timeout)
        say(n, started, answer)
        if args.observe and running.observation is not None:
            await asyncio.wait_for(notifications(running, args, n, started), args.timeout)
            running.observation.cancel()
            await asyncio.sleep(0.2)
    except NotAProtectedMessage as e:  # an error of who stands in between
        say(n, started, e.plain_message)
    except Exception as e:  # every failure is a line of the report
        print(json.dumps({"n": n, "error": "%s %s" % (type(e).__name__, e), "at": started,
                          "seconds": round(time.monotonic() - started, 6)}), flush=True)


async def open_context(args):
    if args.local:  # aiocoap binds to a chosen address only in server contexts; they send requests all the same
        return await aiocoap.Context.create_server_context(None, bind=(args.local, args.local_port),
                                                           transports=["udp6"])
    return await aiocoap.Context.create_client_context(transports=["udp6"])


async def run(args, route, context):
    pending = []
    for n in range(args.warm):
        await exchange(context, args, n, route)
    start = time.monotonic()
    for n in range(args.warm, args.repeat):
        if args.interval:
            await asyncio.sleep(max(0, start + (n - args.warm) * args.interval - time.monotonic()))
            pending.append(asyncio.ensure_future(exchange(context, args, n, route)))
        else:
            await exchange(context, args, n, route)
    if pending:
        await asyncio.wait(pending)
    await asyncio.wait_for(context.shutdown(), 5)


async def main():
    args = arguments().parse_args()
    await run(args, route_plain, await open_context(args))


if __name__ == "__main__":
    asyncio.run(main())
