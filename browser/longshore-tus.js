// @ts-check
/**
 * The second way to send a file: in parts, by tus 1.0.0. What the service has of it is not sent
 * again, whatever became of the connection, the page or the service. `longshore.js` loads this
 * where it is needed. See README.md.
 *
 * Until the service has all of it, the browser keeps a copy of the file, if there is room, so that
 * a reload needn't ask for it again. After a day it goes in any case.
 *
 * @import { Problem, Transport, Upload as PublicUpload, UploadRecord } from './longshore.d.ts'
 */

/**
 * What this knows and changes of an upload.
 * @typedef {PublicUpload & {
 *   file: File | null, key: string, url: string, part?: number, transport?: string | null,
 *   guard: boolean, sha256?: string, attempts: number, start(): void, form: {keep(): void},
 * }} Upload
 */

/** @typedef {(url: string, init: RequestInit) => Promise<{body: any, headers: Headers}>} Ask */

/**
 * @typedef {(
 *   method: string, url: string, body: Blob, how: Omit<Parameters<Transport>[1], 'url'>,
 * ) => Promise<unknown>} Transfer
 */

/** Bytes of a part, where no policy says. */
const PART = 8_000_000;
const TUS = { 'Tus-Resumable': '1.0.0' };

/** What the service is known to have. @type {WeakMap<Upload, number>} */
const acknowledged = new WeakMap();

/**
 * Send what the service doesn't have yet. What fails is the caller's, who calls again.
 * @param {Upload} upload whose key is the service's id of it, once there is one
 * @param {Ask} ask @param {Transfer} transfer @param {() => string} newKey
 * @param {File} file @param {Parameters<Transport>[1]} how
 * @returns {Promise<UploadRecord>}
 */
export async function send(upload, ask, transfer, newKey, file, { url, signal, onProgress }) {
  const metadata = await metadataOf(file, upload.sha256);
  const part = upload.part ?? PART;

  /** Where it goes on. */
  async function stand() {
    const { headers } = await ask(upload.url, { method: 'HEAD', headers: TUS });
    if (headers.get('Upload-Metadata') === metadata) return Number(headers.get('Upload-Offset'));
    // It is another file, in place of the one that was begun.
    await ask(upload.url, { method: 'DELETE' }).catch(() => {});
    upload.key = newKey();
    return begin();
  }

  /** Begin it. The same key finds what was begun, where the answer got lost.
   * @returns {Promise<number>} where it goes on */
  async function begin() {
    const { headers } = await ask(url.replace(/uploads$/, 'tus'), {
      method: 'POST',
      headers: {
        ...TUS,
        'Upload-Length': `${file.size}`,
        'Upload-Metadata': metadata,
        'Idempotency-Key': upload.key,
      },
    }); // never given up: only the answer says what to take away
    upload.key = headers.get('Location')?.split('/').pop() ?? '';
    upload.form.keep(); // under this name its file is looked for after a reload
    if (upload.status === 'removed') await ask(upload.url, { method: 'DELETE' });
    return headers.get('Upload-Offset') === '0' ? 0 : stand();
  }

  try {
    let at = await (isId(upload.key) ? stand() : begin());
    keep(upload).catch(() => {}); // then it is asked for again
    do {
      signal.throwIfAborted();
      if (at > (acknowledged.get(upload) ?? 0)) upload.attempts = 0; // slow, and not in vain
      acknowledged.set(upload, at);
      const [from, end] = [at, Math.min(at + part, file.size)];
      await transfer('PATCH', upload.url, file.slice(from, end), {
        headers: {
          ...TUS,
          'Content-Type': 'application/offset+octet-stream',
          'Upload-Offset': `${from}`,
        },
        signal,
        onProgress: (loaded) => onProgress(from + loaded),
      });
      at = end;
    } while (at < file.size);
    return (await ask(upload.url, { signal })).body;
  } catch (error) {
    const refusal = /** @type {{status?: number, problem?: Problem, passes?: boolean}} */ (error);
    if (isId(upload.key) && /404|410/.test(`${refusal.status}`)) {
      upload.key = newKey(); // it ended, and begins anew
      refusal.passes = true;
    } else if (refusal.status === 423) {
      upload.attempts = 0; // somebody else sends it, such as this page in another tab
      refusal.passes = true;
    } else if (refusal.problem?.code === 'wrong-offset') refusal.passes = true;
    throw error;
  }
}

/** Whether it is the service's, not one of our keys. @param {string} key */
const isId = (key) => key.includes('_');

/**
 * What the service keeps of a file, and gives back: it is the same file if this is the same.
 * @param {File} file @param {string} [sha256] if it is known
 */
async function metadataOf(file, sha256) {
  /** Bytes that tell files apart. */
  const BEGIN = 65_536;
  const said = {
    filename: file.name,
    filetype: file.type,
    sha256,
    modified: sha256 ? '' : `${file.lastModified}`,
    begins: sha256 ? '' : await hashOf(file.slice(0, BEGIN)),
  };
  const pairs = Object.entries(said).filter(([, value]) => value);
  return pairs.map(([key, value]) => `${key} ${base64(value ?? '')}`).join();
}

/** @param {Blob} blob @returns {Promise<string>} empty where the page can't hash */
async function hashOf(blob) {
  const hash = await crypto.subtle?.digest('SHA-256', await blob.arrayBuffer());
  return hash ? String.fromCharCode(...new Uint8Array(hash)) : '';
}

/** @param {string} text */
const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

// --- files that outlive the page

/** Milliseconds for which one is kept at most: as long as the service keeps its parts. */
const KEEP = 86_400_000;
/** Bytes of a file that is kept at most. */
const KEEP_UP_TO = 2 ** 30;
/** Says that there are any, to pages that needn't look otherwise. */
const FLAG = 'longshore kept';

/** @typedef {{key: string, since: number, file: File, how: Partial<Upload>}} Kept */

/** Uploads whose files are kept, and under which key. @type {WeakMap<Upload, string>} */
const keys = new WeakMap();

/** Keep the file of an upload, if there is room for it. @param {Upload} upload */
async function keep(upload) {
  const { key, file, part, transport, guard } = upload;
  if (!file || keys.get(upload) === key) return;
  const forgotten = let_go_of(upload, key);
  const { quota = 0, usage = 0 } = await navigator.storage.estimate();
  if (file.size > Math.min(KEEP_UP_TO, (quota - usage) / 4)) return;
  localStorage[FLAG] = 1;
  await files((all) => all.put({ key, since: Date.now(), file, how: { part, transport, guard } }));
  forgotten(); // if that is true by now
}

/**
 * Forget the file once the service has it, or nobody wants it any more.
 * @param {Upload} upload @param {string} key
 */
function let_go_of(upload, key) {
  keys.set(upload, key);
  const look = () => {
    if (!upload.record && upload.key === key && !/rejected|removed/.test(upload.status)) return;
    upload.removeEventListener('status', look);
    files((all) => all.delete(key)).then(tidy, () => {});
  };
  upload.addEventListener('status', look);
  return look;
}

/** Take down the flag with the last file; files that are too old go, whose tab was closed. */
async function tidy() {
  /** @type {Kept[]} */
  const kept = await files((all) => all.getAll());
  const old = kept.filter(({ since }) => since < Date.now() - KEEP);
  for (const { key } of old) await files((all) => all.delete(key));
  if (old.length === kept.length) localStorage.removeItem(FLAG);
}

/** Go on with uploads that a reload cut off and whose files are kept. @param {Upload[]} uploads */
export async function recall(uploads) {
  try {
    await tidy();
    for (const upload of uploads.filter((each) => each.status === 'unsent')) {
      /** @type {Kept | undefined} */
      const kept = await files((all) => all.get(upload.key));
      if (!kept) continue;
      Object.assign(upload, kept.how);
      let_go_of(upload, upload.key)();
      if (upload.status !== 'unsent') continue; // meanwhile it is there, or was taken away
      upload.file = kept.file;
      upload.start();
    }
  } catch {
    // a browser that keeps nothing: they are asked for again
  }
}

/** @type {Promise<IDBDatabase> | undefined} */
let opening;

/** @returns {Promise<IDBDatabase>} */
async function open() {
  // Where there are buckets, the browser itself deletes ours, even if nobody comes back.
  const { storageBuckets } = /** @type {any} */ (navigator);
  const bucket = await storageBuckets?.open('longshore', { expires: Date.now() + KEEP });
  /** @type {IDBOpenDBRequest} */
  const request = (bucket?.indexedDB ?? indexedDB).open('longshore');
  return new Promise((resolve, reject) => {
    request.onupgradeneeded = () => request.result.createObjectStore('files', { keyPath: 'key' });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** @param {(all: IDBObjectStore) => IDBRequest} what @returns {Promise<any>} */
async function files(what) {
  const transaction = (await (opening ??= open())).transaction('files', 'readwrite');
  const request = what(transaction.objectStore('files'));
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => reject(transaction.error);
  });
}
