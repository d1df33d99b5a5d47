// The documented examples through the real npm clients. BASE and KEY name a running gateway: see run.py.

import assert from "node:assert/strict";
import { test } from "node:test";

import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import fetch from "node-fetch";
import OpenAI from "openai";

const { BASE, KEY } = process.env;
assert.ok(BASE && KEY, "BASE and KEY name a running gateway; python tests/node/run.py starts one");

const messages = [{ role: "user", content: "Расскажи о себе в одном предложении." }];

for (const [route, baseURL, model] of [
  ["the native route", `${BASE}/openai/v1`, "gpt-4o-mini"],
  ["the unified route", `${BASE}/v1`, "openai/gpt-4o-mini"],
]) {
  const openai = new OpenAI({ apiKey: KEY, baseURL, maxRetries: 0 });

  test(`openai for node reads a chat completion on ${route}`, async () => {
    const completion = await openai.chat.completions.create({ model, messages });
    assert.ok(completion.choices[0].message.content);
    assert.ok(completion.usage.prompt_tokens > 0);
    assert.ok(completion.usage.completion_tokens > 0);
  });

  test(`openai for node reads a chat stream on ${route}`, async () => {
    const stream = await openai.chat.completions.create({
      model, messages, stream: true, stream_options: { include_usage: true },
    });
    let text = "", usage;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta?.content ?? "";
      usage = chunk.usage ?? usage;
    }
    assert.ok(text);
    assert.ok(usage.completion_tokens > 0);
  });

  test(`openai for node reads a response on ${route}`, async () => {
    const response = await openai.responses.create({ model, input: "Скажи: привет" });
    assert.equal(response.status, "completed");
    assert.ok(response.output_text);
    assert.ok(response.usage.output_tokens > 0);
  });

  test(`openai for node reads a stream of response events on ${route}`, async () => {
    const stream = await openai.responses.create({ model, input: "Скажи: привет", stream: true });
    let text = "", last;
    for await (const event of stream) {
      if (event.type === "response.output_text.delta") text += event.delta;
      last = event;
    }
    assert.equal(last.type, "response.completed");
    assert.equal(last.response.output_text ?? text, text);
    assert.ok(text);
  });
}

test("a chat stream on the native route has no usage chunk that the client did not ask for", async () => {
  const openai = new OpenAI({ apiKey: KEY, baseURL: `${BASE}/openai/v1`, maxRetries: 0 });
  const stream = await openai.chat.completions.create({ model: "gpt-4o-mini", messages, stream: true });
  for await (const chunk of stream) {
    assert.equal(chunk.choices.length, 1);
    assert.equal(chunk.usage ?? null, null);
  }
});

test("openai for node shows the text of the gateway's own errors", async () => {
  const openai = new OpenAI({ apiKey: "sk-unknown", baseURL: `${BASE}/openai/v1`, maxRetries: 0 });
  await assert.rejects(openai.chat.completions.create({ model: "gpt-4o-mini", messages }), (error) => {
    assert.ok(error instanceof OpenAI.AuthenticationError);
    assert.match(error.message, /Invalid API Key/);
    assert.match(error.requestID, /^[0-9a-f]{8}-[0-9a-f]{4}-/);
    return true;
  });
});

test("node-fetch calls a model behind OpenRouter", async () => {
  const response = await fetch(`${BASE}/openrouter/v1/chat/completions`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${KEY}` },
    body: JSON.stringify({ model: "mistralai/mistral-medium-3.1", messages }),
  });
  const body = await response.json();
  assert.equal(response.status, 200, JSON.stringify(body));
  assert.ok(body.choices[0].message.content);
  assert.ok(response.headers.get("x-request-id"));
  assert.ok(Number(response.headers.get("x-proxyapi-cost")) > 0);
});

const anthropic = new Anthropic({ apiKey: KEY, baseURL: `${BASE}/anthropic`, maxRetries: 0 });
const letter = { model: "claude-sonnet-4-20250514", max_tokens: 200, messages };

test("Anthropic for JS reads a message", async () => {
  const message = await anthropic.messages.create(letter);
  assert.equal(message.type, "message");
  assert.ok(message.content[0].text);
  assert.ok(message.usage.input_tokens > 0);
});

test("Anthropic for JS reads a stream of messages", async () => {
  const stream = anthropic.messages.stream(letter);
  const message = await stream.finalMessage();
  assert.ok(message.content[0].text);
  assert.ok(message.usage.output_tokens > 0);
  assert.ok(message.stop_reason);
});

const genai = new GoogleGenAI({ apiKey: KEY, httpOptions: { baseUrl: `${BASE}/google` } });
const question = { model: "gemini-2.0-flash", contents: "Объясни, как работает ИИ." };

test("Google Gen AI for JS reads an answer", async () => {
  const answer = await genai.models.generateContent(question);
  assert.ok(answer.text);
  assert.ok(answer.usageMetadata.totalTokenCount > 0);
});

test("Google Gen AI for JS reads a stream", async () => {
  let text = "";
  for await (const chunk of await genai.models.generateContentStream(question)) text += chunk.text ?? "";
  assert.ok(text);
});
