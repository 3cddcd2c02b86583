"""The cloud's gateway, endpoints and books against OpenAI's own Python client: LOAM=build/loam python test_gateway.py

Needs LOAM_TEST_DATA (models/stories260K); exits with 77 when it is not there. Starts and ends its own clouds.
"""
import json, os, re, shutil, signal, subprocess, sys, tempfile, time, unittest, urllib.error, urllib.request

import openai

LOAM = os.path.abspath(os.environ.get("LOAM", "build/loam"))
ENCODER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden", "encoders", "bge")
MODEL = os.path.join(os.environ.get("LOAM_TEST_DATA", ""), "models", "stories260K")


class Cloud:
    """One cloud on a temporary folder, which may be killed and started again."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="loam-gateway-")
        self.key = None
        self.start()

    def start(self):
        port_file, out = os.path.join(self.dir, "port"), os.path.join(self.dir, "out")
        if os.path.exists(port_file): os.remove(port_file)
        with open(out, "a") as log:
            self.process = subprocess.Popen([LOAM, "up", "--home", os.path.join(self.dir, "home"), "--listen", "127.0.0.1:0",
                                             "--port-file", port_file], stdout=log, stderr=log)
        for _ in range(600):
            if os.path.exists(port_file): break
            assert self.process.poll() is None, self.read(out)
            time.sleep(0.05)
        self.url = "http://127.0.0.1:" + self.read(port_file).strip()
        self.key = self.key or re.search(r"loam-sk-[0-9a-z-]+", self.read(out)).group()

    @staticmethod
    def read(path):
        with open(path) as file: return file.read()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        shutil.rmtree(self.dir)
        return code

    def cli(self, *args):
        env = {**os.environ, "LOAM_URL": self.url, "LOAM_API_KEY": self.key}
        done = subprocess.run([LOAM, *args, "--json"], env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    def get(self, path, key=None):
        request = urllib.request.Request(self.url + "/api/v1" + path, headers={"Authorization": "Bearer " + (key or self.key)})
        return json.load(urllib.request.urlopen(request))

    def client(self, key=None):
        return openai.OpenAI(base_url=self.url + "/v1", api_key=key or self.key, max_retries=0, timeout=60)

    def wait(self, what, wanted):
        for _ in range(400):
            value = what()
            if wanted(value): return value
            time.sleep(0.05)
        raise AssertionError(f"still {value}")

    def usage(self, key_id):
        rows = [r for r in self.get("/usage?group_by=key")["data"] if r["group"] == key_id]
        return (rows[0]["requests"], rows[0]["input_tokens"], rows[0]["output_tokens"]) if rows else (0, 0, 0)


class Gateway(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud = Cloud()
        cls.cloud.cli("model", "create", "story", MODEL)
        cls.cloud.cli("endpoint", "create", "story", "--min-replicas", "1")
        cls.cloud.cli("endpoint", "wait", "story")

    @classmethod
    def tearDownClass(cls):
        assert cls.cloud.stop() == 0

    def new_key(self, name, *options):
        key = self.cloud.cli("key", "create", name, *options)
        return key["id"], key["secret"]

    def ask(self, secret, **options):
        options = {"model": "story", "prompt": "Once upon a time", "max_tokens": 24, "temperature": 0, **options}
        return self.cloud.client(secret).completions.create(**options)

    def test_answers_are_booked_as_told(self):
        id, secret = self.new_key("books")
        whole = self.ask(secret)
        chunks = list(self.ask(secret, stream=True, stream_options={"include_usage": True}))
        self.assertEqual("".join(c.choices[0].text for c in chunks if c.choices), whole.choices[0].text)
        told = [whole.usage, chunks[-1].usage]
        wanted = (2, sum(u.prompt_tokens for u in told), sum(u.completion_tokens for u in told))
        self.cloud.wait(lambda: self.cloud.usage(id), lambda u: u == wanted)
        self.assertEqual([m.id for m in self.cloud.client(secret).models.list()], ["story"])

    def test_embeddings_are_booked_as_told(self):
        id, secret = self.new_key("vectors")
        self.cloud.cli("model", "create", "bge", ENCODER)
        self.cloud.cli("endpoint", "create", "bge", "--min-replicas", "1")
        self.cloud.cli("endpoint", "wait", "bge")
        client = self.cloud.client(secret)
        told = [client.embeddings.create(model="bge", input=text).usage for text in ("a cab", ["bee", "fig", [2, 4, 3]])]
        wanted = (2, sum(u.prompt_tokens for u in told), 0)
        self.cloud.wait(lambda: self.cloud.usage(id), lambda u: u == wanted)
        with self.assertRaises(openai.BadRequestError): client.completions.create(model="bge", prompt="a")
        with self.assertRaises(openai.BadRequestError): client.embeddings.create(model="story", input="a")

    def test_a_vanished_client_pays_what_was_generated(self):
        id, secret = self.new_key("vanishing")
        stream = self.ask(secret, stream=True, max_tokens=400, seed=1, temperature=1)
        received = [next(stream) for _ in range(5)]
        stream.close()
        requests, _, output = self.cloud.wait(lambda: self.cloud.usage(id), lambda u: u[0] == 1)
        self.assertGreaterEqual(output, len(received))
        self.assertLess(output, 400)

    def test_budgets_and_limits(self):
        id, secret = self.new_key("budget", "--token-budget", "60")
        with self.assertRaises(openai.RateLimitError) as caught:
            for _ in range(10): self.ask(secret)
        self.assertIn("budget", str(caught.exception))
        time.sleep(0.5)
        used = self.cloud.get("/keys/" + id)["tokens_used"]
        self.assertLess(used, 60 + 24 + 40)  # at most one request's reservation beyond
        _, secret = self.new_key("slow", "--requests-per-minute", "2")
        self.ask(secret), self.ask(secret)
        with self.assertRaises(openai.RateLimitError) as caught: self.ask(secret)
        self.assertGreater(int(caught.exception.response.headers["retry-after"]), 0)

    def test_wrong_keys_and_requests(self):
        with self.assertRaises(openai.AuthenticationError): self.ask("loam-sk-wrong")
        _, secret = self.new_key("reader", "--scope", "read")
        with self.assertRaises(openai.PermissionDeniedError): self.ask(secret)
        id, secret = self.new_key("revoked")
        self.cloud.cli("key", "revoke", id)
        with self.assertRaises(openai.AuthenticationError): self.ask(secret)
        with self.assertRaises(openai.NotFoundError): self.ask(self.cloud.key, model="none")
        with self.assertRaises(openai.BadRequestError): self.ask(self.cloud.key, max_tokens=-1)

    def test_another_projects_things_are_not_there(self):
        secret = self.cloud.cli("project", "create", "others")["secret"]
        with self.assertRaises(openai.NotFoundError): self.ask(secret)
        self.assertEqual(list(self.cloud.client(secret).models.list()), [])
        for kind in ("models", "endpoints"):
            mine = self.cloud.get("/" + kind)["data"][0]["id"]
            self.assertEqual(self.cloud.get("/" + kind, secret)["data"], [])
            with self.assertRaises(urllib.error.HTTPError) as caught: self.cloud.get(f"/{kind}/{mine}", secret)
            self.assertEqual(caught.exception.code, 404)

    def test_sleeps_and_wakes(self):
        self.cloud.cli("endpoint", "create", "sleepy", "--model", "story", "--idle-timeout", "1")
        self.assertEqual(self.cloud.cli("endpoint", "show", "sleepy")["state"], "asleep")
        for _ in range(2):
            self.assertTrue(self.ask(self.cloud.key, model="sleepy").choices[0].text)
            self.cloud.wait(lambda: self.cloud.cli("endpoint", "show", "sleepy")["state"], lambda s: s == "asleep")

    def test_survives_the_death_of_the_cloud(self):
        def pid(): return self.cloud.cli("endpoint", "replicas", "story")[0]["pid"]
        before, text = pid(), self.ask(self.cloud.key).choices[0].text
        self.cloud.kill()
        self.cloud.start()
        self.assertEqual(self.ask(self.cloud.key).choices[0].text, text)
        self.assertEqual(pid(), before)

    def test_chat_in_the_terminal(self):
        env = {**os.environ, "LOAM_URL": self.cloud.url, "LOAM_API_KEY": self.cloud.key}
        text = subprocess.run([LOAM, "chat", "story", "--complete", "--temperature", "0", "--max-tokens", "24", "Once upon a time"],
                              env=env, capture_output=True, text=True, check=True).stdout
        self.assertEqual(text, "Once upon a time" + self.ask(self.cloud.key).choices[0].text + "\n")


if __name__ == "__main__":
    if not os.path.isdir(MODEL):
        print("LOAM_TEST_DATA has no models/stories260K")
        sys.exit(77)
    unittest.main()
