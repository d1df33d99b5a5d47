// The real Gemini CLI, not interactive, as the documentation shows it: two environment variables and a question.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const { BASE, KEY, PATH, GEMINI_MODEL = "gemini-2.5-flash" } = process.env;
assert.ok(BASE && KEY, "BASE and KEY name a running gateway; python tests/node/run.py starts one");

const GEMINI = fileURLToPath(new URL("node_modules/.bin/gemini", import.meta.url));
const TIMEOUT_MS = 60_000;

/** Runs the CLI in an empty home and an empty folder; resolves to its exit code and output. */
async function gemini(...words) {
  const home = await mkdtemp(path.join(tmpdir(), "gemini-cli-"));
  try {
    await mkdir(path.join(home, ".gemini"));
    const settings = {
      security: { auth: { selectedType: "gemini-api-key" } },
      general: { enableAutoUpdate: false, disableAutoUpdate: true },
      privacy: { usageStatisticsEnabled: false },
      telemetry: { enabled: false },
    };
    await writeFile(path.join(home, ".gemini", "settings.json"), JSON.stringify(settings));
    const env = {
      PATH, HOME: home, NO_COLOR: "1", CI: "1", GEMINI_CLI_TRUST_WORKSPACE: "true",
      GEMINI_API_KEY: KEY, GOOGLE_GEMINI_BASE_URL: `${BASE}/google`,
    };
    const child = spawn(GEMINI, words, { cwd: home, env, stdio: ["ignore", "pipe", "pipe"], detached: true });
    let output = "", errors = "";
    child.stdout.on("data", (data) => { output += data; });
    child.stderr.on("data", (data) => { errors += data; });
    // The CLI runs itself once more: all of its processes have to end, or their pipes stay open.
    const timer = setTimeout(() => {
      errors += `\nno answer after ${TIMEOUT_MS} ms`;
      process.kill(-child.pid, "SIGKILL");
    }, TIMEOUT_MS);
    const code = await new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("close", resolve);
    });
    clearTimeout(timer);
    return { code, output, errors };
  } finally {
    await rm(home, { recursive: true, force: true, maxRetries: 3 });
  }
}

test("the Gemini CLI prints an answer", async () => {
  const { code, output, errors } = await gemini("-m", GEMINI_MODEL, "-p", "Скажи привет");
  assert.equal(code, 0, errors);
  assert.ok(output.trim(), errors);
});

test("the Gemini CLI chooses a model by itself and prints an answer", async () => {
  const { code, output, errors } = await gemini("-p", "Скажи привет");
  assert.equal(code, 0, errors);
  assert.ok(output.trim(), errors);
});
