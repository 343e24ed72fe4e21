// pdf.js draws the pages of a document for the matrix of tests.
//
// node pdfjs.mjs MODULES IN.pdf W1xH1...   draws each page in so many pixels as page-1.pnm and so on; prints the points of each page
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [modules, path, ...sizes] = process.argv.slice(2);
const { createCanvas, DOMMatrix, ImageData, Path2D } = createRequire(`${modules}/`)('@napi-rs/canvas');
Object.assign(globalThis, { DOMMatrix, ImageData, Path2D }); // pdf.js finds them itself only in newer versions of node
const { getDocument } = await import(pathToFileURL(`${modules}/pdfjs-dist/legacy/build/pdf.mjs`));

class CanvasFactory {
  create(width, height) {
    const canvas = createCanvas(width, height);
    return { canvas, context: canvas.getContext('2d') };
  }
  reset({ canvas }, width, height) {
    Object.assign(canvas, { width, height });
  }
  destroy() {}
}

const doc = await getDocument({
  data: new Uint8Array(readFileSync(path)),
  wasmUrl: `${modules}/pdfjs-dist/wasm/`,
  CanvasFactory,
  verbosity: 0,
}).promise;
for (let number = 1; number <= doc.numPages; number++) {
  const page = await doc.getPage(number);
  const viewport = page.getViewport({ scale: 1 });
  const [width, height] = sizes[number - 1].split('x').map(Number);
  const canvas = createCanvas(width, height);
  const canvasContext = canvas.getContext('2d');
  const transform = [width / viewport.width, 0, 0, height / viewport.height, 0, 0];
  await page.render({ canvas, canvasContext, viewport, transform }).promise;
  const rgba = canvasContext.getImageData(0, 0, width, height).data;
  const rgb = Buffer.alloc(width * height * 3, 255);
  for (let i = 0; i < width * height; i++) rgb.set(rgba.subarray(4 * i, 4 * i + 3), 3 * i);
  writeFileSync(`page-${number}.pnm`, Buffer.concat([Buffer.from(`P6\n${width} ${height}\n255\n`), rgb]));
  console.log(viewport.width, viewport.height);
}
