package jbig_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/faxstream/faxstream/pipeline/jbig"
)

// pixels are a page of some kind, packed.
func pixels(kind string, width, height int) []byte {
	stride := (width + 7) / 8
	pix := make([]byte, stride*height)
	seed := uint32(1)
	for y := range height {
		for x := range width {
			seed = seed*1664525 + 1013904223
			var black bool
			switch kind {
			case "text":
				black = y%20 < 12 && (x/3+y/20*7)%5 < 2 && (x/40+y/20)%7 != 0 && (x+y)%11 != 3
			case "dots":
				black = (x%7)*(x%7)+(y%7)*(y%7) < 3+(x+y)/40%20
			case "noise":
				black = seed>>28 < 5
			case "black":
				black = true
			}
			if black {
				pix[y*stride+x/8] |= 0x80 >> (x % 8)
			}
		}
	}
	return pix
}

// judged returns what an encoder of JBIG-KIT makes of a page.
func judged(t testing.TB, tool string, pix []byte, width, height int, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is missing: install the Debian package jbigkit-bin", tool)
		}
		t.Skipf("%s is missing: install the Debian package jbigkit-bin", tool)
	}
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.pbm"), filepath.Join(dir, "out.jbg")
	if err := os.WriteFile(in, append(fmt.Appendf(nil, "P4\n%d %d\n", width, height), pix...), 0o600); err != nil {
		t.Fatal(err)
	}
	if msg, err := exec.Command(path, append(args, in, out)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, msg)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestWhatJBIGKitWritesIsReadAsItIs(t *testing.T) {
	for _, kind := range []string{"text", "dots", "noise", "black", "white"} {
		for _, size := range [][2]int{{1, 1}, {7, 3}, {64, 64}, {333, 250}, {1728, 300}} {
			pix := pixels(kind, size[0], size[1])
			for _, c := range []struct {
				tool string
				args []string
			}{
				{"pbmtojbg", []string{"-q"}},
				{"pbmtojbg", []string{"-q", "-p", "0"}},
				{"pbmtojbg", []string{"-q", "-p", "64", "-m", "0"}},
				{"pbmtojbg", []string{"-q", "-p", "72", "-s", "16"}},
				{"pbmtojbg", []string{"-q", "-m", "127", "-s", "32"}},
				{"pbmtojbg", []string{"-q", "-c", "-s", "32", "-m", "64"}},
				{"pbmtojbg", []string{"-q", "-r", "-s", "8"}},
				{"pbmtojbg", []string{"-q", "-f"}},
				{"pbmtojbg", []string{"-q", "-C", "a comment"}},
				{"pbmtojbg85", nil},
				{"pbmtojbg85", []string{"-p", "64", "-s", "16", "-m", "20"}},
				{"pbmtojbg85", []string{"-p", "0"}},
			} {
				data := judged(t, c.tool, pix, size[0], size[1], c.args...)
				got, res, err := jbig.Decode(context.Background(), nil, data, jbig.Limits{})
				if err != nil || !bytes.Equal(got, pix) || res.Found != size[1] || res.Rows != size[1] || len(res.Warnings) > 0 {
					t.Errorf("%s %v of %s, %v: %+v, %v", c.tool, c.args, kind, size, res, err)
				}
			}
		}
	}
}

func TestTheHeightMayBeToldLater(t *testing.T) {
	pix := pixels("text", 640, 200)
	for _, c := range []struct {
		tool string
		args []string
	}{
		{"pbmtojbg", []string{"-q", "-Y", "500", "-s", "32"}},
		{"pbmtojbg85", []string{"-Y", "400", "199", "-s", "32"}},
		{"pbmtojbg85", []string{"-Y", "4294967295", "199", "-s", "32"}},
	} {
		data := judged(t, c.tool, pix, 640, 200, c.args...)
		got, res, err := jbig.Decode(context.Background(), nil, data, jbig.Limits{})
		if err != nil || !bytes.Equal(got, pix) || res.Found != 200 || res.Rows != 200 {
			t.Errorf("%s %v: %+v, %v", c.tool, c.args, res, err)
		}
	}
}

func TestACutImageKeepsTheRowsBeforeTheCut(t *testing.T) {
	pix := pixels("text", 640, 320)
	data := judged(t, "pbmtojbg", pix, 640, 320, "-q", "-s", "32")
	for _, n := range []int{len(data) / 4, len(data) / 2, len(data) - 10} {
		got, res, err := jbig.Decode(context.Background(), nil, data[:n], jbig.Limits{})
		if err != nil || res.Rows != 320 || res.Doubtful == 0 || res.Found-res.Doubtful < 320*n/len(data)/2 || len(res.Warnings) == 0 {
			t.Errorf("cut after %d of %d bytes: %+v, %v", n, len(data), res, err)
			continue
		}
		sure := res.Found - res.Doubtful
		if sure >= 320 || !bytes.Equal(got[:sure*80], pix[:sure*80]) || !bytes.Equal(got[res.Found*80:], make([]byte, (320-res.Found)*80)) {
			t.Errorf("cut after %d bytes: rows before the cut differ, or rows behind it are not white", n)
		}
	}
}

func TestHostileImagesAreRefused(t *testing.T) {
	header := func(change func(h []byte)) []byte {
		h := make([]byte, 40)
		h[2] = 1
		binary.BigEndian.PutUint32(h[4:], 100)
		binary.BigEndian.PutUint32(h[8:], 100)
		binary.BigEndian.PutUint32(h[12:], 10)
		change(h)
		return h
	}
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"short":               {make([]byte, 19), jbig.ErrMalformed},
		"zeros":               {make([]byte, 100), jbig.ErrMalformed},
		"several resolutions": {header(func(h []byte) { h[1] = 2 }), jbig.ErrUnsupported},
		"bit planes":          {header(func(h []byte) { h[2] = 4 }), jbig.ErrUnsupported},
		"too wide":            {header(func(h []byte) { h[4] = 0x7f }), jbig.ErrLimit},
		"too high":            {header(func(h []byte) { h[8] = 0x7f }), jbig.ErrLimit},
		"no stripes":          {header(func([]byte) {})[:20], jbig.ErrMalformed},
		"no height":           {header(func(h []byte) { binary.BigEndian.PutUint32(h[8:], 1<<32-1) }), jbig.ErrMalformed},
	} {
		lim := jbig.Limits{MaxWidth: 20_000, MaxRows: 200_000, MaxPixels: 1 << 24}
		if _, _, err := jbig.Decode(context.Background(), nil, c.data, lim); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := jbig.Decode(ctx, nil, header(func([]byte) {}), jbig.Limits{}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, kind := range []string{"text", "dots"} {
		b.Run(kind, func(b *testing.B) {
			pix := pixels(kind, 1728, 2200)
			data := judged(b, "pbmtojbg85", pix, 1728, 2200)
			b.SetBytes(int64(len(pix)))
			b.ReportAllocs()
			for b.Loop() {
				if got, _, err := jbig.Decode(b.Context(), nil, data, jbig.Limits{}); err != nil || len(got) != len(pix) {
					b.Fatal(err)
				}
			}
		})
	}
}

// Whoever wants few rows of a large image waits for these only, and gets them as they are.
func TestRowsThatNobodyWantsAreNotDecoded(t *testing.T) {
	pix := pixels("text", 300, 200)
	data := judged(t, "pbmtojbg85", pix, 300, 200)
	for _, want := range []int{1, 17, 199, 200, 500} {
		got, res, err := jbig.Decode(context.Background(), nil, data, jbig.Limits{Wanted: want})
		n := min(want, 200)
		if err != nil || res.Rows != n || res.Found != n || !bytes.Equal(got, pix[:n*38]) {
			t.Errorf("%d rows wanted: %+v, %v", want, res, err)
		}
	}
}
