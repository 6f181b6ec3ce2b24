#!/usr/bin/python3
"""The Debian package: built in a bare Debian 12 and a bare Debian 13, judged, and lived with under their own systemd. SUITES says
where: "bookworm trixie"."""
import filecmp
import os
import re
import shutil
import time
import unittest
from pathlib import Path

import harness
from trees import SUITES, TREE, TREES, Tree, build, must, run

OUT = harness.BUILD / "deb"
DEBIAN = harness.TESTS.parent / "conf" / "debian"
LAMP = "[server lamp]\naddress = coap://[::1]:45685\n"
KEY = "a1b2c3d4e5f60718293a4b5c6d7e8f90"

install = "apt-get -y --no-install-recommends install"


class Package:
    """The tests of one suite; the classes of the suites are made below."""

    @classmethod
    def setUpClass(cls):
        cls.debs = build(OUT / cls.suite, cls.suite)
        cls.deb = next(cls.debs.glob("coap-guardd_*.deb"))

    def builder(self, script, *files):
        """Runs it where the package was built, with the files there."""
        root = TREES / ("builder-" + self.suite)
        where = root / "check"
        shutil.rmtree(where, ignore_errors=True)
        where.mkdir()
        for file in files:
            shutil.copy(file, where)
        try:
            return run(TREE, "run", root, "sh", "-c", "cd /check && " + script)
        finally:
            shutil.rmtree(where)

    def tree(self, boot=True):
        tree = Tree(self.suite, boot)
        self.addCleanup(tree.remove)
        tree.put(self.deb, "root/" + self.deb.name)
        return tree

    def installed(self):
        tree = self.tree()
        tree.must("%s /root/%s libcoap3-bin" % (install, self.deb.name))
        return tree

    def test_reproducible(self):
        """Another folder, another zone, another language, another time: the same bytes."""
        again = build(OUT / (self.suite + "-again"), self.suite, WHERE="/home/of/somebody-else", MORE="TZ=Asia/Kathmandu")
        names = sorted(p.name for p in self.debs.iterdir() if p.suffix in (".deb", ".xz", ".dsc"))
        self.assertGreaterEqual(len(names), 5)
        self.assertEqual([name for name in names if not filecmp.cmp(self.debs / name, again / name, shallow=False)], [])
        shutil.rmtree(again)

    def test_lintian(self):
        files = [p for p in self.debs.iterdir() if p.suffix in (".deb", ".xz", ".dsc", ".changes", ".buildinfo")]
        done = self.builder("lintian --version && lintian --allow-root --fail-on error,warning *.changes *.dsc", *files)
        self.assertRegex(done.stdout, r"^Lintian v2")
        self.assertEqual((re.findall(r"^[EW]: .*", done.stdout, re.M), done.returncode), ([], 0), done.stdout)

    def test_blhc(self):
        done = self.builder("blhc --debian --all build.log", self.debs / "build.log")
        self.assertEqual(done.returncode, 0, done.stdout[-3000:])
        self.assertGreater((self.debs / "build.log").read_text().count("-fstack-clash-protection"), 50)

    def test_unit_tests_ran(self):
        self.assertRegex((self.debs / "build.log").read_text(), r"\d\d rooms good")

    @unittest.skipUnless(shutil.which("autopkgtest"), "no autopkgtest here")
    def test_autopkgtest(self):
        """The one that wants systemd is left out in a chroot; test_installed runs it."""
        tree = self.tree(boot=False)
        results = harness.scratch() / "autopkgtest"
        done = run("unshare", "--mount", "autopkgtest", "--output-dir", results, self.deb, next(self.debs.glob("*.dsc")), "--",
                   "chroot", tree.path)
        self.assertIn(done.returncode, (0, 2), done.stdout[-4000:])  # 2: a test was left out
        self.assertRegex(done.stdout, r"traffic +PASS")

    def test_installed(self):
        """It starts by itself, guards nothing, and says so. Then both autopkgtests, the second under systemd."""
        tree = self.tree()
        said = tree.must("%s /root/%s libcoap3-bin" % (install, self.deb.name))
        self.assertIn("Setting up coap-guardd", said)
        self.assertNotRegex(said, r"(?i)warning|error|fail")
        self.assertIn("no servers configured", tree.must("systemctl show -p StatusText coap-guardd"))
        self.assertNotIn("limited", tree.must("journalctl -u coap-guardd"))
        self.assertEqual(tree.must("stat -c '%a %U %G' /etc/coap-guard/keys /etc/coap-guard/coap-guard.conf "
                                   "/run/coap-guard/control.sock").splitlines(),
                         ["700 coap-guard coap-guard", "640 root coap-guard", "660 coap-guard coap-guard"])
        self.assertEqual(tree.must("systemctl is-enabled coap-guard-nft || true").strip(), "disabled")
        for name in ("traffic", "service"):
            tree.put(DEBIAN / "tests" / name, "root/" + name, 0o755)
            tree.must("/root/" + name)

    def test_ordinary_user(self):
        """A member of the group may look; nobody else."""
        tree = self.installed()
        tree.must("useradd -m -G coap-guard keeper && useradd -m stranger")
        tree.must("su keeper -c 'coap-guardctl status'")
        self.assertEqual(tree.sh("su stranger -c 'coap-guardctl status'")[1], 69)
        self.assertEqual(tree.sh("su stranger -c 'cat /etc/coap-guard/coap-guard.conf'")[1], 1)

    def test_wrong_configuration(self):
        """Said once, not ten times; and once it is mended the service starts."""
        tree = self.installed()
        tree.write("etc/coap-guard/conf.d/lamp.conf", LAMP + "adress = x\n")
        self.assertEqual(tree.sh("systemctl restart coap-guardd")[1], 1)
        time.sleep(5)
        self.assertEqual(tree.must("systemctl show -p NRestarts -p ActiveState coap-guardd").split(),
                         ["NRestarts=0", "ActiveState=failed"])
        said = tree.must("journalctl -o cat -u coap-guardd")
        self.assertEqual(said.count('lamp.conf:3: [server lamp] adress: unknown key; did you mean "address"?'), 1, said)
        tree.write("etc/coap-guard/conf.d/lamp.conf", LAMP)
        tree.must("systemctl start coap-guardd")

    def test_watchdog(self):
        """A loop that stands still is noticed, and the guard begins anew."""
        tree = self.installed()
        tree.write("etc/systemd/system/coap-guardd.service.d/quick.conf", "[Service]\nWatchdogSec=2\nTimeoutAbortSec=1\n")
        tree.must("systemctl daemon-reload && systemctl restart coap-guardd")
        before = tree.must("systemctl show -p MainPID --value coap-guardd").strip()
        time.sleep(5)
        self.assertEqual(tree.must("systemctl show -p MainPID --value coap-guardd").strip(), before, "fed from the loop")
        tree.must("kill -STOP " + before)
        harness.wait_until(lambda: tree.must("systemctl show -p NRestarts --value coap-guardd").strip() == "1", 20, "a restart")
        harness.wait_until(lambda: tree.sh("systemctl is-active coap-guardd")[1] == 0, 10, "a new guard")
        self.assertIn("Watchdog timeout", tree.must("journalctl -o cat -u coap-guardd"))

    def test_credential(self):
        """A key that only root can read, by LoadCredential=; and one in the keys directory; their state in the sandbox."""
        tree = self.installed()
        for name in ("phone", "tablet"):
            tree.write("root/" + name, KEY[::1 if name == "phone" else -1], 0o600)
        tree.must("mv /root/tablet /etc/coap-guard/keys/ && chown coap-guard: /etc/coap-guard/keys/tablet")
        tree.write("etc/systemd/system/coap-guardd.service.d/key.conf", "[Service]\nLoadCredential=phone:/root/phone\n")
        tree.write("etc/coap-guard/conf.d/lamp.conf", LAMP + "[context phone]\nsender-id = 0x01\nrecipient-id = 0x02\n"
                   "servers = lamp\n[context tablet]\nsender-id = 0x03\nrecipient-id = 0x04\nservers = lamp\n")
        tree.must("systemctl daemon-reload && systemctl restart coap-guardd")
        tree.must("coap-guardctl context new phone && coap-guardctl context new tablet")
        tree.must("systemctl restart coap-guardd")
        self.assertIn("2 of 2 contexts at work", tree.must("systemctl show -p StatusText coap-guardd"))
        self.assertEqual(tree.must("stat -c '%a %U' /var/lib/coap-guard /var/lib/coap-guard/phone.context").splitlines(),
                         ["700 coap-guard", "600 coap-guard"])

    def newer(self):
        """The same package under the next version, as an upgrade brings it."""
        work = harness.scratch() / "newer"
        must("dpkg-deb", "-R", self.deb, work)
        control = work / "DEBIAN" / "control"
        control.write_text(re.sub(r"^Version: .*", r"\g<0>+next", control.read_text(), flags=re.M))
        must("dpkg-deb", "-b", "--root-owner-group", work, work.parent / "newer.deb")
        return work.parent / "newer.deb"

    def test_upgrade_remove_purge(self):
        """An upgrade restarts and changes nothing of the administrator's; removal leaves keys and their state; purging takes both."""
        tree = self.installed()
        tree.write("etc/coap-guard/keys/phone", KEY, 0o600)
        tree.write("etc/coap-guard/conf.d/lamp.conf",
                   LAMP + "[context phone]\nsender-id = 0x01\nrecipient-id = 0x02\nservers = lamp\n")
        tree.must("chown coap-guard: /etc/coap-guard/keys/phone; echo '; mine' >>/etc/coap-guard/coap-guard.conf")
        tree.must("systemctl reload coap-guardd && coap-guardctl context new phone")
        pid = tree.must("systemctl show -p MainPID --value coap-guardd")

        tree.put(self.newer(), "root/newer.deb")
        tree.must("dpkg --force-confdef --force-confold -i /root/newer.deb")
        self.assertNotEqual(tree.must("systemctl show -p MainPID --value coap-guardd"), pid)
        self.assertIn("1 server, 1 of 1 context at work", tree.must("systemctl show -p StatusText coap-guardd"))
        self.assertIn("; mine", tree.must("tail -n 1 /etc/coap-guard/coap-guard.conf"))
        self.assertEqual(tree.must("stat -c '%a %U %G' /etc/coap-guard/coap-guard.conf").strip(), "640 root coap-guard")

        tree.must("apt-get -y remove coap-guardd")
        self.assertEqual(tree.sh("systemctl is-active coap-guardd")[0].strip(), "inactive")
        self.assertEqual(tree.sh("cat /proc/[0-9]*/comm | grep guardd")[0], "")
        for path in ("etc/coap-guard/coap-guard.conf", "etc/coap-guard/keys/phone", "var/lib/coap-guard/phone.context"):
            self.assertTrue(tree.exists(path), path)
        tree.must("%s /root/%s" % (install, self.deb.name))
        self.assertIn("1 of 1 context at work", tree.must("systemctl show -p StatusText coap-guardd"))

        tree.must("rm /etc/coap-guard/conf.d/lamp.conf && apt-get -y purge coap-guardd")
        for path in ("etc/coap-guard", "var/lib/coap-guard", "run/coap-guard", "usr/sbin/coap-guardd"):
            self.assertFalse(tree.exists(path) or tree.sh("test -e /" + path)[1] == 0, path)
        self.assertEqual(tree.sh("find / -xdev -path /proc -prune -o -name '*coap-guard*' -print | grep -v '^/root/'")[0]
                         .replace("/var/lib/systemd/deb-systemd-helper-enabled/", ""), "")


for suite in SUITES:
    globals()[suite] = type(suite, (Package, unittest.TestCase), {"suite": suite, "__doc__": "Debian " + suite})

if __name__ == "__main__":
    os.environ.setdefault("LC_ALL", "C.UTF-8")
    unittest.main(verbosity=2)
