// Package pdf writes fax pages as a PDF/A-2b document (ISO 19005-2, level B), or PDF/A-2u (Meta.Unicode), in one forward pass. Start
// with [NewWriter].
//
//	NewWriter ── AddImage | AddSlip, once per page, in order ── Close
//
// Promises:
//
//   - The Group 4 strip of a page is written unchanged, byte for byte, with a CCITTFaxDecode filter; so is a gray or
//     colour page in Flate.
//   - The MediaBox is the physical size of the sheet: the different resolutions of a fax in x and y do not distort it.
//   - Words that OCR found are an invisible text over the image, in the boxes in which they were found: a viewer can
//     search and mark them, in any alphabet.
//   - The same calls write the same bytes: no clock, no random identifier, no map order.
//   - The writer reads nothing back. In memory it has only the byte offset of each object (8 bytes each, three objects a
//     page), the runs of page labels and the characters in use, so a long document needs little more than a short one.
//   - A crash before Close leaves a file without a cross-reference table, which no reader accepts as a complete document.
//
// Order in the file: header, output intent, metadata, then for each page its image or text, its content and its page
// object, a page tree node after every hundred pages, and at the end the fonts of slip sheets and words, the catalog and the
// cross-reference table. ISO 32000-1 (PDF 1.7) is cited by clause.
package pdf
