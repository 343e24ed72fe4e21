// Package pdf writes fax pages as a PDF/A-2b document (ISO 19005-2, level B), in one forward pass. Start with
// [NewWriter].
//
//	NewWriter ── AddImage | AddSlip, once per page, in order ── Close
//
// What it keeps to:
//
//   - The Group 4 strip of a page is written as it was given, byte for byte, behind a CCITTFaxDecode filter; so is a
//     gray or colour page in Flate.
//   - The MediaBox is the physical size of the sheet, so the two resolutions of a fax, which differ, never show.
//   - Words that a recogniser found lie over the image, invisible, in the boxes that they were found in: a viewer finds
//     and marks them, in any alphabet.
//   - The same calls give the same bytes: no clock, no random identifier, no map order.
//   - Nothing is ever read back or kept but the byte offset of each object (8 bytes each, three objects a page), the runs
//     of page labels and the characters in use. Ten thousand pages need no more room than ten.
//   - A crash before Close leaves a file without its cross-reference table, which no reader takes for a whole document.
//
// Order in the file: header, output intent, metadata, then for each page its image or text, its content and its page
// object, a page tree node after every hundred pages, and at the end the fonts of slip sheets and words, the catalog and the
// cross-reference table. ISO 32000-1 (PDF 1.7) is cited by clause.
package pdf
