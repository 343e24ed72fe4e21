package document

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/session"
)

// scratch is a private temporary file that computes its size and hash: the key and checksum of an object are needed before it is sent.
// It hashes and writes one piece while the next one is filled. It must not be used by several goroutines.
type scratch struct {
	f        *os.File
	sum      hash.Hash
	piece    []byte                              // being filled
	full     chan []byte                         // to the file
	empty    chan []byte                         // and back; nil: not allocated yet
	wrote    chan error                          // one, after the last piece
	over     chan struct{}                       // closed when nothing uses the file any more
	begin    func(file *os.File, from, to int64) // of the archive that adopts the file, to be set before it is written; nil: none does
	ended    bool                                // nothing more is written
	finished bool                                // the last piece is in the file
}

const (
	scratchPiece  = 128 << 10 // bytes
	scratchPieces = 3         // at most, of one scratch file
	scratchAhead  = 4 << 20   // bytes that are in the file before the disk begins with them
)

func newScratch(dir string) (*scratch, error) {
	f, err := os.CreateTemp(dir, "document-*")
	if err != nil {
		return nil, fmt.Errorf("write a scratch file of a document: %w", err)
	}
	s := &scratch{
		f: f, sum: sha256.New(),
		full: make(chan []byte, scratchPieces), empty: make(chan []byte, scratchPieces), wrote: make(chan error, 1),
		over: make(chan struct{}),
	}
	for range scratchPieces - 1 {
		s.empty <- nil
	}
	go s.run()
	return s, nil
}

// run hashes and writes pieces until there are no more.
func (s *scratch) run() {
	defer close(s.over)
	var err error
	var begun, size int64
	for piece := range s.full {
		s.sum.Write(piece)
		if err == nil {
			_, err = s.f.Write(piece)
		}
		size += int64(len(piece))
		s.empty <- piece[:0]
		if s.begin != nil && size-begun >= scratchAhead {
			s.begin(s.f, begun, size)
			begun = size
		}
	}
	s.wrote <- err
	if s.begin != nil && err == nil {
		s.begin(s.f, begun, size)
	}
}

// Write never fails; finish returns the error.
func (s *scratch) Write(b []byte) (n int, err error) {
	for n < len(b) {
		if len(s.piece) == scratchPiece {
			s.full <- s.piece
			s.piece = <-s.empty
		}
		if s.piece == nil {
			s.piece = make([]byte, 0, scratchPiece)
		}
		k := min(len(b)-n, scratchPiece-len(s.piece))
		s.piece = append(s.piece, b[n:n+k]...)
		n += k
	}
	return n, nil
}

// end sends the last piece on its way.
func (s *scratch) end() {
	if !s.ended {
		s.full <- s.piece
		close(s.full)
	}
	s.ended = true
}

// finish writes the last piece and waits for it.
func (s *scratch) finish() error {
	s.end()
	s.finished = true
	if err := <-s.wrote; err != nil {
		return fmt.Errorf("write a scratch file of a document: %w", err)
	}
	return nil
}

// remove closes and deletes the file. After a crash the next start deletes it.
func (s *scratch) remove() error {
	var err error
	if !s.finished { // the document failed
		err = s.finish()
	}
	<-s.over // the disk may still be told to begin with the last bytes
	return errors.Join(err, s.f.Close(), os.Remove(s.f.Name()))
}

// object finishes the file and names it: key makes a key from its hash.
func (s *scratch) object(key func(h string) string) (session.Object, error) {
	if err := s.finish(); err != nil {
		return session.Object{}, err
	}
	size, err := s.f.Seek(0, io.SeekCurrent)
	if err != nil {
		return session.Object{}, fmt.Errorf("write a scratch file of a document: %w", err)
	}
	sum := [sha256.Size]byte(s.sum.Sum(nil))
	return archive.NewObject(key(archive.Hash16(sum)), size, sum), nil
}

// item is the file as object o, to be archived. Nothing may be written to it afterwards: the archive may keep the file itself.
func (s *scratch) item(o session.Object) archive.Item {
	return archive.Item{Key: o.Key, Body: s.f, Size: o.Size, Sum: [sha256.Size]byte(s.sum.Sum(nil)), Adopt: true}
}
