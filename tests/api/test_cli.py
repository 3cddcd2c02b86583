"""The subcommands over the REST API against a running cloud: LOAM=build/loam python test_cli.py"""
import json, pathlib, unittest

from cloud_server import Cloud


class Cli(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud = Cloud()

    @classmethod
    def tearDownClass(cls):
        assert cls.cloud.stop() == 0

    def refused(self, code, words, *args, **environment):
        done = self.cloud.try_cli(*args, **environment)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertIn(words, done.stderr)

    def test_projects_and_members_by_name(self):
        self.assertIn("loam-sk-", self.cloud.cli("project", "create", "team-1"))
        self.cloud.cli("project", "add-member", "team-1", "ada", "--role", "viewer")
        self.cloud.cli("project", "change-member", "team-1", "ada", "--role", "admin")
        members = json.loads(self.cloud.cli("project", "members", "team-1", "--json"))
        self.assertEqual([(m["name"], m["role"]) for m in members], [("ada", "admin")])
        self.cloud.cli("project", "remove-member", "team-1", "ada")
        self.assertEqual(self.cloud.cli("project", "members", "team-1"), "none\n")
        self.cloud.cli("project", "change", "team-1", "--name", "team-2", "--archive")
        self.assertIn("team-2", self.cloud.cli("project", "list"))
        self.refused(1, "nothing here is named 'team-9'", "project", "show", "team-9")

    def test_keys(self):
        made = json.loads(self.cloud.cli("key", "create", "app", "--scope", "inference", "--expires", "+30d", "--token-budget",
                                         "1000", "--money-budget", "12.5", "--requests-per-minute", "60", "--json"))
        self.assertEqual((made["scopes"], made["token_budget"], made["money_budget_micros"]), (["inference"], 1000, 12500000))
        self.assertIn("1,000", self.cloud.cli("key", "show", "app"))
        self.refused(1, "lacks the scope", "key", "list", LOAM_API_KEY=made["secret"])
        self.cloud.cli("key", "revoke", "app")
        self.refused(1, "revoked", "event", "list", LOAM_API_KEY=made["secret"])

    def test_the_bill_of_a_month_whose_price_rises(self):
        self.cloud.cli("price", "set", "ph_leased", "120000", "--unit", "p_year", "--from", "2026-10-01")
        self.cloud.cli("price", "set", "ph_leased", "179,000", "--unit", "p_year", "--from", "2026-11-13")
        for _ in range(2):
            self.cloud.cli("usage", "lease", "nov", "--pflops", "5", "--from", "2026-11-01", "--to", "2026-12-01")
        self.assertIn("63,863.01 CNY", self.cloud.cli("invoice", "show", "2026-11"))
        invoice = json.loads(self.cloud.cli("invoice", "show", "2026-11", "--json"))
        records = json.loads(self.cloud.cli("usage", "records", "--json"))
        self.assertEqual(invoice["total_micros"], sum(line["amount_micros"] for line in invoice["lines"]))
        self.assertEqual(invoice["total_micros"], sum(record["amount_micros"] for record in records))
        csv = self.cloud.cli("invoice", "show", "2026-11", "--format", "csv").splitlines()
        self.assertEqual(len(csv), 3)
        self.assertIn("<table>", self.cloud.cli("invoice", "show", "2026-11", "--format", "html"))
        self.assertIn("3600", self.cloud.cli("usage", "sum", "--from", "2026-11-01"))
        self.refused(1, "not in USD", "price", "set", "output_tokens", "1", "--currency", "USD")

    def test_where_a_model_would_fit(self):
        model = str(pathlib.Path(__file__).parent.parent / "golden/llama/plain.gguf")
        shown = json.loads(self.cloud.cli("show", model, "--json"))
        node = shown["cloud"]["nodes"][0]
        self.assertEqual((node["pool"], node["fits"], node["longest_context"]), ("local", True, 64))
        self.assertIn(f"{node['name']} in pool local, ", self.cloud.cli("show", model))
        self.assertNotIn("in pool", self.cloud.cli("show", model, "--offline"))

    def test_errors_say_what_to_do(self):
        self.refused(1, "LOAM_API_KEY", "key", "list", LOAM_API_KEY="")
        self.refused(1, "is 'loam up' running", "key", "list", LOAM_URL="http://127.0.0.1:1")
        self.refused(1, "is not a time", "usage", "sum", "--from", "yesterday")
        self.refused(1, "is not an amount", "price", "set", "output_tokens", "much")
        self.refused(2, "unknown subcommand", "key", "lst")


if __name__ == "__main__":
    unittest.main()
