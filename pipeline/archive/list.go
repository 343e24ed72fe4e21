package archive

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Sessions yields every session that has at least one object in the archive, ascending. An error ends it.
func Sessions(ctx context.Context, a Reader) iter.Seq2[string, error] {
	return SessionsLike(ctx, a, "")
}

// SessionsLike yields those of Sessions that begin with some letters, which are a token or empty.
func SessionsLike(ctx context.Context, a Reader, begin string) iter.Seq2[string, error] {
	const prefix = "faxes/"
	return func(yield func(string, error) bool) {
		next := func(after string) (id string, err error) {
			for key, err := range a.List(ctx, prefix+begin, after) {
				if err != nil {
					return "", fmt.Errorf("list %s: %w", prefix, err)
				}
				if id, _, below := strings.Cut(strings.TrimPrefix(key, prefix), "/"); below { // else the key is not of a fax
					return id, nil
				}
			}
			return "", nil
		}
		for after := ""; ; {
			id, err := next(after)
			if err != nil || id == "" {
				if err != nil {
					yield("", err)
				}
				return
			}
			if session.ValidToken(id) && !yield(id, nil) {
				return
			}
			after = prefix + id + "0" // after every key of this fax: '0' follows '/'
		}
	}
}

// maxListed is the largest number of objects of one fax: 10,000 pages with some objects each, in many revisions.
const maxListed = 1_000_000

// Keys returns the keys under a prefix, ascending. More keys than one fax can have are an error.
func Keys(ctx context.Context, a Reader, prefix string) (keys []string, err error) {
	for key, err := range a.List(ctx, prefix, "") {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", prefix, err)
		}
		if len(keys) >= maxListed {
			return nil, fmt.Errorf("list %s: there are more than %d objects, which is more than a fax can have", prefix, maxListed)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// RevisionKeys returns the keys of a fax's revisions and of its redirect, ascending.
func RevisionKeys(ctx context.Context, a Reader, id string) ([]string, error) {
	return Keys(ctx, a, FaxPrefix(id)+"r")
}

// FaxKeys lists the keys of a fax's revisions first and then all its keys. What a manifest names was written before the manifest, so it
// is in all, even if `faxstream serve` writes at the same time.
func FaxKeys(ctx context.Context, a Reader, id string) (revised, all []string, err error) {
	if revised, err = RevisionKeys(ctx, a, id); err == nil {
		all, err = Keys(ctx, a, FaxPrefix(id))
	}
	return revised, all, err
}
