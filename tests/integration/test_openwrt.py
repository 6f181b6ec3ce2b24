"""The OpenWrt package: UCI made to the INI by busybox ash (and dash), the init script between stubs of procd, hotplug, the feed's
Makefile against stubs of OpenWrt's. What the scripts make is judged by the real daemon."""
import json
import os
import random
import re
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

import harness
from harness import GUARDCTL, GUARDD, PEERS, SUPPORT, TESTS

FILES = TESTS.parent / "conf" / "openwrt" / "files"
STUBS = TESTS / "openwrt"
BUSYBOX = shutil.which("busybox")
SHELLS = ([["busybox", "ash"]] if BUSYBOX else []) + [["dash"]]

SEVERAL = """[listen out]
bind = [::]:5683
bind = 192.0.2.1:5683
server = lamp
[link air]
[server lamp]
address = coap://[fd00:db8::17]
[server rain-1.x]
address = coap://[fd00:db8::18]
[context phone]
sender-id = 0x01
recipient-id = 0x02
servers = lamp
servers = rain-1.x
[context tunnel]
sender-id = 0x0a
recipient-id = 0x0b
"""


def uci_quote(value):
    """As `uci export` writes it."""
    return "'" + value.replace("'", "'\\''") + "'"


def uci(sections):
    """[(type, name, [(key, value or list)])] as `uci export` writes it."""
    text = "package 'coap-guardd'\n"
    for kind, name, options in sections:
        text += "\nconfig %s %s\n" % (kind, uci_quote(name))
        for key, value in options:
            text += "".join("\tlist %s %s\n" % (key, uci_quote(v)) for v in value) if isinstance(value, list) else \
                "\toption %s %s\n" % (key, uci_quote(value))
    return text


def dump(path):
    """The configuration in force, as [(header, [(key, value)])]."""
    done = subprocess.run([GUARDD, "-c", path, "--dump-config"], capture_output=True, text=True)
    if done.returncode:
        raise ValueError(done.stderr)
    sections = []
    for line in done.stdout.splitlines():
        if line.startswith("["):
            sections.append((line[1:-1], []))
        elif line and not line.startswith("#"):
            key, value = line.split(" = ", 1)
            sections[-1][1].append((key, re.sub(r"\s*; \S*(:\d+)?$", "", value)))
    return sections


class Router:
    """A directory that stands for /, with our files in it; commands of the system that scripts call are in bin."""

    def __init__(self):
        self.root = harness.scratch()
        self.said = self.root / "said"
        for path in ("bin", "sbin", "uci", "var/etc", "etc/coap-guard", "share", "init.d"):
            (self.root / path).mkdir(parents=True)
        for name, place in (("ini.sh", "share"), ("coap-guardd.init", "init.d"), ("20-coap-guardd", "share")):
            self.place(FILES / name, self.root / place / name)

    def place(self, source, target):
        text = source.read_text()
        for there, here in (("/usr/share/coap-guard", self.root / "share"), ("/var/", "%s/var/" % self.root),
                            ("/etc/coap-guard/", "%s/etc/coap-guard/" % self.root), ("/usr/sbin/coap-guardd", GUARDD),
                            ("/sbin/ujail", self.root / "sbin/ujail"),
                            ("/etc/init.d/coap-guardd", self.root / "bin/service")):
            text = text.replace(there, str(here))
        target.write_text(text)

    def command(self, path, text):
        (self.root / path).write_text("#!/bin/sh\n" + text + "\n")
        (self.root / path).chmod(0o755)

    def run(self, shell, *argv, **env):
        self.said.write_text("")
        done = subprocess.run([*shell, *map(str, argv)], capture_output=True, text=True, timeout=60,
                              env=dict(os.environ, PATH="%s/bin:%s" % (self.root, os.environ["PATH"]), UCI=str(self.root / "uci"),
                                       SAID=str(self.said), STUBS=str(STUBS), **env))
        return done

    def ini(self, shell, text):
        """(exit code, file)"""
        (self.root / "uci/coap-guardd").write_text(text)
        out = self.root / "made.conf"
        done = self.run(shell, "-c", '. "$STUBS/functions.sh"; . "%s/share/ini.sh"; cg_ini >"%s"' % (self.root, out))
        return done.returncode, out

    def init(self, action, shell=None):
        return self.run(shell or SHELLS[0], STUBS / "rc.common", self.root / "init.d/coap-guardd.init", action)


class Ini(unittest.TestCase):
    def setUp(self):
        self.router = Router()

    def each(self):
        for shell in SHELLS:
            with self.subTest(" ".join(shell)):
                yield shell

    def test_every_key(self):
        """All keys the daemon has, at values that are not the defaults where there are others, through UCI and back."""
        source = self.router.root / "source.conf"
        source.write_text(SEVERAL)
        before = [(header, self.unusual(header, keys)) for header, keys in dump(source)]
        self.assertGreater(sum(len(keys) for _, keys in before), 80)
        sections = []
        for header, keys in before:
            kind, _, name = header.partition(" ")
            options = {}
            for key, value in keys:
                options.setdefault(key.replace("-", "_"), []).append(value)
            options = [(k, v if len(v) > 1 else v[0]) for k, v in options.items()]
            if name:
                options.append(("name", name))
            sections.append((kind.replace("-", "_"), re.sub(r"[^A-Za-z0-9_]", "_", name) or "x_" + kind.replace("-", "_"), options))
        for shell in self.each():
            code, made = self.router.ini(shell, uci(sections))
            self.assertEqual(code, 0)
            self.assertEqual(dump(made), before)

    @staticmethod
    def unusual(header, keys):
        """Other values, where another word or number is as good."""
        other = {"log-level": "debug", "dry-run": "yes", "silent": "yes", "mode": None, "plain": "deny", "forward": "yes",
                 "oscore-errors": "precise", "recovery": "refuse", "nstart": "3", "observe-max": "7", "ssn-reserve": "64",
                 "unknown-rate": "7/h", "bypass-rate": "2/day", "interface": "wpan0", "lifetime": "3d", "validity": "7s"}
        return [(key, other.get(key) or value) for key, value in keys]

    def test_defaults(self):
        """What OpenWrt needs otherwise: state on flash, a key's file, and a socket where there is no /run."""
        text = uci([("guard", "guard", [("enabled", "1"), ("bypass", "1"), ("config_file", "/x")]),
                    ("server", "lamp", [("address", "coap://[fd00:db8::17]")]),
                    ("context", "phone", [("sender_id", "0x01"), ("recipient_id", "0x02"), ("servers", ["lamp"])])])
        for shell in self.each():
            code, made = self.router.ini(shell, text)
            self.assertEqual(code, 0)
            values = {header: dict(keys) for header, keys in dump(made)}
            root = str(self.router.root)
            self.assertEqual(values["state"]["directory"], root + "/etc/coap-guard/state")
            self.assertEqual(values["control"]["socket"], root + "/var/run/coap-guard/control.sock")
            self.assertEqual(values["context phone"]["master-secret-file"], root + "/etc/coap-guard/keys/phone")
            self.assertEqual(values["context phone"]["servers"], "lamp")

    def test_shipped(self):
        """The file that is installed, and the same with every comment taken off its examples."""
        text = (FILES / "coap-guard.config").read_text()
        for shell in self.each():
            for variant in (text, re.sub(r"(?m)^#(\s*(config|option|list) )", r"\1", text.replace("\t#option config_file", "\t# "))):
                code, made = self.router.ini(shell, variant)
                self.assertEqual(code, 0)
                sections = dict(dump(made))
            self.assertIn("server lamp", sections)
            self.assertIn("context phone", sections)

    HOSTILE = [  # (type, name, key, value)
        ("server", "lamp", "uri_host", "x\n[server evil]\naddress = coap://[fd00::1]"),
        ("server", "lamp", "uri_host", "x\rmode = open"),
        ("server", "lamp", "uri_host", "x ; y"),
        ("server", "lamp", "uri_host", ";x"),
        ("server", "lamp", "name", "a]\n[server evil"),
        ("server", "lamp", "name", "a b"),
        ("server", "lamp", "name", ".."),
        ("server", "lamp", "mode = open\nuri_host", "x"),
        ("server", "lamp", "mode=open", "x"),
        ("server]\n[guard", "lamp", "uri_host", "x"),
        ("server evil", "lamp", "uri_host", "x"),
        ("Server", "lamp", "uri_host", "x"),
        ("server", "lamp]", "uri_host", "x"),
        ("server", "la\nmp", "uri_host", "x"),
        ("guard", "g", "name", "x\n[server evil]"),
    ]

    def test_hostile(self):
        """Refused as a whole."""
        for shell in self.each():
            for kind, name, key, value in self.HOSTILE:
                call = ". \"$STUBS/functions.sh\"; . '%s/share/ini.sh'\n" % self.router.root
                call += "config_load() { config_cb %s; option_cb %s; list_cb %s; config_cb; }\ncg_ini" % tuple(
                    " ".join(map(uci_quote, pair)) for pair in ((kind, name), (key, value), (key, value)))
                self.assertEqual(self.router.run(shell, "-c", call).returncode, 1, (kind, name, key, value))

    def test_random(self):
        """Whatever a value is: refused, or exactly that value of exactly that key."""
        rng = random.Random(1)
        letters = ["a", "0", " ", ";", "#", "=", ":", "[", "]", "\n", "\r", "\t", "\\", "\"", "'", "$", "`", "$(id)", "é", "%s", "-n"]
        values = ["".join(rng.choice(letters) for _ in range(rng.randrange(1, 9))) for _ in range(300)]
        for shell in self.each():
            call = ". \"$STUBS/functions.sh\"; . '%s/share/ini.sh'\n" % self.router.root
            for i, value in enumerate(values):
                call += ("config_load() { config_cb server lamp; option_cb uri_host %s; config_cb; }\n"
                         "cg_ini >'%s/%d' 2>/dev/null || rm '%s/%d'\n" % (uci_quote(value), self.router.root, i, self.router.root, i))
            self.router.run(shell, "-c", call)
            taken = 0
            for i, value in enumerate(values):
                made = self.router.root / str(i)
                clean = not re.search(r"[\x00-\x1f\x7f]|^;| ;", value)
                self.assertEqual(made.exists(), clean, repr(value))
                if clean:
                    lines = [x for x in made.read_text().splitlines() if x and x[0] != "#"]
                    self.assertEqual(lines[:2], ["[server lamp]", "uri-host = " + value])
                    self.assertEqual([x for x in lines if x[0] == "["], ["[server lamp]", "[state]", "[control]"])
                    taken += 1
                    made.unlink()
            self.assertGreater(taken, 60)


GOOD = uci([("guard", "guard", [("enabled", "1"), ("bypass", "1")]), ("server", "lamp", [("address", "coap://[fd00:db8::17]")])])
BAD = uci([("guard", "guard", [("enabled", "1"), ("bypass", "1")]), ("server", "lamp", [("adress", "coap://[fd00:db8::17]")])])


class Init(unittest.TestCase):
    def setUp(self):
        self.router = Router()
        self.conf = self.router.root / "var/etc/coap-guard/coap-guard.conf"

    def configure(self, text):
        (self.router.root / "uci/coap-guardd").write_text(text)

    def said(self):
        return self.router.said.read_text()

    def test_disabled(self):
        self.configure(uci([("guard", "guard", [("enabled", "0")])]))
        self.assertEqual(self.router.init("start").returncode, 0)
        self.assertNotIn("instance", self.said())
        self.assertIn("nft delete table inet coap_guard", self.said())

    def test_enabled(self):
        for shell in SHELLS:
            with self.subTest(" ".join(shell)):
                self.configure(GOOD)
                done = self.router.init("start", shell)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                said = self.said()
                for line in ("param command %s -c %s" % (GUARDD, self.conf), "param file %s" % self.conf, "param user coap-guard",
                             "param group coap-guard", "param no_new_privs 1", "param reload_signal HUP", "param limits core=0",
                             "trigger coap-guardd", "nft -f -", "table inet coap_guard {", "\tchain to-lamp {"):
                    self.assertIn(line + "\n", said)
                self.assertLess(said.index("open_instance"), said.index("close_instance"))
                self.assertNotIn("jail", said)
                self.assertEqual(dict(dump(self.conf))["server lamp"][0][1], "coap://[fd00:db8::17]:5683")
                self.assertEqual(self.conf.stat().st_mode & 0o777, 0o640)

    def test_jail(self):
        self.configure(GOOD)
        self.router.command("sbin/ujail", "")
        self.router.init("start")
        root = self.router.root
        for line in ("jail coap-guardd log", "mount %s %s/etc/coap-guard/keys /etc/passwd /etc/group" % (self.conf.parent, root),
                     "mount_rw %s/etc/coap-guard/state %s/var/run/coap-guard" % (root, root),
                     "param seccomp /etc/seccomp/coap-guardd.json", "param capabilities /etc/capabilities/coap-guardd.json"):
            self.assertIn(line + "\n", self.said())

    def test_bad(self):
        """At a start nothing runs; at a reload all stays as it was, procd hears nothing, and the caller is told."""
        self.configure(BAD)
        done = self.router.init("start")
        self.assertNotIn("open_instance", self.said())
        self.assertIn('did you mean "address"?', done.stderr)
        self.assertIn("logger -t coap-guardd -p daemon.err coap-guardd: ", self.said())
        self.configure(GOOD)
        self.assertEqual(self.router.init("start").returncode, 0)
        before = self.conf.read_text()
        self.configure(BAD)
        self.assertEqual(self.router.init("reload").returncode, 1)
        self.assertNotIn("_service", self.said())
        self.assertNotIn("nft", self.said())
        self.assertEqual(self.conf.read_text(), before)
        self.router.init("start")  # what runs goes on with what is good
        self.assertIn("param file %s\n" % self.conf, self.said())
        self.configure(GOOD.replace("::17", "::18"))
        self.assertEqual(self.router.init("reload").returncode, 0)
        self.assertIn("param file %s\n" % self.conf, self.said())
        self.assertIn("fd00:db8::18", self.conf.read_text())

    def test_handwritten(self):
        mine = self.router.root / "etc/coap-guard/coap-guard.conf"
        self.configure(uci([("guard", "guard", [("enabled", "yes"), ("config_file", str(mine))]), ("server", "x", [("address", "bad")])]))
        mine.write_text("[server lamp]\naddress = coap://[fd00:db8::17]\n")
        self.assertEqual(self.router.init("start").returncode, 0)
        self.assertIn("param command %s -c %s\n" % (GUARDD, mine), self.said())
        self.assertNotIn("nft -f", self.said())
        mine.write_text("[server lamp]\n")
        self.router.init("start")
        self.assertNotIn("open_instance", self.said())
        self.assertEqual(self.router.init("reload").returncode, 1)

    def test_no_bypass_is_said(self):
        (self.router.root / "uci/nft-fails").touch()
        self.configure(GOOD)
        self.router.init("start")
        self.assertIn("could not be loaded", self.said())
        self.assertIn("open_instance", self.said())

    def test_check_show_stop(self):
        self.configure(BAD)
        done = self.router.init("check")
        self.assertEqual(done.returncode, 78)
        self.assertIn('did you mean "address"?', done.stderr)
        self.configure(GOOD)
        self.assertEqual(self.router.init("check").returncode, 0)
        self.assertIn("\n[server lamp]\naddress = coap://[fd00:db8::17]\n", self.router.init("show").stdout)
        self.assertFalse(self.conf.exists())
        self.router.init("stop")
        self.assertIn("nft delete table inet coap_guard\n", self.said())

    def test_hotplug(self):
        for action, enabled, running, signalled in (("ifup", 0, 0, True), ("ifdown", 0, 0, False), ("ifup", 1, 0, False),
                                                    ("ifup", 0, 1, False)):
            self.router.command("bin/service", "case $1 in enabled) exit %d ;; running) exit %d ;; esac" % (enabled, running))
            self.router.run(SHELLS[0], "-c", '. "$STUBS/functions.sh"; . "%s/share/20-coap-guardd"' % self.router.root,
                            ACTION=action, INTERFACE="wan")
            self.assertEqual('ubus call service signal { "name": "coap-guardd", "signal": 1 }\n' in self.said(), signalled)


class Package(unittest.TestCase):
    def make(self, *argv):
        return subprocess.run(["make", "--no-print-directory", "-C", str(FILES.parent), "TOPDIR=%s" % STUBS,
                               "OUT=%s" % self.out, *argv], capture_output=True, text=True, check=True).stdout

    def setUp(self):
        self.out = harness.scratch()

    def test_makefile(self):
        told = self.make("list")
        self.assertIn("coap-guardd:+libcoap+libuv+libcbor+libinih+libopenssl", told)
        self.assertIn("/etc/config/coap-guardd\n/etc/coap-guard/", told)
        self.make("prepare")
        plan = self.make("-n", "compile")
        self.assertIn(" -C %s/build/coap-guardd-0.1.0 " % self.out, plan)
        self.assertIn('-DUSAGE_SOCKET=\\"/var/run/coap-guard/control.sock\\"', plan)

    def test_install(self):
        """What was built elsewhere here stands for what the cross compiler makes."""
        built = self.out / "build" / "coap-guardd-0.1.0" / "out"
        self.make("prepare")
        self.assertTrue((built.parent / "lib/base/addr.c").exists())
        built.mkdir()
        for program in (GUARDD, GUARDCTL):
            shutil.copy(program, built)
        for package in ("coap-guardd", "prometheus-node-exporter-lua-coap-guard"):
            self.make("install-" + package)
        tree = self.out / "coap-guardd"
        found = {str(p.relative_to(tree)): p.stat().st_mode & 0o777 for p in tree.rglob("*") if p.is_file()}
        self.assertEqual(found, {
            "usr/sbin/coap-guardd": 0o755, "usr/bin/coap-guardctl": 0o755, "etc/init.d/coap-guardd": 0o755,
            "etc/config/coap-guardd": 0o600, "etc/hotplug.d/iface/20-coap-guardd": 0o644, "lib/upgrade/keep.d/coap-guardd": 0o644,
            "usr/share/coap-guard/ini.sh": 0o644, "etc/capabilities/coap-guardd.json": 0o644, "etc/seccomp/coap-guardd.json": 0o644})
        for path in ("etc/coap-guard/keys", "etc/coap-guard/state"):
            self.assertEqual((tree / path).stat().st_mode & 0o777, 0o700)
        self.assertTrue((self.out / "prometheus-node-exporter-lua-coap-guard/usr/lib/lua/prometheus-collectors/coap_guard.lua").exists())

    def test_kept(self):
        """Keys and what they have used go together (docs/oscore.md)."""
        kept = (FILES / "coap-guardd.keep").read_text().split()
        for path in ("/etc/coap-guard/keys/phone", "/etc/coap-guard/state/phone"):
            self.assertTrue(any(path.startswith(k) for k in kept))

    def test_capabilities(self):
        sets = json.loads((FILES / "capabilities.json").read_text())
        self.assertEqual(sets, dict.fromkeys(("bounding", "effective", "ambient", "permitted", "inheritable"), []))

    @unittest.skipUnless(shutil.which("shellcheck"), "no shellcheck here")
    def test_shellcheck(self):
        scripts = [FILES / n for n in ("ini.sh", "coap-guardd.init", "20-coap-guardd")] + [STUBS / "functions.sh", STUBS / "rc.common"]
        done = subprocess.run(["shellcheck", "-x", "-s", "dash", "-P", str(FILES), *map(str, scripts)], capture_output=True, text=True)
        self.assertEqual(done.stdout, "")

    @unittest.skipUnless(shutil.which("lua") or shutil.which("lua5.1"), "no lua here")
    def test_collector(self):
        """The exporter's way to call it, with a coap-guardctl that says two lines."""
        fake = self.out / "coap-guardctl"
        fake.write_text("#!/bin/sh\nprintf '# TYPE coapguard_x counter\\ncoapguard_x 1\\n'\n")
        fake.chmod(0o755)
        text = (FILES / "coap_guard.lua").read_text().replace("/usr/bin/coap-guardctl", str(fake))
        (self.out / "c.lua").write_text(text)
        lua = shutil.which("lua") or shutil.which("lua5.1")
        call = [lua, "-e", "out = io.stdout; dofile('%s/c.lua').scrape()" % self.out]
        self.assertEqual(subprocess.run(call, capture_output=True, text=True).stdout, "# TYPE coapguard_x counter\ncoapguard_x 1\n")
        fake.write_text("#!/bin/sh\nexit 1\n")
        self.assertNotEqual(subprocess.run(call, capture_output=True).returncode, 0)


class Confined(unittest.TestCase):
    """The daemon's whole life with no other system calls than seccomp.json allows."""

    def test_life(self):
        directory = harness.scratch()
        device_port, port, socket = harness.free_port(), harness.free_port(), directory / "control.sock"
        device = harness.start_libcoap_server("coap-server-notls", device_port, directory)
        (directory / "state").mkdir(mode=0o700)
        config = directory / "guard.conf"
        config.write_text(
            "[listen a]\nbind = 127.0.0.1:%d\n[server lamp]\naddress = coap://127.0.0.1:%d\nunknown-rate = 100/s\n"
            "unknown-budget = 10000/day\n[control]\nsocket = %s\ngroup =\n[state]\ndirectory = %s/state\n"
            % (port, device_port, socket, directory)
            + harness.guard_context(directory, "phone", "01", "02", "servers = lamp"))
        confined = [sys.executable, SUPPORT / "confine.py", FILES / "seccomp.json"]
        tried = subprocess.run([str(a) for a in (*confined, "/bin/true")], capture_output=True, text=True)
        if tried.returncode:
            self.skipTest("no seccomp here: " + tried.stderr.strip())
        self.assertNotEqual(subprocess.run([str(a) for a in (*confined, "/bin/mount", "-t", "tmpfs", "none", directory)],
                                           capture_output=True).returncode, 0)
        guard = harness.Process([*confined, GUARDD, "-c", config, "-l", "debug"], directory / "guard.log")

        def ctl(*words):
            done = subprocess.run([str(w) for w in (GUARDCTL, "-s", socket, *words)], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr + guard.output())
            return done.stdout

        harness.wait_until(lambda: harness.answers_ping(port), 5, "the guard: " + guard.output())
        ctl("context", "new", "phone")
        ctl("trace", "on", directory / "x.trace")
        asked = subprocess.run([str(a) for a in (PEERS / "coap-client-notls", "-B", 5, "coap://127.0.0.1:%d/lamp/time" % port)],
                               capture_output=True, text=True)
        self.assertIn(":", asked.stdout)
        ctl("trace", "off")
        ctl("reload")
        self.assertIn("coapguard_", ctl("metrics"))
        self.assertEqual(guard.stop(), 0, guard.output())
        self.assertTrue(list((directory / "state").iterdir()))
        self.assertNotIn("not permitted", guard.output())
        device.stop()


if __name__ == "__main__":
    unittest.main(verbosity=2)
