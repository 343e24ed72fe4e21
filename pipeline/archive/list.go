package archive

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Sessions yields the sessions of which the archive has anything.
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
				if id, _, below := strings.Cut(strings.TrimPrefix(key, prefix), "/"); below { // else it is nothing of a fax
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
			after = prefix + id + "0" // behind every key of this fax: '0' follows '/'
		}
	}
}

// maxListed bounds the objects of one fax that are listed: of 10,000 pages with some objects each, in many revisions.
const maxListed = 1_000_000

// Keys lists the keys under a prefix, ascending; more of them than a fax can have are an error.
func Keys(ctx context.Context, a Reader, prefix string) (keys []string, err error) {
	for key, err := range a.List(ctx, prefix, "") {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", prefix, err)
		}
		if len(keys) >= maxListed {
			return nil, fmt.Errorf("list %s: more than %d objects are of no fax", prefix, maxListed)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// RevisionKeys lists the keys of a fax's revisions, and of what says that another session has it.
func RevisionKeys(ctx context.Context, a Reader, id string) ([]string, error) {
	return Keys(ctx, a, FaxPrefix(id)+"r")
}

// FaxKeys lists the keys of a fax's revisions and then all: what a manifest names was written before it, so that it is among all
// also where faxstream serve writes meanwhile.
func FaxKeys(ctx context.Context, a Reader, id string) (revised, all []string, err error) {
	if revised, err = RevisionKeys(ctx, a, id); err == nil {
		all, err = Keys(ctx, a, FaxPrefix(id))
	}
	return revised, all, err
}
