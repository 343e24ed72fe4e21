package pipelinetest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/tiff"
	"github.com/faxstream/faxstream/storage/local"
)

// LocalArchive returns an archive of plain files that is removed after the test.
func LocalArchive(t testing.TB) archive.Store {
	t.Helper()
	store, err := local.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// Judge runs a program of a Debian package, which must end well and complain of nothing.
func Judge(t testing.TB, debian, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is missing: apt-get install %s", name, debian)
		}
		t.Skipf("%s is missing: apt-get install %s", name, debian)
	}
	var out, complaints bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil || complaints.Len() > 0 {
		t.Fatalf("%s %s: %v\n%s%.2000s", name, strings.Join(args, " "), err, &complaints, &out)
	}
	return out.String()
}

// Testdata reads a file of the project's.
func Testdata(t testing.TB, name string) []byte {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if filepath.Dir(dir) == dir {
			t.Fatal("no go.mod above the test's directory")
		}
		dir = filepath.Dir(dir)
	}
	data, err := os.ReadFile(filepath.Join(dir, "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TonesFile is a TIFF of one gray or colour page.
func TonesFile(t testing.TB, width, height, samples int) []byte {
	t.Helper()
	page := &raster.Tones{Width: width, Height: height, Samples: samples, XRes: 200, YRes: 200, Pix: make([]byte, width*height*samples)}
	for i := range page.Pix {
		page.Pix[i] = byte(i*7) ^ byte(i>>9)
	}
	strip, err := tiff.TonesStrip(page)
	if err != nil {
		t.Fatal(err)
	}
	return StripFile(t, tiff.PageMeta{Width: width, Height: height, XRes: 200, YRes: 200}, strip)
}

// BenchPage is an A4 page of dense text, 80 KB in Group 4, as a file in that coding or in the Group 3 of a fax server.
func BenchPage(t testing.TB, group3 bool) []byte {
	t.Helper()
	file, err := tiff.Parse(Testdata(t, "a4-fine-g4.tiff"), tiff.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	im, err := file.Page(0)
	if err != nil {
		t.Fatal(err)
	}
	m, err := im.Decode(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p := m.Raster
	const lower = 10 // rows by which the text stands once more between its lines
	for y := p.Height - 1; y >= lower; y-- {
		for i, above := range p.Row(y - lower) {
			p.Row(y)[i] |= above
		}
	}
	strip := tiff.G4Strip(ccitt.AppendG4(nil, p.Pix, p.Width, p.Height, p.Stride))
	if group3 {
		o := ccitt.G3Options{TwoD: true, Fill: true, RTC: true, LSBFirst: true}
		strip = tiff.G3Strip(ccitt.AppendG3(nil, p.Pix, p.Width, p.Height, p.Stride, o), o)
	}
	return StripFile(t, tiff.PageMeta{Width: p.Width, Height: p.Height, XRes: 204, YRes: 196}, strip)
}

// StripFile makes a TIFF of one page.
func StripFile(t testing.TB, meta tiff.PageMeta, strip tiff.Strip) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tiff.NewWriter(&b)
	if _, err := w.AddPage(meta, strip); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// SHA is a hash as the manifest has it.
func SHA(data []byte) string {
	return fmt.Sprintf("%x", sha256.Sum256(data))
}
