"""The page's pure modules under node's own test runner: no browser, no dependency."""

import shutil
import subprocess
from pathlib import Path


def test_the_pages_pure_modules_pass_their_own_tests():
    node = shutil.which("node")
    assert node, "node is missing: apt-get install nodejs, as .ci/run does"
    tests = Path(__file__).with_name("state.test.mjs")
    found = subprocess.run([node, "--test", tests], capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "# pass 14" in found.stdout
