// @ts-check
/**
 * What is shown of the contents of a file: a small picture, and what is stored, where the person
 * opens it. `longshore.js` loads this when it is wanted.
 *
 * @import { Upload as PublicUpload } from './longshore.d.ts'
 */

/**
 * What this knows of an upload.
 * @typedef {PublicUpload & {
 *   file: File | null, url: string, form: {refused(refusal: any): void},
 * }} Upload
 */
/** @typedef {(url: string) => Promise<any>} Ask */

/**
 * Use a link to what is stored: the page's own addresses can't say whose they are.
 * @param {Upload} upload @param {Ask} ask @param {string} path @param {(url: string) => void} use
 */
const linked = (upload, ask, path, use) =>
  ask(`${upload.url}/content${path}`).then(
    ({ url }) => use(url),
    (refusal) => upload.form.refused(refusal),
  );

/**
 * Open what is stored.
 * @param {Upload} upload @param {Ask} ask @param {(url: string) => void} leave
 */
export const open = (upload, ask, leave) => linked(upload, ask, '', leave);

/** What is shown, by element. @type {WeakMap<HTMLImageElement, string>} */
const shown = new WeakMap();

/**
 * Show a picture of what was chosen here, or the smallest that the service made.
 * @param {HTMLImageElement} image @param {Upload} upload @param {Ask} ask
 */
export function preview(image, upload, ask) {
  const { file, record } = upload;
  const [made] = Object.entries(record?.derivatives ?? {}).sort(
    ([, a], [, b]) => a.size - b.size,
  );
  const source = made && image.hidden ? made[0] : file?.type.startsWith('image/') && 'here';
  if (!source || source === shown.get(image)) return;
  shown.set(image, source);
  image.onload = image.onerror = () => {
    image.hidden = !image.naturalWidth; // what the browser can't show stays hidden
    URL.revokeObjectURL(image.src);
  };
  // A large photo takes all hands to decode: whoever goes on at once needs them first.
  if (file && source === 'here')
    setTimeout(() => (image.src = URL.createObjectURL(file)), 500);
  else linked(upload, ask, `/${source}?inline`, (url) => (image.src = url));
}
