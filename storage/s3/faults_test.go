package s3

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/faxstream/faxstream/storage"
	"github.com/faxstream/faxstream/storage/storagetest"
)

type fault = func(*proxy, http.ResponseWriter, *http.Request)

func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b) // never fails
	return b
}

// errPassing stands for an error that matches none of the vocabulary.
var errPassing = errors.New("any other error")

func wantOutcome(t *testing.T, err, want error) {
	t.Helper()
	if want == nil && err != nil || want != nil && err == nil {
		t.Fatalf("got %v, want %v", err, want)
	}
	for _, e := range []error{fs.ErrExist, fs.ErrNotExist, storage.ErrFull, storage.ErrRefused, storage.ErrMismatch} {
		if errors.Is(err, e) != (e == want) {
			t.Fatalf("got %v, want %v", err, want)
		}
	}
}

// What the network does to a PUT is never guessed: Create says nil, fs.ErrExist
// or that it does not know, and each is true. No more than 3 PUTs are made.
func TestCreateThroughFaults(t *testing.T) {
	eachServer(t, testCreateThroughFaults)
}

func testCreateThroughFaults(t *testing.T, s *Store, p *proxy) {
	small, large := noise(75_000), noise(3<<20)
	theirs := []byte("another writer's")
	for i, tc := range []struct {
		name       string
		body       []byte
		exists     bool
		puts       []fault
		heads      []fault
		want       error
		stored     bool // our body is there in the end
		nPut, nHea int
	}{
		{"nothing happens", small, false, nil, nil, nil, true, 1, 0},
		{"connection lost", small, false, []fault{connectionLost}, nil, nil, true, 2, 1},
		{"connection lost, large", large, false, []fault{connectionLost}, nil, nil, true, 2, 1},
		{"answer lost", small, false, []fault{answerLost}, nil, nil, true, 1, 1},
		{"answer lost, large", large, false, []fault{answerLost}, nil, nil, true, 1, 1},
		{"answer lost, empty body", nil, false, []fault{answerLost}, nil, nil, true, 1, 1},
		{"answer lost, then the look", small, false, []fault{answerLost}, []fault{status(500)}, nil, true, 2, 2},
		{"answer lost, then the look, twice", small, false, []fault{answerLost, answerLost}, []fault{status(502), status(503)}, nil, true, 3, 3},
		{"answer and all looks lost", small, false, []fault{answerLost}, []fault{status(500), status(502), status(504)}, errPassing, true, 3, 3},
		{"a proxy repeats it", small, false, []fault{repeated}, nil, nil, true, 1, 1},
		{"503 once", small, false, []fault{status(503)}, nil, nil, true, 2, 1},
		{"503 for ever", small, false, []fault{status(503), status(503), status(503), status(503)}, nil, errPassing, false, 3, 3},
		{"409 once", small, false, []fault{status(409)}, nil, nil, true, 2, 1},
		{"412 for nothing", small, false, []fault{status(412), status(412), status(412)}, nil, errPassing, false, 3, 3},
		{"damaged on the way", small, false, []fault{damaged}, nil, nil, true, 2, 1},
		{"damaged on the way for ever", small, false, []fault{damaged, damaged, damaged}, nil, errPassing, false, 3, 3},
		{"403", small, false, []fault{status(403)}, nil, storage.ErrRefused, false, 1, 0},
		{"400", small, false, []fault{status(400)}, nil, storage.ErrRefused, false, 1, 0},
		{"404", small, false, []fault{status(404)}, nil, errPassing, false, 1, 0},
		{"507", small, false, []fault{status(507)}, nil, storage.ErrFull, false, 1, 0},
		{"403 for the look", small, false, []fault{connectionLost}, []fault{status(403)}, storage.ErrRefused, false, 1, 1},
		{"it exists", small, true, nil, nil, fs.ErrExist, false, 1, 1},
		{"it exists, large", large, true, nil, nil, fs.ErrExist, false, 1, 1},
		{"it exists, connection lost", small, true, []fault{connectionLost}, nil, fs.ErrExist, false, 1, 1},
		{"it exists, answer lost", large, true, []fault{answerLost}, nil, fs.ErrExist, false, 1, 1},
		{"it exists, look fails", small, true, nil, []fault{status(500)}, fs.ErrExist, false, 2, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			key := fmt.Sprintf("faxes/S%d/x", i)
			if tc.exists {
				p.faults("")
				if err := create(t.Context(), s, key, theirs); err != nil {
					t.Fatal(err)
				}
			}
			p.faults(http.MethodPut, tc.puts...)
			puts := p.do
			p.faults(http.MethodHead, tc.heads...)
			heads := p.do
			p.do = func(p *proxy, w http.ResponseWriter, r *http.Request, n int) {
				if r.Method == http.MethodPut {
					puts(p, w, r, n)
				} else {
					heads(p, w, r, n)
				}
			}
			wantOutcome(t, create(t.Context(), s, key, tc.body), tc.want)
			if put, head := p.count(http.MethodPut), p.count(http.MethodHead); put > 3 || put < tc.nPut || head != tc.nHea && tc.nPut == put {
				t.Fatalf("%d PUTs and %d HEADs, want %d and %d", put, head, tc.nPut, tc.nHea)
			}
			p.faults("")
			switch {
			case tc.exists:
				wantObject(t, s, key, theirs)
			case tc.stored:
				wantObject(t, s, key, tc.body)
				if err := create(t.Context(), s, key, tc.body); !errors.Is(err, fs.ErrExist) {
					t.Fatalf("again: %v, want fs.ErrExist", err)
				}
			default:
				wantNothing(t, s, key)
			}
		})
	}
}

func TestMultipartThroughFaults(t *testing.T) {
	eachServer(t, testMultipartThroughFaults)
}

func testMultipartThroughFaults(t *testing.T, s *Store, p *proxy) {
	body := noise(12 << 20) // three parts
	for i, tc := range []struct {
		name   string
		method string
		faults []fault
		want   error
		stored bool
	}{
		{"nothing happens", "", nil, nil, true},
		{"begin lost", http.MethodPost, []fault{connectionLost}, nil, true},
		{"answer to begin lost", http.MethodPost, []fault{answerLost}, nil, true},
		{"begin refused", http.MethodPost, []fault{status(403)}, storage.ErrRefused, false},
		{"parts lost", http.MethodPut, []fault{connectionLost, nil, answerLost, nil, status(500)}, nil, true},
		{"part damaged", http.MethodPut, []fault{nil, damaged}, nil, true},
		{"part lost for ever", http.MethodPut, []fault{nil, status(503), connectionLost, status(500)}, errPassing, false},
		{"completion lost", http.MethodPost, []fault{nil, connectionLost}, nil, true},
		{"answer to completion lost", http.MethodPost, []fault{nil, answerLost}, nil, true},
		{"completion lost for ever", http.MethodPost, []fault{nil, status(503), connectionLost, status(500)}, errPassing, false},
		{"look after it lost", http.MethodHead, []fault{nil, connectionLost}, nil, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			key := fmt.Sprintf("faxes/S%d/x", i)
			p.faults(tc.method, tc.faults...)
			wantOutcome(t, create(t.Context(), s, key, body), tc.want)
			p.faults("")
			if tc.stored {
				wantObject(t, s, key, body)
				if err := create(t.Context(), s, key, body); !errors.Is(err, fs.ErrExist) {
					t.Fatalf("again: %v, want fs.ErrExist", err)
				}
			} else {
				wantNothing(t, s, key)
			}
			// Only the upload whose id never arrived may be left.
			for up := range s.core.ListIncompleteUploads(t.Context(), s.bucket, key, true) {
				if up.Err != nil || tc.name != "answer to begin lost" {
					t.Errorf("an upload is left: %v %v", up.Key, up.Err)
				}
			}
		})
	}
}

func TestMultipartDoesNotSendWhatExists(t *testing.T) {
	eachServer(t, testMultipartDoesNotSendWhatExists)
}

func testMultipartDoesNotSendWhatExists(t *testing.T, s *Store, p *proxy) {
	if err := create(t.Context(), s, "x", []byte("first")); err != nil {
		t.Fatal(err)
	}
	p.reset()
	wantOutcome(t, create(t.Context(), s, "x", noise(9<<20)), fs.ErrExist)
	if n := p.count(http.MethodPut); n != 0 {
		t.Fatalf("%d parts were sent", n)
	}
	wantObject(t, s, "x", []byte("first"))
}

// On a service that lets a completion overwrite an object, a writer whose object
// was overwritten before its check gets an error.
func TestMultipartThatWasOverwrittenHasNotWon(t *testing.T) {
	eachServer(t, testMultipartThatWasOverwrittenHasNotWon)
}

func testMultipartThatWasOverwrittenHasNotWon(t *testing.T, s *Store, p *proxy) {
	theirs := noise(9 << 20)
	p.faults(http.MethodHead, nil, func(p *proxy, w http.ResponseWriter, r *http.Request) {
		_, err := s.core.Client.PutObject(r.Context(), s.bucket, "x", bytes.NewReader(theirs), int64(len(theirs)), minio.PutObjectOptions{})
		if err != nil {
			t.Error(err)
		}
		p.ReverseProxy.ServeHTTP(w, r)
	})
	wantOutcome(t, create(t.Context(), s, "x", noise(10<<20)), fs.ErrExist)
	wantObject(t, s, "x", theirs)
}

func TestOpenThroughFaults(t *testing.T) {
	eachServer(t, testOpenThroughFaults)
}

func testOpenThroughFaults(t *testing.T, s *Store, p *proxy) {
	body := noise(2 << 20)
	if err := create(t.Context(), s, "x", body); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		faults []fault
		want   error
		gets   int
	}{
		{"none", nil, nil, 1},
		{"unavailable twice", []fault{status(500), status(503)}, nil, 3},
		{"unavailable for ever", []fault{status(429), status(503), status(500), status(500)}, errPassing, 3},
		{"refused", []fault{status(403)}, storage.ErrRefused, 1},
		{"missing", []fault{status(404)}, fs.ErrNotExist, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p.faults(http.MethodGet, tc.faults...)
			r, size, err := s.Open(t.Context(), "x")
			wantOutcome(t, err, tc.want)
			if n := p.count(http.MethodGet); n != tc.gets {
				t.Fatalf("%d GETs, want %d", n, tc.gets)
			}
			if err != nil {
				return
			}
			defer r.Close()
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, body) || size != int64(len(body)) {
				t.Fatalf("%d bytes of %d, %v", len(got), size, err)
			}
		})
	}
}

// cut sends the first half of the object and breaks the connection.
func cut(p *proxy, w http.ResponseWriter, r *http.Request) {
	n := 1 << 20
	p.ReverseProxy.ServeHTTP(&cutWriter{ResponseWriter: w, left: n}, r)
	panic(http.ErrAbortHandler)
}

type cutWriter struct {
	http.ResponseWriter
	left int
}

func (c *cutWriter) Write(b []byte) (int, error) {
	k := min(len(b), c.left)
	c.left -= k
	if _, err := c.ResponseWriter.Write(b[:k]); err != nil {
		return 0, err
	}
	return len(b), nil
}

func TestReadingThatBreaksOffIsAnErrorAndCanGoOn(t *testing.T) {
	eachServer(t, testReadingThatBreaksOffIsAnErrorAndCanGoOn)
}

func testReadingThatBreaksOffIsAnErrorAndCanGoOn(t *testing.T, s *Store, p *proxy) {
	body := noise(2 << 20)
	if err := create(t.Context(), s, "x", body); err != nil {
		t.Fatal(err)
	}
	p.faults(http.MethodGet, cut)
	r, _, err := s.Open(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	first, err := io.ReadAll(r)
	if err == nil || len(first) >= len(body) {
		t.Fatalf("half an object was read as a whole one: %d bytes, %v", len(first), err)
	}
	rest, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(append(first, rest...), body) {
		t.Fatalf("%d and %d bytes, %v", len(first), len(rest), err)
	}
}

// Seeking alone asks for nothing, as http.ServeContent needs it.
func TestSeekingCostsARequestOnlyWhenRead(t *testing.T) {
	eachServer(t, testSeekingCostsARequestOnlyWhenRead)
}

func testSeekingCostsARequestOnlyWhenRead(t *testing.T, s *Store, p *proxy) {
	body := noise(1 << 20)
	if err := create(t.Context(), s, "x", body); err != nil {
		t.Fatal(err)
	}
	p.reset()
	r, _, err := s.Open(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, seek := range []struct {
		offset int64
		whence int
	}{{0, io.SeekEnd}, {0, io.SeekStart}} {
		if _, err := r.Seek(seek.offset, seek.whence); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := io.ReadAll(r); err != nil || sha256.Sum256(got) != sha256.Sum256(body) {
		t.Fatal("not what was written", err)
	}
	if n := p.count(http.MethodGet); n != 1 {
		t.Fatalf("%d GETs", n)
	}
}

func TestListRetries(t *testing.T) {
	eachServer(t, testListRetries)
}

func testListRetries(t *testing.T, s *Store, p *proxy) {
	if err := create(t.Context(), s, "a/b", nil); err != nil {
		t.Fatal(err)
	}
	list := func() (keys []string, err error) {
		for key, err := range s.List(t.Context(), "", "") {
			if err != nil {
				return keys, err
			}
			keys = append(keys, key)
		}
		return keys, nil
	}
	p.faults(http.MethodGet, connectionLost, status(503))
	if keys, err := list(); err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	p.faults(http.MethodGet, status(502), status(503), status(500), status(500))
	_, err := list()
	wantOutcome(t, err, errPassing)
	if n := p.count(http.MethodGet); n != 3 {
		t.Fatalf("%d GETs, want 3", n)
	}
}

// Where the service takes the precondition on a completion (versitygw does not), one of several racing uploads in parts wins.
func TestOfRacingUploadsInPartsOneWins(t *testing.T) {
	s, _ := openBehindProxy(t, storagetest.MinIO)
	errs := make([]error, 6)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = create(t.Context(), s, "x", append(noise(10<<20), byte(i))) })
	}
	wg.Wait()
	winner := slices.Index(errs, nil)
	for i, err := range errs {
		if i != winner && !errors.Is(err, fs.ErrExist) {
			t.Errorf("writer %d: %v, want fs.ErrExist; the winner is %d", i, err, winner)
		}
	}
	if winner >= 0 {
		wantObject(t, s, "x", append(noise(10<<20), byte(winner)))
	}
}
