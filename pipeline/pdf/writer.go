package pdf

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"strconv"
	"sync"
	"time"
)

// ErrInput is matched by the error for a page or metadata that is not valid: a size, resolution or text out of range. A
// refused page leaves nothing in the document, so the caller may add another page in its place.
var ErrInput = errors.New("pdf: invalid input")

// ErrClosed is returned by calls after Close.
var ErrClosed = errors.New("pdf: writer is closed")

const (
	kidsPerNode = 100           // pages under one page tree node: 10,000 pages are 100 nodes of 100
	maxObjects  = 8_388_607     // ISO 19005-2, 6.1.13
	maxOffset   = 9_999_999_999 // ten digits of a cross-reference entry, 7.5.4
	maxMeta     = 8_000         // bytes of one metadata text: as UTF-16 below the 32,767 bytes of a string, 6.1.13
	bufferSize  = 64 << 10
	longWrite   = 1 << 10
)

// castagnoli takes a tenth of the time of SHA-256; an identifier needs no protection against attacks.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Objects with a fixed number; all others get the next number.
const (
	objCatalog = 1 + iota
	objPages
	objInfo
	objMetadata
	objOutputIntent
	objProfile
	firstFree
)

// Meta is the document's metadata, the same in the Info dictionary and in the XMP metadata. Texts are UTF-8 of up to 8,000
// bytes; empty ones are left out. Control characters become spaces, round brackets square ones and backslashes slashes.
type Meta struct {
	Title    string
	Author   string
	Subject  string
	Producer string
	// Created is the document's date, written in UTC to the second; years 1 to 9999. Zero: no date is written. The clock is
	// never read.
	Created time.Time
	// Unicode claims PDF/A-2u (ISO 19005-2, 6.2.11.7): level B, and all text has its characters. Every document has them; those of fax
	// pages without words keep the claim that they always had.
	Unicode bool
}

// Writer writes one document. It is not safe for concurrent use.
type Writer struct {
	dst    *bufio.Writer
	behind io.Writer // of dst
	digest hash.Hash // for the trailer's /ID: of all bytes written; for long writes, of their CRC-32C
	off    int64     // bytes written
	err    error     // the first failure of dst, or of the metadata; every later call returns it
	closed bool

	offsets []int64 // by object number, 0 while not written
	pages   int
	node    int   // object number of the open page tree node
	kids    []int // its pages
	nodes   []int // all nodes
	labels  labelRuns
	slips   *font        // of the slip sheets; nil until the first sheet
	words   *font        // of the text over the images; nil until the first word
	scratch bytes.Buffer // one object's body
}

// NewWriter returns a Writer to dst and writes the start of the document. If the metadata is not valid (ErrInput) or dst
// fails, the next call returns the error.
func NewWriter(dst io.Writer, m Meta) *Writer {
	w := &Writer{
		dst:     bufio.NewWriterSize(dst, bufferSize),
		behind:  dst,
		digest:  sha256.New(),
		offsets: make([]int64, firstFree),
	}
	m, w.err = m.clean()
	// The comment's four bytes above 127 mark the file as binary: ISO 19005-2, 6.1.2.
	w.writeString("%PDF-1.7\n%\xE2\xE3\xCF\xD3\n")
	w.object(objInfo, m.info())
	w.stream(objMetadata, "/Type/Metadata/Subtype/XML", m.xmp())
	profile, err := packedProfile()
	w.fail(err)
	w.stream(objProfile, "/N 3/Filter/FlateDecode", profile)
	// DeviceGray needs an output intent (ISO 19005-2, 6.2.4.3). Its profile is RGB so that it covers colour pages too.
	w.object(objOutputIntent, fmt.Sprintf("<</Type/OutputIntent/S/GTS_PDFA1/OutputConditionIdentifier(sRGB)/Info(sRGB)"+
		"/DestOutputProfile %d 0 R>>", objProfile))
	return w
}

// Close writes the fonts, page tree, catalog, cross-reference table and trailer, and flushes. It does not close the
// destination. A document without a page is an error. A second Close returns the same as the first.
func (w *Writer) Close() error {
	if w.closed {
		return w.err
	}
	w.closed = true
	if w.err == nil && w.pages == 0 {
		w.err = errors.New("pdf: a document needs at least one page")
	}
	w.closeNode()
	w.writeFont(w.slips)
	w.writeFont(w.words)
	w.scratch.Reset()
	fmt.Fprintf(&w.scratch, "<</Type/Pages/Count %d/Kids[", w.pages)
	for _, n := range w.nodes {
		fmt.Fprintf(&w.scratch, "%d 0 R ", n)
	}
	w.scratch.WriteString("]>>")
	w.object(objPages, w.scratch.String())
	w.object(objCatalog, fmt.Sprintf("<</Type/Catalog/Pages %d 0 R/Metadata %d 0 R/OutputIntents[%d 0 R]%s>>",
		objPages, objMetadata, objOutputIntent, w.labels.dict()))
	w.writeTrailer()
	if w.err == nil {
		w.fail(w.dst.Flush())
	}
	return w.err
}

// writeTrailer writes what follows the last object: 7.5.4 and 7.5.5.
func (w *Writer) writeTrailer() {
	start := w.off
	w.writeString(fmt.Sprintf("xref\n0 %d\n0000000000 65535 f \n", len(w.offsets)))
	for _, off := range w.offsets[1:] {
		w.writeString(fmt.Sprintf("%010d 00000 n \n", off))
	}
	id := w.digest.Sum(nil)[:16]
	w.writeString(fmt.Sprintf("trailer\n<</Size %d/Root %d 0 R/Info %d 0 R/ID[<%x><%x>]>>\nstartxref\n%d\n%%%%EOF\n",
		len(w.offsets), objCatalog, objInfo, id, id, start))
}

// ready returns nil if a page may be added whose objects take n bytes.
func (w *Writer) ready(n int) error {
	switch {
	case w.closed:
		return ErrClosed
	case w.err != nil:
		return w.err
	case int64(n) > maxOffset-w.off || len(w.offsets) > maxObjects-10:
		return fmt.Errorf("pdf: the document is full after %d pages and %d bytes: split the fax into several documents", w.pages, w.off)
	}
	return nil
}

// addPage writes the page object and adds it to the page tree, with a new node for every kidsPerNode pages.
func (w *Writer) addPage(box mediaBox, resources string, content int, label string) {
	if len(w.kids) == kidsPerNode {
		w.closeNode()
	}
	if len(w.kids) == 0 {
		w.node = w.reserve()
		w.nodes = append(w.nodes, w.node)
	}
	page := w.reserve()
	w.object(page, fmt.Sprintf("<</Type/Page/Parent %d 0 R%s/Resources<<%s>>/Contents %d 0 R>>",
		w.node, box.entries(), resources, content))
	w.kids = append(w.kids, page)
	w.labels.add(w.pages, label)
	w.pages++
}

// closeNode writes the open page tree node: all its pages are known.
func (w *Writer) closeNode() {
	if len(w.kids) == 0 {
		return
	}
	w.scratch.Reset()
	fmt.Fprintf(&w.scratch, "<</Type/Pages/Parent %d 0 R/Count %d/Kids[", objPages, len(w.kids))
	for _, k := range w.kids {
		fmt.Fprintf(&w.scratch, "%d 0 R ", k)
	}
	w.scratch.WriteString("]>>")
	w.object(w.node, w.scratch.String())
	w.kids = w.kids[:0]
}

// reserve returns the number of an object that will be written later.
func (w *Writer) reserve() int {
	w.offsets = append(w.offsets, 0)
	return len(w.offsets) - 1
}

func (w *Writer) object(n int, body string) {
	w.offsets[n] = w.off
	w.writeString(strconv.Itoa(n) + " 0 obj\n")
	w.writeString(body)
	w.writeString("\nendobj\n")
}

// stream writes a stream object with these dictionary entries and returns the offset of its data. The end-of-line before
// endstream is not part of the data; ISO 19005-1, 6.1.7, demands it.
func (w *Writer) stream(n int, entries string, data []byte) int64 {
	w.offsets[n] = w.off
	w.writeString(fmt.Sprintf("%d 0 obj\n<<%s/Length %d>>\nstream\n", n, entries, len(data)))
	start := w.off
	w.write(data)
	w.writeString("\nendstream\nendobj\n")
	return start
}

func (w *Writer) writeString(s string) { w.write([]byte(s)) }

func (w *Writer) write(p []byte) {
	if w.err != nil {
		return
	}
	if len(p) < longWrite {
		w.digest.Write(p)
		n, err := w.dst.Write(p)
		w.off += int64(n)
		w.fail(err)
		return
	}
	sum := crc32.Checksum(p, castagnoli)
	w.digest.Write(binary.BigEndian.AppendUint32(nil, sum)) // the length is in the dictionary before
	w.writeLong(p)
}

// writeLong writes p without a copy.
func (w *Writer) writeLong(p []byte) {
	if w.fail(w.dst.Flush()); w.err != nil {
		return
	}
	n, err := w.behind.Write(p)
	w.off += int64(n)
	w.fail(err)
}

// fail stores the first error.
func (w *Writer) fail(err error) {
	if w.err == nil && err != nil {
		w.err = fmt.Errorf("pdf: write at byte %d: %w", w.off, err)
	}
}

// packedProfile is the same in every document; to compress it takes as long as to write ten pages.
var packedProfile = sync.OnceValues(func() ([]byte, error) { return deflate(srgbProfile()) })

// deflate compresses for FlateDecode, 7.4.4.
func deflate(p []byte) ([]byte, error) {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	if _, err := z.Write(p); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
