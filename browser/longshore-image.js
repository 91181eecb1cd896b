// @ts-check
/**
 * What only images need: whether their sides fit, and small pictures of them. `longshore.js` loads
 * this where a policy bounds the sides, or an element has `preview`.
 *
 * @import { Problem, Upload } from './longshore.d.ts'
 */

/**
 * What is wrong with the sides of an image; null if nothing is, or they can't be told.
 * @param {File} file @param {Record<string, any>} limits one that isn't there compares as false
 * @param {(code: string, params: object) => Problem | null} problem
 */
export async function checkSides(file, limits, problem) {
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

/** What is shown, by element. @type {WeakMap<HTMLImageElement, string>} */
const shown = new WeakMap();

/**
 * Show a picture of what was chosen here, or the smallest that the service made.
 * @param {HTMLImageElement} image @param {Upload & {file: File | null}} upload
 * @param {(path: string, use: (url: string) => void) => void} linked use a link to what is stored
 */
export function preview(image, { file, record }, linked) {
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
  else linked(`/${source}?inline`, (url) => (image.src = url));
}
