#!/usr/bin/python3
"""The unit file: what systemd thinks of it, and the whole of test_shell.py with the daemon under its filter of system calls."""
import os
import re
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

import harness

ROOT = harness.TESTS.parent
UNIT = ROOT / "systemd" / "coap-guardd.service"
EXPOSURE = 1.1  # of systemd 252; others weigh differently

analyze = shutil.which("systemd-analyze")


def run(*argv, **more):
    return subprocess.run([str(a) for a in argv], capture_output=True, text=True, **more)


@unittest.skipUnless(analyze, "no systemd-analyze here")
class UnitFile(unittest.TestCase):
    def test_exposure(self):
        out = run(analyze, "security", "--offline=true", UNIT).stdout
        found = re.search(r"Overall exposure level for coap-guardd.service: ([0-9.]+)", out)
        self.assertLessEqual(float(found.group(1)), EXPOSURE, out)

    def test_verify(self):
        """Complaints are about the programs and pages that are not installed here, and nothing else."""
        for unit in UNIT.parent.glob("*.service"):
            said = run(analyze, "verify", unit).stderr.splitlines()
            known = re.compile(r"is not executable: No such file|Command 'man ")
            self.assertEqual([line for line in said if not known.search(line)], [])

    def test_every_path_is_installed(self):
        """What the units run is where `make install` and the distribution put it."""
        makefile = (ROOT / "Makefile").read_text()
        for unit in UNIT.parent.glob("*.service"):
            for program in re.findall(r"^Exec\w+=[-+!]*(/\S+)", unit.read_text(), re.M):
                ours = "$(DESTDIR)$(PREFIX)" + program.removeprefix("/usr")
                self.assertTrue(ours in makefile or os.access(program, os.X_OK) or "nft" in program, program)

    def test_reload_fails_loudly(self):
        """By commands that wait and say what is wrong, not by a signal that nobody answers."""
        text = UNIT.read_text()
        self.assertIn("ExecReload=/usr/sbin/coap-guardd --check-config", text)
        self.assertIn("ExecReload=/usr/bin/coap-guardctl reload", text)
        self.assertNotIn("kill", text)

    def test_accounts(self):
        """sysusers.d and tmpfiles.d, carried out in a directory."""
        root = harness.scratch()
        (root / "etc/coap-guard").mkdir(parents=True)
        (root / "etc/coap-guard/coap-guard.conf").write_text("")
        for tool, name in (("systemd-sysusers", "coap-guard.sysusers"), ("systemd-tmpfiles", "coap-guard.tmpfiles")):
            if not shutil.which(tool) or os.getuid() != 0:
                self.skipTest("no %s here, or not root" % tool)
            argv = [tool, "--root", root] + (["--create"] if tool.endswith("tmpfiles") else []) + [UNIT.parent / name]
            done = run(*argv)
            self.assertEqual(done.returncode, 0, done.stderr)
        uid, gid = (root / "etc/passwd").read_text().split("coap-guard:x:")[1].split(":")[:2]
        keys, conf = (root / "etc/coap-guard/keys").stat(), (root / "etc/coap-guard/coap-guard.conf").stat()
        self.assertEqual((keys.st_mode & 0o7777, keys.st_uid, keys.st_gid), (0o700, int(uid), int(gid)))
        self.assertEqual((conf.st_mode & 0o7777, conf.st_uid, conf.st_gid), (0o640, 0, int(gid)))


def confined_build(directory):
    """A build directory whose daemon puts itself under the filter before it begins."""
    wrapper = directory / "coap-guardd"
    wrapper.write_text("#!/bin/sh\nexec %s %s %s \"$@\"\n" % (harness.SUPPORT / "confine.py", UNIT, harness.GUARDD))
    wrapper.chmod(0o755)
    for name in ("coap-guardctl", "tests"):
        (directory / name).symlink_to(harness.BUILD / name)
    return directory


@unittest.skipUnless(analyze and shutil.which("cc"), "no systemd-analyze or no compiler here")
class Confined(unittest.TestCase):
    def confine(self, *argv):
        return run(harness.SUPPORT / "confine.py", UNIT, *argv)

    def setUp(self):
        if b"San" in harness.GUARDD.read_bytes() and b"__asan_init" in harness.GUARDD.read_bytes():
            self.skipTest("sanitizers make system calls of their own")

    def test_filter_filters(self):
        """What the rest proves is worth something only if it does."""
        tried = ("import os, socket\n"
                 "for f in (lambda: os.chown('/', -1, -1), lambda: os.sched_setaffinity(0, [0]),\n"
                 "          lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW), lambda: os.chroot('/'),\n"
                 "          lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)):\n"
                 "    try: f(); print(0)\n"
                 "    except OSError as e: print(e.errno)\n")
        self.assertEqual(self.confine(sys.executable, "-c", tried).stdout.split(), ["1", "1", "97", "1", "0"])
        for line in ("NoNewPrivs:\t1", "Seccomp:\t2"):
            self.assertIn(line, self.confine("cat", "/proc/self/status").stdout)

    def test_whole_shell(self):
        """Start, contexts and their state, traffic, reload, control, stop: all of it, and nothing was refused."""
        build = confined_build(harness.scratch())
        done = run(sys.executable, harness.TESTS / "integration" / "test_shell.py", env=dict(os.environ, BUILD=str(build)))
        self.assertEqual(done.returncode, 0, done.stderr[-4000:])
        self.assertGreater(int(re.search(r"Ran (\d+) tests", done.stderr).group(1)), 50)


if __name__ == "__main__":
    unittest.main(verbosity=2)
