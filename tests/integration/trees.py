"""Packages, and bare systems of Debian to install them in: tests/support/deb.sh and tree.sh for Python."""
import os
import shutil
import subprocess
import unittest
from pathlib import Path

import harness

DEB, TREE = harness.SUPPORT / "deb.sh", harness.SUPPORT / "tree.sh"
TREES = Path(os.environ.get("TREES", harness.TESTS.parent / "build" / "trees")).resolve()
SUITES = os.environ.get("SUITES", "bookworm trixie").split()
CANNOT = 77


def run(*argv, timeout=600, **more):
    return subprocess.run([str(a) for a in argv], text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=timeout, **more)


def must(*argv, **more):
    """The output; a test is skipped where there can be no such tree, with the sentence of tree.sh."""
    done = run(*argv, **more)
    if done.returncode == CANNOT and argv[0] in (TREE, DEB):
        raise unittest.SkipTest(done.stdout.strip().splitlines()[-1])
    if done.returncode != 0:
        raise AssertionError("%s: %d\n%s" % (" ".join(map(str, argv)), done.returncode, done.stdout[-6000:]))
    return done.stdout


def build(out, suite, **environment):
    """Returns the directory with the packages."""
    must(TREE, "builder", suite)
    must(DEB, out, suite, env=dict(os.environ, **environment))
    return out


class Tree:
    """A fresh copy, booted or not."""

    def __init__(self, suite, boot=True):
        self.suite, self.booted = suite, False
        self.path = TREES / ("try-%s-%d-%d" % (suite, os.getpid(), id(self)))
        must(TREE, "base", suite)
        must(TREE, "copy", "base", suite, self.path)
        if boot:
            must(TREE, "boot", self.path)
            self.booted = True

    def sh(self, script, **more):
        """(output, exit code) of a script of the shell in it."""
        done = run(TREE, "in" if self.booted else "run", self.path, "sh", "-c", script, **more)
        return done.stdout, done.returncode

    def must(self, script, **more):
        text, code = self.sh(script, **more)
        if code != 0:
            raise AssertionError("%s: %d\n%s" % (script, code, text[-6000:]))
        return text

    def put(self, source, target, mode=None):
        path = self.path / target.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, path)
        if mode is not None:
            path.chmod(mode)

    def write(self, target, text, mode=0o644):
        path = self.path / target.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def exists(self, target):
        return os.path.lexists(self.path / target.lstrip("/"))

    def remove(self):
        run(TREE, "off", self.path)
        shutil.rmtree(self.path, ignore_errors=True)
        (self.path.parent / (self.path.name + ".boot")).unlink(missing_ok=True)
