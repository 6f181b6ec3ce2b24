#!/usr/bin/python3
"""Hours of everything at once, and whether the daemon's memory stays flat.

A client with a key of its own, one in good standing, newcomers, observers that come and go, floods from spoofed addresses, garbage,
forged requests in a client's name (as root), people at both doors, reloads. SOAK_SECONDS (default 3600) of it; resident memory is read
every 10 s, or 30 times. Flat: after a warm-up of a quarter of the time it grows by less than 512 KiB, and the straight line through
the samples rises by less than that, too. Exit 1 if not.
"""
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests/integration"), str(ROOT / "tests/attacks")]
import attack  # noqa: E402
import harness  # noqa: E402
import live  # noqa: E402
import rawcoap  # noqa: E402
import test_memory  # noqa: E402
from harness import Guard, RawClient  # noqa: E402
from rawcoap import ACK, Message  # noqa: E402

ALLOWED = 512 << 10
CONFIG = """[guard]
name = soaked
[listen all]
bind = 127.0.0.1:{port}
[link air]
rate = 100kbit/s
burst = 4KiB
[server lamp]
address = coap://127.0.0.1:%d
unknown-rate = 60/min
unknown-budget = 100000/day
[allow-list]
save = yes
trusted-after = 4
[state]
directory = %s
[metrics]
listen = 127.0.0.1:%d
"""


class Lamp(test_memory.Lamp):
    """Knows a forgery from a request."""

    def answer(self, request):
        try:
            return super().answer(request)
        except Exception:  # whatever the cryptographic library says of it
            return Message(ACK, rawcoap.code("4.00"), request.mid, request.token, (), b"Decryption failed")


class Load:
    """All who want something of the guard, each on a thread of its own."""

    def __init__(self, guard, lamp, http):
        self.guard, self.lamp, self.http = guard, lamp, http
        self.counts, self.stopping, self.threads = {}, threading.Event(), []

    def count(self, what, n=1):
        self.counts[what] = self.counts.get(what, 0) + n

    def begin(self, work, pause):
        def run():
            while not self.stopping.wait(pause):
                work()

        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()

    def end(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def start(self):
        phone = test_memory.Phone(self.guard.port)
        phone.raw.pong = True  # as every conforming client: while somebody spoofs it, it is pinged, once a second at most
        self.phone_port = phone.raw.socket.getsockname()[1]

        def known():
            self.count("known client asked")
            self.count("known client answered", phone.ask(2) is True)

        self.begin(known, 1.1)
        self.begin(self.newcomer, 0.1)
        self.begin(self.observer, 0.5)
        self.begin(self.flood, 1.0)
        self.begin(self.doors, 0.5)
        self.begin(lambda: (self.guard.signal(1), self.count("reloads")), 20)

    def newcomer(self):
        n = self.counts.get("newcomers", 0)
        client = RawClient(self.guard.port, local="127.%d.%d.9" % (1 + n // 250 % 200, 1 + n % 250))
        client.send(client.request(path="lamp/x", type=n & 1))
        client.receive(0.2)
        client.close()
        self.count("newcomers")

    def observer(self):
        client = RawClient(self.guard.port, local="127.0.3.%d" % (1 + self.counts.get("observers", 0) % 200))
        client.send(client.request(path="lamp/o", options=((rawcoap.OBSERVE, b""),)))
        client.receive(0.3)
        client.close()  # and it is gone
        self.count("observers")

    def flood(self):
        n = self.counts.get("floods", 0)
        argv = ["-t", "127.0.0.1", "-P", self.guard.port, "-r", 2000, "-s", 2, "-S", n + 1]
        if n % 3 == 2 and os.getuid() == 0:
            argv += ["-k", "o", "-V", "127.0.0.1", "-L", self.phone_port]
        else:
            argv += ["-n", 5000, "-p", "127.0.0.0/8", "-l", harness.free_port(), "-g", "lamp/hello"]
        out, _ = attack.flood(*argv).communicate()
        self.count("floods")
        self.count("datagrams of floods", harness.json_lines(out)[0]["sent"])

    def doors(self):
        for command in ("status", "clients", "counters", "metrics"):
            self.guard.ctl(command, json_output=command != "metrics")
        subprocess.run(["curl", "-s", "-o", "/dev/null", "http://127.0.0.1:%d/metrics" % self.http])
        self.count("visits", 5)


def slope(samples):
    """Of the straight line through them, in bytes over their whole time."""
    n = len(samples)
    mean_t, mean_b = sum(t for t, _ in samples) / n, sum(b for _, b in samples) / n
    over = sum((t - mean_t) ** 2 for t, _ in samples)
    return sum((t - mean_t) * (b - mean_b) for t, b in samples) / over * (samples[-1][0] - samples[0][0])


def soak(seconds):
    directory = harness.scratch()
    (directory / "state").mkdir(mode=0o700)
    lamp = Lamp()
    http = live.free_tcp_port()
    guard = Guard(CONFIG % (lamp.port, directory / "state", http), directory=directory)
    load, samples, start = Load(guard, lamp, http), [], time.monotonic()
    load.start()
    try:
        while (passed := time.monotonic() - start) < seconds:
            time.sleep(min(10, seconds / 30))
            samples.append((passed, guard.resident()))
            if not guard.process.alive():
                raise SystemExit("the guard ended: " + guard.process.output()[-2000:])
    finally:
        load.end()
    code, used = guard.stop() if guard.process.alive() else -1, guard.process.output()
    lamp.close()
    return samples, load.counts, code, len(used.splitlines())


def main():
    seconds = float(os.environ.get("SOAK_SECONDS", "3600"))
    attack.build_tools()
    begun = time.monotonic()
    samples, counts, code, lines = soak(seconds)
    settled = samples[len(samples) // 4:]
    grown, rise = settled[-1][1] - settled[0][1], slope(settled)
    for t, resident in samples[::max(1, len(samples) // 30)]:
        print("%8.0f s  %8.0f KiB" % (t, resident / 1024))
    print(", ".join("%s %d" % (what, n) for what, n in sorted(counts.items())))
    answered = counts.get("known client answered", 0) / max(1, counts.get("known client asked", 1))
    flat = grown < ALLOWED and rise < ALLOWED
    print("%.0f s, %d samples: after the first quarter resident memory moved by %+.0f KiB, its line by %+.0f KiB: %s"
          % (seconds, len(samples), grown / 1024, rise / 1024, "flat" if flat else "NOT FLAT"))
    print("known client: %.1f %% answered, each request sent once; %d lines in the log; exit code %d" % (100 * answered, lines, code))
    good = flat and code == 0 and answered > 0.9 and counts.get("floods", 0) > 0
    print("Ran 1 test in %.1fs\n\n%s" % (time.monotonic() - begun, "OK" if good else "FAILED (failures=1)"))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
