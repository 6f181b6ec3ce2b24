"""Attacks on the real daemon, with real sockets, clocks and files: what the engine in virtual time cannot show. Each prints figures like
tests/attacks/lab.h; BUILD says which daemon."""
import ctypes
import json
import os
import random
import re
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/integration"))
import attack  # noqa: E402
import harness  # noqa: E402
import rawcoap  # noqa: E402
from device import Device  # noqa: E402
from harness import Guard, RawClient  # noqa: E402
from rawcoap import ACK, CON, ECHO, EMPTY, GET, Message, RST  # noqa: E402


class Skip(Exception):
    """It cannot be staged here."""


class Lab:
    """Figures, as the engine's lab prints them."""

    def __init__(self, name, scale):
        self.id, self.scale, self.lines = name, scale, []

    def tell(self, what, value):
        self.lines.append((what, value, "-", 0, True))

    def at_most(self, what, value, limit):
        self.lines.append((what, value, "<=", limit, value <= limit))

    def at_least(self, what, value, limit):
        self.lines.append((what, value, ">=", limit, value >= limit))


PLAIN = """[guard]
name = attacked
[listen all]
bind = %s:{port}
server = lamp
[link air]
rate = 1Mbit/s
burst = 4KiB
[server lamp]
address = coap://127.0.0.1:%d
%s
"""


class Behind:
    """A guard before a device of ours."""

    def __init__(self, more="", host="127.0.0.1", sections="", env=None):
        self.device = Device()
        self.guard = Guard(PLAIN % (host, self.device.port, more) + sections, env=env)

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.guard.stop()
        self.device.close()


# --- A1, A33: a flood from everywhere, and what it leaves in logs and metrics

LINK = 10000  # bit/s
FRAME = 48


def series(guard):
    text, _ = guard.ctl("metrics", json_output=False)
    return {line.rsplit(" ", 1)[0] for line in text.splitlines() if line and not line.startswith("#")}


class Flood:
    """aiocoap's client and server, a link of 10 kbit/s between guard and device, and the world outside. Measured once."""

    result, lock = None, threading.Lock()

    @classmethod
    def measured(cls, scale):
        with cls.lock:
            if cls.result is None:
                cls.result = cls().play(scale)
        return cls.result

    def play(self, scale):
        full = scale >= 1
        quiet, seconds = (60, 30) if full else (8, 5)
        rate, sources = (50000, 100000) if full else (20000, 100000)
        if not (harness.PEERS / "aio-python").exists():
            raise Skip("no peers: tests/support/peers.sh makes them")
        attack.build_tools()
        directory = harness.scratch()
        port = harness.free_port()
        device = harness.start_aiocoap_server(port, directory, ["%02x" % attack.KID])
        relay = attack.Relay(port, directory, ("-r", LINK))
        guard = Guard(attack.CONFIG % ("127.0.0.1", relay.port, "exemptions", 6), directory=directory)
        # what is refused for the first time makes a series: that has happened before
        attack.flood("-t", "127.0.0.1", "-P", guard.port, "-r", 2000, "-s", 1, "-n", 1000, "-p", "127.0.0.0/8", "-l", harness.free_port(),
                     "-g", "lamp/hello?" + attack.MARK).communicate()
        trusted = attack.TrustedClient(guard, attack.Net4, directory, quiet + seconds + 20)
        harness.wait_until(lambda: any("sent" in line and line["n"] >= attack.WARM for line in trusted.lines()), 60, "a client's trust")
        start = time.monotonic()
        time.sleep(quiet)
        calm = trusted.between(start, time.monotonic())
        before = (relay.counts(), guard.resident(), guard.cpu_seconds(), guard.process.output(), series(guard))
        start = time.monotonic()
        running = attack.flood("-t", "127.0.0.1", "-P", guard.port, "-r", rate, "-s", seconds, "-n", sources, "-p", "127.0.0.0/8",
                               "-l", harness.free_port(), "-g", "lamp/hello?" + attack.MARK)
        sent = harness.json_lines(running.communicate()[0])[0]
        took = time.monotonic() - start
        after = (relay.counts(), guard.resident(), guard.cpu_seconds())
        busy = trusted.between(start, start + took)
        late = 31 if full else 1  # a line about the last of it comes within 30 s
        time.sleep(late)
        log, found = guard.process.output(), series(guard)
        for what in (trusted.process, guard, relay.process, device):
            what.stop()
        return {"sent": sent, "took": took, "calm": calm, "busy": busy, "memory": after[1] - before[1], "cpu": after[2] - before[2],
                "counts": (before[0], after[0]), "lines": len(log.splitlines()) - len(before[3].splitlines()),
                "log_seconds": took + late, "series": (before[4], found)}


def spoofed_flood(lab):
    r = Flood.measured(lab.scale)
    quiet, busy = (attack.percentile(x[2], 99) for x in (r["calm"], r["busy"]))
    lab.tell("addresses", r["sent"]["sources"])
    lab.tell("datagrams a second", r["sent"]["sent"] / r["sent"]["seconds"])
    lab.at_most("resident memory moved by, KiB", r["memory"] / 1024, 1024)
    lab.at_most("trusted client: requests lost", r["busy"][1] - r["busy"][0], 0)
    lab.tell("trusted client: p99 on a quiet day, ms", 1e3 * quiet)
    lab.at_most("trusted client: p99 in the flood / on a quiet day", busy / quiet, 2)
    lab.at_most("bytes into the link / what its bucket allows", link_share(r), 1)
    lab.at_most("guard's CPU, cores", r["cpu"] / r["took"], 1)


def link_share(r):
    """Every datagram counts with its headers, as in the guard's own account."""
    before, after = r["counts"]
    datagrams, octets = ((after[k] - before[k]) for k in ("to_device", "to_device_bytes"))
    return (octets + FRAME * datagrams) / (1024 + LINK / 8 * r["took"])


def words():
    """Every word that may stand in a label: of the tables in the code, which docs/guard.md and docs/operations.md repeat, and names of sections."""
    text = (ROOT / "docs/guard.md").read_text() + (ROOT / "docs/operations.md").read_text()
    return set(re.findall(r"`([a-z0-9-]+)`", text)) | {"lamp", "air"}


def noise(lab):
    r = Flood.measured(lab.scale)
    before, after = r["series"]
    strange = {value for name in after - before for value in re.findall(r'="([^"]*)"', name)} - words()
    lab.at_most("lines in the log, a minute", r["lines"] * 60 / max(60, r["log_seconds"]), 10)
    lab.tell("series of metrics", len(after))
    lab.at_most("new ones that are not made of words of our own", len(strange), 0)
    lab.at_most("addresses in labels", sum(bool(re.search(r"127\.\d", name)) for name in after), 0)


# --- A24: two programs that answer everything

class Victim:
    """What listens at a port and says something back to whatever comes, as the old services do."""

    def __init__(self, port, guard_port, back):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self.socket.bind(("127.0.0.9", port))
        except PermissionError:
            raise Skip("only root has the ports below 1024")
        except OSError:
            raise Skip("somebody has port %d" % port)
        self.guard, self.back, self.exchanged = ("127.0.0.1", guard_port), back, 0

    def provoke(self, datagram, seconds=0.4):
        """The attacker's one datagram in its name, and how many follow it."""
        self.socket.sendto(datagram, self.guard)
        exchanged, end = 0, time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and exchanged < 100:
            self.socket.settimeout(left)
            try:
                came = self.socket.recv(2048)
            except socket.timeout:
                break
            self.socket.sendto(self.back(came), self.guard)
            exchanged += 2
        return exchanged

    def close(self):
        self.socket.close()


def dns_stub(question):
    """Its header back, with the bits of a response and an error."""
    return question[:2] + b"\x81\x81" + question[4:12].ljust(8, b"\0")


def loops(lab):
    echo = lambda came: came  # noqa: E731
    datagrams = [
        b"\xff" * 30, b"\x40\x00\x12\x34", b"\x70\x00\x12\x34", b"\x60\x00\x12\x34",
        rawcoap.encode(Message(CON, GET, 7, b"\x01", rawcoap.path("lamp"))),
        rawcoap.encode(Message(CON, GET, 8, b"\x02", rawcoap.path("nowhere"))),
        rawcoap.encode(Message(CON, GET, 9, b"\x03", ((65003, b"x"),))),
        rawcoap.encode(Message(CON, rawcoap.code("2.05"), 10, b"\x04", (), b"x")),
        rawcoap.encode(Message(CON, rawcoap.code("4.04"), 11, b"\x05")),
        b"\x12\x34\x01\x00\x00\x01" + b"\0" * 6 + b"\x07example\0\0\x01\0\x01",
    ]
    with Behind("unknown-rate = 0/min") as behind:
        victims = [Victim(port, behind.guard.port, back)
                   for port, back in ((19, echo), (53, dns_stub), (123, echo), (5683, echo), (0, echo))]
        worst = [0] * len(victims)

        def provoke(i):
            worst[i] = max(victims[i].provoke(datagram) for datagram in datagrams)

        threads = [threading.Thread(target=provoke, args=(i,)) for i in range(len(victims))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for victim in victims:
            victim.close()
    lab.tell("datagrams that could begin a loop, times ports", len(datagrams) * 5)
    lab.at_most("datagrams that follow, at most", max(worst), 2)


# --- A31: requests to a group

def multicast(lab):
    """Somebody on this machine has joined the group, so the kernel hands its datagrams to every socket that is open to all addresses."""
    replies = 0
    with Behind(host="0.0.0.0") as behind:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as member, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            member.bind(("", 0))
            member.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                              socket.inet_aton("224.0.1.187") + socket.inet_aton("127.0.0.1"))
            asker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
            asker.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            asker.bind(("127.0.0.1", 0))
            asker.settimeout(1)
            for i in range(40):
                datagram = (rawcoap.encode(Message(CON if i & 1 else rawcoap.NON, GET, i, b"\x01", rawcoap.path("lamp"))),
                            b"\x40\x00\x00" + bytes([i]))[i // 2 & 1]
                asker.sendto(datagram, (("224.0.1.187", "127.255.255.255")[i // 4 & 1], behind.guard.port))
            try:
                while asker.recv(2048):
                    replies += 1
            except socket.timeout:
                pass
            # nothing is shown if the kernel keeps them from the daemon
            lab.at_least("requests and pings to 224.0.1.187 and to the broadcast address",
                         counter(behind.guard, "coapguard_udp_group_datagrams_total"), 40)
            lab.at_most("replies", replies, 0)
            lab.at_most("forwarded", len(behind.device.requests()), 0)


def counter(guard, name):
    text, _ = guard.ctl("metrics", json_output=False)
    return float(next((line.rsplit(" ", 1)[1] for line in text.splitlines() if line.startswith(name + " ")), "0"))


# --- A34: the control socket and the page of metrics

def free_tcp_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cut_off(connections, seconds):
    """A byte now and then from each: after how long the last of them was cut off."""
    began, alive = time.monotonic(), list(connections)
    while alive and time.monotonic() - began < seconds:
        for s in list(alive):
            try:
                s.send(b"G")
                s.settimeout(0.001)
                if not s.recv(4096):
                    alive.remove(s)
            except socket.timeout:
                pass
            except OSError:
                alive.remove(s)
        time.sleep(0.2)
    return time.monotonic() - began


def places(guard):
    """Descriptors of sockets of the daemon."""
    return sum(os.readlink(fd).startswith("socket:") for fd in Path("/proc/%d/fd" % guard.process.child.pid).iterdir())


def mutated(words, draw):
    data = bytearray(draw.choice(words))
    for _ in range(draw.randrange(6)):
        at = draw.randrange(len(data) + 1)
        kind = draw.randrange(4)
        if kind == 0:
            data[at:at] = draw.randbytes(draw.randrange(1, 9))
        elif kind == 1:
            del data[at:at + draw.randrange(1, 9)]
        elif kind == 2 and at < len(data):
            data[at] ^= 1 << draw.randrange(8)
        else:
            data[at:at] = data[:at] * draw.randrange(3)
    return bytes(data[:20000])


def fuzz(address, family, words, seconds, draw):
    """So many conversations with mutated words; cut off in the middle now and then."""
    n, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket(family, socket.SOCK_STREAM) as s:
            s.settimeout(0.2)
            try:
                s.connect(address)
                s.sendall(mutated(words, draw))
                if n % 3:
                    s.shutdown(socket.SHUT_WR)
                    while s.recv(65536):
                        pass
            except OSError:
                pass
        n += 1
    return n


COMMANDS = [b"status\n", b"clients\n", b"counters\n", b"links\n", b"servers\n", b"why 127.0.0.1\n", b"forget 127.0.0.1\n", b"metrics\n",
            b"contexts\n", b"context new x\n", b"trace off\n", b"log\n", b"json status\n", b"status json\n"]
VISITS = [b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n", b"HEAD /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
          b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"]


def doors(lab):
    seconds = float(os.environ.get("FUZZ_SECONDS", "60" if lab.scale >= 1 else "2"))
    http = free_tcp_port()
    with Behind(sections="[metrics]\nlisten = 127.0.0.1:%d\n" % http) as behind:
        guard, draw = behind.guard, random.Random(34)
        lab.tell("seconds of mutated conversations at each door", seconds)
        lab.at_most("control socket: permissions beyond 0660", guard.socket.stat().st_mode & 0o777 & ~0o660, 0)
        before = places(guard)
        for name, family, address, most in (("metrics", socket.AF_INET, ("127.0.0.1", http), 16),
                                            ("control", socket.AF_UNIX, str(guard.socket), 8)):
            slow = []
            for _ in range(50):
                s = socket.socket(family, socket.SOCK_STREAM)
                s.settimeout(1)
                try:
                    s.connect(address)
                    slow.append(s)
                except OSError:
                    s.close()
            time.sleep(0.3)
            # libuv has one in hand that it has not handed over
            lab.at_most("%s: slow visitors let in at once, of 50" % name, places(guard) - before, most + 1)
            lab.at_most("%s: seconds until the first %d were cut off" % (name, most), cut_off(slow[:most], 12), 6.5)
            for s in slow:
                s.close()
            n = fuzz(address, family, COMMANDS if name == "control" else VISITS, seconds, draw)
            lab.tell("%s: mutated conversations" % name, n)
            settled(guard, before)
        lab.at_least("the daemon lives, and answers at both doors",
                     guard.process.alive() and guard.ctl("status")[1] == 0 and visit(http).startswith(b"HTTP/1.1 200"), 1)
        lab.at_most("descriptors left over", settled(guard, before), 0)


def settled(guard, before):
    """Sockets more than before, when what is being closed is closed."""
    end = time.monotonic() + 3
    while places(guard) > before and time.monotonic() < end:
        time.sleep(0.05)
    return places(guard) - before


def visit(port):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
        s.sendall(VISITS[0].replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        answer = b""
        while came := s.recv(65536):
            answer += came
        return answer


# --- A37: the clock

STEPS = ("+10y", "-10y", "+0", "+1d", "-1d")


def clock(lab):
    """The time of day that the daemon sees jumps; what it decides by is the monotonic clock."""
    library = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)
    if library is None:
        raise Skip("faketime is not installed")
    directory = harness.scratch()
    file = directory / "clock"

    def step(when):
        file.with_suffix(".new").write_text(when + "\n")
        os.replace(file.with_suffix(".new"), file)

    step("+0")
    env = {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
           "ASAN_OPTIONS": "verify_asan_link_order=0"}
    budget = "unknown-rate = 6/min\nunknown-budget = 100000/day"
    refused = taken = 0
    with Behind(budget, env=env) as behind:
        other = RawClient(behind.guard.port, pong=False, local="127.0.7.1")
        while ask_once(other) == "2.05":  # what is in store is spent
            pass
        for i, when in enumerate(STEPS):
            step(when)
            refused += ask_once(other) != "2.05"
            client = RawClient(behind.guard.port, pong=False, local="127.0.%d.1" % (20 + i))
            value = challenge(client)
            step(STEPS[(i + 1) % len(STEPS)])
            taken += valid(behind.guard, client, value)
            client.close()
        client = RawClient(behind.guard.port, pong=False, local="127.0.30.1")
        stale = valid(behind.guard, client, bytes(12))
        client.close()
        other.close()
    lab.tell("steps of the clock, 10 years ahead and back among them", len(STEPS) * 2)
    lab.at_least("a spent budget stays spent, %", 100 * refused / len(STEPS), 100)
    lab.at_least("an Echo from before the step is good, %", 100 * taken / len(STEPS), 100)
    lab.at_most("an Echo that is none is good", stale, 0)


def ask_once(client):
    request = client.request(rawcoap.GET, "lamp")
    client.send(request)
    answer = client.receive_message(0.5)
    return rawcoap.dotted(answer.code) if answer is not None else ""


def challenge(client):
    """A request with an Echo that is none brings a fresh one."""
    client.send(client.request(rawcoap.GET, "lamp", options=((ECHO, bytes(12)),)))
    answer = client.receive_message(1)
    return answer.option(ECHO) if answer is not None else None


def valid(guard, client, value):
    before = counter(guard, 'coapguard_echo_verifications_total{result="ok"}')
    client.send(client.request(rawcoap.GET, "lamp", options=((ECHO, value or b"x"),)))
    client.receive_message(0.3)
    return counter(guard, 'coapguard_echo_verifications_total{result="ok"}') - before


SCENES = {"A1": spoofed_flood, "A24": loops, "A31": multicast, "A33": noise, "A34": doors, "A37": clock}


def stage(name, scale):
    """The figures of one: [(what, value, relation, limit, ok)]."""
    lab = Lab(name, scale)
    SCENES[name](lab)
    return lab.lines
