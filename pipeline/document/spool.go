package document

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/session"
)

// spool is a private temporary file that computes its size and hash: the key and checksum of an object are needed before it is sent.
// It hashes and writes one piece while the next one is filled. It must not be used by several goroutines.
type spool struct {
	f        *os.File
	sum      hash.Hash
	piece    []byte      // being filled
	full     chan []byte // to the file
	empty    chan []byte // and back; nil: not allocated yet
	wrote    chan error  // one, after the last piece
	finished bool        // nothing more is written
}

const (
	spoolPiece  = 128 << 10 // bytes
	spoolPieces = 3         // at most, of one spool
)

func newSpool(dir string) (*spool, error) {
	f, err := os.CreateTemp(dir, "document-*")
	if err != nil {
		return nil, fmt.Errorf("spool a document: %w", err)
	}
	s := &spool{
		f: f, sum: sha256.New(),
		full: make(chan []byte, spoolPieces), empty: make(chan []byte, spoolPieces), wrote: make(chan error, 1),
	}
	for range spoolPieces - 1 {
		s.empty <- nil
	}
	go s.run()
	return s, nil
}

// run hashes and writes pieces until there are no more.
func (s *spool) run() {
	var err error
	for piece := range s.full {
		s.sum.Write(piece)
		if err == nil {
			_, err = s.f.Write(piece)
		}
		s.empty <- piece[:0]
	}
	s.wrote <- err
}

// Write never fails; finish returns the error.
func (s *spool) Write(b []byte) (n int, err error) {
	for n < len(b) {
		if len(s.piece) == spoolPiece {
			s.full <- s.piece
			s.piece = <-s.empty
		}
		if s.piece == nil {
			s.piece = make([]byte, 0, spoolPiece)
		}
		k := min(len(b)-n, spoolPiece-len(s.piece))
		s.piece = append(s.piece, b[n:n+k]...)
		n += k
	}
	return n, nil
}

// finish writes the last piece and waits for it.
func (s *spool) finish() error {
	s.finished = true
	s.full <- s.piece
	close(s.full)
	if err := <-s.wrote; err != nil {
		return fmt.Errorf("spool a document: %w", err)
	}
	return nil
}

// remove closes and deletes the file. After a crash the next start deletes it.
func (s *spool) remove() error {
	var err error
	if !s.finished { // the document failed
		err = s.finish()
	}
	return errors.Join(err, s.f.Close(), os.Remove(s.f.Name()))
}

// object finishes the file and names it: key makes a key from its hash.
func (s *spool) object(key func(h string) string) (session.Object, error) {
	if err := s.finish(); err != nil {
		return session.Object{}, err
	}
	size, err := s.f.Seek(0, io.SeekCurrent)
	if err != nil {
		return session.Object{}, fmt.Errorf("spool a document: %w", err)
	}
	sum := [sha256.Size]byte(s.sum.Sum(nil))
	return archive.NewObject(key(archive.Hash16(sum)), size, sum), nil
}

// store archives the file as object o. Nothing may be written to it afterwards: the archive may keep the file itself.
func (s *spool) store(ctx context.Context, a archive.Store, o session.Object) error {
	_, err := archive.Adopt(ctx, a, o.Key, s.f, o.Size, [sha256.Size]byte(s.sum.Sum(nil)))
	return err
}
