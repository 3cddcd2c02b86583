"""`loam up` on a home of its own, for the tests of this folder."""
import os, re, shutil, signal, subprocess, tempfile, time

LOAM = os.environ.get("LOAM", "build/loam")


class Cloud:
    """One running cloud in a temporary folder."""

    def __init__(self, *options):
        self.dir = tempfile.mkdtemp(prefix="loam-st-")
        self.port_file = os.path.join(self.dir, "port")
        self.out = open(os.path.join(self.dir, "out"), "w+")
        command = [LOAM, "up", "--home", os.path.join(self.dir, "home"), "--listen", "127.0.0.1:0", "--port-file",
                   self.port_file, "--peak-tflops", "1", *options]
        self.process = subprocess.Popen(command, stdout=self.out, stderr=self.out)
        for _ in range(600):
            if os.path.exists(self.port_file): break
            assert self.process.poll() is None, self.text()
            time.sleep(0.05)
        with open(self.port_file) as file: self.url = f"http://127.0.0.1:{file.read().strip()}"
        self.key = re.search(r"loam-sk-[0-9a-z-]+", self.text()).group()

    def text(self):
        with open(self.out.name) as file: return file.read()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self.out.close()
        shutil.rmtree(self.dir)
        return code

    def try_cli(self, *args, **environment):
        env = {**os.environ, "LOAM_URL": self.url, "LOAM_API_KEY": self.key, **environment}
        return subprocess.run([LOAM, *args], env=env, capture_output=True, text=True, timeout=60)

    def cli(self, *args):
        done = self.try_cli(*args)
        assert done.returncode == 0, done.stderr
        return done.stdout
