"""loam serve's embeddings and reranking against OpenAI's own Python client: LOAM=build/loam python test_embeddings.py

Needs no data: the models are those of tests/golden/encoders. Starts and ends its own servers.
"""
import base64, json, os, pathlib, signal, struct, subprocess, tempfile, threading, time, unittest, urllib.error, urllib.request

import openai

LOAM = os.environ.get("LOAM", "build/loam")
MODELS = pathlib.Path(__file__).resolve().parents[1] / "golden" / "encoders"


class Server:
    def __init__(self, model):
        self.dir = tempfile.TemporaryDirectory()
        port_file = os.path.join(self.dir.name, "port")
        command = [LOAM, "serve", str(MODELS / model), "--name", "m", "--port", "0", "--port-file", port_file, "--no-pack-file"]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        for _ in range(600):
            if os.path.exists(port_file): break
            assert self.process.poll() is None
            time.sleep(0.05)
        with open(port_file) as file: self.port = int(file.read())
        self.client = openai.OpenAI(base_url=f"http://127.0.0.1:{self.port}/v1", api_key="none", max_retries=0)

    def post(self, path, body):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request) as reply: return reply.status, json.load(reply)
        except urllib.error.HTTPError as error: return error.code, json.load(error)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        self.dir.cleanup()
        return code


class Embeddings(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("bge")
        cls.client = cls.server.client

    @classmethod
    def tearDownClass(cls):
        assert cls.server.stop() == 0

    def embed(self, input, **options):
        return self.client.embeddings.create(model="m", input=input, **options)

    def test_forms(self):
        one = self.embed("a cab").data[0].embedding  # the client asks for base64 by itself
        self.assertEqual(len(one), 32)
        self.assertAlmostEqual(sum(x * x for x in one), 1, places=5)
        floats = self.embed("a cab", encoding_format="float").data[0].embedding
        self.assertEqual([struct.pack("<f", x) for x in floats], [struct.pack("<f", x) for x in one])
        coded = self.server.post("/v1/embeddings", dict(model="m", input="a cab", encoding_format="base64"))[1]
        self.assertEqual(struct.unpack("<32f", base64.b64decode(coded["data"][0]["embedding"])),
                         tuple(struct.unpack("<f", struct.pack("<f", x))[0] for x in one))
        many = self.embed(["bee", "a cab", "fig"])
        self.assertEqual([d.index for d in many.data], [0, 1, 2])
        self.assertEqual(many.data[1].embedding, one)
        ids = self.embed([[2, 4, 6, 30, 31, 3]])
        self.assertEqual(ids.data[0].embedding, one)
        self.assertEqual((ids.usage.prompt_tokens, ids.usage.total_tokens), (6, 6))

    def test_dimensions(self):
        whole, cut = self.embed("a cab").data[0].embedding, self.embed("a cab", dimensions=8).data[0].embedding
        self.assertEqual(len(cut), 8)
        length = sum(x * x for x in whole[:8]) ** 0.5
        for a, b in zip(cut, whole): self.assertAlmostEqual(a, b / length, places=6)

    def test_errors(self):
        for wrong, message in [
            (dict(input=[]), "empty list"), (dict(input=""), "empty"), (dict(input="." * 999), "at most 128"), (dict(input=[99]), "99"),
            (dict(input="a", dimensions=33), "32"), (dict(input="a", dimensions=0), "from 1"),
            (dict(input="a", encoding_format="x"), "encoding_format"),
        ]:
            with self.assertRaises(openai.BadRequestError) as raised: self.client.embeddings.create(model="m", **wrong)
            self.assertIn(message, str(raised.exception))
        with self.assertRaises(openai.NotFoundError): self.client.embeddings.create(model="other", input="a")
        with self.assertRaises(openai.BadRequestError): self.client.completions.create(model="m", prompt="a")
        self.assertEqual(len(self.embed("a").data), 1)

    def test_neighbours_change_nothing(self):
        texts = ["abcdefghij"[: i % 10 + 1] + " fig" * (i % 7) for i in range(40)]
        alone = [self.embed(t).data[0].embedding for t in texts]
        together = [None] * len(texts)

        def ask(i): together[i] = self.embed([texts[i], texts[-i]]).data[0].embedding
        threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(texts))]
        for t in threads: t.start()
        for t in threads: t.join()
        self.assertEqual(alone, together)


class Reranking(unittest.TestCase):
    @classmethod
    def setUpClass(cls): cls.server = Server("bert-reranker")

    @classmethod
    def tearDownClass(cls):
        assert cls.server.stop() == 0

    def test_rerank(self):
        documents = ["abba", {"text": "dead beef"}, "feed me", "cab"]
        body = dict(model="m", query="a cab", documents=documents)
        status, all_of_them = self.server.post("/v1/rerank", body)
        self.assertEqual(status, 200)
        scores = [r["relevance_score"] for r in all_of_them["results"]]
        self.assertEqual(scores, sorted(scores, reverse=True))
        self.assertEqual(sorted(r["index"] for r in all_of_them["results"]), [0, 1, 2, 3])
        texts = ["abba", "dead beef", "feed me", "cab"]
        for r in all_of_them["results"]: self.assertEqual(r["document"]["text"], texts[r["index"]])
        best = self.server.post("/v1/rerank", dict(body, top_n=2, return_documents=False))[1]
        self.assertEqual(best["results"], [dict(index=r["index"], relevance_score=r["relevance_score"])
                                           for r in all_of_them["results"][:2]])
        self.assertEqual(best["usage"], all_of_them["usage"])

    def test_errors(self):
        for wrong in (dict(documents=[]), dict(documents=[""]), dict(query=""), dict(documents=[1]), dict(top_n=-1), dict(input="a")):
            status, answer = self.server.post("/v1/rerank", dict(dict(model="m", query="a", documents=["b"]), **wrong))
            self.assertEqual((status, answer["error"]["type"]), (400, "invalid_request_error"))
        self.assertEqual(self.server.post("/v1/embeddings", dict(model="m", input="a"))[0], 400)


if __name__ == "__main__":
    unittest.main()
