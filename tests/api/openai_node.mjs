// OpenAI's Node client against a running loam serve: node openai_node.mjs PORT (test_openai_node.py starts both).
import assert from "node:assert/strict";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: `http://127.0.0.1:${process.argv[2]}/v1`, apiKey: "none", maxRetries: 0 });
const completion = { model: "story", prompt: "Once upon a time", max_tokens: 24, temperature: 0 };
const chat = { model: "story", messages: [{ role: "user", content: "Hi" }], max_tokens: 10, temperature: 0 };

const whole = await client.completions.create(completion);
assert.equal(whole.usage.completion_tokens, 24);
let text = "", usage = null;
for await (const chunk of await client.completions.create({ ...completion, stream: true, stream_options: { include_usage: true } })) {
  text += chunk.choices[0]?.text ?? "";
  usage = chunk.usage ?? usage;
}
assert.equal(text, whole.choices[0].text);
assert.deepEqual(usage, whole.usage);

const answer = await client.chat.completions.create(chat);
const runner = client.chat.completions.stream(chat);
assert.equal((await runner.finalChatCompletion()).choices[0].message.content, answer.choices[0].message.content);

await assert.rejects(client.completions.create({ ...completion, model: "other" }),
  (error) => error instanceof OpenAI.NotFoundError && error.code === "model_not_found" && error.param === "model");
await assert.rejects(client.completions.create({ ...completion, temperature: 9 }), OpenAI.BadRequestError);
const models = [];
for await (const model of await client.models.list()) models.push(model.id);
assert.deepEqual(models, ["story"]);

const left = await client.completions.create({ ...completion, max_tokens: 480, stream: true, ignore_eos: true });
for await (const _ of left) break;
console.log("ok");
