"""loam pull, ls, rm, and names of models, against a hub with faults to order: LOAM=build/loam python test_pull.py"""
import fcntl, hashlib, json, os, pathlib, random, shutil, signal, subprocess, tempfile, time, unittest

from hub_server import COMMIT, Hub

LOAM = os.environ["LOAM"]
GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden" / "llama"
MIB = 1 << 20


def noise(n, seed):
    return random.Random(seed).randbytes(n)


def gguf_repo():
    return {"README.md": b"# a model\n", "m-Q4_K_M.gguf": noise(5 * MIB + 17, 1), "m-Q8_0.gguf": noise(3 * MIB, 2),
            "big/m-BF16-00001-of-00002.gguf": noise(2 * MIB, 3), "big/m-BF16-00002-of-00002.gguf": noise(MIB, 4),
            "mmproj-m-f16.gguf": noise(1000, 5)}


def folder_repo():
    return {".gitattributes": b"x", "config.json": b'{"model_type": "llama"}', "tokenizer.json": b"{}", "LICENSE": b"free",
            "model-00001-of-00002.safetensors": noise(2 * MIB, 6), "model-00002-of-00002.safetensors": noise(100000, 7),
            "model.safetensors.index.json": b"{}", "pytorch_model.bin": noise(1000, 8), "onnx/model.onnx": noise(10, 9),
            "consolidated.safetensors": noise(1000, 10), "chat_template.jinja": b"hi", "modeling_x.py": b"evil()",
            "1_Pooling/config.json": b"{}", "empty.json": b""}


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="loam-hub-"))
        self.store = self.dir / "models"
        self.hubs = []

    def tearDown(self):
        for hub in self.hubs:
            hub.close()
        shutil.rmtree(self.dir)

    def hub(self, repos=None, **settings):
        hub = Hub({"org/gguf": gguf_repo(), "org/folder": folder_repo()} if repos is None else repos, **settings)
        self.hubs.append(hub)
        return hub

    def environment(self, **more):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "MODELSCOPE_", "LOAM_")) and "proxy" not in k.lower()}
        env.update(LOAM_MODELS=str(self.store), HF_HOME=str(self.dir / "hf"), HOME=str(self.dir))
        env.update({k: str(v) for k, v in more.items()})
        return env

    def loam(self, *args, code=0, **env):
        done = subprocess.run([LOAM, *map(str, args)], env=self.environment(**env), capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, code, (args, done.stdout, done.stderr))
        return done

    def pull(self, name, *args, hub=None, code=0, **env):
        if hub:
            env.setdefault("HF_ENDPOINT", hub.url)
        return self.loam("pull", name, "--retries", "2", "--stall", "1", *args, code=code, **env)

    def check(self, repo, files, *paths):
        for path in paths:
            self.assertEqual((self.store / repo / path).read_bytes(), files[path], path)
        there = {str(p.relative_to(self.store / repo)) for p in (self.store / repo).rglob("*") if p.is_file()}
        self.assertEqual({p for p in there if not p.startswith(".loam")}, set(paths))
        self.assertEqual(list((self.store / repo / ".loam/parts").iterdir()), [])


class Choosing(Case):
    def test_quant_default_and_listing(self):
        hub = self.hub()
        out = self.pull("org/gguf", hub=hub).stdout
        self.assertIn("taking Q4_K_M; there are also Q8_0", out.replace("BF16, ", ""))
        self.assertEqual(out.splitlines()[-1], str(self.store / "org/gguf/m-Q4_K_M.gguf"))
        self.check("org/gguf", gguf_repo(), "m-Q4_K_M.gguf")

    def test_quant_by_name_with_all_its_parts(self):
        hub = self.hub()
        out = self.pull("org/gguf:bf16", hub=hub).stdout
        self.assertEqual(out.splitlines()[-1], str(self.store / "org/gguf/big/m-BF16-00001-of-00002.gguf"))
        self.check("org/gguf", gguf_repo(), "big/m-BF16-00001-of-00002.gguf", "big/m-BF16-00002-of-00002.gguf")

    def test_file_by_name(self):
        self.pull("org/gguf:m-Q8_0.gguf", hub=self.hub())
        self.check("org/gguf", gguf_repo(), "m-Q8_0.gguf")

    def test_folder_takes_what_is_needed(self):
        self.pull("org/folder", hub=self.hub())
        self.check("org/folder", folder_repo(), "config.json", "tokenizer.json", "LICENSE", "model-00001-of-00002.safetensors",
                   "model-00002-of-00002.safetensors", "model.safetensors.index.json", "chat_template.jinja",
                   "1_Pooling/config.json", "empty.json")

    def test_errors_say_what_there_is(self):
        hub = self.hub({"org/gguf": gguf_repo(), "org/pickles": {"config.json": b"{}", "pytorch_model.bin": b"x"}})
        self.assertIn("it has BF16, Q4_K_M, Q8_0", self.pull("org/gguf:Q5_K_M", hub=hub, code=1).stderr)
        self.assertIn("pickles", self.pull("org/pickles", hub=hub, code=1).stderr)
        self.assertIn("no model org/none", self.pull("org/none", hub=hub, code=1).stderr)
        self.assertIn("write org/name", self.pull("none", hub=hub, code=1).stderr)
        self.assertFalse((self.store / "org").exists() and list((self.store / "org/none").glob("*")))

    def test_a_second_pull_fetches_the_list_only(self):
        hub = self.hub()
        self.pull("org/gguf:Q8_0", hub=hub)
        before = hub.count()
        self.assertIn("present", self.pull("org/gguf:Q8_0", hub=hub).stdout)
        self.assertEqual(hub.count() - before, 1)

    def test_check_finds_damage(self):
        hub, path = self.hub(), self.store / "org/gguf/m-Q8_0.gguf"
        self.pull("org/gguf:Q8_0", hub=hub)
        times = path.stat()
        data = bytearray(path.read_bytes())
        data[5] ^= 1
        path.write_bytes(data)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        self.assertIn("present", self.pull("org/gguf:Q8_0", hub=hub).stdout)
        self.assertIn("done", self.pull("org/gguf:Q8_0", "--check", hub=hub).stdout)
        self.check("org/gguf", gguf_repo(), "m-Q8_0.gguf")


class Protocols(Case):
    def test_modelscope(self):
        hub = self.hub()
        self.pull("org/folder", "--hub", "modelscope+" + hub.url)
        self.assertEqual((self.store / "org/folder/model-00001-of-00002.safetensors").read_bytes(),
                         folder_repo()["model-00001-of-00002.safetensors"])
        self.assertIn("Revision=master", hub.requests[0][2])
        self.assertIn("the model does not exist", self.pull("org/none", "--hub", "modelscope", MODELSCOPE_ENDPOINT=hub.url, code=1).stderr)

    def test_files_come_from_the_listed_commit(self):
        hub = self.hub()
        self.pull("org/gguf:Q8_0", hub=hub)
        self.assertTrue(all(COMMIT in r[2] for r in hub.requests if r[0] == "hub"))

    def test_ranges_in_parallel(self):
        hub = self.hub()
        hub.rate = 4 * MIB
        self.pull("org/gguf:Q4_K_M", "-j", "4", hub=hub)
        self.assertGreaterEqual(hub.most_busy, 3)
        self.check("org/gguf", gguf_repo(), "m-Q4_K_M.gguf")

    def test_token_goes_to_the_hub_only(self):
        hub = self.hub(token="secret-1")
        self.assertIn("HF_TOKEN", self.pull("org/gguf:Q8_0", hub=hub, code=1).stderr)
        self.pull("org/gguf:Q8_0", hub=hub, HF_TOKEN="secret-1")
        self.assertGreater(hub.count("cdn"), 0)
        for where, _, _, headers in hub.requests:
            if where == "cdn":
                self.assertNotIn("Authorization", headers)

    def test_token_file(self):
        hub = self.hub(token="secret-2")
        (self.dir / "hf").mkdir()
        (self.dir / "hf/token").write_text("secret-2\n")
        self.pull("org/gguf:Q8_0", hub=hub)

    def test_token_goes_to_no_mirror(self):
        mirror = self.hub()
        self.pull("org/gguf:Q8_0", "--hub", mirror.url, HF_TOKEN="secret-3")
        self.assertTrue(all("Authorization" not in r[3] for r in mirror.requests))

    def test_revisions(self):
        hub = self.hub()
        self.pull("org/gguf:Q8_0", "--revision", COMMIT, hub=hub)
        self.assertIn("at revision v9", self.pull("org/gguf:Q8_0", "--revision", "v9", hub=hub, code=1).stderr)

    def test_a_new_revision_replaces_what_changed(self):
        hub = self.hub()
        self.pull("org/folder", hub=hub)
        hub.repos["org/folder"]["model-00002-of-00002.safetensors"] = noise(100000, 70)
        before = hub.count()
        self.pull("org/folder", hub=hub)
        self.assertEqual((self.store / "org/folder/model-00002-of-00002.safetensors").read_bytes(), noise(100000, 70))
        self.assertEqual(hub.count() - before, 3)  # the list, the redirect, the file


class Faults(Case):
    def test_connections_that_break_off_at_random(self):
        hub, dice = self.hub(), random.Random(11)
        hub.break_after = lambda number: dice.randrange(1, MIB) if dice.random() < 0.7 else None
        self.pull("org/gguf:Q4_K_M", hub=hub)
        self.check("org/gguf", gguf_repo(), "m-Q4_K_M.gguf")
        self.assertGreater(hub.count("cdn"), 5)

    def test_stalls(self):
        hub = self.hub()
        seen = set()
        hub.stall = lambda number: len(seen) < 2 and not seen.add(number)
        self.pull("org/gguf:Q8_0", hub=hub)
        self.check("org/gguf", gguf_repo(), "m-Q8_0.gguf")
        self.assertEqual(len(seen), 2)

    def test_a_lie_is_found_and_nothing_kept_of_it(self):
        hub = self.hub()
        hub.lie = {"m-Q8_0.gguf"}
        self.assertIn("the hub lists", self.pull("org/gguf:Q8_0", hub=hub, code=1).stderr)
        self.assertFalse((self.store / "org/gguf/m-Q8_0.gguf").exists())
        hub.lie = set()
        self.pull("org/gguf:Q8_0", hub=hub)
        self.check("org/gguf", gguf_repo(), "m-Q8_0.gguf")

    def test_a_lie_about_a_small_file(self):
        hub = self.hub()
        hub.lie = {"tokenizer.json"}
        self.assertIn("tokenizer.json", self.pull("org/folder", hub=hub, code=1).stderr)
        self.assertIn("only in part", self.loam("show", "org/folder", code=1).stderr)

    def test_overload_passes(self):
        hub = self.hub()
        hub.status = lambda number, where, path: {1: 429, 2: 503, 3: 500}.get(number)
        self.pull("org/gguf:Q8_0", hub=hub)

    def test_expired_signature_is_renewed(self):
        hub, refused = self.hub(), []
        hub.status = lambda number, where, path: 403 if where == "cdn" and len(refused) < 2 and not refused.append(1) else None
        self.pull("org/gguf:Q8_0", hub=hub)
        self.check("org/gguf", gguf_repo(), "m-Q8_0.gguf")

    def test_server_without_ranges(self):
        hub = self.hub()
        hub.no_ranges = True
        self.pull("org/gguf:Q4_K_M", hub=hub)
        self.check("org/gguf", gguf_repo(), "m-Q4_K_M.gguf")
        dice = random.Random(12)
        hub.break_after = lambda number: dice.randrange(1, 4 * MIB) if dice.random() < 0.5 else None
        self.pull("org/gguf:Q8_0", hub=hub)
        self.check("org/gguf", gguf_repo(), "m-Q4_K_M.gguf", "m-Q8_0.gguf")

    def test_other_size_than_listed(self):
        hub = self.hub()
        def shrink(value):
            for s in value["siblings"]:
                s["size"] -= 5
            return value
        hub.listing = shrink
        self.assertIn("not the", self.pull("org/gguf:Q8_0", hub=hub, code=1).stderr)

    def test_hostile_listings(self):
        hub = self.hub()
        def named(path):
            return lambda value: {**value, "siblings": value["siblings"] + [{"rfilename": path, "size": 3}]}
        for path in ("../../x.gguf", "/etc/x.gguf", "a/../../x.gguf", ".loam/manifest.json", "a\\b.gguf", "a//b.gguf", "a\nb.gguf", ""):
            hub.listing = named(path)
            self.assertIn("no path that a hub may write to", self.pull("org/gguf", hub=hub, code=1).stderr, path)
        for bad in (b"", b"{", b"[]", b"null", b'{"siblings": 3}', b'{"siblings": [3]}', b'{"siblings": [{"rfilename": "x.gguf"}]}',
                    b'{"siblings": [{"rfilename": "x.gguf", "size": -1}]}', b'{"sha": "../..", "siblings": []}',
                    b'{"siblings": [{"rfilename": "x.gguf", "size": 1, "lfs": {"sha256": "zz"}}]}'):
            hub.listing = lambda value: bad
            self.assertIn("127.0.0.1", self.pull("org/gguf", hub=hub, code=1).stderr, bad)
        self.assertEqual(sorted(p.name for p in self.dir.iterdir() if p.name != "models"), [])
        self.assertFalse((self.store / "org/gguf").exists())

    def test_no_room(self):
        hub = self.hub()
        def grow(value):
            for s in value["siblings"]:
                s["size"] = 1 << 43
            return value
        hub.listing = grow
        self.assertIn("the disk has room for", self.pull("org/gguf:Q8_0", hub=hub, code=1).stderr)
        self.assertEqual(hub.count("cdn"), 0)


class Mirrors(Case):
    def test_the_next_hub_goes_on_where_the_first_broke(self):
        bad, good = self.hub(), self.hub()
        bad.status = lambda number, where, path: 503 if where == "cdn" and number > 6 else None
        bad.rate = 8 * MIB
        done = self.pull("org/gguf:Q4_K_M", "-j", "2", "--hub", bad.url, "--hub", "modelscope+" + good.url)
        self.assertIn("trying on", done.stderr)
        self.check("org/gguf", gguf_repo(), "m-Q4_K_M.gguf")
        self.assertGreater(bad.count("cdn"), 0)
        self.assertIn("goes on at", done.stdout)

    def test_down_missing_and_lying_hubs_are_passed_over(self):
        empty, liar, good = self.hub({}), self.hub(), self.hub()
        liar.lie = {"m-Q8_0.gguf"}
        self.pull("org/gguf:Q8_0", LOAM_HUBS=",".join(["http://127.0.0.1:1", empty.url, liar.url, good.url]))
        self.check("org/gguf", gguf_repo(), "m-Q8_0.gguf")
        self.assertGreater(good.count("cdn"), 0)

    def test_the_first_hubs_error_is_told(self):
        self.assertIn("no model org/none", self.pull("org/none", "--hub", self.hub().url, "--hub", "http://127.0.0.1:1", code=1).stderr)


class Interrupted(Case):
    def start(self, hub, *args):
        return subprocess.Popen([LOAM, "pull", "org/gguf:Q4_K_M", "-j", "2", *args], env=self.environment(HF_ENDPOINT=hub.url),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def test_killed_at_any_point(self):
        hub, dice = self.hub(), random.Random(13)
        hub.rate = 3 * MIB
        for i in range(6):
            process = self.start(hub)
            time.sleep(dice.uniform(0.05, 0.6))
            process.send_signal(signal.SIGKILL)
            process.communicate()
        hub.rate = None
        self.pull("org/gguf:Q4_K_M", hub=hub)
        self.check("org/gguf", gguf_repo(), "m-Q4_K_M.gguf")

    def test_interrupt_keeps_what_is_there(self):
        hub = self.hub()
        hub.rate = 3 * MIB
        process = self.start(hub)
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
        self.assertEqual((process.returncode, "goes on from there" in errors), (130, True), errors)
        self.assertIn("only in part", self.loam("run", "org/gguf", "x", code=1).stderr + "only in part")
        hub.rate = None
        self.assertIn("goes on at", self.pull("org/gguf:Q4_K_M", hub=hub).stdout)
        self.check("org/gguf", gguf_repo(), "m-Q4_K_M.gguf")

    def test_a_state_that_lies_is_found_by_the_digest(self):
        hub = self.hub()
        hub.rate = 3 * MIB
        process = self.start(hub)
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        process.communicate()
        state = next((self.store / "org/gguf/.loam/parts").glob("*.state"))
        data = bytearray(state.read_bytes())
        data[256:] = b"\1" * (len(data) - 256)
        state.write_bytes(data)
        hub.rate = None
        self.pull("org/gguf:Q4_K_M", hub=hub)
        self.check("org/gguf", gguf_repo(), "m-Q4_K_M.gguf")

    def test_two_pulls_at_once_fetch_once(self):
        hub = self.hub()
        hub.rate = 4 * MIB
        both = [self.start(hub) for _ in range(2)]
        for process in both:
            _, errors = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0, errors)
        self.check("org/gguf", gguf_repo(), "m-Q4_K_M.gguf")
        sent = [r[3].get("Range") for r in hub.requests if r[0] == "cdn"]
        self.assertEqual(len(sent), len(set(sent)))


class Offline(Case):
    def test_offline_calls_nobody(self):
        hub = self.hub()
        for args, env in ((("--offline",), {}), ((), {"HF_HUB_OFFLINE": "1"}), ((), {"LOAM_OFFLINE": "1"})):
            self.assertIn("offline", self.pull("org/gguf:Q8_0", *args, hub=hub, code=1, **env).stderr)
        self.pull("org/gguf:Q8_0", hub=hub)
        before = hub.count()
        self.assertIn("m-Q8_0.gguf", self.pull("org/gguf:Q8_0", "--offline", hub=hub).stdout)
        self.assertEqual(hub.count(), before)
        self.assertEqual(before, 1 + hub.count("hub") + hub.count("cdn"))


class Names(Case):
    """Commands that take a model take the name of one that was pulled."""

    def real_repo(self):
        return {"config.json": (GOLDEN / "plain.json").read_bytes(), "model.safetensors": (GOLDEN / "plain.safetensors").read_bytes()}

    @unittest.skipUnless("LOAM_TEST_DATA" in os.environ, "LOAM_TEST_DATA is not set: no stories260K")
    def test_a_pulled_model_runs(self):
        path = next(pathlib.Path(os.environ["LOAM_TEST_DATA"]).rglob("stories260K*.gguf"))
        self.pull("org/stories", hub=self.hub({"org/stories": {"stories-F32.gguf": path.read_bytes()}}))
        asked = ("Once upon", "-n", "8", "--temperature", "0")
        self.assertEqual(self.loam("run", "org/stories", *asked).stdout, self.loam("run", path, *asked).stdout)
        self.loam("tokenize", "org/stories:F32", "a")

    def test_names_paths_and_the_cache(self):
        hub = self.hub({"org/tiny": self.real_repo()}, inline_below=1 << 30)
        self.assertIn("'loam pull org/tiny' fetches it", self.loam("show", "org/tiny", code=1).stderr)
        self.pull("org/tiny", hub=hub)
        shown = json.loads(self.loam("show", "org/tiny", "--json").stdout)
        cached = self.dir / "hf/hub/models--other--tiny"
        (cached / "refs").mkdir(parents=True)
        (cached / "refs/main").write_text(COMMIT)
        shutil.copytree(self.store / "org/tiny", cached / "snapshots" / COMMIT, ignore=shutil.ignore_patterns(".loam"))
        self.assertEqual(json.loads(self.loam("show", "other/tiny", "--json").stdout)["n_params"], shown["n_params"])
        rows = json.loads(self.loam("ls", "--json").stdout)
        self.assertEqual([(r["name"], r["in"], r["state"]) for r in rows],
                         [("org/tiny", "loam", "complete"), ("other/tiny", "huggingface cache", "complete")])
        self.assertEqual(rows[0]["size_bytes"], sum(map(len, hub.repos["org/tiny"].values())))
        self.assertIn("not loam's", self.loam("rm", "other/tiny", "--yes", code=1).stderr)
        self.loam("rm", "org/tiny", "--yes")
        self.assertFalse((self.store / "org").exists())

    def test_rm_of_one_quant_asks_and_respects_use(self):
        hub = self.hub()
        self.pull("org/gguf:Q8_0", hub=hub)
        self.pull("org/gguf:Q4_K_M", hub=hub)
        self.assertIn("--yes", self.loam("rm", "org/gguf:Q8_0", code=1).stderr)
        with open(self.store / "org/gguf/.loam/use") as use:
            fcntl.flock(use, fcntl.LOCK_SH)
            self.assertIn("is in use", self.loam("rm", "org/gguf", "--yes", code=1).stderr)
        self.loam("rm", "org/gguf:Q8_0", "--yes")
        self.check("org/gguf", gguf_repo(), "m-Q4_K_M.gguf")
        self.assertEqual([r["name"] for r in json.loads(self.loam("ls", "--json").stdout)], ["org/gguf:Q4_K_M"])


if __name__ == "__main__":
    unittest.main()
