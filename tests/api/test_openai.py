"""loam serve against OpenAI's own Python client: LOAM=build/loam python test_openai.py

Needs LOAM_TEST_DATA (models/stories260K); exits with 77 when it is not there. Starts and ends its own servers.
"""
import json, os, signal, subprocess, sys, tempfile, threading, time, unittest, urllib.request

import openai

LOAM = os.environ.get("LOAM", "build/loam")
MODEL = os.path.join(os.environ.get("LOAM_TEST_DATA", ""), "models", "stories260K")


class Server:
    def __init__(self, *options):
        self.dir = tempfile.TemporaryDirectory()
        self.port_file = os.path.join(self.dir.name, "port")
        self.log = open(os.path.join(self.dir.name, "log"), "w+")
        command = [LOAM, "serve", MODEL, "--name", "story", "--port", "0", "--port-file", self.port_file, *options]
        self.process = subprocess.Popen(command, stderr=self.log, stdout=self.log)
        for _ in range(600):
            if os.path.exists(self.port_file): break
            assert self.process.poll() is None, self.read_log()
            time.sleep(0.05)
        with open(self.port_file) as file: self.port = int(file.read())
        self.client = openai.OpenAI(base_url=f"http://127.0.0.1:{self.port}/v1", api_key="none", max_retries=0)

    def read_log(self):
        self.log.seek(0)
        return self.log.read()

    def get(self, path):
        return urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}").read().decode()

    def metric(self, name):
        return sum(float(l.split()[-1]) for l in self.get("/metrics").splitlines() if l.split("{")[0].split(" ")[0] == name)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        self.log.close()
        self.dir.cleanup()
        return code


class OpenAIClient(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.client = cls.server.client

    @classmethod
    def tearDownClass(cls):
        assert cls.server.stop() == 0

    def complete(self, prompt="Once upon a time", **options):
        options = {"model": "story", "max_tokens": 24, "temperature": 0, **options}
        return self.client.completions.create(prompt=prompt, **options)

    def chat(self, **options):
        options = {"model": "story", "max_tokens": 24, "temperature": 0, **options}
        return self.client.chat.completions.create(messages=[{"role": "user", "content": "Tell me a story."}], **options)

    def test_models(self):
        self.assertEqual([m.id for m in self.client.models.list()], ["story"])
        self.assertEqual(self.client.models.retrieve("story").owned_by, "loam")
        with self.assertRaises(openai.NotFoundError): self.client.models.retrieve("other")

    def test_completion_whole_and_streamed_agree(self):
        whole = self.complete()
        self.assertEqual(whole.choices[0].finish_reason, "length")
        self.assertEqual(whole.usage.completion_tokens, 24)
        self.assertEqual(whole.usage.total_tokens, whole.usage.prompt_tokens + 24)
        chunks = list(self.complete(stream=True, stream_options={"include_usage": True}))
        self.assertEqual("".join(c.choices[0].text for c in chunks if c.choices), whole.choices[0].text)
        self.assertEqual(chunks[-1].usage, whole.usage)
        self.assertEqual(chunks[-1].choices, [])
        self.assertEqual(chunks[-2].choices[0].finish_reason, "length")
        plain = list(self.complete(stream=True))
        self.assertTrue(all(c.usage is None and c.choices for c in plain))

    def test_chat_whole_and_streamed_agree(self):
        whole = self.chat()
        self.assertEqual(whole.choices[0].message.role, "assistant")
        chunks = list(self.chat(stream=True, stream_options={"include_usage": True}))
        self.assertEqual(chunks[0].choices[0].delta.role, "assistant")
        self.assertEqual("".join(c.choices[0].delta.content or "" for c in chunks if c.choices),
                         whole.choices[0].message.content)
        self.assertEqual(chunks[-1].usage, whole.usage)
        parts = self.client.chat.completions.create(model="story", max_completion_tokens=24, temperature=0, messages=[
            {"role": "user", "content": [{"type": "text", "text": "Tell me "}, {"type": "text", "text": "a story."}]}])
        self.assertEqual(parts.choices[0].message.content, whole.choices[0].message.content)

    def ask(self, path, **body):
        return json.loads(urllib.request.urlopen(urllib.request.Request(
            f"http://127.0.0.1:{self.server.port}{path}", json.dumps(body).encode())).read())

    def test_a_talk_is_tokenized_as_the_chat_computes_it(self):
        talk = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Tell me a story."}]
        answer = self.ask("/tokenize", messages=talk, return_token_strs=True)
        self.assertEqual(answer["count"], len(answer["tokens"]))
        self.assertEqual(len(answer["token_strs"]), answer["count"])
        chat = self.client.chat.completions.create(model="story", messages=talk, max_tokens=24, temperature=0)
        self.assertEqual(chat.usage.prompt_tokens, answer["count"])
        # the same answer, but for the space in front of a text that begins
        self.assertEqual(self.complete(prompt=answer["tokens"]).choices[0].text.removeprefix(" "), chat.choices[0].message.content)
        self.assertIn("Tell me a story.", self.ask("/detokenize", tokens=answer["tokens"])["prompt"])
        unasked = self.ask("/tokenize", messages=talk, add_generation_prompt=False)
        self.assertEqual(answer["tokens"][:unasked["count"]], unasked["tokens"])

    def test_prompt_kinds(self):
        tokens = self.ask("/tokenize", prompt="Once upon a time")["tokens"]
        text = self.complete().choices[0].text
        self.assertEqual(self.complete(prompt=tokens).choices[0].text, text)
        several = self.complete(prompt=["Once upon a time", "The cat"], n=2)
        self.assertEqual([c.index for c in several.choices], [0, 1, 2, 3])
        self.assertEqual([c.text for c in several.choices[:2]], [text, text])
        self.assertEqual(several.choices[2].text, self.complete(prompt="The cat").choices[0].text)
        self.assertEqual(self.complete(prompt=[tokens, tokens]).choices[1].text, text)
        self.assertEqual(self.complete(echo=True).choices[0].text, "Once upon a time" + text)
        self.assertEqual("".join(c.choices[0].text for c in self.complete(echo=True, stream=True)), "Once upon a time" + text)

    def test_stop(self):
        text = self.complete(max_tokens=60).choices[0].text
        stop = text[30:37]
        cut = self.complete(max_tokens=60, stop=[stop, "never said"])
        self.assertEqual(cut.choices[0].text, text[:text.index(stop)])
        self.assertEqual(cut.choices[0].finish_reason, "stop")
        streamed = "".join(c.choices[0].text for c in self.complete(max_tokens=60, stop=stop, stream=True))
        self.assertEqual(streamed, text[:text.index(stop)])

    def test_seeds(self):
        a, b = (self.complete(temperature=1, seed=7, n=3) for _ in range(2))
        self.assertEqual([c.text for c in a.choices], [c.text for c in b.choices])
        self.assertEqual(len({c.text for c in a.choices}), 3)
        self.assertNotEqual(a.choices[0].text, self.complete(temperature=1, seed=8).choices[0].text)

    def test_sampling_options(self):
        greedy = self.complete().choices[0].text
        self.assertEqual(self.complete(temperature=1, extra_body={"top_k": 1}).choices[0].text, greedy)
        self.assertEqual(self.complete(temperature=1, top_p=0).choices[0].text, greedy)
        self.assertEqual(self.complete(temperature=1, extra_body={"min_p": 1}).choices[0].text, greedy)
        self.assertNotEqual(self.complete(frequency_penalty=2, presence_penalty=2, max_tokens=60).choices[0].text,
                            self.complete(max_tokens=60).choices[0].text)
        banned = self.complete(max_tokens=1, logprobs=0).choices[0].text
        ids = self.ask("/tokenize", prompt="Once upon a time" + banned)["tokens"]
        self.assertNotEqual(self.complete(max_tokens=1, logit_bias={str(ids[-1]): -100}).choices[0].text, banned)

    def test_logprobs(self):
        lp = self.complete(logprobs=3, max_tokens=5).choices[0].logprobs
        self.assertEqual(len(lp.tokens), 5)
        self.assertEqual(lp.text_offset, [len("".join(lp.tokens[:i])) for i in range(5)])
        for token, logprob, top in zip(lp.tokens, lp.token_logprobs, lp.top_logprobs):
            self.assertEqual(len(top), 3)
            self.assertAlmostEqual(top[token], logprob, places=5)
            self.assertEqual(max(top.values()), top[token])
        content = self.chat(logprobs=True, top_logprobs=2, max_tokens=5).choices[0].logprobs.content
        self.assertEqual(len(content), 5)
        self.assertTrue(all(bytes(c.bytes).decode() == c.token and len(c.top_logprobs) == 2 for c in content))
        streamed = [t for c in self.chat(logprobs=True, max_tokens=5, stream=True) if c.choices[0].logprobs
                    for t in c.choices[0].logprobs.content]
        self.assertEqual([t.token for t in streamed], [t.token for t in content])

    def test_errors(self):
        def expect(kind, param, **options):
            with self.assertRaises(kind) as caught: self.complete(**options)
            self.assertEqual(caught.exception.param, param)
            return caught.exception
        self.assertEqual(expect(openai.NotFoundError, "model", model="other").code, "model_not_found")
        self.assertIn("from 0 to 2", expect(openai.BadRequestError, "temperature", temperature=3).message)
        expect(openai.BadRequestError, "n", n=0)
        expect(openai.BadRequestError, "max_tokens", max_tokens=-1)
        expect(openai.BadRequestError, "stop", stop=[""])
        expect(openai.BadRequestError, "suffix", suffix="x")
        expect(openai.BadRequestError, "typo", extra_body={"typo": 1})
        expect(openai.BadRequestError, "prompt", prompt=[99999999])
        error = expect(openai.BadRequestError, "prompt", prompt="word " * 3000)
        self.assertEqual(error.code, "context_length_exceeded")
        self.assertIn("512", error.message)
        self.assertRegex(error.message, r"has at least \d{3,} tokens")
        self.assertRegex(expect(openai.BadRequestError, "prompt", prompt="x" * 1000).message, r"has \d{3,} tokens")

    def test_neighbours_change_nothing(self):
        prompts = [f"{name} went to the {place}" for name in ("Tom", "Lily", "Ben", "Sue", "The dog", "A bird", "Mom", "Sam")
                   for place in ("park", "shop", "sea", "wood", "farm", "zoo", "lake", "old house by the river and")]
        options = {"max_tokens": 40, "logprobs": 1, "extra_body": {"ignore_eos": True}}
        alone = [self.complete(prompt=p, **options).choices[0] for p in prompts]
        together = [None] * len(prompts)
        def ask(i): together[i] = self.complete(prompt=prompts[i], **options).choices[0]
        threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(prompts))]
        for t in threads: t.start()
        for t in threads: t.join()
        for a, b in zip(alone, together):
            self.assertEqual(a.text, b.text)
            self.assertEqual(a.logprobs.token_logprobs, b.logprobs.token_logprobs)

    def test_leaving_frees_the_blocks(self):
        stream = self.complete(max_tokens=480, stream=True, extra_body={"ignore_eos": True})
        next(iter(stream))
        self.assertGreater(self.server.metric("loam_kv_blocks_used"), 0)
        stream.close()
        for _ in range(100):
            if self.server.metric("loam_kv_blocks_used") == 0: break
            time.sleep(0.05)
        self.assertEqual(self.server.metric("loam_kv_blocks_used"), 0)
        self.assertEqual(self.server.metric("loam_sequences_running"), 0)

    def test_health_and_metrics(self):
        self.assertEqual(json.loads(self.server.get("/health"))["status"], "ok")
        before = self.server.metric("loam_completion_tokens_total")
        self.complete(max_tokens=5)
        self.assertEqual(self.server.metric("loam_completion_tokens_total"), before + 5)


class Limits(unittest.TestCase):
    def test_full_queue_and_draining(self):
        server = Server("--max-seqs", "1", "--queue", "1")
        self.addCleanup(server.process.kill)
        options = {"model": "story", "prompt": "Once", "max_tokens": 500, "stream": True, "extra_body": {"ignore_eos": True}}
        running = server.client.completions.create(**options)
        waiting = threading.Thread(target=lambda: list(server.client.completions.create(**options)))
        next(iter(running))
        waiting.start()
        while server.metric("loam_sequences_waiting") == 0: time.sleep(0.01)
        with self.assertRaises(openai.RateLimitError) as caught:
            server.client.completions.create(model="story", prompt="Once", max_tokens=1)
        self.assertEqual(caught.exception.response.headers["retry-after"], "1")
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.05)
        self.assertIsNone(server.process.poll())
        chunks = list(running)
        self.assertEqual(chunks[-1].choices[0].finish_reason, "length")
        waiting.join()
        self.assertEqual(server.process.wait(30), 0)
        server.stop()

    def test_few_blocks_still_answer_everyone(self):
        server = Server("--kv-blocks", "12", "--max-seqs", "16")
        self.addCleanup(server.process.kill)
        texts = [None] * 24
        def ask(i):
            texts[i] = server.client.completions.create(model="story", prompt=f"Once {'very ' * (i % 8)}", max_tokens=150,
                                                        temperature=0, extra_body={"ignore_eos": True}).choices[0].text
        threads = [threading.Thread(target=ask, args=(i,)) for i in range(24)]
        for t in threads: t.start()
        for t in threads: t.join()
        self.assertGreater(server.metric("loam_preemptions_total"), 0)
        for i in range(8, 24): self.assertEqual(texts[i], texts[i % 8])
        self.assertEqual(server.metric("loam_kv_blocks_used"), 0)
        self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    if not os.path.exists(MODEL):
        print(f"skipped: no model at '{MODEL}'; set LOAM_TEST_DATA")
        sys.exit(77)
    unittest.main(verbosity=1)
