// Everything here is an enhancement: each page reads and each form sends without it.
import { initCharts } from './chart.js';
import { initPlayground } from './playground.js';

// a toast that the server said
for (const t of document.querySelectorAll('.toasts .toast')) setTimeout(() => t.remove(), 5000);

export function toast(text) {
  let box = document.querySelector('.toasts');
  if (!box) {
    box = Object.assign(document.createElement('div'), { className: 'toasts' });
    box.setAttribute('role', 'status');
    document.body.append(box);
  }
  const t = Object.assign(document.createElement('div'), { className: 'toast', textContent: text });
  box.replaceChildren(t);
  setTimeout(() => t.remove(), 3200);
}

// copy: the button says its own words, so that no language is written here
document.addEventListener('click', async (e) => {
  const b = e.target.closest('[data-copy]');
  if (!b) return;
  const src = b.dataset.copy ? document.getElementById(b.dataset.copy) : b.parentElement.querySelector('pre, code');
  try { await navigator.clipboard.writeText(src.textContent.trim()); toast(document.body.dataset.copied); }
  catch { getSelection().selectAllChildren(src); toast(document.body.dataset.selected); }
});

// dialogs: <a href="/page/with/the/form" data-dialog="create"> opens <dialog id="create"> in place
const open = (id) => { const d = document.getElementById(id); if (d?.showModal && !d.open) { d.showModal(); return true; } return false; };
document.addEventListener('click', (e) => {
  const a = e.target.closest('[data-dialog]');
  if (a && open(a.dataset.dialog)) e.preventDefault();
  const d = e.target.closest('dialog');
  if (d && (e.target === d || e.target.closest('[data-close]'))) { e.preventDefault(); d.close(); }
});
if (location.hash.length > 1 && document.querySelector(`dialog${location.hash}`)) open(location.hash.slice(1));

// rows that open in place; without script the link leads to the receipt's own page
document.addEventListener('click', (e) => {
  const x = e.target.closest('[data-expand]');
  if (!x) return;
  const row = document.getElementById(x.dataset.expand);
  if (!row) return;
  e.preventDefault();
  row.hidden = !row.hidden;
  for (const other of document.querySelectorAll(`[data-expand="${x.dataset.expand}"][aria-expanded]`)) {
    other.setAttribute('aria-expanded', String(!row.hidden));
  }
});

// filter of a list as one types
for (const input of document.querySelectorAll('[data-filter]')) {
  const rows = [...document.querySelectorAll(`${input.dataset.filter} tbody tr`)];
  const none = document.querySelector(`${input.dataset.filter}-none`);
  input.addEventListener('input', () => {
    const q = input.value.trim().toLowerCase();
    let n = 0;
    for (const r of rows) { const ok = r.textContent.toLowerCase().includes(q); r.hidden = !ok; n += ok; }
    if (none) none.hidden = n > 0;
  });
}

// a choice that sends its form at once; without script there is a button
for (const form of document.querySelectorAll('form[data-send]')) {
  form.addEventListener('change', () => form.requestSubmit());
}

// on to the payment service without another click
const on = document.querySelector('a[data-go]');
if (on) location.assign(on.href);

// a form that is on its way says so, and is sent once
document.addEventListener('submit', (e) => {
  const b = e.submitter;
  if (!b?.classList.contains('btn') || e.target.method !== 'post') return;
  if (b.getAttribute('aria-busy') === 'true') { e.preventDefault(); return; }
  b.setAttribute('aria-busy', 'true');
});
addEventListener('pageshow', () => { for (const b of document.querySelectorAll('.btn[aria-busy]')) b.removeAttribute('aria-busy'); });

initCharts();
initPlayground();
