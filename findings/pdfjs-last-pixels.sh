#!/usr/bin/env bash
# pdf.js shows the last seven pixels of every one-bit image white
#
# pdfjs-dist 5.6.205 with @napi-rs/canvas 0.1.97; 4.10.38 does the same. An image of one bit a pixel, all black, is drawn in the pixels of
# its size: the last seven pixels of the last row come out white, whatever the filter (none, Flate, CCITT Group 4). So a fax page that is
# black down to its lower right corner is not shown as it is, and a comparison by pixels with what poppler, MuPDF, Ghostscript or PDFBox
# draw finds them. Expected: black.
. "$(dirname "$0")/lib/setup.bash"
npm_modules pdfjs-dist@5.6.205 @napi-rs/canvas@0.1.97

cat >draw.mjs <<'JS'
import { deflateSync } from 'node:zlib';
import { createCanvas, DOMMatrix, ImageData, Path2D } from '@napi-rs/canvas';
Object.assign(globalThis, { DOMMatrix, ImageData, Path2D });
const { getDocument } = await import('pdfjs-dist/legacy/build/pdf.mjs');

const width = 64, height = 16;

function pdf(image, dictionary) {
  const draw = `${width} 0 0 ${height} 0 0 cm /I Do`;
  const objects = [
    ['<</Type/Catalog/Pages 2 0 R>>'],
    ['<</Type/Pages/Kids[3 0 R]/Count 1>>'],
    [`<</Type/Page/Parent 2 0 R/MediaBox[0 0 ${width} ${height}]/Contents 4 0 R/Resources<</XObject<</I 5 0 R>>>>>>`],
    [`<</Length ${draw.length}>>stream\n${draw}\nendstream`],
    [`<</Subtype/Image/Width ${width}/Height ${height}/BitsPerComponent 1/ColorSpace/DeviceGray/Length ${image.length}`,
      `${dictionary}>>stream\n`, image, '\nendstream'],
  ];
  let file = Buffer.from('%PDF-1.7\n');
  const at = objects.map((parts, i) => {
    const offset = file.length;
    file = Buffer.concat([file, ...[`${i + 1} 0 obj\n`, ...parts, '\nendobj\n'].map((p) => Buffer.from(p))]);
    return `${String(offset).padStart(10, '0')} 00000 n \n`;
  });
  const end = `xref\n0 6\n0000000000 65535 f \n${at.join('')}trailer<</Size 6/Root 1 0 R>>\nstartxref\n${file.length}\n%%EOF\n`;
  return new Uint8Array(Buffer.concat([file, Buffer.from(end)]));
}

async function show(name, image, dictionary) {
  const doc = await getDocument({ data: pdf(image, dictionary), verbosity: 0 }).promise;
  const page = await doc.getPage(1);
  const canvas = createCanvas(width, height);
  const canvasContext = canvas.getContext('2d');
  await page.render({ canvas, canvasContext, viewport: page.getViewport({ scale: 1 }) }).promise;
  const { data } = canvasContext.getImageData(0, 0, width, height);
  const white = [];
  for (let i = 0; i < width * height; i++) if (data[4 * i] > 127) white.push(`${i % width},${Math.floor(i / width)}`);
  console.log(`${name}: ${white.join(' ')}`);
}

const black = Buffer.alloc((width / 8) * height);
await show('none', black, '');
await show('Flate', deflateSync(black), '/Filter/FlateDecode');
const group4 = Buffer.from('26a0786ffffffff8008008', 'hex'); // a black row, vertical mode for the others, EOFB
await show('Group 4', group4, `/Filter/CCITTFaxDecode/DecodeParms<</K -1/Columns ${width}/Rows ${height}>>`);
JS
seen=$(node draw.mjs)
for filter in none Flate 'Group 4'; do
  expect "white pixels, $filter" "57,15 58,15 59,15 60,15 61,15 62,15 63,15" "$(sed -n "s/^$filter: //p" <<<"$seen")"
done
