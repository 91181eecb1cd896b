// @ts-check
/**
 * The signup in one document. It works without this; with it, files are sent on choosing, while the
 * person goes on: pages are fetched and put in place of each other, so that nothing under way is
 * cut off. What the pages say, the server says. Addresses, title, focus and Back are as ever.
 */
import { uploads } from './longshore.js';

/** @typedef {import('./longshore.js').Upload} Upload */

/** Milliseconds for which changes are gathered before the page is asked for what it says now. */
const GATHERED = 250;
/** Milliseconds without a key pressed after which what was typed is saved. */
const RESTED = 1000;
/** Milliseconds after which what could not be saved is saved again. */
const AGAIN = 10_000;
/** Milliseconds after which the speed of an upload says how long the rest may take. */
const SETTLED = 5000;
/** Milliseconds between two attempts to send a form whose files are still being checked. */
const PATIENCE = 1000;

/** @param {string} selector @param {ParentNode} [within] @returns {HTMLElement | null} */
const find = (selector, within = document) => within.querySelector(selector);
const section = () => /** @type {HTMLFormElement | null} */ (find('#section'));

/** Whether something was typed that isn't saved. */
let typed = false;
/** Names of what was typed in since the section was shown. @type {Set<string>} */
let touched = new Set();
/** The draft that is being begun. @type {Promise<string> | null} */
let beginning = null;
const place = () => location.pathname + location.search;
/** Where the page that is shown is. */
let shown = place();
/** What is fetched; a later visit takes its place. */
let visiting = new AbortController();
/** The attempt to send the form, as soon as its files are checked. @type {{stop: () => void} | null} */
let sending = null;

// --- pages

/**
 * Fetch a page and show it in place of this one. Without a connection this one stays.
 * @param {string} url @param {RequestInit & {push?: boolean}} [how]
 */
async function visit(url, { push = true, ...init } = {}) {
  visiting.abort();
  const { signal } = (visiting = new AbortController());
  document.documentElement.classList.add('busy');
  const fetched = await page(url, { ...init, signal });
  if (signal.aborted) return;
  document.documentElement.classList.remove('busy');
  if (!fetched) tell(`We could not go on: ${navigator.onLine ? "the service can't be reached" : 'there is no connection'}. What you typed is still here. `, () => visit(url, { push, ...init }));
  else if (init.body && !fetched.ok) tell(problem(fetched.page));
  else {
    if (init.body) drop(section()); // it is saved
    show(fetched.page, fetched.url + (init.body ? '' : new URL(url, location.href).hash), push);
  }
}

/** What a page says that tells of a problem. @param {Document} page */
const problem = (page) => ['h1', 'h1 + p'].map((each) => find(each, page)?.textContent).join('. ');

/**
 * The page at an address. Null if there is none, or one that isn't ours: a proxy's, a hotel's network's.
 * @param {string} url @param {RequestInit} [init]
 */
async function page(url, init) {
  try {
    const answer = await fetch(url, { ...init, headers: { Accept: 'text/html' } });
    const { ok, url: at } = answer;
    const parsed = new DOMParser().parseFromString(await answer.text(), 'text/html');
    find('[autofocus]', parsed)?.removeAttribute('autofocus'); // what is put in place has no such moment
    return find('#page', parsed) && { page: parsed, url: at, ok };
  } catch {
    return null;
  }
}

/** @param {Document} next @param {string} url @param {boolean} push */
function show(next, url, push) {
  if (push && url !== location.href) history.pushState(null, '', url);
  else history.replaceState(null, '', url);
  shorten_summary(next); // before the focus is put there
  find('#page')?.replaceWith(/** @type {HTMLElement} */ (find('#page', next)));
  document.title = next.title;
  shown = place();
  typed = false;
  sending = null;
  touched = new Set();
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (!target) scrollTo(0, 0);
  (target || find('.summary:not(.needed, [hidden])') || find('h1'))?.focus();
  settle();
}

/** Once a page is shown. */
function settle() {
  const print = find('.printing');
  if (print) {
    print.replaceWith(link_button(print.textContent ?? '', () => globalThis.print()));
  }
  if (print) forget();
  const form = find('#send') ?? section();
  if (form && has_draft(/** @type {HTMLFormElement} */ (form))) uploads.open(/** @type {HTMLFormElement} */ (form).action);
  for (const each of document.querySelectorAll('longshore-file input')) {
    // Of the list, <longshore-file> itself says what matters.
    const ids = (each.getAttribute('aria-describedby') ?? '').split(' ').filter((id) => !id.endsWith('-files'));
    each.setAttribute('aria-describedby', ids.join(' '));
  }
  put_back();
  connection();
  mark();
}

/** @param {string} textContent @param {() => void} onclick */
const link_button = (textContent, onclick) => Object.assign(document.createElement('button'), { type: 'button', className: 'link', textContent, onclick });

/** Stop sending, and keep no names of files and nothing typed: the person is done here. */
function forget() {
  for (const each of uploads.list()) if (!each.record) each.remove();
  for (const each of Object.keys(storage)) if (each.startsWith(KEPT) || each.startsWith('longshore ')) delete storage[each];
}

/**
 * Say something above the page, once. What a connection may mend can be tried again, and is said
 * until there is one.
 * @param {string} text @param {() => void} [again]
 */
function tell(text, again) {
  const note = find('#told') ?? Object.assign(document.createElement('p'), { id: 'told', className: 'note' });
  note.textContent = text;
  note.classList.toggle('for-now', !!again);
  if (again) note.append(link_button('Try again', again));
  note.setAttribute('role', 'alert');
  find('.live')?.before(note);
}

// --- what was typed and isn't saved, which outlives the page and not the tab

const KEPT = 'signup ';
/** Where it is kept. A browser that gives no place keeps it for this page. @type {Record<string, string>} */
let storage = {};
try {
  storage = /** @type {any} */ (sessionStorage);
} catch {
  // it may be forbidden
}

/** The section of a form, among all that the tab has seen. @param {HTMLFormElement} form */
const kept_as = (form) => `${KEPT}${form.action} ${new FormData(form).get('section')}`;

/** @param {HTMLFormElement} form */
function keep(form) {
  /** @type {Record<string, string | boolean>} */
  const values = {};
  for (const each of /** @type {Iterable<HTMLInputElement>} */ (form.elements)) {
    if (touched.has(each.name) && each.type !== 'file') values[each.name] = each.type === 'checkbox' ? each.checked : each.value;
  }
  try {
    storage[kept_as(form)] = JSON.stringify(values);
  } catch {
    // it is full
  }
}

/** The service has it. @param {HTMLFormElement | null} form */
function drop(form) {
  if (form) delete storage[kept_as(form)];
}

/** Show it in the section again, and save it. */
function put_back() {
  const form = section();
  if (!form) return;
  for (const [name, value] of Object.entries(JSON.parse(storage[kept_as(form)] ?? '{}'))) {
    const control = form.elements.namedItem(name);
    if (control instanceof HTMLInputElement && control.type === 'checkbox') control.checked = value;
    else if (control) /** @type {HTMLInputElement} */ (control).value = value;
    touched.add(name);
    typed = true;
  }
  if (has_draft(form)) save();
}

// --- saving

/** What a control had when the page came; null for what is always sent. @param {HTMLInputElement | HTMLSelectElement} control */
function value_that_came(control) {
  if (control instanceof HTMLSelectElement) return ([...control.options].find((each) => each.defaultSelected) ?? control.options[0]).value;
  return /text|email|tel|url|date/.test(control.type) ? control.defaultValue : null;
}

/**
 * What the section's form sends: files are sent by themselves, and an answer that this page didn't
 * change may have been changed by another tab.
 * @param {HTMLFormElement} form @param {HTMLElement | null} [submitter]
 */
function answers(form, submitter) {
  const data = new FormData(form, submitter);
  for (const each of form.querySelectorAll('longshore-file')) data.delete(each.getAttribute('field') ?? '');
  if (!has_draft(form)) return data; // there is nothing that another tab could have changed
  for (const each of /** @type {Iterable<HTMLInputElement>} */ (form.elements)) {
    const as_it_came = value_that_came(each);
    if (each.value === as_it_came && !touched.has(each.name) && each.getAttribute('aria-invalid') !== 'true') data.delete(each.name);
  }
  return data;
}

/** @param {HTMLFormElement} form */
const has_draft = (form) => form.action.includes('/v1/forms/');

/** Save the section: its form's address takes it. @param {HTMLFormElement} form @param {RequestInit} [init] */
const post_quietly = (form, init) => fetch(form.action, { method: 'POST', body: answers(form), headers: { Accept: 'application/json' }, ...init });

/** Begin the draft, or save to it: what a page without one does for its first file. @param {HTMLFormElement} form */
async function begin(form) {
  const answer = await post_quietly(form);
  if (!answer.ok) throw new Error((await answer.json()).detail);
  const { id } = await answer.json();
  drop(form);
  const url = new URL(`v1/forms/${id}`, form.action).href;
  for (const each of document.querySelectorAll('longshore-file')) each.setAttribute('form-url', url);
  form.action = url;
  if (typed) keep(form); // perhaps meanwhile
  return url;
}

/** Save the section quietly, where something was typed. @param {RequestInit} [init] */
async function save(init) {
  const form = section();
  clearTimeout(resting);
  if (!form || !typed) return;
  typed = false;
  await beginning?.catch(() => null);
  const sent = storage[kept_as(form)];
  const saved = await post_quietly(form, init).catch(() => null);
  if (saved?.ok) {
    if (storage[kept_as(form)] === sent) drop(form); // or something was typed meanwhile
    return;
  }
  if (saved && /401|409/.test(`${saved.status}`)) return gone();
  typed = true;
  if (!saved || saved.status >= 500) resting = setTimeout(() => save(), AGAIN);
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let resting;
addEventListener('input', ({ target }) => {
  const form = section();
  if (!form?.contains(/** @type {Node} */ (target))) return;
  typed = true;
  touched.add(/** @type {HTMLInputElement} */ (target).name);
  keep(form);
  clearTimeout(resting);
  if (has_draft(form)) resting = setTimeout(() => save(), RESTED);
});
// A phone may throw away what nobody looks at.
addEventListener('visibilitychange', () => document.hidden && save({ keepalive: true }), true);

// --- going on

addEventListener('submit', (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  if (form.closest('.start-over')) {
    forget();
    addEventListener('pagehide', forget); // an answer may come until then
  }
  if (form.id !== 'section' && form.id !== 'send') return;
  event.preventDefault();
  if (form.id === 'send') send(form, event.submitter);
  else post(form, event.submitter);
});

addEventListener('click', async (event) => {
  const link = /** @type {HTMLAnchorElement | null} */ (/** @type {Element} */ (event.target).closest('#page a[href]'));
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.defaultPrevented) return;
  const here = new URL(location.href);
  if (link.origin !== here.origin || link.pathname.includes('/v1/') || (link.hash && link.pathname === here.pathname && link.search === here.search)) return;
  event.preventDefault();
  await save();
  visit(link.href);
});

addEventListener('popstate', async () => {
  if (place() === shown) return; // to another place of this page
  await save();
  visit(location.href, { push: false });
});

let posting = false;

/** @param {HTMLFormElement} form @param {HTMLElement | null} submitter */
async function post(form, submitter) {
  if (posting) return; // pressed twice
  posting = true;
  const button = submitter ?? find('button.main', form);
  const words = button?.textContent ?? '';
  button?.setAttribute('aria-busy', 'true');
  if (button?.matches('.main')) button.textContent = 'Saving…';
  await beginning?.catch(() => null); // or there would be two drafts
  await visit(form.action, { method: 'POST', body: answers(form, submitter) });
  posting = false;
  button?.removeAttribute('aria-busy'); // it may still stand
  if (button?.matches('.main')) button.textContent = words;
}

/** Send the form once its files are there and checked. @param {HTMLFormElement} form @param {HTMLElement | null} submitter */
async function send(form, submitter) {
  if (sending) return sending.stop(); // pressed again: not yet
  const cut = uploads.list().find(({ status, id }) => status === 'unsent' && id.startsWith('upl_'));
  // The service has a part of it, and waits for the rest.
  if (cut) return tell(`Not sent: ${cut.name} is not all here yet. Choose it again, or remove it.`);
  if (hindrances().length) return visit(`${location.pathname}?missing=1`, { push: false }); // which shows them
  const as_it_was = /** @type {HTMLFormElement} */ (form.cloneNode(true));
  const stop = () => {
    sending = null;
    form.replaceWith(as_it_was);
    find('button', as_it_was)?.focus();
  };
  const mine = (sending = { stop });
  const refused = new Set(bad());
  const body = answers(form, submitter);
  let lost = false;
  while (sending === mine) {
    const left = uploads.list().filter(unfinished);
    waiting(form, left.length, lost);
    if (left.length) {
      await new Promise((resolve) => uploads.addEventListener('change', resolve, { once: true }));
    } else if (bad().some((each) => !refused.has(each))) {
      sending = null; // the person has to see that first
      await visit(location.href, { push: false });
      tell('Not sent: a file was not accepted. Look at it, then send again.');
    } else {
      const fetched = await page(form.action, { method: 'POST', body });
      if (sending !== mine) return;
      if (fetched && !fetched.ok) {
        mine.stop();
        return tell(problem(fetched.page));
      }
      lost = !fetched;
      const again = fetched && find('#send[data-waited]', fetched.page);
      if (fetched && !again) return show(fetched.page, fetched.url, true);
      await new Promise((resolve) => setTimeout(resolve, PATIENCE));
    }
  }
}

/** What the page says is in the way of sending, and no file that is on its way can mend. */
const hindrances = (page = document) =>
  /** @type {HTMLAnchorElement[]} */ ([...page.querySelectorAll('.summary a')]).filter(
    ({ hash }) => !uploads.list().some((each) => `#${each.field}` === hash && unfinished(each)),
  );

/** Files that the person has to look at. */
const bad = () => uploads.list().filter((each) => /rejected|failed|unsent/.test(each.status));

/** Say what the form waits for. @param {HTMLFormElement} form @param {number} left files @param {boolean} lost whether the service wasn't there */
function waiting(form, left, lost) {
  const note = find('#send-note', form);
  const button = find('button', form);
  if (!note || !button) return;
  const files = left === 1 ? 'a file is' : `${left} files are`;
  const checked = left ? `Your form is sent as soon as ${files} checked. Keep this page open.` : 'We are sending your form.';
  const unreachable = navigator.onLine ? "The service can't be reached. The form is sent when it can." : 'You are offline. The form is sent when the connection is back.';
  const text = lost || !navigator.onLine ? `${unreachable} Keep this page open.` : checked;
  note.className = 'note checking';
  note.setAttribute('role', 'status');
  if (note.textContent !== text) note.textContent = text;
  button.textContent = "Don't send yet";
}

// --- files

addEventListener('longshore-select', (event) => {
  const form = section();
  const { waitUntil } = /** @type {CustomEvent} */ (event).detail;
  if (form && !has_draft(form)) waitUntil(draft_for(form));
});

/** The draft's address, once there is one: what was chosen waits for a connection. @param {HTMLFormElement} form */
async function draft_for(form) {
  for (;;) {
    const there = [form, find('#send'), section()].find((each) => each && has_draft(/** @type {HTMLFormElement} */ (each)));
    if (there) return /** @type {HTMLFormElement} */ (there).action;
    try {
      return await (beginning ??= begin(form).finally(() => (beginning = null)));
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // the service doesn't want it
      await connected();
    }
  }
}

/** Wait until there is a connection again, or may be. */
const connected = () =>
  new Promise((resolve) => {
    addEventListener('online', resolve, { once: true });
    setTimeout(resolve, AGAIN);
  });

addEventListener('longshore-error', (event) => {
  const { upload, problem } = /** @type {CustomEvent} */ (event).detail;
  if (/^(unauthorized|form-submitted)$/.test(problem.code)) gone();
  else if (!upload) tell(problem.detail); // of no file in the list
});

/** The form was sent in another tab, or started over: show what the service says of that. */
const gone = () => visit(location.href, { push: false });

/** @type {ReturnType<typeof setTimeout> | undefined} */
let gathering;
uploads.addEventListener('change', (event) => {
  const { detail } = /** @type {CustomEvent} */ (event);
  const { status, record } = detail;
  if (status !== 'uploading') first_seen.delete(detail); // it begins again, if it does
  mark();
  if (!record && status !== 'removed') return; // nothing of it is in the page that the server has
  clearTimeout(gathering);
  gathering = setTimeout(refresh, GATHERED);
});

/** Put what the server says now of the steps and files into the page, around what is being typed. */
async function refresh() {
  const { href } = location;
  const fetched = sending ? null : await page(href);
  if (!fetched || href !== location.href || sending) return;
  if (find('.summary')) renew_messages(fetched.page);
  shorten_summary(fetched.page);
  const parts = ['.steps', '.live', '#checked', '#send', ...(find('.summary') ? ['.summary'] : [])];
  for (const each of parts) swap(find(each), find(each, fetched.page));
  const elsewhere = find('.to-mend', fetched.page);
  if (find('.to-mend')) swap(find('.to-mend'), elsewhere);
  else if (elsewhere) find('.live')?.after(elsewhere);
  for (const field of document.querySelectorAll('.field.file')) {
    const id = field.querySelector('longshore-file')?.getAttribute('field');
    const now = find(`.field.file:has([field="${id}"])`, fetched.page);
    if (now) field.className = now.className;
  }
  document.title = fetched.page.title;
  mark();
}

/** Say beside the fields what the summary says of them. Files' own messages are the module's. @param {Document} next */
function renew_messages(next) {
  for (const field of document.querySelectorAll('.field:not(.file)')) {
    const control = find('input, select, textarea', field);
    const now = control && find(`#${control.id}`, next);
    const field_now = now?.closest('.field');
    if (!control || !field_now) continue;
    field.className = field_now.className;
    for (const name of ['aria-invalid', 'aria-describedby']) {
      const value = now?.getAttribute(name);
      if (value) control.setAttribute(name, value);
      else control.removeAttribute(name);
    }
    find('.problem', field)?.remove();
    const problem = find('.problem', field_now);
    if (problem) (field.querySelector('.check') ?? control).before(problem);
  }
}

/** @param {HTMLElement | null} old @param {HTMLElement | null} now */
function swap(old, now) {
  if (!old || old.outerHTML === now?.outerHTML) return;
  const focused = old.contains(document.activeElement) && document.activeElement;
  if (now) old.replaceWith(now);
  else old.remove();
  if (focused instanceof HTMLButtonElement) find(`[name="${focused.name}"][value="${focused.value}"]`, now ?? document)?.focus();
}

/** Show what only this browser knows: files that it is sending, and those that it didn't send. */
function mark() {
  const unsent = bad().filter((each) => !each.record);
  for (const each of document.querySelectorAll('.steps li')) {
    const step = /** @type {HTMLElement} */ (each);
    const fields = (step.dataset.files ?? '').split(' ');
    const moving = uploads.list().filter((upload) => fields.includes(upload.field) && under_way(upload));
    const problems = unsent.filter((upload) => fields.includes(upload.field)).length;
    step.dataset.state ??= step.className; // as the server has it
    step.dataset.words ??= find('.words', step)?.textContent ?? '';
    const has_problem = problems && !step.dataset.state.includes('is-problem');
    step.className = has_problem ? step.dataset.state.replace(/is-\w+/, 'is-problem') : step.dataset.state;
    const words = has_problem ? `${problems} problem${problems > 1 ? 's' : ''}` : step.dataset.words;
    // Files go on by themselves; a problem needs the person, and keeps its mark.
    const mended = !step.classList.contains('is-problem');
    step.classList.toggle('is-uploading', moving.length > 0 && mended);
    if (!moving.length) say(step, words);
    else say(step, mended ? progress(moving) : `${words}, ${progress(moving).toLowerCase()}`);
  }
  const on_phones = find('.on-its-way'); // where steps have no words to be seen
  const all = uploads.list().filter(under_way);
  if (on_phones) on_phones.textContent = all.length ? ` · ${progress(all)}` : '';
  shorten_summary();
  for (const each of document.querySelectorAll('[data-field]')) on_its_way(/** @type {HTMLElement} */ (each));
  const form = find('#send');
  if (!form) return;
  find('#unsent')?.remove();
  if (unsent.length) form.prepend(list(unsent));
}

/** Leave out of a page's summary what a file that is on its way will mend. */
function shorten_summary(page = document) {
  const summary = find('.summary', page);
  if (!summary) return;
  const left = hindrances(page);
  for (const each of summary.querySelectorAll('a')) {
    const line = each.closest('li');
    if (line) line.hidden = !left.includes(each);
  }
  summary.hidden = !left.length;
  const note = find('#send-note.needed', page);
  if (note && left.length) note.textContent = `${left.length === 1 ? 'One answer is' : `${left.length} answers are`} needed before you can send.`;
  else if (note) note.textContent = 'We send your answers as soon as your files are checked.';
}

/** Show in the row of a field, where answers are checked, what is being sent for it. @param {HTMLElement} row */
function on_its_way(row) {
  const moving = uploads.list().filter((each) => each.field === row.dataset.field && under_way(each));
  row.classList.toggle('is-moving', moving.length > 0); // it tells of no file, or that one is required
  const line = find('.moving', row) ?? Object.assign(document.createElement('p'), { className: 'moving' });
  const text = moving.map((each) => `${each.name}: ${progress([each])}`).join(', ');
  if (!moving.length) line.remove();
  else if (line.textContent !== text) line.textContent = text;
  if (moving.length && !line.isConnected) find('dd', row)?.prepend(line);
  const change = find('.change a', row)?.firstChild;
  if (moving.length && change) change.textContent = 'Change'; // there is nothing to add any more
}

/** @param {Upload[]} moving */
function progress(moving) {
  if (moving.every((each) => each.status === 'paused')) return 'Paused';
  if (moving.every((each) => /paused|offline/.test(each.status))) return 'No connection';
  const loaded = moving.reduce((sum, each) => sum + each.loaded, 0);
  const size = moving.reduce((sum, each) => sum + each.size, 0);
  const minutes = Math.ceil((size - loaded) / speed(moving) / 60_000);
  return `Uploading ${Math.floor((100 * loaded) / size)} %${minutes > 1 && minutes < 600 ? `, ${minutes} min left` : ''}`;
}

/** Where an upload was when it was first seen to move. @type {WeakMap<Upload, {loaded: number, at: number}>} */
const first_seen = new WeakMap();

/** Bytes a millisecond that leave together; 0 until there is enough to tell by. @param {Upload[]} moving */
function speed(moving) {
  const now = performance.now();
  let sum = 0;
  for (const upload of moving.filter((each) => each.status === 'uploading')) {
    const first = first_seen.get(upload);
    if (!first) first_seen.set(upload, { loaded: upload.loaded, at: now });
    else if (now - first.at > SETTLED) sum += (upload.loaded - first.loaded) / (now - first.at);
  }
  return sum;
}

/** @param {Element} step @param {string} text */
function say(step, text) {
  const words = find('.words', step);
  if (words && words.textContent !== text) words.textContent = text;
}

/** What the form is sent without. @param {Upload[]} unsent */
function list(unsent) {
  const note = Object.assign(document.createElement('div'), { id: 'unsent', className: 'note to-mend' });
  for (const { name, field, problem } of unsent) {
    const line = document.createElement('p');
    const label = find(`[data-field="${field}"] dt`)?.textContent;
    const reason = problem ? problem.detail : 'Choose it again';
    const step = find(`.steps li[data-files~="${field}"] a`)?.getAttribute('href');
    line.append(`${label}: ${name} was not sent. ${reason}. `, Object.assign(document.createElement('a'), { href: `${step}#${field}`, textContent: 'Change' }));
    note.append(line);
  }
  return note;
}

/** @param {Upload} upload */
const under_way = ({ status }) => /waiting|uploading|paused|offline/.test(status);
/** Whether it may still become one that counts. @param {Upload} upload */
const unfinished = (upload) => under_way(upload) || upload.status === 'processing';

// --- the connection

function connection() {
  const note = find('#offline');
  if (navigator.onLine) note?.remove();
  else if (!note) {
    const text = 'You are offline. Files go on by themselves once the connection is back; what you typed stays on this page.';
    find('.live')?.before(Object.assign(document.createElement('p'), { id: 'offline', className: 'note offline', role: 'status', textContent: text }));
  }
}
addEventListener('online', () => {
  connection();
  find('#told.for-now')?.remove();
  const form = section();
  if (form && has_draft(form)) save();
});
addEventListener('offline', connection);

document.documentElement.classList.add('enhanced');
settle();
