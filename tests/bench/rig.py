"""rig: the processes of the bench, where they run, and what they cost."""

import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import time

DEVICE = 17010
LOAD = 19000
RCVBUF = 4 << 20

# Whatever is measured runs on CPU 0, whatever makes the traffic or answers it on CPU 1. A queue that is filled while
# its reader is stopped is filled from CPU 0 too: so no cache line changes hands and the figure repeats.
SUBJECT, OTHERS = 0, min(1, (os.cpu_count() or 1) - 1)

# Rounds until the kernel's buffers are the ones used just before; the first cost twice as much.
WARM_UP = 8

# Datagrams of a round. More would fit, but not into the caches beside what else the machine does.
QUEUE = 2000

GUARD = """\
[guard]
log-level = warn
memory-limit = {memory}
exchanges = {exchanges}

[listen main]
bind = 127.0.0.1:{port}

[listen quiet]
bind = 127.0.0.1:{quiet}
silent = yes

[link fast]
rate = {link}
burst = {burst}
queue-length = {queue}
block-size = {blocks}

[server dev]
address = coap://127.0.0.1:{device}
link = fast
uri-host = dev
plain = {plain}
unknown-rate = {unknown}
unknown-budget = {budget}
trusted-rate = {trusted}

[cache]
size = {cache}

[throttle]
unknown-rate = {address_rate}
reply-rate = {reply_rate}

[allow-list]
save = no
relations = {relations}
trusted-after = {trusted_after}

[sequence]
contexts = {relations}

[control]
socket = {socket}
group =
mode = 0600
"""

# A guard that admits everybody, so that clients can make themselves known quickly.
WIDE = dict(link="1000Mbit/s", burst="64KiB", queue=1024, plain="allow", unknown="1000000/s", budget="1000000000/day",
            trusted="1000000/s", address_rate="1000000/s", reply_rate="1000000/s", relations=4096, trusted_after=2,
            memory="1024MiB", exchanges=4096, cache="0B", blocks="0B")
# A guard as configured by default, its unknown lane soon spent.
TIGHT = dict(WIDE, plain="throttle", unknown="6/min", budget="600/day", address_rate="2/s", reply_rate="20/s",
             memory="24MiB", exchanges=1024)
# The same that tells every stranger so.
TALKATIVE = dict(TIGHT, reply_rate="1000000/s")
# Answers by itself what it may, and cuts what goes into the link.
SHARING = dict(WIDE, cache="64KiB", blocks="64B")


class Rig:
    def __init__(self, bins, guard, guardctl, directory, peers="build/peers"):
        self.bins, self.guard_binary, self.guardctl, self.directory, self.peers = bins, guard, guardctl, directory, peers
        self.processes = []
        self.port, self.seed = 17100, 0

    # processes

    def spawn(self, argv, cpu, told=subprocess.DEVNULL, **kwargs):
        p = subprocess.Popen(["taskset", "-c", str(cpu), *map(str, argv)], stdout=told, **kwargs)
        self.processes.append(p)
        return p

    def stop(self, p):
        if p.poll() is None:
            p.send_signal(signal.SIGCONT)
            p.terminate()
        try:
            p.wait(20)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
        self.processes.remove(p)

    def stop_all(self):
        for p in list(self.processes):
            self.stop(p)

    def next_port(self):
        self.port += 2
        return self.port

    def await_port(self, port, process, patience=60):
        deadline = time.monotonic() + patience
        needle = ":%04X " % port
        while time.monotonic() < deadline and process.poll() is None:
            for name in ("/proc/net/udp", "/proc/net/udp6"):
                with open(name) as f:
                    if any(needle in line[:50] for line in f):
                        return
            time.sleep(0.01)
        raise SystemExit("nobody listens on port %d: %s" % (port, process.args))

    def started(self, process, port):
        process.port = port
        self.await_port(port, process)
        return process

    def bare(self, *options):
        port = self.next_port()
        argv = [self.bins + "/bare", "--listen", "127.0.0.1:%d" % port, "--rcvbuf", RCVBUF, *options]
        return self.started(self.spawn(argv, SUBJECT), port)

    def device(self, rate=0):
        argv = [self.bins + "/device", "--listen", "127.0.0.1:%d" % DEVICE, "--rate", rate, "--rcvbuf", RCVBUF]
        return self.started(self.spawn(argv, OTHERS), DEVICE)

    def yardstick(self):
        port = self.next_port()
        argv = [self.bins + "/yardstick", "--listen", "127.0.0.1:%d" % port, "--device", "127.0.0.1:%d" % DEVICE,
                "--rcvbuf", RCVBUF]
        return self.started(self.spawn(argv, SUBJECT), port)

    def libcoap(self):
        """libcoap's proxy, or None where it is not installed."""
        server = shutil.which("coap-server-notls")
        if not server:
            return None
        port = self.next_port()
        # The name after the comma is the proxy's own; without one it would answer everything itself.
        argv = [server, "-v", 0, "-A", "127.0.0.1", "-p", port, "-P", "coap://127.0.0.1:%d,self" % DEVICE]
        return self.started(self.spawn(argv, SUBJECT, stderr=subprocess.DEVNULL), port)

    def aiocoap(self):
        """aiocoap's proxy, or None where there is none (tests/support/peers.sh)."""
        python = os.path.join(self.peers, "bin", "aio-python")
        if not os.path.exists(python):
            return None
        port = self.next_port()
        argv = [python, "-m", "aiocoap.cli.proxy", "--reverse", "--unconditional", "127.0.0.1:%d" % DEVICE, "--bind", "127.0.0.1:%d" % port]
        return self.started(self.spawn(argv, SUBJECT, stderr=subprocess.DEVNULL), port)

    def guard(self, settings, wrapper=(), **changes):
        port = self.next_port()
        path = "%s/guard-%d.conf" % (self.directory, port)
        socket = "%s/control-%d" % (self.directory, port)
        values = dict(settings, port=port, quiet=port + 1, device=DEVICE, socket=socket, **changes)
        with open(path, "w") as f:
            f.write(GUARD.format(**values))
        p = self.spawn([*wrapper, self.guard_binary, "-c", path], SUBJECT)
        p.socket, p.quiet = socket, port + 1
        self.started(p, port)
        if not wrapper:
            self.counters(p)  # who answers has touched all its tables
        return p

    # readings

    @staticmethod
    def cpu_ns(process):
        """CPU time of all threads: the clock id of a process (man clock_getcpuclockid) is made of its number."""
        return time.clock_gettime_ns((~process.pid) << 3 | 2)

    @staticmethod
    def rss_kib(process):
        with open("/proc/%d/status" % process.pid) as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))

    def counters(self, guard):
        """Every sample of the guard's metrics, by its whole name with labels."""
        r = subprocess.run([self.guardctl, "-s", guard.socket, "metrics"], capture_output=True, text=True)
        samples = (line.rsplit(" ", 1) for line in r.stdout.splitlines() if line and line[0] != "#")
        return {name: float(value) for name, value in samples}

    def verdicts(self, guard, before):
        """What grew since `before`, per reason: to see that the intended path was measured."""
        grown = {}
        for name, value in self.counters(guard).items():
            m = re.search(r'reason="([^"]+)"', name)
            d = value - before.get(name, 0)
            if m and d >= 1:
                grown[m.group(1)] = max(grown.get(m.group(1), 0), int(d))
        return grown

    def handover(self):
        return float(subprocess.run([self.bins + "/handover"], capture_output=True, text=True, check=True).stdout)

    # traffic

    def load(self, mode, target, cpu=OTHERS, inside=None, **options):
        """inside: the process whose network it is."""
        argv = ["nsenter", "-n", "-t", str(inside)] if inside else []
        argv += ["taskset", "-c", str(cpu), self.bins + "/load", mode, "--to", "127.0.0.1:%d" % target]
        self.seed += 1  # no two floods are the same, every bench is
        options = dict(dict(port=LOAD, seed=self.seed), **options)
        for key, value in options.items():
            argv += ["--" + key] if value is True else ["--" + key, str(value)]
        r = subprocess.run(argv, capture_output=True, text=True)
        if r.returncode:
            raise SystemExit("%s: exit %d %s" % (" ".join(argv), r.returncode, r.stderr))
        result = json.loads(r.stdout)
        result["good"] = sum(n for code, n in result.get("codes", {}).items() if code[0] == "2")
        return result

    def drain(self, process, port=None, **options):
        options = dict(dict(kind="oscore", count=QUEUE, rounds=WARM_UP + 16), **options)
        r = self.load("drain", port or process.port, cpu=SUBJECT, pid=process.pid, **options)
        for key, name in (("median", "ns"), ("fill", "fill_ns")):
            r[key] = statistics.median(r[name][WARM_UP:] or r[name])
        return r

    def establish(self, guard, clients, times=3, first=0, port=None):
        """Makes clients known and trusted: each asks `times` times, with Partial IV 1, 2, 3..."""
        r = self.load("ask", port or guard.port, kind="oscore", sources=clients, first=first, piv=1,
                      count=clients * times, window=min(clients, 32))
        if r["good"] < r["asked"]:
            raise SystemExit("could not make %d clients known: %s" % (clients, r))
