// @ts-check
/**
 * Files that are sent while a person goes on filling in a form: `<longshore-file>` around a real
 * `<label>` and `<input type=file>`, and the parts that it is made of. See README.md.
 *
 * @import {
 *   FormRecord, Options, Policy, Problem, Transport, Upload as PublicUpload, UploadOptions,
 *   UploadRecord, UploadStatus,
 * } from './longshore.d.ts'
 */

/** Times that a file is sent in vain before the person is asked. */
const ATTEMPTS = 10;

/** What people read. `{name}` and the like are filled in; problems of files come from the policy.
 * @type {Record<string, string>} */
const ENGLISH = {
  choose: 'Choose a file',
  another: 'Choose another file',
  drop: 'or drop it here',
  waiting: 'Waiting',
  uploading: 'Uploading {percent} %',
  processing: 'Checking…',
  paused: 'Paused',
  offline: 'No connection: it goes on by itself',
  stored: 'Stored',
  withheld: 'We have this file and look at it',
  unsent: 'Not sent: choose it again',
  partly: '{percent} % sent: choose it again',
  removed: 'Removed',
  pause: 'Pause',
  resume: 'Resume',
  retry: 'Try again',
  cancel: 'Cancel',
  remove: 'Remove',
  replace: 'Replace',
  wait: 'Wait until the file is sent',
  failed: 'The selected file could not be uploaded – try again',
  'file-unreadable': "The selected file can't be read – choose it again",
};

/** A problem; by default, that nobody can read the file.
 * @param {string} [detail] @returns {Problem} */
const trouble = (code = 'file-unreadable', detail = ENGLISH[code], params = {}) => ({
  code,
  detail,
  params,
  retryable: false,
});

const SENDING = /waiting|uploading|offline/;
const GONE = /replaced|removed|expired/;
/** In the service's ids of uploads, and not in our keys. */
const BEGUN = /_/;

/** @type {NonNullable<Options['headers']>} */
let credentials = {};
/** By language and key. @type {Record<string, Record<string, string>>} */
const ownTexts = {};
/** @type {Record<string, Transport>} */
const ownTransports = {};

/** @param {Options} changes */
export function configure({ headers, texts, transports }) {
  Object.assign(ownTexts, texts);
  Object.assign(ownTransports, transports);
  if (!headers) return;
  credentials = headers;
  forms.forEach((form) => form.follow()); // what it may read may have changed
}

// --- requests

/** Why a request came to nothing. `status` is that of the answer; 0 if there was none. */
class Refusal extends Error {
  /** @param {number} status @param {Partial<Problem>} [body] @param {number} [after] */
  constructor(status, body, after = 0) {
    super(body?.detail);
    this.status = status;
    /** @type {Problem} */
    this.problem = { ...trouble('failed'), retryable: true, ...body };
    /** Milliseconds to wait, if the service said. */
    this.after = after;
    /** Whether the same request may do better later. The codes are about this attempt alone. */
    this.passes =
      /^(0|408|425|429|5)|-(running|mismatch|reused)$/.test(status + this.problem.code);
  }
}

/** @param {string | null} after `Retry-After`, in seconds; whoever says a date isn't the service */
const milliseconds = (after) => Number(after) * 1000 || 0;

/**
 * The JSON of an answer. Throws what it refuses; an answer that isn't the service's own, such as
 * the page of a hotel's network, counts as none.
 * @param {number} status @param {string} text @param {number} after milliseconds to wait, if the service said
 */
function read(status, text, after) {
  let body;
  try {
    body = text && JSON.parse(text);
  } catch {
    if (status < 400) status = 0;
  }
  if (status > 199 && status < 400) return body;
  throw new Refusal(status, body, after);
}

/** @param {string} url */
const ownHeaders = async (url) => ({
  Accept: 'application/json',
  ...(await (typeof credentials === 'function' ? credentials(url) : credentials)),
});

/** @param {string} url @param {RequestInit} [init] */
async function ask(url, { signal, headers, ...init } = {}) {
  /** Milliseconds without a sign of life after which a request is given up. */
  const STALLED = 60_000;
  try {
    await null; // a page's script that imports this one can still say its headers
    const all = /** @type {Record<string, string>} */ ({ ...(await ownHeaders(url)), ...headers });
    const given = AbortSignal.any([AbortSignal.timeout(STALLED), ...(signal ? [signal] : [])]);
    const answer = await fetch(url, { ...init, headers: all, signal: given });
    const after = milliseconds(answer.headers.get('Retry-After'));
    const body = read(answer.status, await answer.text(), after);
    return { body, status: answer.status, headers: answer.headers, after };
  } catch (error) {
    throw error instanceof Refusal ? error : new Refusal(0);
  }
}

/** Ask until there is an answer. @param {string} url @param {string} [method] */
async function insist(url, method) {
  for (let failed = 0; ; failed++) {
    try {
      return (await ask(url, { method })).body;
    } catch (error) {
      if (failed > ATTEMPTS) throw error;
      await recover(error, failed);
    }
  }
}

/** Rest before the next attempt; throw what no attempt mends. @param {any} refusal @param {number} failed */
async function recover(refusal, failed) {
  if (!refusal.passes) throw refusal;
  await nap(pauseAfter(refusal, failed), 'online');
}

/** Milliseconds before the next attempt; apart from each other, so that not all come at once.
 * @param {Refusal} refusal @param {number} failed attempts before this one */
const pauseAfter = (refusal, failed) =>
  Math.max(refusal.after, Math.min(15_000, 500 * 2 ** failed) * (1 + Math.random()));

/** Rest for so many milliseconds, or until the window hears `event`.
 * @param {number} time @param {string} [event] @returns {Promise<unknown>} */
const nap = (time, event = '') =>
  new Promise((resolve) => {
    const over = AbortSignal.timeout(time);
    over.onabort = resolve;
    addEventListener(event, resolve, { signal: over });
  });

/**
 * What is at an address, now and each time it changes; ends when it is an upload and final, or
 * when `signal` says so. Lost connections are taken up again; a refusal is thrown.
 * @param {string} url @param {{signal?: AbortSignal}} [how]
 * @returns {AsyncGenerator<any, void, void>}
 */
export async function* watch(url, { signal } = {}) {
  /** Milliseconds between two looks at what changes, in a tab that nobody sees. */
  const IN_BACKGROUND = 30_000;
  let etag = null;
  let failed = 0;
  while (!signal?.aborted) {
    try {
      /** @type {Record<string, string>} */
      const headers = etag ? { 'If-None-Match': etag, Prefer: 'wait=20' } : {};
      const answer = await ask(url, { signal, headers });
      failed = 0;
      if (answer.status !== 304) {
        etag = answer.headers.get('ETag');
        yield answer.body;
        if (answer.body.poll_after_ms === null) return;
      }
      await nap(answer.after || 1000);
      if (document.hidden) await nap(IN_BACKGROUND, 'visibilitychange');
    } catch (error) {
      if (signal?.aborted) return;
      await recover(error, failed++);
    }
  }
}

// --- sending

/**
 * Send a body, and tell what has left of it. Resolves with what the service answers.
 * @param {string} method @param {string} url @param {XMLHttpRequestBodyInit} body
 * @param {Omit<Parameters<Transport>[1], 'url'>} how
 */
async function transfer(method, url, body, { headers, signal, onProgress }) {
  /** Milliseconds without a sign of life after which it is given up: on a slow line the system's
   * buffers take long to empty, and nothing is seen of that. */
  const STALLED = 300_000;
  const request = new XMLHttpRequest(); // fetch says nothing of what it has sent
  request.open(method, url);
  Object.entries(headers).forEach((each) => request.setRequestHeader(...each));
  const stop = (signal.onabort = () => request.abort());
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  request.upload.onloadstart = request.upload.onprogress = ({ loaded }) => {
    clearTimeout(timer);
    timer = setTimeout(stop, STALLED);
    onProgress(loaded);
  };
  request.send(body);
  await new Promise((resolve) => (request.onloadend = resolve));
  clearTimeout(timer);
  return read(request.status, request.responseText, milliseconds(request.getResponseHeader('Retry-After')));
}

/** @type {Transport} */
async function sendAtOnce(file, how) {
  const body = new FormData();
  body.append('file', file, file.name);
  return transfer('POST', how.url, body, how);
}

// What not every page needs.
const inParts = () => import('./longshore-tus.js');
const contents = () => import('./longshore-contents.js');
const nothing = () => {};

/** The SHA-256 of a file that isn't too large for that. @param {File} file */
async function digestOf(file) {
  /** Bytes: it is read into memory as a whole. */
  const DIGEST_UP_TO = 32 * 2 ** 20;
  if (file.size > DIGEST_UP_TO || !crypto.subtle) return; // it is there on https alone
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', await file.arrayBuffer()));
  return hash;
}

/** By which the service knows a file that is sent again, until it has an id for what it has of it. */
const newKey = () => hex(crypto.getRandomValues(new Uint8Array(16)));

/** Uploads that wait for their turn or are being sent. @type {Set<Upload>} */
const queue = new Set();

/** All uploads that this page knows, and `change` when one of them changed, its `detail`. */
export const uploads = Object.assign(new EventTarget(), {
  list: () =>
    [...forms].flatMap((form) => form.uploads).filter((each) => !GONE.test(each.status)),
  /** Know those of a form that has no element here. @param {string} url */
  open: (url) => formAt(url).follow(),
});

/** Send what may be sent now. */
function pump() {
  let free = 3; // a browser has six connections to a host, and some are waiting
  for (const each of queue) if (each.status === 'uploading') free--;
  for (const each of queue) if (each.status === 'waiting' && !each.timer && free-- > 0) each.send();
  const moving = uploads.list().some((each) => each.guard && SENDING.test(each.status));
  (moving ? addEventListener : removeEventListener)('beforeunload', askFirst);
}

/** @param {Event} event */
const askFirst = (event) => event.preventDefault();

/** Go where a download begins, which leaves nothing. @param {string} url */
function leave(url) {
  removeEventListener('beforeunload', askFirst);
  location.assign(url);
  pump();
}

/** @param {string} event @param {() => void} heard */
const listen = (event, heard) => globalThis.addEventListener?.(event, heard);
listen('offline', () => queue.forEach((each) => each.status === 'uploading' && each.lose()));
listen('online', () => queue.forEach((each) => each.status === 'offline' && each.resume()));
// Another tab may have changed it.
listen('visibilitychange', () => forms.forEach((form) => form.elements.size && form.follow()));

/** One file and its whole life. @implements {PublicUpload} */
class Upload extends EventTarget {
  /** @type {UploadStatus} */
  status = 'waiting';
  /** Bytes that have left. */
  loaded = 0;
  /** @type {UploadRecord | null} */
  record = null;
  /** @type {Problem | null} */
  problem = null;
  /** @type {File | null} */
  file = null;
  /** @type {string | null | undefined} */
  transport;
  guard = false;
  /** Bytes of the parts it is sent in, if it is. @type {number | undefined} */
  part;
  /** Whether it was in the form: then it is removed elsewhere when it is there no more. */
  seen = false;
  /** What a screen reader was told last. */
  said = '';
  /** Gives its place to this one once that is stored. @type {Upload | null} */
  replaces = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  timer;
  attempts = 0;
  /** Whether the service may have all of it, although it didn't say so. */
  #sent = false;
  /** Taken away, which only the answer makes possible. */
  unwanted = false;
  #stop = new AbortController();
  /** @type {ReturnType<typeof digestOf> | undefined} */
  #digest;

  /** @param {Form} form @param {string} field
   * @param {{name: string, size: number, key?: string, sha256?: string}} what */
  constructor(form, field, { name, size, key = newKey(), sha256 }) {
    super();
    this.form = form;
    form.uploads.push(this);
    this.field = field;
    this.name = name;
    this.size = size;
    this.key = key;
    /** In hex, once it is known. */
    this.sha256 = sha256;
    /** @type {Promise<this>} */
    this.finished = new Promise((resolve) => {
      this.addEventListener(
        'status',
        () => /stored|rejected|failed|removed/.test(this.status) && resolve(this),
      );
    });
  }

  get id() {
    return this.record?.id ?? this.key;
  }

  /** At the service. */
  get url() {
    return `${this.form.url}/../../uploads/${this.id}`;
  }

  /** @param {UploadStatus} status @param {Problem | null} [problem] */
  set(status, problem = null) {
    this.status = status;
    this.problem = problem;
    this.tell('status');
    this.form.keep();
  }

  /** @param {'status' | 'progress'} kind */
  tell(kind) {
    this.dispatchEvent(new Event(kind));
    for (const each of this.form.elements) if (each.field === this.field) each.heard(this, kind);
    uploads.dispatchEvent(new CustomEvent('change', { detail: this }));
  }

  /** Let it have its turn. */
  start() {
    queue.add(this);
    this.attempts = 0;
    this.resume();
  }

  async send() {
    const { signal } = (this.#stop = new AbortController());
    const url = `${this.form.url}/fields/${this.field}/uploads`;
    const file = /** @type {File} */ (this.file);
    if (!BEGUN.test(this.key)) this.loaded = 0; // else it goes on
    this.set('uploading');
    try {
      // A file that was changed or is gone would look like a lost connection.
      const [digest] = await Promise.all([
        (this.#digest ??= digestOf(file)),
        file.slice(0, 1).arrayBuffer(),
      ]).catch(() => {
        throw new Refusal(422, trouble());
      });
      this.sha256 = digest && hex(digest);
      this.form.keep();
      const headers = {
        ...(await ownHeaders(url)),
        'Idempotency-Key': this.key,
        ...(digest && { 'Repr-Digest': `sha-256=:${btoa(String.fromCharCode(...digest))}:` }),
      };
      const transport =
        ownTransports[this.transport ?? ''] ??
        (BEGUN.test(this.key) ||
        this.size > /** @type {number} */ (this.part) || // by no policy none is
        this.transport === 'tus'
          ? (await inParts()).send.bind(null, this, ask, transfer, newKey)
          : sendAtOnce);
      signal.throwIfAborted(); // cancelled or paused while it was hashed
      const record = await transport(file, {
        url,
        headers,
        signal,
        onProgress: (loaded) => this.#progress(loaded),
      });
      queue.delete(this);
      if (this.status === 'removed') this.unwanted = true;
      this.status = 'waiting'; // it is there, whatever was wanted meanwhile
      // A list that came before this answer may know better, and won't come again.
      const listed = this.form.record?.uploads[this.field]?.find((each) => each.id === record.id);
      this.follow(record);
      if (listed) this.follow(listed);
      if (this.unwanted) this.remove();
    } catch (error) {
      if (!signal.aborted) this.#missed(error);
    }
    pump();
  }

  /** @param {number} loaded */
  #progress(loaded) {
    this.loaded = Math.min(loaded, this.size);
    this.#sent ||= loaded >= this.size;
    this.tell('progress');
  }

  /** @param {unknown} error */
  #missed(error) {
    const refusal = error instanceof Refusal ? error : new Refusal(0);
    if (refusal.problem.code === 'key-reused') this.key = newKey(); // it is that of other bytes
    if (refusal.passes && this.attempts < ATTEMPTS) return this.#later(refusal);
    queue.delete(this);
    this.set(/^(file|image|too-many)-/.test(refusal.problem.code) ? 'rejected' : 'failed', refusal.problem);
  }

  /** @param {Refusal} refusal */
  #later(refusal) {
    this.timer = setTimeout(() => this.resume(), pauseAfter(refusal, this.attempts));
    this.attempts += +navigator.onLine;
    this.set(refusal.status ? 'waiting' : 'offline', refusal.problem);
  }

  /** The connection is gone. */
  lose() {
    this.#stop.abort();
    this.#later(new Refusal(0));
    pump();
  }

  pause() {
    if (queue.has(this) && this.loaded < this.size) this.#halt('paused'); // or the answer is due
  }

  resume() {
    if (queue.has(this) && this.status !== 'uploading') this.#halt('waiting');
  }

  /** @param {UploadStatus} status */
  #halt(status) {
    this.timer = void clearTimeout(this.timer);
    this.#stop.abort();
    this.set(status);
    pump();
  }

  /** One that failed, at the service or on its way there. */
  async retry() {
    if (this.status !== 'failed') return;
    if (!this.record) return this.start();
    await insist(`${this.url}/retry`, 'POST').then(
      (record) => this.follow(record),
      (refusal) => this.set('failed', refusal.problem),
    );
  }

  /** Take it away, here and at the service. */
  async remove() {
    if (GONE.test(this.status)) return;
    if (!BEGUN.test(this.id) && this.#sent && queue.has(this)) {
      this.unwanted = true; // it may have been acknowledged
      this.resume();
      return this.form.render();
    }
    queue.delete(this);
    this.#halt('removed');
    if (!BEGUN.test(this.id)) return;
    await insist(this.url, 'DELETE').catch((refusal) => {
      if (!this.record) return; // a part, which ends by itself
      this.status = 'waiting'; // it isn't gone
      this.form.refused(refusal);
      this.follow(this.record);
    });
  }

  /** @param {UploadRecord} record as the service has it now */
  follow(record) {
    if (this.status === 'removed') return; // whatever an older answer says
    if (record.status === 'receiving') {
      if (this.file) return; // it is sent from here
      this.loaded = record.progress.received;
      this.key = record.id;
      return this.status === 'unsent' || this.set('unsent');
    }
    // A list that came meanwhile may have had it already, under another name.
    this.form.uploads = this.form.uploads.filter((each) => each === this || each.id !== record.id);
    const pending = record.poll_after_ms;
    const status = /** @type {UploadStatus} */ (pending ? 'processing' : record.status);
    const changed = this.record?.updated_at !== record.updated_at || this.status !== status;
    this.record = record;
    if (changed) this.set(status, record.error);
    if (status === 'stored') {
      this.replaces?.remove();
      this.replaces = null;
    }
    if (pending) this.form.follow();
  }
}

// --- forms

/** The forms of this page: their uploads go on whatever elements come and go. @type {Set<Form>} */
const forms = new Set();

/** @param {string} url */
function formAt(url) {
  const { href } = new URL(url, document.baseURI);
  const form = [...forms].find((each) => each.url === href) ?? new Form(href);
  forms.add(form);
  return form;
}

class Form {
  /** Oldest first, with those that are gone. @type {Upload[]} */
  uploads = [];
  /** @type {Set<LongshoreFile>} */
  elements = new Set();
  /** @type {FormRecord | null} */
  record = null;
  /** @type {AbortController | null} */
  #following = null;

  /** @param {string} url empty for what is chosen before there is a form */
  constructor(url) {
    this.url = url;
    try {
      for (const { field, ...what } of JSON.parse(sessionStorage[`longshore ${url}`] ?? '[]')) {
        new Upload(this, field, what).status = 'unsent';
      }
      if (localStorage['longshore kept'])
        inParts().then(({ recall }) => recall(this.uploads), nothing);
    } catch {
      // a page without storage asks for nothing again
    }
  }

  /** Keep the names of what isn't there yet: after a reload it is asked for again. */
  keep() {
    if (!this.url) return;
    const left = this.uploads.filter(
      (each) => !each.record && !/rejected|removed/.test(each.status),
    );
    try {
      sessionStorage[`longshore ${this.url}`] = JSON.stringify(left, [
        'field',
        'name',
        'size',
        'key',
        'sha256',
      ]);
    } catch {
      // see above
    }
  }

  get #pending() {
    return this.uploads.filter((each) => each.status === 'processing');
  }

  /** Look at the record now, and for as long as something in it goes on. */
  async follow() {
    if (this.#following || !this.url) return;
    const mine = (this.#following = new AbortController());
    try {
      for await (const record of watch(this.url, mine)) {
        this.record = record;
        for (const [field, records] of Object.entries(record.uploads)) this.#merge(field, records);
        this.render();
        this.left();
      }
    } catch (error) {
      const refusal = /** @type {Refusal} */ (error);
      this.refused(refusal);
      // Nothing more is heard of these, unless other headers open the form again.
      this.#pending.forEach((each) => each.set('failed', refusal.problem));
    }
    if (this.#following === mine) this.#following = null;
  }

  /** Something is done with: there may be nothing left to follow. */
  left() {
    if (this.#pending[0] || [...this.elements].some((each) => each.hasAttribute('poll'))) return;
    this.#following?.abort();
    this.#following = null;
  }

  render() {
    this.elements.forEach((each) => each.render());
  }

  /** @param {string} field @param {UploadRecord[]} records */
  #merge(field, records) {
    for (const each of records) {
      const known = this.uploads.find((u) => u.id === each.id);
      const upload =
        known ??
        this.uploads.find(
          (u) =>
            u.field === field &&
            !u.record &&
            !/rejected|removed/.test(u.status) &&
            u.name === each.filename &&
            u.size === each.size &&
            (u.sha256 ?? each.sha256) == (each.sha256 ?? u.sha256),
        ) ??
        new Upload(this, field, { name: each.filename, size: each.size });
      if (known || !upload.file || upload.status === 'failed') upload.follow(each); // else its answer comes
    }
    for (const each of this.uploads.filter((u) => u.field === field)) {
      const there = records.some((record) => record.id === each.id);
      if (each.seen && !there && !queue.has(each)) each.set('removed'); // else sending it tells
      each.seen = there;
    }
  }

  /** @param {Refusal} refusal */
  refused({ problem }) {
    this.elements.forEach((each) => each.emit('error', { problem }));
  }
}

/**
 * Send a file for a field of a form, when its turn has come, and follow it.
 * @param {File} file @param {UploadOptions} how
 * @returns {PublicUpload}
 */
export function createUpload(file, { url, field, transport }) {
  const form = formAt(url);
  const upload = new Upload(form, field, file);
  upload.transport = transport;
  upload.file = file;
  upload.start();
  return upload;
}

// --- checks

/** What begins with bytes that say little (archives, compound files), and isn't a text document by its name. */
const CONTAINER = /^(504b0304|d0cf11e0)/;
const BOX = '66747970';
const OTHER_OFFICE = /\.(xls|ppt|od[sp]|epub|jar|apk|msg)\w?$/i;

/**
 * What is wrong with a file by its field's policy, before a byte is sent; null if nothing is. What
 * can't be told here passes: the service looks at every file, and its word counts.
 * @param {File} file @param {Policy} policy
 * @returns {Promise<Problem | null>}
 */
export async function checkFile(file, policy) {
  const { min_bytes = 1, max_bytes, image = {}, formats = [], flag = [], texts = {} } = policy;
  /** @param {string} code @param {Record<string, any>} [params] */
  const problem = (code, params = {}) =>
    flag.includes(code) ? null : trouble(code, fill(texts[code] ?? code, params), params);
  if (!file.size) return problem('file-empty');
  if (file.size > max_bytes) return problem('file-too-large');
  if (file.size < min_bytes) return problem('file-too-small');
  const begin = await file.slice(0, 4096).arrayBuffer();
  const digits = hex(begin);
  const text = new TextDecoder().decode(begin).trim();
  const format = formats.find((each) => mayBe(each, digits, text));
  const other = CONTAINER.test(digits) && OTHER_OFFICE.test(file.name) && !text.includes('word/');
  if (formats.length && (!format || other)) return problem('file-invalid-type');
  /** @type {Record<string, any>} a limit that isn't there compares as false */
  const limits = image;
  const limited = /min_|max_[wh]/.test(JSON.stringify(image));
  if (!limited || !format?.type.startsWith('image/')) return null;
  const bitmap = await createImageBitmap(file).catch(() => null); // not every browser knows every format
  if (!bitmap) return null;
  const { width, height } = bitmap;
  bitmap.close();
  // It may lie on its side, and there are more ways to say so than browsers know.
  const over = (w = width, h = height) =>
    w > limits.max_width || h > limits.max_height || w * h > limits.max_pixels;
  const under = (w = width, h = height) =>
    w < limits.min_width || h < limits.min_height || w * h < limits.min_pixels;
  const sides = { width, height };
  if (over() && over(height, width)) return problem('image-too-large', sides);
  return under() && under(height, width) ? problem('image-too-small', sides) : null;
}

/** @param {ArrayBuffer | Uint8Array} bytes */
const hex = (bytes) =>
  [...new Uint8Array(bytes)].map((each) => (256 + each).toString(16).slice(1)).join('');

/**
 * Whether a file may be of a format, by how it begins. As the service sees it: text may be indented,
 * boxes name more brands than the first, and the first line of a PDF may be lost.
 * @param {NonNullable<Policy['formats']>[0]} format @param {string} digits @param {string} text
 */
function mayBe({ type, signatures, starts_within = 0 }, digits, text) {
  for (const pieces of signatures) {
    for (let at = 0; at <= starts_within; at++) {
      if (pieces.every(({ offset, bytes }) => digits.startsWith(bytes, 2 * (at + offset))))
        return true;
    }
    if (pieces[0].bytes.startsWith(BOX) && digits.startsWith(BOX, 8)) return true;
  }
  if (type === 'application/rtf') return text.startsWith('{\\rtf');
  return type === 'application/pdf' && /^(%.*[\r\n]\s*)*\d+ \d+ obj\b/.test(text);
}

/** @param {string} text @param {Record<string, any>} params */
const fill = (text, params) => text.replace(/\{(\w+)\}/g, (left, name) => params[name] ?? left);

/** Form types, by address. @type {Record<string, Promise<any>>} */
const types = {};

/** @param {string} url of a form type @param {string} field @returns {Promise<Policy | null>} */
async function policyAt(url, field) {
  try {
    const { sections } = (await (types[url] ??= ask(url))).body;
    return sections
      .flatMap((/** @type {any} */ each) => each.fields)
      .find((/** @type {any} */ each) => each.name === field);
  } catch {
    delete types[url]; // the service looks at every file anyway; the next one may be luckier
    return null;
  }
}

// --- the element

/** A size as the service says it, 15 MB. @param {number} count of bytes */
const bytes = (count) => {
  let text = count + (count === 1 ? ' byte' : ' bytes');
  for (const unit of 'KMG') {
    if (count >= 999.95) text = `${Math.round(count / 100) / 10} ${unit}B`; // never 1000 KB
    count /= 1000;
  }
  return text;
};

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag @param {Partial<HTMLElementTagNameMap[T]>} [properties]
 */
const make = (tag, properties) => Object.assign(document.createElement(tag), properties);

/** @param {string} className */
const span = (className, textContent = '') => make('span', { className, textContent });

let ids = 0;
/** Ids are what names and descriptions are made of. @param {Element} element */
const idOf = (element) => (element.id ||= `longshore-${++ids}`);

// Where there is no document, such as on a server that renders, the module can be imported too.
const Base = /** @type {typeof HTMLElement} */ (globalThis.HTMLElement ?? class {});

class LongshoreFile extends Base {
  static formAssociated = true;
  static observedAttributes = ['form-url', 'field', 'required', 'poll', 'policy', 'locale'];

  #internals = this.attachInternals();
  #button = make('button', { type: 'button', className: 'choose' });
  #drop = span('drop');
  /** Heard and not seen. An attribute would be an inline style, which a policy of the page may forbid. */
  #live = make('div', {
    role: 'status',
    style: /** @type {any} */ ('position:fixed;clip-path:inset(50%)'),
  });
  /** @type {HTMLUListElement | null} */
  #list = null;
  /** @type {HTMLInputElement | null} */
  #input = null;
  /** What the page itself says of the field: it goes once that is mended. @type {Element | null} */
  #said = null;
  /** Has what is chosen before there is a form. */
  #draft = new Form('');
  #form = this.#draft;
  /** @type {Policy | null} */
  #policy = null;
  /** @type {Map<Upload, ReturnType<typeof lineOf>>} */
  #lines = new Map();
  /** @type {Upload | null} */
  #replacing = null;

  get field() {
    return this.getAttribute('field') ?? this.name;
  }

  get name() {
    return this.getAttribute('name') ?? '';
  }

  /** Those that are shown: in a field for one file the last, and a good one that it hasn't replaced. */
  get uploads() {
    const list = this.#form.uploads.filter(
      (each) => each.field === this.field && !GONE.test(each.status) && !each.unwanted,
    );
    const good = list.findLast((each) => /stored|processing/.test(each.status));
    return this.#room > 1 ? list : list.filter((each) => each === good || each === list.at(-1));
  }

  /** Ids of the uploads that are stored or on their way. */
  get value() {
    const good = this.uploads.filter((each) => !/rejected|failed|unsent/.test(each.status));
    return good.map((each) => each.id).slice(this.#room > 1 ? 0 : -1);
  }

  get #room() {
    return (
      this.#policy?.max_files ??
      (this.#input?.multiple || this.hasAttribute('multiple') ? Infinity : 1)
    );
  }

  connectedCallback() {
    // Where the parser isn't there yet, the input comes later.
    if (!this.#enhance())
      new MutationObserver((_, seen) => this.#enhance() && seen.disconnect()).observe(this, {
        childList: true,
        subtree: true,
      });
  }

  disconnectedCallback() {
    this.#form.elements.delete(this);
    this.#form.left();
  }

  /** @param {string} name */
  attributeChangedCallback(name) {
    if (/field|policy/.test(name)) this.#policy = null;
    if (this.#list) this.#attach();
  }

  /** @param {boolean} disabled by this or by a fieldset */
  formDisabledCallback(disabled) {
    this.#button.disabled = disabled;
  }

  /** @param {FocusOptions} [how] */
  focus(how) {
    this.#button.focus(how);
  }

  /** @param {string} [id] of one upload; without it, of all in the field */
  pause(id) {
    this.#each(id, 'pause');
  }

  /** @param {string} [id] */
  resume(id) {
    this.#each(id, 'resume');
  }

  /** @param {string} [id] */
  retry(id) {
    this.#each(id, 'retry');
  }

  /** @param {string} [id] Without it, the element leaves the page, as any does. */
  remove(id) {
    if (!id) super.remove();
    else this.#each(id, 'remove');
  }

  /** @param {string | undefined} id @param {'pause' | 'resume' | 'retry' | 'remove'} what */
  #each(id, what) {
    for (const each of this.uploads) if (!id || each.id === id) each[what]();
  }

  /** Take over the input, once. @returns whether there is one */
  #enhance() {
    const input =
      this.#input ??
      /** @type {HTMLInputElement | null} */ (this.querySelector('input[type=file]'));
    if (!input) return false;
    if (!this.#input) this.#take(input);
    this.#attach();
    return true;
  }

  /** @param {HTMLInputElement} input */
  #take(input) {
    this.#input = input;
    const label = input.labels?.[0] ?? this.querySelector('label');
    if (!this.name) this.setAttribute('name', input.name);
    if (input.required) this.setAttribute('required', '');
    input.removeAttribute('name'); // or it would send an empty file along
    input.required = false;
    input.hidden = true;
    input.addEventListener('change', () => {
      const files = [...(input.files ?? [])];
      input.value = ''; // the same file can be chosen again
      this.choose(files);
    });
    // What led to the input leads to the button: its label, and the links of a summary of errors.
    if (input.id) this.#button.id = input.id;
    input.removeAttribute('id');
    this.#button.onclick = () => this.open();
    this.#said = this.querySelector('.problem');
    this.#list = this.querySelector('ul.files') ?? make('ul', { className: 'files' });
    if (label) {
      label.htmlFor = idOf(this.#button);
      this.#list.setAttribute('aria-labelledby', idOf(label));
    }
    (label?.contains(input) ? label : input).after(this.#button, this.#drop, this.#live);
    if (!this.#list.isConnected) this.#live.after(this.#list);
    for (const type of ['dragover', 'dragleave', 'drop', 'paste']) {
      this.addEventListener(type, (/** @type {any} */ event) => {
        const { types, files } = event.dataTransfer ?? event.clipboardData;
        const open = !this.#button.disabled;
        if (!types.includes('Files')) return;
        event.preventDefault(); // or the browser would leave the page and show the file
        this.#state('dragging', type === 'dragover' && open);
        if (/drop|paste/.test(type) && open) this.choose([...files]);
      });
    }
  }

  /** @param {Upload | null} replacing */
  open(replacing = null) {
    this.#replacing = replacing;
    this.#input?.click();
  }

  /** Be there for the form that `form-url` names. */
  #attach() {
    const url = this.getAttribute('form-url');
    const form = url ? formAt(url) : this.#draft;
    if (form !== this.#form) this.disconnectedCallback();
    this.#form = form;
    // What was chosen before there was a form goes along.
    for (const each of this.#draft.uploads.splice(0)) {
      each.form = form;
      form.uploads.push(each);
    }
    this.#learn();
    if (this.isConnected) {
      form.elements.add(this);
      form.follow();
    }
    this.render();
  }

  /** Read the field's policy, where it is known where it stands. */
  async #learn() {
    const form = this.#form;
    const url =
      this.getAttribute('policy') ??
      (form.record && `${form.url}/../../form-types/${form.record.type}`);
    if (this.#policy || !this.#input || !url) return;
    this.#policy = await policyAt(url, this.field);
    if (!this.#policy) return;
    this.#input.multiple = this.#room > 1;
    this.#input.accept ||= this.#policy.accept.join();
    this.render();
  }

  /** Take files, as if the person had chosen them here. @param {File[]} files */
  async choose(files) {
    let old = this.#replacing;
    this.#replacing = null;
    /** @type {Promise<any>[]} */
    const waits = [];
    const detail = {
      files,
      waitUntil: (/** @type {Promise<any>} */ promise) => waits.push(promise),
    };
    if (!files.length || !this.emit('select', detail, true)) return;
    const form = this.#form; // all go there, whatever `form-url` names later
    forms.add(form);
    const chosen = files.map((file) => {
      const again = this.uploads.find(
        (each) => each.status === 'unsent' && each.name === file.name && each.size === file.size,
      );
      const upload = again ?? new Upload(form, this.field, file);
      const all = form.uploads;
      if (!again && old) all.splice(all.indexOf(old) + 1, 0, .../** @type {Upload[]} */ (all.splice(-1)));
      upload.file = file;
      upload.transport = this.getAttribute('transport');
      upload.guard = this.hasAttribute('guard');
      // A good one stays until the new one is stored.
      if (old && /stored|processing/.test(old.status)) upload.replaces = old;
      else if (old !== upload) old?.remove();
      old = null;
      upload.set('waiting');
      return upload;
    });
    pump();
    const url = (await Promise.all(waits).catch(() => [])).find(Boolean);
    if (url && !form.url) this.setAttribute('form-url', url);
    // Files are checked by the policy, if it is there soon.
    for (let tries = 10; await this.#learn(), !this.#policy && tries--; ) await nap(200);
    for (const upload of chosen) {
      const file = /** @type {File} */ (upload.file);
      const found =
        this.#full(upload) || (this.#room < 2 && files[1])
          ? trouble('too-many-files', this.text('too-many-files'))
          : this.#policy && (await checkFile(file, this.#policy).catch(() => trouble()));
      if (upload.status !== 'waiting') continue; // removed meanwhile
      upload.part = this.#policy?.part_bytes;
      if (found) upload.set('rejected', found);
      else if (upload.form.url) upload.start();
      else upload.set('failed', new Refusal(0).problem);
    }
    pump();
  }

  /** Whether others leave it no room, of those that were chosen before. In a field for one there is
   * room: what isn't there yet, or was refused, gives it up. @param {Upload} upload */
  #full(upload) {
    if (this.#room > 1) {
      const others = this.uploads.filter((each) => each.record || queue.has(each));
      return others.filter((each) => each.status !== 'rejected').length >= this.#room;
    }
    for (const each of upload.form.uploads) {
      if (each === upload) break;
      if (each.field === this.field && (!each.record || each.status === 'rejected')) each.remove();
    }
    return false;
  }

  /** @param {string} key @returns the page's own text in the language of the element */
  #own(key) {
    return ownTexts[this.getAttribute('locale') ?? document.documentElement.lang]?.[key];
  }

  /** @param {string} key @param {Record<string, any>} [params] */
  text(key, params = {}) {
    return fill(
      this.#own(key) ?? this.#policy?.texts?.[key] ?? ENGLISH[key] ?? '',
      params,
    );
  }

  /** What is said of an upload, with its progress in steps of so many percent.
   * @param {Upload} upload */
  told({ status, problem, loaded, size, record }, step = 1) {
    if (/rejected|failed/.test(status) && problem) {
      const { max_bytes = 0, image } = this.#policy ?? {};
      const known = { ...this.#policy, ...image, max_size: bytes(max_bytes), ...problem.params };
      return fill(this.#own(problem.code) ?? problem.detail, known);
    }
    if (status === 'uploading' && loaded >= size) status = 'processing'; // the answer is due
    if (record?.flags?.length && !record.released_at) return this.text('withheld');
    if (status === 'unsent' && loaded) status = /** @type {any} */ ('partly');
    return this.text(status, { percent: Math.floor((100 * loaded) / size / step) * step });
  }

  // --- showing

  /** @param {Upload} upload @param {'status' | 'progress'} kind */
  heard(upload, kind) {
    const { status, loaded, size, problem } = upload;
    const detail = { upload, status, loaded, total: size, problem };
    if (kind === 'progress') this.#lines.get(upload)?.show();
    else this.render();
    this.#tell(upload);
    this.emit(kind, detail);
    if (kind === 'progress') return;
    if (status === 'stored') this.emit(status, detail);
    if (status === 'rejected') this.emit('reject', detail);
    if (status === 'failed') this.emit('error', detail);
  }

  /** @param {string} kind @param {object} detail @returns whether nobody prevented it */
  emit(kind, detail, cancelable = false) {
    return this.dispatchEvent(
      new CustomEvent(`longshore-${kind}`, { bubbles: true, cancelable, detail }),
    );
  }

  /** Say once each: that it began, every quarter of it, and how it ended. @param {Upload} upload */
  #tell(upload) {
    if (/waiting|unsent|replaced/.test(upload.status)) return;
    const text = `${upload.name}: ${this.told(upload, 25)}`;
    if (text === upload.said) return;
    upload.said = text;
    this.#live.append(make('p', { textContent: text }));
    if (this.#live.children[5]) this.#live.children[0].remove();
  }

  render() {
    if (!this.#list) return;
    const shown = this.uploads;
    if (this.#form.record || shown.length || !this.#list.children[0]) this.#settle(shown); // till then the page's own list stands
    this.#button.textContent = this.text(shown.length ? 'another' : 'choose');
    this.#drop.textContent = this.text('drop');
    this.#value(shown);
    this.#learn();
  }

  /** @param {Upload[]} shown */
  #settle(shown) {
    const list = /** @type {HTMLUListElement} */ (this.#list);
    const focused = list.contains(document.activeElement);
    const had = list.children[0];
    const lines = shown.map((each) => {
      const line = this.#lines.get(each) ?? lineOf(this, each);
      this.#lines.set(each, line);
      line.show();
      return line;
    });
    /** @type {Element[]} */
    const items = lines.map((each) => each.item);
    [...list.children].forEach((each) => items.includes(each) || each.remove());
    // Only what is new is put in: moving takes the focus away.
    items.forEach(
      (each, at) => list.children[at] === each || list.insertBefore(each, list.children[at]),
    );
    list.hidden = !shown.length;
    if (focused && !list.contains(document.activeElement)) this.focus();
    // The button is called by its label, what it does, and what was chosen.
    const named = [
      list.getAttribute('aria-labelledby'),
      idOf(this.#button),
      ...lines.map((each) => idOf(each.name)),
    ];
    this.#button.setAttribute('aria-labelledby', named.join(' '));
    const open = lines.filter((_, at) => /waiting|rejected|failed/.test(shown[at].status));
    const described = [
      this.#input?.getAttribute('aria-describedby'),
      ...open.map((each) => idOf(each.state)),
    ];
    this.#button.setAttribute('aria-describedby', described.join(' ').trim());
    if (!open.length && (shown.length || had)) this.#said?.remove();
  }

  /** @param {Upload[]} shown */
  #value(shown) {
    const value = this.value;
    const data = new FormData();
    value.forEach((each) => data.append(this.name, each));
    this.#internals.setFormValue(data);
    const customError = shown.some((each) => SENDING.test(each.status));
    const valueMissing = this.hasAttribute('required') && !value.length;
    const text = this.text(customError ? 'wait' : 'choose');
    this.#internals.setValidity({ customError, valueMissing }, text, this.#button);
    for (const name of ['uploading', 'processing', 'stored', 'rejected', 'offline']) {
      this.#state(
        name,
        shown.some((each) => each.status === name),
      );
    }
  }

  /** @param {string} name @param {boolean} on */
  #state(name, on) {
    this.#internals.states[on ? 'add' : 'delete'](name);
  }
}

/**
 * What is shown of one upload.
 * @param {LongshoreFile} element @param {Upload} upload
 */
function lineOf(element, upload) {
  const item = make('li');
  const image = make('img', { className: 'preview', alt: '', hidden: true });
  const name = make('a', { className: 'filename', textContent: upload.name }); // a name is text, whatever is in it
  const size = span('size', bytes(upload.size));
  const bar = make('progress', { ariaLabel: upload.name });
  const state = span('state');
  const notices = span('notices');
  const [act, replace, remove] = [0, 0, 0].map(() =>
    make('button', { type: 'button', className: 'quiet' }),
  );
  item.append(
    image,
    ...[name, size, bar, state, notices, act, replace, remove].flatMap((each) => [each, ' ']),
  );
  replace.onclick = () => element.open(upload);
  remove.onclick = () => upload.remove();
  name.onclick = (event) => {
    if (!name.href) return;
    event.preventDefault();
    contents().then((its) => its.open(upload, insist, leave), nothing);
  };

  /** @param {HTMLButtonElement} button @param {string} key */
  const label = (button, key) => {
    if (!key && button === document.activeElement) remove.focus();
    button.hidden = !key;
    button.textContent = element.text(key);
    button.ariaLabel = `${button.textContent} ${upload.name}`;
  };

  const show = () => {
    const { status, loaded, record } = upload;
    item.className = item.dataset.status = status;
    if (status === 'stored') name.href = `${upload.url}/content`;
    bar.hidden = !/uploading|processing/.test(status);
    if (status === 'uploading' && loaded < upload.size) bar.value = loaded / upload.size;
    else bar.removeAttribute('value'); // how long checking takes, nobody knows
    state.textContent = element.told(upload);
    const noticed = record?.notices ?? [];
    notices.replaceChildren(...noticed.map((each) => span('notice', each.detail)));
    /** @type {'pause' | 'resume' | 'retry' | ''} */
    let action = status === 'uploading' ? 'pause' : /paused|offline/.test(status) ? 'resume' : '';
    if (status === 'failed' && (record ? record.error?.retryable : upload.form.url)) action = 'retry';
    act.onclick = () => upload[/** @type {'pause'} */ (action)]();
    label(act, action);
    label(
      replace,
      status === 'unsent' ? 'choose' : /stored|rejected|failed/.test(status) ? 'replace' : '',
    );
    label(remove, SENDING.test(status) || status === 'paused' ? 'cancel' : 'remove');
    if (element.hasAttribute('preview'))
      contents().then((its) => its.preview(image, upload, insist), nothing);
  };
  return { item, name, state, show };
}

// In a browser that lacks what it needs, the plain input stays.
if (globalThis.CSS?.supports('selector(:state(a))') && !customElements.get('longshore-file')) {
  customElements.define('longshore-file', LongshoreFile);
}
