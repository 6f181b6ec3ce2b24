#!/usr/bin/python3
"""The README's first command, and its shortest configuration, do what it says."""
import os
import re
import subprocess
import tempfile
import unittest

import harness

ROOT = harness.TESTS.parent


class Readme(unittest.TestCase):
    def test_demo(self):
        """`make run` without its installing and building: a device, the guard, one request, a live view."""
        environment = dict(os.environ, BUILD=str(harness.BUILD), PORT=str(harness.free_port()),
                           DEVICE_PORT=str(harness.free_port()), SECONDS_TO_RUN="2",
                           PATH="%s:%s" % (harness.PEERS, os.environ["PATH"]))
        out = subprocess.run([ROOT / "tests/support/demo.sh"], env=environment, capture_output=True, text=True, timeout=60)
        self.assertEqual(out.returncode, 0, out.stderr)
        self.assertRegex(out.stdout, r"\d\d:\d\d:\d\d", "the device told no time")
        self.assertRegex(out.stdout, r"demo +exemptions")
        self.assertIn("Try it from another terminal", out.stdout)

    def test_two_lines(self):
        """The configuration printed in the README is complete."""
        text = (ROOT / "README.md").read_text()
        config = re.search(r"```ini\n(.*?)```", text, re.S).group(1)
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            file.write(config)
            file.flush()
            out = subprocess.run([harness.GUARDD, "-c", file.name, "--check-config"], capture_output=True, text=True)
        self.assertEqual((out.returncode, out.stderr), (0, ""))

    def test_layout(self):
        """Every folder the README names exists."""
        text = (ROOT / "README.md").read_text()
        for name in re.findall(r"^(daemon|lib|conf|systemd|docs|tests)/", text, re.M):
            self.assertTrue((ROOT / name).is_dir(), name)
        for link in re.findall(r"\]\(([^)]+)\)", text):
            self.assertTrue((ROOT / link).exists(), link)


if __name__ == "__main__":
    unittest.main()
