package tifftool

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// mustInfo is what Info prints as JSON of files without an error.
func mustInfo(t testing.TB, files ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := Info(t.Context(), &out, files, true); err != nil {
		t.Fatalf("info of %q: %v", files, err)
	}
	return out.Bytes()
}

// export gives a page of a file in this format, and what people are told of it.
func export(t testing.TB, file string, page int, to string) (data []byte, notes string) {
	t.Helper()
	var told bytes.Buffer
	data, err := Export{File: file, Page: page, To: to, Software: "test"}.Encode(t.Context(), &told)
	if err != nil {
		t.Fatalf("export of %s: %v", file, err)
	}
	return data, told.String()
}

func mustExport(t testing.TB, file string, page int, to string) []byte {
	t.Helper()
	data, _ := export(t, file, page, to)
	return data
}

// infoOf reads what tiff info --json prints.
func infoOf(t testing.TB, stdout []byte) []infoLine {
	t.Helper()
	var lines []infoLine
	for text := range bytes.Lines(stdout) {
		var l infoLine
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&l); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if l.Warnings == nil {
			t.Fatalf("%s: warnings are no array", text)
		}
		lines = append(lines, l)
	}
	return lines
}

func fixtureFile(t testing.TB, name string) string {
	t.Helper()
	return filepath.Join(apptest.Root(t), "testdata", name+".tiff")
}

func writeTemp(t testing.TB, name string, data []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Real files of others, whose true rasters are known.
func TestTIFFInfoTellsTheTrueRasterOfRealFiles(t *testing.T) {
	corpus := filepath.Join(apptest.Root(t), "..", "shared", "corpus")
	index, err := os.Open(filepath.Join(corpus, "index.csv"))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("no corpus at ../shared/corpus from the project's root")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer index.Close()
	rows, err := csv.NewReader(index).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	var files []string
	const none = "an error" // for a page that is neither bilevel nor gray or colour of 8 bits
	want := map[string]string{}
	pages := map[string]int{}
	for _, row := range rows[1:] {
		get := func(name string) string { return row[column[name]] }
		file := filepath.Join(corpus, "files", get("file"))
		if pages[file]++; pages[file] == 1 {
			files = append(files, file)
		}
		if get("raster_sha256") == "" {
			want[file+" "+get("page")] = none
		} else if get("kind") == "strict" {
			want[file+" "+get("page")] = fmt.Sprintf("%s %s black %sx%s compression %s fill order %s",
				get("raster_sha256"), get("black_pixels"), get("width"), get("height"), get("compression"), get("fillorder"))
		}
	}
	var out bytes.Buffer
	if err := Info(t.Context(), &out, files, true); err == nil ||
		err.Error() != "1 page(s) or file(s) could not be read; their lines say why" {
		t.Errorf("error %v", err)
	}
	for _, l := range infoOf(t, out.Bytes()) {
		key, got := fmt.Sprintf("%s %d", l.File, *l.Page), none
		if l.Error == nil {
			got = fmt.Sprintf(
				"%s %d black %dx%d compression %d fill order %d", *l.RasterSHA256, *l.BlackPixels, *l.Width, *l.Height, *l.Compression, *l.FillOrder,
			)
		}
		if w, strict := want[key]; strict && got != w {
			t.Errorf("%s:\n got %s\nwant %s", key, got, w)
		}
		if *l.Pages != pages[l.File] {
			t.Errorf("%s: %d pages, want %d", l.File, *l.Pages, pages[l.File])
		}
		delete(want, key)
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		t.Errorf("no line for %s", key)
	}
}

// The same sheet came in every coding: what differs is only how it was sent.
func TestTIFFInfoTellsHowAPageWasSent(t *testing.T) {
	sum := *infoOf(t, mustInfo(t, fixtureFile(t, "letter-fine-g4")))[0].RasterSHA256
	for _, c := range []struct {
		name, coding           string
		compression, fillOrder int
	}{
		{"letter-fine-g4", "mmr", 4, 1},
		{"letter-fine-g3", "mh", 3, 1},
		{"letter-fine-g3-2d", "mr", 3, 1},
		{"letter-fine-g3-2d-fill-lsb", "mr", 3, 2},
	} {
		l := infoOf(t, mustInfo(t, fixtureFile(t, c.name)))[0]
		if *l.Coding != c.coding || *l.Compression != c.compression || *l.FillOrder != c.fillOrder || *l.RasterSHA256 != sum {
			t.Errorf(
				"%s: %s, compression %d, fill order %d, raster %s, want %s", c.name, *l.Coding, *l.Compression, *l.FillOrder, *l.RasterSHA256, sum,
			)
		}
		if *l.XResolution != 204 || *l.YResolution != 196 || *l.BadRows != 0 || *l.LongestBadRun != 0 || len(l.Warnings) > 0 {
			t.Errorf("%s: %v x %v an inch, %d bad rows, warnings %q", c.name, *l.XResolution, *l.YResolution, *l.BadRows, l.Warnings)
		}
	}
}

// damaged is a page of Group 3 in whose middle 60 bytes are noise.
func damaged(t *testing.T) string {
	t.Helper()
	data := apptest.Fixture(t, "letter-fine-g3")
	for i := range 60 {
		data[len(data)/2+i] ^= byte(0x55 + 7*i)
	}
	return writeTemp(t, "damaged.tiff", data)
}

// A page that was repaired is no error, but every command says how much of it is not as sent.
func TestTIFFToolsTellOfDamage(t *testing.T) {
	file := damaged(t)
	l := infoOf(t, mustInfo(t, file))[0]
	if *l.BadRows < 1 || *l.LongestBadRun < 1 || *l.LongestBadRun > *l.BadRows || *l.BadRows > 200 || len(l.Warnings) == 0 ||
		*l.Height != 2156 {
		t.Fatalf("%d of %d rows bad, the longest run has %d, warnings %q", *l.BadRows, *l.Height, *l.LongestBadRun, l.Warnings)
	}
	var table bytes.Buffer
	if err := Info(t.Context(), &table, []string{file}, false); err != nil {
		t.Fatal(err)
	}
	if text := table.String(); !strings.Contains(text, fmt.Sprintf("%d (run of %d)", *l.BadRows, *l.LongestBadRun)) {
		t.Errorf("people are not told of the bad rows:\n%s", text)
	}
	data, notes := export(t, file, 1, "tiff")
	out := writeTemp(t, "out.tiff", data)
	if want := fmt.Sprintf("page 1: %d of 2156 rows are damaged", *l.BadRows); !strings.Contains(notes, want) {
		t.Errorf("notes %q, want %q", notes, want)
	}
	tags := apptest.Judge(t, "tiffinfo", "libtiff-tools", out)
	for _, want := range []string{
		fmt.Sprintf("Bad Fax Lines: %d\n", *l.BadRows), fmt.Sprintf("Consecutive Bad Fax Lines: %d\n", *l.LongestBadRun),
		"Fax Data: receiver regenerated",
	} {
		if !strings.Contains(tags, want) {
			t.Errorf("tiffinfo does not say %q:\n%s", want, tags)
		}
	}
	if again := infoOf(t, mustInfo(t, out))[0]; *again.RasterSHA256 != *l.RasterSHA256 || *again.BadRows != 0 {
		t.Errorf("the TIFF has raster %s and %d bad rows, want %s and 0", *again.RasterSHA256, *again.BadRows, *l.RasterSHA256)
	}
}

// What the receiving fax machine said of a page, how it is stored and what was assumed is told to programs and people; a file that says
// nothing of it is told as that.
func TestTIFFInfoTellsWhatTheFileSaysOfAPage(t *testing.T) {
	p := apptest.DecodePage(t, apptest.Parse(t, apptest.Fixture(t, "letter-standard-g4")), 0)
	file := writeTemp(t, "said.tiff", apptest.OnePage(t, tiff.PageMeta{
		Width: p.Width, Height: p.Height, XRes: 1, YRes: 1, Orientation: 3, BadFaxLines: 12, ConsecutiveBadFaxLines: 4, CleanFaxData: 2,
	}, tiff.G4Strip(ccitt.AppendG4(nil, p.Pix, p.Width, p.Height, p.Stride))))
	l := infoOf(t, mustInfo(t, file))[0]
	if *l.ReceivedBadRows != 12 || *l.ReceivedLongestBadRun != 4 || *l.ReceivedCleanFaxData != 2 || *l.BadRows != 0 {
		t.Errorf("received: %d bad rows, run of %d, %d; ours: %d",
			*l.ReceivedBadRows, *l.ReceivedLongestBadRun, *l.ReceivedCleanFaxData, *l.BadRows)
	}
	if *l.Orientation != 3 || l.ResolutionAssumed == nil || *l.XResolution != 1 || len(l.Warnings) != 3 {
		t.Errorf("orientation %d, assumed %v, tags %v, warnings %q", *l.Orientation, l.ResolutionAssumed, *l.XResolution, l.Warnings)
	}
	var table bytes.Buffer
	if err := Info(t.Context(), &table, []string{file}, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range append(l.Warnings, "0, receiver 12", *l.ResolutionAssumed) {
		if !strings.Contains(table.String(), want) {
			t.Errorf("people are not told %q:\n%s", want, &table)
		}
	}
	silent := infoOf(t, mustInfo(t, fixtureFile(t, "letter-fine-g4")))[0]
	if silent.ReceivedBadRows != nil || silent.ReceivedCleanFaxData != nil || *silent.Orientation != 1 || silent.ResolutionAssumed != nil {
		t.Errorf("a file that says nothing: %+v", silent)
	}
}

// A chain that breaks gives its pages, and the last of them warns; libraries leave nonsense where the chain should end.
func TestTIFFInfoTellsOfABrokenChain(t *testing.T) {
	data := apptest.Fixture(t, "three-pages-fine-g4")
	le := binary.LittleEndian
	ifds := []uint32{le.Uint32(data[4:])}
	next := func(ifd uint32) uint32 { return ifd + 2 + 12*uint32(le.Uint16(data[ifd:])) }
	for at := le.Uint32(data[next(ifds[0]):]); at != 0; at = le.Uint32(data[next(at):]) {
		ifds = append(ifds, at)
	}
	le.PutUint32(data[next(ifds[2]):], ifds[1])
	lines := infoOf(t, mustInfo(t, writeTemp(t, "loop.tiff", data)))
	if len(lines) != 3 {
		t.Fatalf("%d lines, want 3", len(lines))
	}
	for i, l := range lines {
		warned := len(l.Warnings) == 1 && strings.Contains(l.Warnings[0], "loop")
		if l.Error != nil || l.RasterSHA256 == nil || *l.Page != i+1 || *l.Pages != 3 || warned != (i == 2) || !warned && len(l.Warnings) > 0 {
			t.Errorf("page %d: error %v, warnings %q", i+1, l.Error, l.Warnings)
		}
	}
}

// A file of three images, of which the first is a small view of another (NewSubfileType 1), has two pages.
func TestTIFFInfoTellsOfImagesThatAreNoPages(t *testing.T) {
	data := apptest.Fixture(t, "three-pages-fine-g4")
	setValue(t, data, 254, 1)
	lines := infoOf(t, mustInfo(t, writeTemp(t, "thumbnail.tiff", data)))
	if len(lines) != 2 || len(lines[0].Warnings) != 1 || !strings.Contains(lines[0].Warnings[0], "(thumbnails, masks): 1") ||
		len(lines[1].Warnings) > 0 {
		t.Errorf("%+v", lines)
	}
}

// A file that was cut within a page's rows: the page is salvaged, says so once, and is no error.
func TestTIFFInfoOfACutFile(t *testing.T) {
	whole := ifdFirst(mustExport(t, fixtureFile(t, "letter-fine-g4"), 1, "tiff"))
	want := infoOf(t, mustInfo(t, fixtureFile(t, "letter-fine-g4")))[0]
	if l := infoOf(t, mustInfo(t, writeTemp(t, "whole.tiff", whole)))[0]; *l.RasterSHA256 != *want.RasterSHA256 || len(l.Warnings) > 0 {
		t.Fatalf("before the cut: raster %s, want %s, warnings %q", *l.RasterSHA256, *want.RasterSHA256, l.Warnings)
	}
	stdout := mustInfo(t, writeTemp(t, "cut.tiff", whole[:len(whole)*3/4]))
	lines := infoOf(t, stdout)
	if len(lines) != 1 || *lines[0].BadRows < 100 || *lines[0].BadRows != *lines[0].LongestBadRun ||
		bytes.Count(stdout, []byte("past the end")) != 1 {
		t.Errorf("the end of the page is missing, and it is told as %s", stdout)
	}
}

// Tags that are wrong and do not matter for the pixels: rows are counted as found, and what lies past the end of the file is told.
func TestTIFFInfoOfWrongTags(t *testing.T) {
	want := infoOf(t, mustInfo(t, fixtureFile(t, "letter-fine-g4")))[0]
	noLength := apptest.Fixture(t, "letter-fine-g4")
	setValue(t, noLength, tagImageLength, 0)
	l := infoOf(t, mustInfo(t, writeTemp(t, "length.tiff", noLength)))[0]
	if *l.Height != 2156 || *l.RasterSHA256 != *want.RasterSHA256 {
		t.Errorf("without ImageLength: %d rows, raster %s, want %s", *l.Height, *l.RasterSHA256, *want.RasterSHA256)
	}
	lost := apptest.Fixture(t, "letter-fine-g4")
	setValue(t, lost, tagXResolution, uint32(len(lost)))
	l = infoOf(t, mustInfo(t, writeTemp(t, "resolution.tiff", lost)))[0]
	if *l.XResolution != 0 || *l.RasterSHA256 != *want.RasterSHA256 || len(l.Warnings) != 1 || !strings.Contains(l.Warnings[0], "resolution") {
		t.Errorf("XResolution past the end: %v, raster %s, want %s, warnings %q", *l.XResolution, *l.RasterSHA256, *want.RasterSHA256, l.Warnings)
	}
}

const (
	tagImageLength  = 257
	tagCompression  = 259
	tagStripOffsets = 273
	tagXResolution  = 282
)

// setValue overwrites the value of a field in the first IFD of a little-endian file.
func setValue(t *testing.T, data []byte, tag uint16, value uint32) {
	t.Helper()
	le := binary.LittleEndian
	ifd := data[le.Uint32(data[4:]):]
	for i := range le.Uint16(ifd) {
		if e := ifd[2+12*int(i):]; le.Uint16(e) == tag {
			le.PutUint32(e[8:], value)
			return
		}
	}
	t.Fatalf("no tag %d", tag)
}

// ifdFirst moves the strip of a one-page file of ours behind its IFD, so that the IFD survives a cut.
func ifdFirst(data []byte) []byte {
	le := binary.LittleEndian
	ifd := le.Uint32(data[4:])
	strip := data[8:ifd]
	shift := uint32(len(strip)) // by which everything behind the strip comes nearer to the start
	out := slices.Concat(data[:8], data[ifd:], strip)
	le.PutUint32(out[4:], 8)
	for i := range uint32(le.Uint16(out[8:])) {
		e := out[10+12*i:]
		switch size, value := le.Uint32(e[4:]), le.Uint32(e[8:]); {
		case le.Uint16(e) == tagStripOffsets:
			le.PutUint32(e[8:], uint32(len(data))-shift)
		case value >= ifd && (le.Uint16(e[2:]) == 5 || le.Uint16(e[2:]) == 2 && size > 4): // RATIONAL, ASCII
			le.PutUint32(e[8:], value-shift)
		}
	}
	return out
}

// A page with an error gives what its IFD says, and the next page is read.
func TestTIFFToolsGoOnAfterAPageWithAnError(t *testing.T) {
	data := apptest.Fixture(t, "three-pages-fine-g4")
	setValue(t, data, tagCompression, 34712) // JPEG 2000
	file := writeTemp(t, "odd.tiff", data)
	var out, table, times bytes.Buffer
	err := Info(t.Context(), &out, []string{file}, true)
	stdout := out.Bytes()
	lines := infoOf(t, stdout)
	if err == nil || len(lines) != 3 {
		t.Fatalf("error %v, %d lines", err, len(lines))
	}
	l := lines[0]
	if l.Error == nil || !strings.Contains(*l.Error, "unsupported") || *l.Page != 1 || *l.Pages != 3 || *l.Width != 1728 ||
		*l.Height != 2156 ||
		*l.Compression != 34712 || l.Coding != nil || l.RasterSHA256 != nil || l.BlackPixels != nil || l.BadRows != nil {
		t.Errorf("the page is told as %s", stdout)
	}
	if lines[1].Error != nil || lines[2].Error != nil || *lines[2].Page != 3 {
		t.Errorf("the pages behind it: %s", stdout)
	}
	if err := Info(t.Context(), &table, []string{file}, false); err == nil || !strings.Contains(table.String(), "compression 34712") {
		t.Errorf("people are not told of the compression (%v):\n%s", err, &table)
	}
	err = Bench(t.Context(), &times, []string{file}, 1, true)
	if bytes.Count(times.Bytes(), []byte(`"error":null`)) != 2 || bytes.Count(times.Bytes(), []byte("unsupported")) != 1 || err == nil {
		t.Errorf("bench: %v: %s", err, &times)
	}
	exported, err := Export{File: file, Page: 1, To: "pbm"}.Encode(t.Context(), t.Output())
	if err == nil || len(exported) > 0 || !strings.Contains(err.Error(), "odd.tiff: tiff: page 1: ") {
		t.Errorf("export: %d bytes, error %v", len(exported), err)
	}
}

// A file larger than the limit is refused by its size, unread.
func TestTIFFToolsRefuseAFileThatIsTooLarge(t *testing.T) {
	file := writeTemp(t, "large.tiff", apptest.Fixture(t, "letter-fine-g4"))
	if err := os.Truncate(file, maxTIFF+1); err != nil {
		t.Fatal(err)
	}
	var err error
	var out bytes.Buffer
	allocated := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			out.Reset()
			err = Info(t.Context(), &out, []string{file}, true)
		}
	}).AllocedBytesPerOp()
	if lines := infoOf(t, out.Bytes()); err == nil || len(lines) != 1 || lines[0].Error == nil ||
		!strings.Contains(*lines[0].Error, "limit exceeded") {
		t.Errorf("error %v: %s", err, &out)
	}
	if allocated > maxTIFF/4 { // other goroutines of the tests count too
		t.Errorf("%d bytes allocated", allocated)
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("no space left") }

// What could not be written is not passed over.
func TestTIFFToolsFailWhenStdoutDoes(t *testing.T) {
	files := []string{fixtureFile(t, "letter-fine-g4")}
	for _, asJSON := range []bool{false, true} {
		for name, print := range map[string]func() error{
			"info":  func() error { return Info(t.Context(), failingWriter{}, files, asJSON) },
			"bench": func() error { return Bench(t.Context(), failingWriter{}, files, 1, asJSON) },
		} {
			if err := print(); err == nil || !strings.Contains(err.Error(), "no space left") {
				t.Errorf("%s, JSON %t: error %v", name, asJSON, err)
			}
		}
	}
}
