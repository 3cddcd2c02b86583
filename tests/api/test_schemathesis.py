"""The REST API against its own description: LOAM=build/loam python test_schemathesis.py

Starts `loam up` on a home of its own, as the operator and as a project's admin, and lets schemathesis make requests from
openapi.json: no 5xx, no undocumented status, every reply fits its schema, nothing invalid is accepted, nothing valid
refused, no key no answer. LOAM_EXAMPLES says how many examples an operation gets (default 6).
"""
import os, re, shutil, subprocess, sys, unittest, urllib.request

from cloud_server import Cloud

EXAMPLES = os.environ.get("LOAM_EXAMPLES", "6")
CONFIG = os.path.join(os.path.dirname(os.path.abspath(__file__)), "schemathesis.toml")
ST = os.path.join(os.path.dirname(sys.executable), "st")


class Schemathesis(unittest.TestCase):
    def drive(self, cloud, key):
        command = [ST, "--config-file", CONFIG, "run", f"{cloud.url}/api/v1/openapi.json", "-H", f"Authorization: Bearer {key}",
                   "-n", EXAMPLES, "--phases", "examples,coverage,fuzzing", "--generation-database", "none", "--no-color"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=cloud.dir)
        self.assertEqual(done.returncode, 0, done.stdout[-8000:] + done.stderr[-2000:])

    def test_as_operator(self):
        cloud = Cloud()
        try: self.drive(cloud, cloud.key)
        finally: self.assertEqual(cloud.stop(), 0)

    def test_as_a_tenants_admin(self):
        cloud = Cloud()
        try: self.drive(cloud, re.search(r"loam-sk-[0-9a-z-]+", cloud.cli("project", "create", "tenant")).group())
        finally: self.assertEqual(cloud.stop(), 0)


class Metrics(unittest.TestCase):
    @unittest.skipUnless(shutil.which("promtool"), "skipped: promtool is not installed")
    def test_promtool_finds_nothing(self):
        cloud = Cloud()
        try:
            with urllib.request.urlopen(f"{cloud.url}/metrics") as answer: text = answer.read()
            done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
            self.assertEqual((done.returncode, done.stderr), (0, b""))
        finally: self.assertEqual(cloud.stop(), 0)


if __name__ == "__main__":
    if not os.path.exists(ST):
        print("skipped: schemathesis is not installed")
        sys.exit(77)
    unittest.main()
