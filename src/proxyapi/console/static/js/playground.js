// The playground: answers as they stream, the cost as it runs. The exact sum comes from the gateway at the end.
const CHARACTERS_PER_TOKEN = 3.5; // only for the number that runs along; what is charged is counted by the gateway

export function initPlayground() {
  const form = document.querySelector('[data-playground]');
  if (!form) return;
  const words = form.dataset;
  const decimals = new Intl.NumberFormat(words.language, { minimumFractionDigits: 4, maximumFractionDigits: 6 });
  const short = new Intl.NumberFormat(words.language, { maximumFractionDigits: 2 });
  const stopButton = form.querySelector('[data-stop]');
  let running = null;
  let picture = '';
  for (const hidden of form.querySelectorAll('.needs-script')) hidden.hidden = false;

  const asked = (model) => ({
    model, text: form.elements.text.value, system: form.elements.system.value, picture,
    tokens_max: Number(form.elements.tokens_max.value.replace(/\D/g, '')) || null,
  });

  form.addEventListener('submit', async (e) => {
    e.preventDefault();
    running?.abort();
    running = new AbortController();
    stopButton.disabled = false;
    const signal = running.signal;
    const panes = [...form.querySelectorAll('[data-pane]')].filter((pane) => model(pane));
    await Promise.all(panes.map((pane) => run(pane, asked(model(pane)), signal)));
    stopButton.disabled = true;
    for (const b of form.querySelectorAll('[aria-busy]')) b.removeAttribute('aria-busy');
  });
  stopButton.addEventListener('click', () => running?.abort());

  const model = (pane) => pane.querySelector('input[name]').value.trim();

  for (const pane of form.querySelectorAll('[data-pane]')) {
    pane.querySelector('input[name]').addEventListener('change', async () => {
      const answer = await fetch(`/console/playground/price?model=${encodeURIComponent(model(pane))}`);
      if (answer.ok) [pane.dataset.in, pane.dataset.out] = await answer.json();
    });
  }

  form.querySelector('[data-picture]').addEventListener('change', (e) => {
    const file = e.target.files[0];
    const reader = new FileReader();
    reader.addEventListener('load', () => {
      picture = reader.result;
      form.querySelector('[data-picture-name]').textContent = file.name;
    });
    if (file) reader.readAsDataURL(file); else picture = '';
  });

  form.querySelector('[data-code]').addEventListener('click', () => {
    const box = document.getElementById('as-code');
    const { system, text, tokens_max: ceiling } = asked('');
    const messages = [...(system ? [{ role: 'system', content: system }] : []), { role: 'user', content: text }];
    const body = { model: form.elements.first.value, messages, ...(ceiling ? { max_completion_tokens: ceiling } : {}) };
    const quoted = JSON.stringify(body, null, 2).replaceAll("'", "'\\''");
    box.querySelector('pre').textContent =
      `curl ${words.origin}/v1/chat/completions \\\n  -H "Authorization: Bearer $KEY" \\\n  -H "Content-Type: application/json" \\\n  -d '${quoted}'`;
    box.hidden = false;
  });

  async function run(pane, body, signal) {
    const out = pane.querySelector('[data-out-text]');
    const cost = pane.querySelector('[data-cost]');
    const state = pane.querySelector('[data-state]');
    const speed = pane.querySelector('[data-speed]');
    const text = Object.assign(document.createElement('p'), { className: 'plain-text' });
    const caret = Object.assign(document.createElement('span'), { className: 'caret' });
    const question = Object.assign(document.createElement('p'), { className: 'user-msg', textContent: body.text });
    out.replaceChildren(question, text, caret);
    cost.textContent = decimals.format(0);
    state.textContent = speed.textContent = '';
    const began = performance.now();
    const live = { answer: '', first: 0, usage: null, exact: '', error: '' };
    const guess = () => (
      (Number(pane.dataset.in) * (body.text.length + body.system.length)
        + Number(pane.dataset.out) * live.answer.length) / CHARACTERS_PER_TOKEN / 1e15);
    const take = (line) => {
      if (line.startsWith(':')) live.exact = /cost=([\d.]+)/.exec(line)?.[1] ?? live.exact;
      if (!line.startsWith('data:') || line.includes('[DONE]')) return;
      const event = JSON.parse(line.slice(5));
      if (event.error) { live.error = event.error.message; return; }
      if (event.usage) { live.usage = event.usage; live.exact = event.usage.cost ?? live.exact; }
      const piece = event.choices?.[0]?.delta?.content ?? '';
      if (piece && !live.first) live.first = performance.now();
      live.answer += piece;
      text.textContent = live.answer;
      cost.textContent = `${words.about} ${decimals.format(guess())}`;
    };
    try {
      const answer = await fetch('/console/playground/run', {
        method: 'POST', signal, body: JSON.stringify(body),
        headers: { 'content-type': 'application/json', 'x-csrf-token': form.elements._csrf.value },
      });
      if (!answer.headers.get('content-type')?.startsWith('text/event-stream')) {
        const refusal = await answer.json().catch(() => null);
        live.error = refusal?.detail ?? refusal?.error?.message ?? words.cut;
      } else {
        const held = answer.headers.get('x-proxyapi-estimate');
        if (held) state.replaceChildren(mark('status status-held heldc', `${words.held} ${decimals.format(Number(held))}`));
        await lines(answer.body, take);
      }
    } catch (error) { live.error = error.name === 'AbortError' ? words.cut : (live.error || words.cut); }
    caret.remove();
    if (live.error) out.append(Object.assign(document.createElement('p'), { className: 'err', textContent: live.error }));
    if (live.exact !== '') {
      cost.textContent = decimals.format(Number(live.exact));
      state.replaceChildren(mark('status status-ok', words.charged));
    } else if (live.error) state.textContent = '';
    if (live.usage && live.first) {
      const seconds = (performance.now() - live.first) / 1000;
      const tokens = live.usage.completion_tokens;
      speed.textContent = `${short.format(tokens)} ${words.tokens} · ${short.format((live.first - began) / 1000)} ${words.first} · ${short.format(Math.round(tokens / Math.max(seconds, 0.01)))} ${words.rate}`;
    }
  }
}

function mark(className, textContent) {
  return Object.assign(document.createElement('span'), { className, textContent });
}

async function lines(stream, take) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    const parts = (rest + value).split(/\r?\n/);
    rest = parts.pop();
    for (const line of parts) take(line);
  }
  if (rest) take(rest);
}
