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

/** Files that are sent at a time: a browser has six connections to a host, and some are waiting. */
const AT_ONCE = 3;
/** Bytes of a file that is hashed before it is sent. It is read into memory as a whole for that. */
const DIGEST_UP_TO = 32 * 2 ** 20;
/** Times that a file is sent in vain before the person is asked. */
const ATTEMPTS = 10;
/** Milliseconds without a sign of life after which a request is given up. */
const STALLED = 60_000;
/** Milliseconds between two looks at what changes, in a tab that nobody sees. */
const IN_BACKGROUND = 30_000;

/** What people read. `{name}` and the like are filled in; problems of files come from the policy. */
const ENGLISH = {
  choose: 'Choose a file',
  another: 'Choose another file',
  drop: 'or drop it here',
  waiting: 'Waiting',
  uploading: 'Uploading {percent} %',
  processing: 'Checking…',
  paused: 'Paused',
  offline: 'No connection: it goes on by itself once it is back',
  stored: 'Stored',
  withheld: 'We have this file and are checking it. You can go on.',
  unsent: 'Not sent: choose it again',
  removed: 'Removed',
  pause: 'Pause',
  resume: 'Resume',
  retry: 'Try again',
  cancel: 'Cancel',
  remove: 'Remove',
  replace: 'Replace',
  required: 'Choose a file',
  wait: 'Wait until {name} is sent',
  failed: 'The selected file could not be uploaded – try again',
  'file-unreadable': "The selected file can't be read – choose it again",
};

/** @type {{headers: Options['headers'], texts: Record<string, Record<string, string>>, transports: Record<string, Transport>}} */
const options = { headers: {}, texts: {}, transports: { xhr: sendByXhr } };

/** @param {Options} changes */
export function configure({ headers, texts, transports }) {
  if (headers) options.headers = headers;
  Object.assign(options.texts, texts);
  Object.assign(options.transports, transports);
  if (headers) for (const form of forms.values()) form.follow(); // what it may read may have changed
}

// --- requests

/** Why a file or a request came to nothing. `status` is that of the answer; 0 if there was none. */
class Refusal extends Error {
  /** @param {Partial<Problem> & {status?: number}} problem @param {string | null} [after] */
  constructor(problem, after) {
    super(problem.detail);
    this.status = problem.status ?? 0;
    this.problem = {
      code: problem.code ?? 'failed',
      detail: problem.detail ?? ENGLISH.failed,
      params: problem.params ?? {},
      retryable: problem.retryable ?? false,
    };
    /** Milliseconds to wait, if the service said. */
    this.after = milliseconds(after);
  }

  /** Whether the same request may do better later. Of the codes, both are about one attempt. */
  get passes() {
    const { code } = this.problem;
    return (
      [0, 408, 425, 429].includes(this.status) ||
      this.status > 499 ||
      code === 'upload-running' ||
      code === 'digest-mismatch'
    );
  }
}

/** @param {string | null | undefined} after `Retry-After`: seconds, or a date */
function milliseconds(after) {
  if (!after) return 0;
  return Math.max(0, isNaN(+after) ? Date.parse(after) - Date.now() : +after * 1000) || 0;
}

/**
 * The JSON of an answer. Throws what it refuses; an answer that isn't the service's own, such as
 * the page of a hotel's network, counts as none.
 * @param {number} status @param {string} text @param {string | null} [after]
 */
function read(status, text, after) {
  let body = null;
  try {
    body = text && JSON.parse(text);
  } catch {
    if (status < 400) status = 0;
  }
  if (status > 199 && status < 400) return body;
  throw new Refusal({ ...body, status }, after);
}

/** @param {string} url */
const ownHeaders = async (url) => ({
  Accept: 'application/json',
  ...(await (typeof options.headers === 'function' ? options.headers(url) : options.headers)),
});

/**
 * @param {string} url
 * @param {RequestInit & {headers?: Record<string, string>}} [init]
 */
async function ask(url, { signal, headers, ...init } = {}) {
  const given = new AbortController();
  const give = () => given.abort();
  const timer = setTimeout(give, STALLED);
  signal?.addEventListener('abort', give);
  try {
    await null; // a page's script that imports this one can still say its headers
    const all = { ...(await ownHeaders(url)), ...headers };
    const answer = await fetch(url, { ...init, headers: all, signal: given.signal });
    const after = answer.headers.get('Retry-After');
    const body = read(answer.status, await answer.text(), after);
    return { body, status: answer.status, etag: answer.headers.get('ETag'), after: milliseconds(after) };
  } catch (error) {
    throw error instanceof Refusal ? error : new Refusal({});
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', give);
  }
}

/** Ask until there is an answer. @param {string} url @param {RequestInit} init */
async function insist(url, init) {
  for (let failed = 0; ; failed++) {
    try {
      return (await ask(url, /** @type {any} */ (init))).body;
    } catch (error) {
      const refusal = /** @type {Refusal} */ (error);
      if (!refusal.passes || failed > ATTEMPTS) throw refusal;
      await nap(pauseAfter(refusal, failed), 'online');
    }
  }
}

/** Milliseconds before the next attempt; apart from each other, so that not all come at once.
 * @param {Refusal} refusal @param {number} failed attempts before this one */
const pauseAfter = (refusal, failed) =>
  Math.max(refusal.after, Math.min(30_000, 1000 * 2 ** failed) * (0.5 + Math.random() / 2));

/**
 * Rest for so many milliseconds, or until the window hears `event`.
 * @param {number} time @param {string} event @param {AbortSignal | null} [signal] @returns {Promise<void>}
 */
function nap(time, event, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(wake, time);
    function wake() {
      clearTimeout(timer);
      removeEventListener(event, wake);
      signal?.removeEventListener('abort', wake);
      resolve();
    }
    addEventListener(event, wake);
    signal?.addEventListener('abort', wake);
  });
}

/**
 * What is at an address, now and each time it changes; ends when it is an upload and final, or
 * when `signal` says so. Lost connections are taken up again; a refusal is thrown.
 * @param {string} url @param {{signal?: AbortSignal}} [how]
 * @returns {AsyncGenerator<any, void, void>}
 */
export async function* watch(url, { signal } = {}) {
  let etag = null;
  let failed = 0;
  while (!signal?.aborted) {
    try {
      /** @type {Record<string, string>} */
      const headers = etag ? { 'If-None-Match': etag, Prefer: 'wait=20' } : {};
      const answer = await ask(url, { signal, headers });
      failed = 0;
      if (answer.status !== 304) {
        etag = answer.etag;
        yield answer.body;
        if (answer.body.poll_after_ms === null) return;
      }
      await nap(answer.after || 1000, 'longshore', signal);
      if (document.hidden) await nap(IN_BACKGROUND, 'visibilitychange', signal);
    } catch (error) {
      if (signal?.aborted) return;
      if (!(error instanceof Refusal && error.passes)) throw error;
      await nap(pauseAfter(error, failed++), 'online', signal);
    }
  }
}

// --- sending

/** @type {Transport} */
async function sendByXhr(file, { url, headers, signal, onProgress }) {
  const request = new XMLHttpRequest(); // fetch says nothing of what it has sent
  const body = new FormData();
  body.append('file', file, file.name);
  request.open('POST', url);
  for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
  const stop = () => request.abort();
  signal.addEventListener('abort', stop);
  let timer = setTimeout(stop, STALLED);
  request.upload.onprogress = ({ loaded }) => {
    clearTimeout(timer);
    timer = setTimeout(stop, STALLED);
    onProgress(loaded);
  };
  await new Promise((resolve) => {
    request.onloadend = resolve;
    request.send(body);
  });
  clearTimeout(timer);
  return read(request.status, request.responseText, request.getResponseHeader('Retry-After'));
}

/** @param {File} file @returns {Promise<Record<string, string>>} */
async function digestOf(file) {
  if (file.size > DIGEST_UP_TO || !crypto.subtle) return {}; // it is there on https alone
  const hash = await crypto.subtle.digest('SHA-256', await file.arrayBuffer());
  return { 'Repr-Digest': `sha-256=:${btoa(String.fromCharCode(...new Uint8Array(hash)))}:` };
}

const newKey = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (each) => each.toString(16).padStart(2, '0')).join('');

/** Uploads that wait for their turn or are being sent. @type {Set<Upload>} */
const queue = new Set();

/** All uploads that this page knows, and `change` when one of them changed, its `detail`. */
class Uploads extends EventTarget {
  /** @returns {Upload[]} */
  list() {
    return [...forms.values()].flatMap((form) => [...form.lists.values()].flat());
  }
}
export const uploads = new Uploads();

/** Send what may be sent now. */
function pump() {
  let free = AT_ONCE;
  for (const each of queue) if (each.status === 'uploading') free--;
  for (const each of queue) if (each.status === 'waiting' && !each.timer && free-- > 0) each.send();
  const moving = [...queue].some((each) => each.guard && /waiting|uploading|offline/.test(each.status));
  (moving ? addEventListener : removeEventListener)('beforeunload', ask_before_leaving);
}

/** @param {Event} event */
const ask_before_leaving = (event) => event.preventDefault();

globalThis.addEventListener?.('offline', () => {
  for (const each of queue) if (each.status === 'uploading') each.lose();
});
globalThis.addEventListener?.('online', () => {
  for (const each of queue) if (each.timer) each.resume();
});

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
  transport = 'xhr';
  guard = false;
  /** What a screen reader was told. @type {Set<string>} */
  said = new Set();
  /** Gives its place to this one once that is stored. @type {Upload | null} */
  instead = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  timer = undefined;
  #attempts = 0;
  /** Whether the service may have all of it, although it didn't say so. */
  #sent = false;
  #unwanted = false;
  #stop = new AbortController();
  /** @type {Promise<Record<string, string>> | undefined} */
  #digest;

  /** @param {Form} form @param {string} field @param {{name: string, size: number, key?: string}} what */
  constructor(form, field, { name, size, key = newKey() }) {
    super();
    this.form = form;
    this.field = field;
    this.name = name;
    this.size = size;
    this.key = key;
    /** @type {Promise<this>} */
    this.finished = new Promise((resolve) => {
      this.addEventListener('status', () => {
        if (/stored|rejected|failed|removed/.test(this.status)) resolve(this);
      });
    });
  }

  get id() {
    return this.record?.id ?? this.key;
  }

  /** @param {UploadStatus} status @param {Problem | null} [problem] */
  set(status, problem = null) {
    this.status = status;
    this.problem = problem;
    this.tell('status');
    this.form.remember();
  }

  /** @param {'status' | 'progress'} kind */
  tell(kind) {
    this.dispatchEvent(new Event(kind));
    for (const each of this.form.elements) if (each.field === this.field) each.heard(this, kind);
    uploads.dispatchEvent(new CustomEvent('change', { detail: this }));
  }

  /** Let it have its turn. */
  enqueue() {
    queue.add(this);
    this.#attempts = 0;
    this.resume();
  }

  async send() {
    const stop = (this.#stop = new AbortController());
    const url = `${this.form.url}/fields/${this.field}/uploads`;
    const file = /** @type {File} */ (this.file);
    this.loaded = 0;
    this.set('uploading');
    try {
      await file.slice(0, 1).arrayBuffer(); // one that changed or is gone looks like a lost connection
      const digest = await (this.#digest ??= digestOf(file));
      const headers = { ...(await ownHeaders(url)), 'Idempotency-Key': this.key, ...digest };
      const record = await options.transports[this.transport](file, {
        url,
        headers,
        signal: stop.signal,
        onProgress: (loaded) => this.#progress(loaded),
      });
      queue.delete(this);
      this.form.acknowledged(this, record);
      if (this.#unwanted) this.remove();
    } catch (error) {
      if (!stop.signal.aborted) this.#missed(error);
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
    if (!(error instanceof Refusal)) error = new Refusal({ code: 'file-unreadable', detail: ENGLISH['file-unreadable'], status: 422 });
    const { problem, status, passes } = /** @type {Refusal} */ (error);
    if (passes && this.#attempts < ATTEMPTS) {
      this.#later(/** @type {Refusal} */ (error));
      return;
    }
    queue.delete(this);
    const bad = /^(file|image|too-many)-/.test(problem.code);
    this.set(bad ? 'rejected' : 'failed', status ? problem : { ...problem, retryable: true });
  }

  /** @param {Refusal} refusal */
  #later(refusal) {
    this.timer = setTimeout(() => this.resume(), pauseAfter(refusal, this.#attempts));
    if (navigator.onLine) this.#attempts++;
    this.set(refusal.status ? 'waiting' : 'offline', refusal.problem);
  }

  /** The connection is gone: what was sent of it is lost. */
  lose() {
    this.#stop.abort();
    this.#later(new Refusal({}));
    pump();
  }

  pause() {
    if (!queue.has(this) || this.#sent) return; // it is about to be acknowledged
    clearTimeout(this.timer);
    this.timer = undefined;
    this.#stop.abort();
    this.set('paused');
    pump();
  }

  resume() {
    if (!queue.has(this) || this.status === 'uploading') return;
    clearTimeout(this.timer);
    this.timer = undefined;
    this.set('waiting');
    pump();
  }

  /** One that failed, at the service or on its way there. */
  async retry() {
    if (this.status !== 'failed') return;
    if (!this.record) return this.enqueue();
    try {
      this.follow(await insist(`${this.form.upload(this.id)}/retry`, { method: 'POST' }));
    } catch (error) {
      this.set('failed', /** @type {Refusal} */ (error).problem);
    }
  }

  /** Take it away, here and at the service. */
  async remove() {
    this.form.drop(this);
    if (this.record) {
      this.set('removed');
      try {
        await insist(this.form.upload(this.id), { method: 'DELETE' });
      } catch (error) {
        this.form.refused(/** @type {Refusal} */ (error));
      }
    } else if (this.#sent && queue.has(this)) {
      this.#unwanted = true; // it may have been acknowledged: only the answer says
      this.resume();
    } else {
      clearTimeout(this.timer);
      queue.delete(this);
      this.#stop.abort();
      this.set('removed');
      pump();
    }
  }

  /** @param {UploadRecord} record as the service has it now */
  follow(record) {
    const pending = /receiving|staged|processing/.test(record.status);
    const status = /** @type {UploadStatus} */ (pending ? 'processing' : record.status);
    const changed = this.record?.updated_at !== record.updated_at || this.status !== status;
    this.record = record;
    if (changed) this.set(status, record.error);
    if (status === 'stored') {
      this.instead?.remove();
      this.instead = null;
    }
    if (pending) this.form.follow();
  }
}

// --- forms

/** The forms of this page, by address: their uploads go on whatever elements come and go. @type {Map<string, Form>} */
const forms = new Map();

/** @param {string} url */
function formAt(url) {
  const { href } = new URL(url, document.baseURI);
  const form = forms.get(href) ?? new Form(href);
  forms.set(href, form);
  return form;
}

class Form {
  /** Uploads by field, oldest first. @type {Map<string, Upload[]>} */
  lists = new Map();
  /** @type {Set<LongshoreFile>} */
  elements = new Set();
  /** @type {FormRecord | null} */
  record = null;
  /** Removed here, whatever an older answer says. @type {Set<string>} */
  #gone = new Set();
  /** Once there, so that it is removed elsewhere when it is there no more. @type {Set<string>} */
  #seen = new Set();
  /** @type {AbortController | null} */
  #following = null;

  /** @param {string} url */
  constructor(url) {
    this.url = url;
    try {
      for (const { field, ...what } of JSON.parse(sessionStorage[`longshore ${url}`] ?? '[]')) {
        const upload = new Upload(this, field, what);
        upload.status = 'unsent';
        this.list(field).push(upload);
      }
    } catch {
      // a page without storage asks for nothing again
    }
  }

  /** @param {string} id */
  upload(id) {
    return new URL(`../uploads/${id}`, this.url).href;
  }

  /** @param {string} field @returns {Upload[]} */
  list(field) {
    if (!this.lists.has(field)) this.lists.set(field, []);
    return /** @type {Upload[]} */ (this.lists.get(field));
  }

  /** Keep the names of what isn't there yet: after a reload it is asked for again. */
  remember() {
    const left = [...this.lists].flatMap(([field, list]) =>
      list
        .filter((each) => !each.record && !/rejected|removed/.test(each.status))
        .map(({ name, size, key }) => ({ field, name, size, key })),
    );
    try {
      if (left.length) sessionStorage[`longshore ${this.url}`] = JSON.stringify(left);
      else delete sessionStorage[`longshore ${this.url}`];
    } catch {
      // see above
    }
  }

  /** @param {Upload} upload */
  drop(upload) {
    const list = this.list(upload.field);
    if (list.includes(upload)) list.splice(list.indexOf(upload), 1);
    if (upload.record) this.#gone.add(upload.record.id);
    this.remember();
  }

  /** @param {Upload} upload @param {UploadRecord} record */
  acknowledged(upload, record) {
    const twin = this.list(upload.field).find((each) => each !== upload && each.id === record.id);
    if (twin) this.list(upload.field).splice(this.list(upload.field).indexOf(twin), 1);
    upload.follow(record);
  }

  /** Whether somebody wants to hear of changes. */
  get #wanted() {
    const pending = [...this.lists.values()].flat().some((each) => each.status === 'processing');
    return pending || [...this.elements].some((each) => each.hasAttribute('poll'));
  }

  /** Look at the record now, and for as long as something in it goes on. */
  async follow() {
    if (this.#following) return;
    const { signal } = (this.#following = new AbortController());
    try {
      for await (const record of watch(this.url, { signal })) {
        this.#take(record);
        if (!this.#wanted) {
          this.#following = null;
          return;
        }
      }
    } catch (error) {
      this.refused(/** @type {Refusal} */ (error));
    }
    this.#following = null;
  }

  /** An element is gone: there may be nobody left to follow for. */
  left() {
    if (!this.#wanted) this.#following?.abort();
  }

  /** @param {FormRecord} record */
  #take(record) {
    this.record = record;
    for (const [field, records] of Object.entries(record.uploads)) this.#merge(field, records);
    for (const each of this.elements) each.render();
  }

  /** @param {string} field @param {UploadRecord[]} records */
  #merge(field, records) {
    const list = this.list(field);
    for (const each of records) {
      const known = list.find(({ id }) => id === each.id);
      const same = list.find((u) => !u.record && u.name === each.filename && u.size === each.size);
      if (known) known.follow(each);
      else if (same?.status === 'unsent') this.acknowledged(same, each); // its answer got lost in a reload
      else if (!same && !this.#gone.has(each.id)) {
        const upload = new Upload(this, field, { name: each.filename, size: each.size });
        list.push(upload);
        upload.follow(each);
      }
      this.#seen.add(each.id);
    }
    const ids = new Set(records.map(({ id }) => id));
    for (const each of [...list]) {
      if (each.record && this.#seen.has(each.id) && !ids.has(each.id)) {
        this.drop(each);
        each.set('removed');
      }
    }
  }

  /** @param {Refusal} refusal */
  refused({ problem }) {
    for (const each of this.elements) each.emit('error', { problem });
  }
}

/**
 * Send a file for a field of a form, when its turn has come, and follow it.
 * @param {File} file @param {UploadOptions} how
 * @returns {PublicUpload}
 */
export function createUpload(file, { url, field, transport = 'xhr' }) {
  const form = formAt(url);
  const upload = new Upload(form, field, file);
  upload.file = file;
  upload.transport = transport;
  form.list(field).push(upload);
  upload.enqueue();
  return upload;
}

// --- checks

/** What begins with bytes that say little: an archive is told by looking into it. */
const CONTAINER = /^(PK\x03\x04|\xd0\xcf\x11\xe0)/;
const OTHER_OFFICE = /\.(xls|ppt|od[sp]|epub|jar|apk|msg)\w?$/i;

/**
 * What is wrong with a file by its field's policy, before a byte is sent; null if nothing is. What
 * can't be told here passes: the service looks at every file, and its word counts.
 * @param {File} file @param {Policy} policy
 * @returns {Promise<Problem | null>}
 */
export async function checkFile(file, policy) {
  const { image = {}, formats = [], flag = [] } = policy;
  /** @param {string} code @param {Record<string, any>} [params] */
  const problem = (code, params = {}) => ({
    code,
    detail: fill(policy.texts?.[code] ?? code, params),
    params,
    retryable: false,
  });
  if (!file.size) return problem('file-empty');
  if (file.size > policy.max_bytes) return problem('file-too-large');
  if (file.size < (policy.min_bytes ?? 1) && !flag.includes('file-too-small')) return problem('file-too-small');
  const begin = String.fromCharCode(...new Uint8Array(await file.slice(0, 4096).arrayBuffer()));
  const format = formatOf(begin, formats);
  const other = CONTAINER.test(begin) && OTHER_OFFICE.test(file.name) && !begin.includes('word/');
  if (formats.length && (!format || other)) return problem('file-invalid-type');
  const bounded = image.min_width || image.min_height || image.min_pixels || image.max_width || image.max_height;
  const size = bounded && format?.type.startsWith('image/') && (await dimensions(file));
  const code = size && misfit(size, image);
  return code && !flag.includes(code) ? problem(code, size) : null;
}

/**
 * @param {string} begin a file's, a character a byte
 * @param {NonNullable<Policy['formats']>} formats
 * @returns the first of the formats that the file may be
 */
function formatOf(begin, formats) {
  const bare = begin.replace(/^(ï»¿)?\s*/, '');
  return formats.find(({ type, signatures, starts_within = 0 }) =>
    signatures.some((pieces) => {
      const wanted = pieces.map(({ offset, bytes }) => ({ offset, text: unhex(bytes) }));
      for (let at = 0; at <= starts_within; at++) {
        if (wanted.every((each) => begin.startsWith(each.text, at + each.offset))) return true;
      }
      // As the service does: boxes name more brands than the first, text may be indented, and the
      // first line of a PDF may be lost.
      const [first] = wanted;
      return (
        (first.offset === 4 && first.text.startsWith('ftyp') && begin.startsWith('ftyp', 4)) ||
        (first.text === '{\\rtf' && bare.startsWith(first.text)) ||
        (type === 'application/pdf' && /^(%[^\r\n]*\s+)*\d+ \d+ obj\b/.test(bare))
      );
    }),
  );
}

/** @param {string} digits */
const unhex = (digits) => digits.replace(/../g, (each) => String.fromCharCode(parseInt(each, 16)));

/** @param {File} file */
async function dimensions(file) {
  try {
    const bitmap = await createImageBitmap(file);
    const { width, height } = bitmap;
    bitmap.close();
    return { width, height };
  } catch {
    return null; // not every browser knows every format
  }
}

/**
 * @param {{width: number, height: number}} size @param {NonNullable<Policy['image']>} image
 * @returns a code if it fits neither upright nor turned: cameras say in many ways which it is
 */
function misfit({ width, height }, image) {
  const { min_width = 0, min_height = 0, min_pixels = 0 } = image;
  const { max_width = Infinity, max_height = Infinity, max_pixels = Infinity } = image;
  /** @param {(w: number, h: number) => boolean} fits */
  const either = (fits) => fits(width, height) || fits(height, width);
  if (!either((w, h) => w <= max_width && h <= max_height && w * h <= max_pixels)) return 'image-too-large';
  if (!either((w, h) => w >= min_width && h >= min_height && w * h >= min_pixels)) return 'image-too-small';
  return null;
}

/** @param {string} text @param {Record<string, any>} params */
const fill = (text, params) => text.replace(/\{(\w+)\}/g, (left, name) => params[name] ?? left);

/** Form types, by address. @type {Map<string, Promise<any>>} */
const types = new Map();

/** @param {string} url of a form type @param {string} field @returns {Promise<Policy | null>} */
async function policyAt(url, field) {
  try {
    if (!types.has(url)) types.set(url, ask(url));
    const { body } = await types.get(url);
    return body.sections.flatMap((/** @type {any} */ each) => each.fields).find((/** @type {any} */ each) => each.name === field);
  } catch {
    types.delete(url); // the service looks at every file anyway; the next one may be luckier
    return null;
  }
}

// --- the element

/** @param {number} count of bytes, as the service says it */
function bytes(count) {
  const [unit, factor] = /** @type {[string, number]} */ ([['GB', 1e9], ['MB', 1e6], ['KB', 1e3]].find((each) => count >= +each[1]) ?? [' bytes', 1]);
  return +(count / factor).toFixed(1) + unit;
}

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag @param {Partial<HTMLElementTagNameMap[T]>} [properties]
 */
const make = (tag, properties) => Object.assign(document.createElement(tag), properties);

let ids = 0;
/** Ids are what names and descriptions are made of. @param {Element} element */
const idOf = (element) => (element.id ||= `longshore-${++ids}`);

// Where there is no document, such as on a server that renders, the module can be imported too.
const Base = /** @type {typeof HTMLElement} */ (globalThis.HTMLElement ?? class {});

class LongshoreFile extends Base {
  static formAssociated = true;
  static observedAttributes = ['form-url', 'field', 'required', 'disabled', 'poll', 'policy', 'locale'];

  #internals = this.attachInternals();
  #button = make('button', { type: 'button', className: 'choose' });
  #drop = make('span', { className: 'drop' });
  #live = make('div', { className: 'longshore-live', role: 'status' });
  /** @type {HTMLUListElement | null} */
  #list = null;
  /** @type {HTMLInputElement | null} */
  #input = null;
  /** What the page itself says of the field: it goes once that is mended. @type {Element | null} */
  #said = null;
  /** @type {Form | null} */
  #form = null;
  /** @type {Policy | null} */
  #policy = null;
  /** @type {Map<Upload, Line>} */
  #lines = new Map();
  /** @type {Upload | null} */
  #replacing = null;
  #disabled = false;

  get field() {
    return this.getAttribute('field') ?? this.name;
  }

  get name() {
    return this.getAttribute('name') ?? '';
  }

  get form() {
    return this.#internals.form;
  }

  /** Those that are shown: in a field for one file the last, and what it hasn't replaced yet. */
  get uploads() {
    const list = (this.#form?.list(this.field) ?? []).filter((each) => !/replaced|removed|expired/.test(each.status));
    if (this.#room > 1) return list;
    return list.filter((each, at) => at === list.length - 1 || each === list.findLast((one) => one.status === 'stored'));
  }

  /** Ids of the uploads that are stored or on their way. */
  get value() {
    return this.uploads.filter((each) => !/rejected|failed|unsent/.test(each.status)).map((each) => each.id);
  }

  get #room() {
    return this.#policy?.max_files ?? (this.#input?.multiple || this.hasAttribute('multiple') ? Infinity : 1);
  }

  connectedCallback() {
    if (this.#input) this.#attach();
    else if (!this.#enhance()) {
      // The parser isn't there yet.
      const seen = new MutationObserver(() => this.#enhance() && seen.disconnect());
      seen.observe(this, { childList: true, subtree: true });
    }
  }

  disconnectedCallback() {
    this.#form?.elements.delete(this);
    this.#form?.left();
  }

  /** @param {string} name */
  attributeChangedCallback(name) {
    if (!this.#input) return;
    if (name === 'form-url' || name === 'field' || name === 'poll') this.#attach();
    if (name === 'policy') this.#learn();
    this.render();
  }

  /** @param {boolean} disabled by this or by a fieldset */
  formDisabledCallback(disabled) {
    this.#disabled = disabled;
    this.#button.disabled = disabled;
  }

  /** @param {FocusOptions} [how] */
  focus(how) {
    this.#button.focus(how);
  }

  /** @param {string} [id] of one upload; without it, of all in the field */
  pause(id) {
    for (const each of this.#named(id)) each.pause();
  }

  /** @param {string} [id] */
  resume(id) {
    for (const each of this.#named(id)) each.resume();
  }

  /** @param {string} [id] */
  retry(id) {
    for (const each of this.#named(id)) each.retry();
  }

  /** @param {string} [id] Without it, the element leaves the page, as any does. */
  remove(id) {
    if (id === undefined) super.remove();
    else for (const each of this.#named(id)) each.remove();
  }

  /** @param {string} [id] */
  #named(id) {
    return this.uploads.filter((each) => id === undefined || each.id === id || each.key === id);
  }

  /** Take over the input, once. */
  #enhance() {
    const input = /** @type {HTMLInputElement | null} */ (this.querySelector('input[type=file]'));
    if (this.#input || !input) return this.#input;
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
    this.#button.onclick = () => this.#open(null);
    this.#said = this.querySelector('.problem');
    this.#list = this.querySelector('ul.files') ?? make('ul', { className: 'files' });
    if (label) {
      label.htmlFor = idOf(this.#button);
      this.#button.setAttribute('aria-labelledby', `${idOf(label)} ${this.#button.id}`);
      this.#list.setAttribute('aria-labelledby', label.id);
    }
    const described = input.getAttribute('aria-describedby') ?? '';
    this.#button.setAttribute('aria-describedby', `${described} ${idOf(this.#list)}`.trim());
    (label?.contains(input) ? label : input).after(this.#button, this.#drop, this.#live);
    if (!this.#list.isConnected) this.#live.after(this.#list);
    this.#listen();
    this.#attach();
    return input;
  }

  #listen() {
    this.addEventListener('dragover', (event) => {
      if (this.#disabled || !event.dataTransfer?.types.includes('Files')) return;
      event.preventDefault();
      this.#state('dragging', true);
    });
    this.addEventListener('dragleave', ({ relatedTarget }) => {
      if (!this.contains(/** @type {Node | null} */ (relatedTarget))) this.#state('dragging', false);
    });
    this.addEventListener('drop', (event) => {
      event.preventDefault();
      this.#state('dragging', false);
      this.#given(event.dataTransfer);
    });
    this.addEventListener('paste', (event) => this.#given(event.clipboardData));
  }

  /** @param {DataTransfer | null} transfer */
  #given(transfer) {
    if (!this.#disabled && transfer?.files.length) this.choose([...transfer.files]);
  }

  /** @param {Upload | null} replacing */
  #open(replacing) {
    this.#replacing = replacing;
    this.#input?.click();
  }

  /** Be there for the form that `form-url` names. */
  #attach() {
    const url = this.getAttribute('form-url');
    const form = url ? formAt(url) : null;
    if (form !== this.#form) this.disconnectedCallback();
    this.#form = form;
    this.#learn();
    if (form && this.isConnected) {
      form.elements.add(this);
      form.follow();
    }
    this.render();
  }

  /** Read the field's policy, where it is known where it stands. */
  async #learn() {
    const type = this.#form?.record?.type;
    const said = this.getAttribute('policy');
    if (this.#policy || !this.#input || !(said || type)) return;
    const url = said ? new URL(said, document.baseURI) : new URL(`../form-types/${type}`, this.#form?.url);
    this.#policy = await policyAt(url.href, this.field);
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
    const detail = { files, waitUntil: (/** @type {Promise<any>} */ promise) => waits.push(promise) };
    if (!files.length || !this.emit('select', detail, true)) return;
    try {
      const [url] = (await Promise.all(waits)).filter((each) => typeof each === 'string');
      if (url) this.setAttribute('form-url', url);
      if (!this.#form) throw new Refusal({});
    } catch (error) {
      this.#announce(this.text('failed'));
      this.emit('error', { problem: error instanceof Refusal ? error.problem : new Refusal({}).problem, files });
      return;
    }
    await this.#learn();
    const list = this.#form.list(this.field);
    for (const file of files) {
      const again = list.find((each) => each.status === 'unsent' && each.name === file.name && each.size === file.size);
      const upload = again ?? new Upload(this.#form, this.field, file);
      const full = this.#full(old);
      if (!again) list.push(upload);
      upload.file = file;
      upload.transport = this.getAttribute('transport') ?? 'xhr';
      upload.guard = this.hasAttribute('guard');
      upload.status = 'waiting';
      if (old && old !== upload) this.#replace(old, upload);
      old = null;
      this.render();
      const problem = full ? this.#problem('too-many-files') : await this.#check(file);
      if (!list.includes(upload)) continue; // removed meanwhile
      if (problem) upload.set('rejected', problem);
      else upload.enqueue();
    }
  }

  /** @param {File} file */
  async #check(file) {
    try {
      return this.#policy && (await checkFile(file, this.#policy));
    } catch {
      return this.#problem('file-unreadable');
    }
  }

  /** Whether there is no room for one more. In a field for one, the new one is for its place. @param {Upload | null} old */
  #full(old) {
    const list = this.uploads;
    if (this.#room < 2) {
      for (const each of list) if (!each.record) each.remove();
      return false;
    }
    return list.filter((each) => each.status !== 'rejected' && each !== old).length >= this.#room;
  }

  /** @param {Upload} old @param {Upload} upload */
  #replace(old, upload) {
    const list = /** @type {Form} */ (this.#form).list(this.field);
    const at = list.indexOf(old);
    if (at >= 0) list.splice(at, 0, .../** @type {Upload[]} */ ([list.pop()]));
    // A good one stays until the new one is stored, if there is room for both.
    if (this.#room > 1 && /stored|processing/.test(old.status) && list.length <= this.#room) upload.instead = old;
    else if (this.#room > 1 || !old.record) old.remove();
  }

  /** @param {string} code @returns {Problem} */
  #problem(code) {
    return { code, detail: this.text(code), params: {}, retryable: false };
  }

  /** @param {string} key @returns the page's own text in the language of the element */
  #own(key) {
    const locale = this.getAttribute('locale') ?? /** @type {HTMLElement | null} */ (this.closest('[lang]'))?.lang ?? '';
    return options.texts[locale]?.[key] ?? options.texts[locale.split('-')[0]]?.[key];
  }

  /** @param {string} key @param {Record<string, any>} [params] */
  text(key, params = {}) {
    return fill(this.#own(key) ?? this.#policy?.texts?.[key] ?? /** @type {any} */ (ENGLISH)[key] ?? '', params);
  }

  /** What is said of an upload, with its progress in steps of so many percent.
   * @param {Upload} upload */
  told({ status, problem, loaded, size, record, name }, step = 1) {
    if (/rejected|failed/.test(status) && problem) {
      const { max_bytes = 0, max_files, formats = [], image } = this.#policy ?? {};
      const accepted = formats.map((each) => each.name).join(', ');
      const known = { accepted, max_size: bytes(max_bytes), max_files, ...image, ...problem.params };
      return fill(this.#own(problem.code) ?? problem.detail, known);
    }
    if (status === 'uploading' && loaded >= size) status = 'processing'; // the answer is due
    if (record?.flags?.length && !record.released_at) return this.text('withheld');
    return this.text(status, { name, percent: Math.floor((100 * loaded) / size / step) * step });
  }

  // --- showing

  /** @param {Upload} upload @param {'status' | 'progress'} kind */
  heard(upload, kind) {
    const { status, loaded, size, record, problem } = upload;
    if (kind === 'progress') this.#lines.get(upload)?.show(upload);
    else this.render();
    this.#tell(upload);
    this.emit(kind, { upload, id: upload.id, status, loaded, total: size });
    if (kind === 'progress') return;
    if (status === 'stored') this.emit('stored', { upload, record });
    if (status === 'rejected') this.emit('reject', { upload, problem });
    if (status === 'failed') this.emit('error', { upload, problem });
  }

  /** @param {string} kind @param {object} detail @returns whether nobody prevented it */
  emit(kind, detail, cancelable = false) {
    return this.dispatchEvent(new CustomEvent(`longshore-${kind}`, { bubbles: true, cancelable, detail }));
  }

  /** Say once each: that it began, every quarter of it, and how it ended. @param {Upload} upload */
  #tell(upload) {
    if (/waiting|unsent|replaced/.test(upload.status)) return;
    const text = `${upload.name}: ${this.told(upload, 25)}`;
    if (!upload.said.has(text)) this.#announce(text);
    upload.said.add(text);
  }

  /** @param {string} text */
  #announce(text) {
    this.#live.append(make('p', { textContent: text }));
    if (this.#live.childElementCount > 5) this.#live.firstElementChild?.remove();
  }

  render() {
    if (!this.#list || !this.#input) return;
    const shown = this.uploads;
    if (this.#form?.record || shown.length) this.#settle(shown); // till then the page's own list stands
    this.#button.textContent = this.text(shown.length ? 'another' : 'choose');
    this.#drop.textContent = this.text('drop');
    this.#value(shown);
    this.#learn();
  }

  /** @param {Upload[]} shown */
  #settle(shown) {
    const list = /** @type {HTMLUListElement} */ (this.#list);
    const lines = shown.map((each) => {
      const line = this.#lines.get(each) ?? new Line(this, each);
      this.#lines.set(each, line);
      line.show(each);
      return line.item;
    });
    for (const each of [...list.children]) if (!lines.includes(/** @type {HTMLLIElement} */ (each))) each.remove();
    lines.forEach((item, at) => {
      if (list.children[at] !== item) list.insertBefore(item, list.children[at]); // moving would take the focus away
    });
    list.hidden = !shown.length;
    if (shown.length && !shown.some((each) => each.status === 'rejected')) this.#said?.remove();
  }

  /** @param {Upload[]} shown */
  #value(shown) {
    const value = this.value;
    const data = new FormData();
    for (const each of value) data.append(this.name, each);
    this.#internals.setFormValue(data);
    const sending = shown.find((each) => /waiting|uploading|offline/.test(each.status));
    const refused = shown.find((each) => /rejected|failed/.test(each.status));
    const missing = this.hasAttribute('required') && !value.length;
    if (sending) this.#invalid({ customError: true }, this.text('wait', { name: sending.name }));
    else if (missing) this.#invalid({ valueMissing: true }, refused ? this.told(refused) : this.text('required'));
    else this.#internals.setValidity({});
    const has = (/** @type {RegExp} */ status) => shown.some((each) => status.test(each.status));
    this.#state('uploading', has(/waiting|uploading/));
    this.#state('processing', has(/processing/));
    this.#state('stored', !!value.length && shown.every((each) => each.status === 'stored'));
    this.#state('rejected', has(/rejected/));
    this.#state('offline', has(/offline/));
  }

  /** @param {ValidityStateFlags} flags @param {string} text */
  #invalid(flags, text) {
    this.#internals.setValidity(flags, text, this.#button);
  }

  /** @param {string} name @param {boolean} on */
  #state(name, on) {
    try {
      this.#internals.states[on ? 'add' : 'delete'](name);
    } catch {
      // an older browser has no states, or wants dashes before them
    }
  }

  /** @param {Upload} upload */
  replace(upload) {
    this.#open(upload);
  }
}

/** What is shown of one upload. */
class Line {
  item = make('li');
  #image = make('img', { className: 'preview', alt: '', hidden: true });
  #name = make('a', { className: 'filename' });
  #size = make('span', { className: 'size' });
  #bar = make('progress', { max: 1 });
  #state = make('span', { className: 'state' });
  #notices = make('span', { className: 'notices' });
  #act = make('button', { type: 'button', className: 'quiet' });
  #replace = make('button', { type: 'button', className: 'quiet' });
  #remove = make('button', { type: 'button', className: 'quiet' });
  #previewed = '';

  /** @param {LongshoreFile} element @param {Upload} upload */
  constructor(element, upload) {
    this.element = element;
    const parts = [this.#name, this.#size, this.#bar, this.#state, this.#notices, this.#act, this.#replace, this.#remove];
    this.item.append(this.#image, ...parts.flatMap((each) => [each, ' ']));
    this.#act.onclick = () => {
      const { status } = upload;
      if (status === 'failed') upload.retry();
      else if (status === 'uploading') upload.pause();
      else upload.resume();
    };
    this.#replace.onclick = () => element.replace(upload);
    this.#remove.onclick = () => {
      upload.remove();
      element.focus();
    };
  }

  /** @param {Upload} upload */
  show(upload) {
    const { status, name, size, loaded, record, file } = upload;
    const { item } = this;
    item.className = item.dataset.status = status;
    this.#name.textContent = name; // a name is text, whatever is in it
    this.#size.textContent = bytes(size);
    this.#bar.hidden = !/uploading|processing/.test(status);
    this.#bar.setAttribute('aria-label', name);
    if (status === 'uploading' && loaded < size) this.#bar.value = loaded / size;
    else this.#bar.removeAttribute('value'); // how long checking takes, nobody knows
    this.#state.textContent = this.element.told(upload);
    this.#notices.replaceChildren(
      ...(record?.notices ?? []).map((each) => make('span', { className: 'notice', textContent: each.detail })),
    );
    const act = status === 'failed' ? 'retry' : status === 'uploading' ? 'pause' : 'resume';
    const may = status === 'failed' ? file || record?.error?.retryable : /paused|uploading|offline/.test(status);
    this.#label(this.#act, may ? act : '', name);
    this.#label(this.#replace, /stored|rejected|failed|unsent/.test(status) ? 'replace' : '', name);
    this.#label(this.#remove, /waiting|uploading|paused|offline/.test(status) ? 'cancel' : 'remove', name);
    this.#preview(upload);
  }

  /** @param {HTMLButtonElement} button @param {string} key @param {string} name */
  #label(button, key, name) {
    button.hidden = !key;
    button.textContent = this.element.text(key);
    button.setAttribute('aria-label', `${button.textContent} ${name}`);
  }

  /** A picture of what was chosen here, or the smallest that the service made. @param {Upload} upload */
  async #preview({ file, record, form }) {
    if (record?.status === 'stored') this.#name.href = `${form.upload(record.id)}/content`;
    if (!this.element.hasAttribute('preview')) return;
    const [made] = Object.entries(record?.derivatives ?? {}).sort(([, a], [, b]) => a.size - b.size);
    const source = file?.type.startsWith('image/') ? 'here' : made?.[0];
    if (!source || source === this.#previewed) return;
    this.#previewed = source;
    this.#image.onload = () => (this.#image.hidden = false); // what a browser can't show stays hidden
    if (file && source === 'here') this.#image.src = URL.createObjectURL(file);
    else if (record) {
      const link = await insist(`${form.upload(record.id)}/content/${source}?inline`, {}).catch(() => null);
      if (link) this.#image.src = link.url;
    }
  }
}

const hidden = '.longshore-live{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}';
if (globalThis.customElements && !customElements.get('longshore-file')) {
  try {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(hidden); // a sheet made by a script is no inline style
    document.adoptedStyleSheets.push(sheet);
  } catch {
    // an older browser shows what it says to screen readers
  }
  customElements.define('longshore-file', LongshoreFile);
}
