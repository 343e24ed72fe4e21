package document

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/faxstream/faxstream/pipeline/archive"
)

func named(h string) string { return "document." + h }

// What is written to a scratch file in pieces of any size comes back in its order, under its hash.
func TestAScratchFileHoldsWhatWasWritten(t *testing.T) {
	want := make([]byte, 5*scratchPiece+1)
	for i := range want {
		want[i] = byte(i ^ i>>8 ^ i>>16)
	}
	for _, size := range []int{1 << 10, scratchPiece - 1, scratchPiece, scratchPiece + 1, len(want)} {
		s, err := newScratch(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		for rest := want; len(rest) > 0; rest = rest[min(size, len(rest)):] {
			b := bytes.Clone(rest[:min(size, len(rest))])
			if n, err := s.Write(b); n != len(b) || err != nil {
				t.Fatalf("%d bytes: wrote %d, %v", len(b), n, err)
			}
			clear(b) // a scratch file keeps nothing of what it is given
		}
		o, err := s.object(named)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(io.NewSectionReader(s.f, 0, o.Size+1))
		if err != nil || !bytes.Equal(got, want) ||
			o != archive.NewObject(named(archive.Hash16(sha256.Sum256(want))), int64(len(want)), sha256.Sum256(want)) {
			t.Errorf("writes of %d bytes: %d bytes came back as %v, %v", size, len(got), o, err)
		}
		if err := s.remove(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(s.f.Name()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the file is still there: %v", err)
		}
	}
}

// A disk without room keeps a document from being named, and so from being stored.
func TestAScratchFileOnAFullDiskSaysSo(t *testing.T) {
	s, err := newScratch(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(s.f.Name())
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("no device that is always full: %v", err)
	}
	defer full.Close()
	if err := s.f.Close(); err != nil {
		t.Fatal(err)
	}
	s.f = full
	if _, err := s.Write(make([]byte, 10*scratchPiece)); err != nil {
		t.Fatal(err)
	}
	if o, err := s.object(named); err == nil {
		t.Errorf("named %v", o)
	}
}

// The archive that adopts a scratch file is told of all bytes, in their order, when they are in the file.
func TestAScratchFileTellsWhatIsInItsFile(t *testing.T) {
	s, err := newScratch(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	const size = 2*scratchAhead + scratchPiece + 1
	told := make(chan int64, size/scratchAhead+1)
	var end int64
	s.begin = func(file *os.File, from, to int64) {
		if info, err := file.Stat(); err != nil || info.Size() < to || from != end {
			t.Errorf("told of bytes %d to %d after those to %d: %v", from, to, end, err)
		}
		end = to
		told <- to
	}
	if _, err := s.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.object(named); err != nil {
		t.Fatal(err)
	}
	for to := range told {
		if to == size {
			break
		}
	}
	if err := s.remove(); err != nil {
		t.Error(err)
	}
}

// A scratch file is not closed while the archive that adopts it still looks at its last bytes.
func TestAScratchFileStaysOpenAsLongAsItIsUsed(t *testing.T) {
	s, err := newScratch(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	removing, looked := make(chan struct{}), make(chan error, 1)
	s.begin = func(file *os.File, _, _ int64) {
		<-removing
		_, err := file.Stat()
		looked <- err
	}
	if _, err := s.Write([]byte("a page")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.object(named); err != nil {
		t.Fatal(err)
	}
	close(removing)
	if err := s.remove(); err != nil {
		t.Error(err)
	}
	if err := <-looked; err != nil {
		t.Error(err)
	}
}
