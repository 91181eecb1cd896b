/** Files that are sent while a person goes on filling in a form. See README.md. */

/** What a file is refused for, or why a request came to nothing. */
export interface Problem {
  /** Stable: see docs/errors.md. `failed` where the service didn't answer. */
  code: string;
  /** For the person, in the words of the field's policy. */
  detail: string;
  params: Record<string, unknown>;
  /** Whether the same may do better later. */
  retryable: boolean;
}

/** An upload as the service has it: `GET /v1/uploads/{id}`. */
export interface UploadRecord {
  id: string;
  url: string;
  form_id: string;
  field: string;
  status:
    | 'receiving'
    | 'staged'
    | 'processing'
    | 'stored'
    | 'rejected'
    | 'failed'
    | 'replaced'
    | 'removed'
    | 'expired';
  stage: string | null;
  filename: string;
  /** Bytes. */
  size: number;
  detected_type: string | null;
  sha256: string | null;
  /** Bytes. All of them are there, unless it is `receiving`. */
  progress: { received: number; total: number };
  public_url: string | null;
  object: StoredObject | null;
  derivatives: Record<string, StoredObject>;
  notices: { code: string; detail: string; params: Record<string, unknown> }[];
  flags: { code: string; detail: string; params: Record<string, unknown> }[];
  released_at: string | null;
  error: Problem | null;
  updated_at: string;
  /** Ask again after so long; null once it is final. */
  poll_after_ms: number | null;
}

/** What is in the bucket. */
export interface StoredObject {
  content_type: string;
  size: number;
  sha256: string;
  width?: number;
  height?: number;
  pages?: number;
}

/** A form as the service has it: `GET /v1/forms/{id}`. */
export interface FormRecord {
  id: string;
  type: string;
  status: 'draft' | 'submitted';
  complete: boolean;
  version: number;
  data: Record<string, unknown>;
  /** By field, oldest first. */
  uploads: Record<string, UploadRecord[]>;
}

/** The rules of a file field, as in `GET /v1/form-types/{type}`. */
export interface Policy {
  accept: string[];
  min_bytes?: number;
  max_bytes: number;
  /** A larger file is sent in parts of so many bytes, and goes on where it was cut off. */
  part_bytes?: number;
  max_files?: number;
  image?: {
    min_width?: number;
    max_width?: number;
    min_height?: number;
    max_height?: number;
    min_pixels?: number;
    max_pixels?: number;
  };
  /** How what is accepted begins. Without it, types aren't checked. */
  formats?: {
    type: string;
    name: string;
    extensions: string[];
    signatures: { offset: number; bytes: string }[][];
    starts_within?: number;
  }[];
  /** Codes for which a file is kept in spite of them. */
  flag?: string[];
  /** By code. */
  texts?: Record<string, string>;
}

/**
 * `waiting` for a form, a check or its turn, or to be tried again · `uploading` · `paused` · `offline`, and it goes on
 * by itself · `processing`: acknowledged, and being checked · `stored` · `rejected`: the person has
 * to choose another · `failed`: it can be tried again · `unsent`: a reload cut it off, and it has
 * to be chosen again, although the service may have a part of it · `replaced`, `removed` and `expired`: not shown any more.
 */
export type UploadStatus =
  | 'waiting'
  | 'uploading'
  | 'paused'
  | 'offline'
  | 'processing'
  | 'stored'
  | 'rejected'
  | 'failed'
  | 'unsent'
  | 'replaced'
  | 'removed'
  | 'expired';

/** One file and its whole life. Dispatches `status` and `progress`. */
export interface Upload extends EventTarget {
  /** The service's id, once it has one; until then one of our own. */
  readonly id: string;
  readonly field: string;
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Bytes that have left; of one that is `unsent`, those that the service has. */
  readonly loaded: number;
  readonly status: UploadStatus;
  /** What it was rejected or failed for, or why it is tried again. */
  readonly problem: Problem | null;
  /** As the service has it, once it is acknowledged. */
  readonly record: UploadRecord | null;
  /** The form that it belongs to; its address is empty until there is one. */
  readonly form: { readonly url: string };
  /** Fulfilled, never rejected, once it is stored, rejected, failed or removed. */
  readonly finished: Promise<Upload>;
  /** Stop sending. Of a file that is sent at once, what was sent is sent again later. */
  pause(): void;
  resume(): void;
  /** Try a failed one again. */
  retry(): Promise<void>;
  /** Stop sending, or take it away at the service. */
  remove(): Promise<void>;
}

export interface UploadOptions {
  /** The form's address, `…/v1/forms/frm_…`. */
  url: string;
  /** Name of the file field. */
  field: string;
  /** `tus`, which sends it in parts, or the name of a transport that `configure` was given. */
  transport?: string;
}

/** A way to send a file. Resolves with the acknowledged upload. */
export type Transport = (
  file: File,
  how: {
    /** Of the field's uploads. */
    url: string;
    headers: Record<string, string>;
    signal: AbortSignal;
    /** To be told bytes that have left. */
    onProgress: (loaded: number) => void;
  },
) => Promise<UploadRecord>;

type Headers = Record<string, string>;

export interface Options {
  /** For each request to the service, such as the form's token. A function is told the address. */
  headers?: Headers | ((url: string) => Headers | Promise<Headers>);
  /** What people read, by language and key, such as `{de: {choose: 'Datei wählen'}}`. */
  texts?: Record<string, Record<string, string>>;
  /** Further ways to send, for the `transport` attribute. */
  transports?: Record<string, Transport>;
}

export function configure(options: Options): void;

/** Send a file for a field of a form, when its turn has come, and follow it. */
export function createUpload(file: File, options: UploadOptions): Upload;

/**
 * What is at the address of a form or an upload, now and each time it changes. Ends when an upload
 * is final, or by the signal. Throws what the service refuses; lost connections are taken up again.
 */
export function watch<T extends FormRecord | UploadRecord = UploadRecord>(
  url: string,
  how?: { signal?: AbortSignal },
): AsyncGenerator<T, void, void>;

/**
 * What is wrong with a file by its field's policy; null if nothing is. What can't be told before it
 * is sent passes: the service looks at every file, and its word counts.
 */
export function checkFile(file: File, policy: Policy): Promise<Problem | null>;

/** All uploads that this page knows; dispatches `change`, whose `detail` is the upload. */
export const uploads: EventTarget & {
  list(): Upload[];
  /**
   * Know those of a form that has no element on this page: at once what a reload cut off, and
   * what the service has as soon as it answers.
   */
  open(url: string): void;
};

/** `<longshore-file>` */
export interface LongshoreFileElement extends HTMLElement {
  readonly name: string;
  readonly field: string;
  /** Ids of the uploads that are stored or on their way. */
  readonly value: string[];
  /** Those that are shown. */
  readonly uploads: Upload[];
  /** Take files, as if the person had chosen them here. */
  choose(files: File[]): Promise<void>;
  /** Of one upload, or of all in the field. */
  pause(id?: string): void;
  resume(id?: string): void;
  retry(id?: string): void;
  /** Takes an upload away. Without an id the element leaves the page, as any does. */
  remove(id?: string): void;
}

export interface LongshoreFileEventMap {
  /** Files were chosen; cancelable. A promise given to `waitUntil` may fulfil with the form's URL. */
  'longshore-select': CustomEvent<{
    files: File[];
    waitUntil(promise: Promise<string | void>): void;
  }>;
  'longshore-progress': CustomEvent<UploadChange>;
  'longshore-status': CustomEvent<UploadChange>;
  'longshore-stored': CustomEvent<UploadChange>;
  'longshore-reject': CustomEvent<UploadChange & { problem: Problem }>;
  /** Without an upload where the form itself can't be read. */
  'longshore-error': CustomEvent<Partial<UploadChange> & { problem: Problem }>;
}

export interface UploadChange {
  upload: Upload;
  status: UploadStatus;
  /** Bytes. */
  loaded: number;
  total: number;
  problem: Problem | null;
}

declare global {
  interface HTMLElementTagNameMap {
    'longshore-file': LongshoreFileElement;
  }
  interface HTMLElementEventMap extends LongshoreFileEventMap {}
}
