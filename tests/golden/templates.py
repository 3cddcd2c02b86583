"""Writes what the chat templates give for conversations.json, by jinja2 as transformers sets it up.

    LOAM_TEST_DATA=... templates.py > templates/expected.json

For each template (those beside this file, and those of LOAM_TEST_DATA/templates) and each conversation two results, without and with a
generation prompt: the first 16 digits of the SHA-256 of the text, "!" for an error, or "!" and the words that the template raised.
Made with transformers 5.24 and jinja2 3.1.6, at second 1700000000 of the epoch in UTC.
"""
import datetime
import hashlib
import json
import os
import pathlib
import sys

import jinja2
from transformers.utils import chat_template_utils

HERE = pathlib.Path(__file__).parent / "templates"
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


class Clock(datetime.datetime):
    @classmethod
    def now(cls):
        return cls.fromtimestamp(1700000000, datetime.timezone.utc).replace(tzinfo=None)


def result(source, conversation, generation_prompt):
    variables = {**TOKENS, **conversation.get("variables", {})}
    try:
        texts, _ = chat_template_utils.render_jinja_template(
            [conversation["messages"]], tools=conversation.get("tools"), documents=conversation.get("documents"),
            chat_template=source, add_generation_prompt=generation_prompt, **variables)
    except jinja2.exceptions.TemplateError as error:
        raised = type(error) is jinja2.exceptions.TemplateError
        return "!" + (str(error) if raised else "")
    except Exception:  # whatever Python raises is an error
        return "!"
    return hashlib.sha256(texts[0].encode()).hexdigest()[:16]


def main():
    chat_template_utils.datetime = Clock
    conversations = json.loads((HERE / "conversations.json").read_text())
    paths = sorted(HERE.glob("*.jinja")) + sorted(pathlib.Path(os.environ["LOAM_TEST_DATA"], "templates").glob("*.jinja"))
    expected = {}
    for path in paths:
        with open(path, newline="") as file:
            source = file.read()
        expected[path.name] = [[result(source, c, prompt) for prompt in (False, True)] for c in conversations]
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(rows, ensure_ascii=False)}" for name, rows in expected.items())
    sys.stdout.write("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main()
