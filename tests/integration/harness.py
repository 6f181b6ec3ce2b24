"""What the integration tests share: processes on free loopback ports, a temporary directory, and their orderly end."""
import atexit
import grp
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
SUPPORT = TESTS / "support"
BUILD = Path(os.environ.get("BUILD", TESTS.parent / "build")).resolve()
PEERS = Path(os.environ.get("PEERS", TESTS.parent / "build" / "peers")).resolve() / "bin"
GUARDD = BUILD / "coap-guardd"
GUARDCTL = BUILD / "coap-guardctl"

sys.path.insert(0, str(SUPPORT))
import rawcoap  # noqa: E402

SECRET, SALT = "0102030405060708090a0b0c0d0e0f10", "9e7ca92223786340"
GUARD_SECRET = "a1b2c3d4e5f60718293a4b5c6d7e8f90"  # of the contexts that have the guard at one end


def scratch():
    """A directory of this test run; removed at exit unless KEEP is set."""
    path = Path(tempfile.mkdtemp(prefix="guard-test-"))
    if not os.environ.get("KEEP"):
        atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def _unused_ports():
    """Below the ephemeral range, so that no client's socket takes one before the server it is meant for."""
    port = 20000 + os.getpid() * 7 % 10000
    while True:
        port = 20000 + (port + 1 - 20000) % 12000
        yield port


_ports = _unused_ports()
_ports_lock = threading.Lock()


def free_port():
    """A UDP port that is free on IPv4 and IPv6 loopback."""
    with _ports_lock:
        for port in _ports:
            try:
                with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
                    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                    s.bind(("::", port))
                return port
            except OSError:
                continue


def wait_until(condition, seconds, what):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise TimeoutError("waited %g s in vain for %s" % (seconds, what))


class Process:
    """A child that dies with the tests. Its output is in self.log."""

    def __init__(self, argv, log, env=None, stdin=subprocess.DEVNULL, stdout=None, start_new_session=True):
        self.log = Path(log)
        self.argv = [str(a) for a in argv]
        with open(self.log, "ab") as out:
            self.child = subprocess.Popen(self.argv, stdin=stdin, stdout=stdout or out, stderr=out, text=True,
                                          env=dict(os.environ, **(env or {})), start_new_session=start_new_session)
        atexit.register(self.kill)

    def alive(self):
        return self.child.poll() is None

    def output(self):
        return self.log.read_text(errors="replace")

    def stop(self, seconds=5):
        """Asks it to end, then makes it. Returns the exit code."""
        if self.alive():
            self.child.terminate()
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.child.wait()

    def kill(self):
        if self.alive():
            try:
                os.killpg(self.child.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                self.child.kill()
            self.child.wait()


class NotifySocket:
    """Stands in for the service manager: collects what the daemon says by sd_notify."""

    def __init__(self, directory):
        self.path = str(directory / "notify")
        Path(self.path).unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.lines = []
        self.thread = threading.Thread(target=self._collect, daemon=True)
        self.thread.start()

    def _collect(self):
        while said := self.socket.recv(4096):
            self.lines += said.decode().splitlines()

    def wait(self, line, seconds=5):
        wait_until(lambda: line in self.lines, seconds, "%s, got %s" % (line, self.lines))

    def close(self):
        """The thread ends first: its next recv could be on whatever gets the descriptor's number. Twice is harmless."""
        if self.socket.fileno() < 0:
            return
        self.socket.shutdown(socket.SHUT_RD)
        self.thread.join()
        self.socket.close()


class Guard:
    """The daemon, running with this configuration. `text` may use {port}; [control] is added."""

    def __init__(self, text, port=None, directory=None, env=None, wait=True):
        self.directory = directory or scratch()
        self.port = port or free_port()
        self.config = self.directory / "guard.conf"
        self.socket = self.directory / "control.sock"
        self.write(text)
        self.notify = NotifySocket(self.directory)
        self.process = Process([GUARDD, "-c", self.config], self.directory / "guard.log",
                               env=dict(env or {}, NOTIFY_SOCKET=self.notify.path))
        if wait:
            self.wait_ready()

    def write(self, text):
        control = "\n[control]\nsocket = %s\ngroup = %s\n" % (self.socket, grp.getgrgid(os.getgid()).gr_name)
        # what one test taught a guard is none of another's business
        alone = "" if "\nsave = " in text else "[allow-list]\nsave = no\n"
        self.config.write_text(text.replace("{port}", str(self.port)) + alone + control)

    def wait_ready(self):
        def ready():
            if not self.process.alive():
                raise RuntimeError("the guard ended: " + self.process.output())
            return "READY=1" in self.notify.lines

        wait_until(ready, 5, "READY=1; " + self.process.output())

    def ctl(self, *command, json_output=True):
        """Asks by coap-guardctl: (parsed JSON or text, exit code)."""
        argv = [GUARDCTL, "-s", self.socket, *command] + (["--json"] if json_output else [])
        done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=10)
        if json_output and done.returncode == 0:
            return json.loads(done.stdout), 0
        return done.stdout + done.stderr, done.returncode

    def begin_contexts(self):
        """The first time only: their states begin."""
        for row in self.ctl("contexts")[0]:
            text, code = self.ctl("context", "new", row["context"], json_output=False)
            assert code == 0, text

    def context(self, name):
        """What coap-guardctl contexts shows of it."""
        return next(row for row in self.ctl("contexts")[0] if row["context"] == name)

    def resident(self):
        """Resident memory in bytes."""
        pages = Path("/proc/%d/statm" % self.process.child.pid).read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.process.child.pid))

    def cpu_seconds(self):
        fields = Path("/proc/%d/stat" % self.process.child.pid).read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def signal(self, number):
        self.process.child.send_signal(number)

    def kill(self):
        """As if the power went: no last word, no last write."""
        self.process.kill()
        self.notify.close()

    def stop(self):
        """Returns the exit code; a report of a sanitizer is a failure of whichever test ran."""
        code = self.process.stop()
        self.notify.close()
        output = self.process.output()
        assert "Sanitizer" not in output and "runtime error" not in output, output
        return code


class RawClient:
    """One UDP endpoint that sends and receives bytes."""

    def __init__(self, port, host="127.0.0.1", local=None, pong=True):
        self.pong, self.pings = pong, 0
        self.to = (host, port)
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((local or ("::" if ":" in host else "127.0.0.1"), 0))
        self.mid = int.from_bytes(os.urandom(2), "big")

    def send(self, message):
        self.socket.sendto(message if isinstance(message, bytes) else rawcoap.encode(message), self.to)

    def receive(self, seconds=5):
        """The next datagram as bytes, or None. Pings are answered, as every endpoint does (RFC 7252 section 4.3)."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                raw, sender = self.socket.recvfrom(4096)
            except (socket.timeout, ConnectionRefusedError):
                return None
            if self.pong and len(raw) == 4 and raw[:2] == b"\x40\x00":
                self.pings += 1
                self.socket.sendto(b"\x70\x00" + raw[2:], sender)
                continue
            return raw
        return None

    def receive_message(self, seconds=5):
        raw = self.receive(seconds)
        return rawcoap.decode(raw) if raw is not None else None

    def request(self, code=rawcoap.GET, path="", options=(), payload=b"", type=rawcoap.CON, token=None):
        """A new message with its own Message ID and token."""
        self.mid = self.mid + 1 & 0xffff
        return rawcoap.Message(type, code, self.mid, os.urandom(4) if token is None else token,
                               rawcoap.path(path) + tuple(options), payload)

    def ask(self, message, seconds=10):
        """Sends, a CON again after 2 and 6 s, and returns the response; a separate one is acknowledged."""
        start = time.monotonic()
        resend = [2, 6] if message.type == rawcoap.CON else []
        self.send(message)
        while (passed := time.monotonic() - start) < seconds:
            answer = self.receive_message((resend[0] if resend else seconds) - passed)
            if answer is None and resend and time.monotonic() - start >= resend[0]:
                resend.pop(0)
                self.send(message)
            if answer is None or (answer.code and answer.token != message.token):
                continue
            if answer.code == rawcoap.EMPTY:
                resend = []
                continue
            if answer.type == rawcoap.CON:
                self.send(rawcoap.Message(rawcoap.ACK, rawcoap.EMPTY, answer.mid))
            return answer
        return None

    def close(self):
        self.socket.close()


def answers_ping(port, host="127.0.0.1"):
    """True when a CoAP endpoint is up there (RFC 7252 section 4.3)."""
    client = RawClient(port, host)
    try:
        client.send(rawcoap.Message(rawcoap.CON, rawcoap.EMPTY, client.mid))
        answer = client.receive_message(0.2)
        return answer is not None and answer.type == rawcoap.RST
    finally:
        client.close()


# OSCORE contexts: one sender ID for each client, "02" for most devices.

def aiocoap_context(directory, sender, recipient, secret=SECRET):
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "settings.json").write_text(json.dumps(
        {"sender-id_hex": sender, "recipient-id_hex": recipient, "secret_hex": secret, "salt_hex": SALT}))
    return directory


def guard_context(directory, name, sender, recipient, keys, secret=GUARD_SECRET):
    """Puts the key there and returns the section; keys: the lines that say what the context is for."""
    path = directory / "keys" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(secret)
    path.chmod(0o600)
    return ("[context %s]\nsender-id = 0x%s\nrecipient-id = 0x%s\nmaster-salt = 0x%s\n%s\n"
            % (name, sender, recipient, SALT, keys))


def libcoap_context(path, sender, recipients):
    lines = ['master_secret,hex,"%s"' % SECRET, 'master_salt,hex,"%s"' % SALT, 'sender_id,hex,"%s"' % sender]
    path.write_text("\n".join(lines + ['recipient_id,hex,"%s"' % r for r in recipients]) + "\n")
    return path


# Devices

def start_libcoap_server(tool, port, directory, kids=(), own="02"):
    argv = [PEERS / tool, "-A", "127.0.0.1", "-p", port, "-d", 250, "-v", 1]
    if kids:
        argv += ["-E", libcoap_context(directory / ("server-%d.conf" % port), own, kids)]
    process = Process(argv, directory / ("server-%d.log" % port))
    wait_until(lambda: answers_ping(port), 5, tool)
    return process


def start_aiocoap_server(port, directory, kids=(), host="127.0.0.1", own="02", options=()):
    contexts = [aiocoap_context(directory / ("device-%d-%s" % (port, kid)), own, kid) for kid in kids]
    process = Process([PEERS / "aio-python", SUPPORT / "oscore_server.py", "--host", host, "--port", port, *options,
                       *contexts], directory / ("server-%d.log" % port))
    wait_until(lambda: answers_ping(port, host), 10, "aiocoap server; " + process.output())
    return process


def json_lines(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]
