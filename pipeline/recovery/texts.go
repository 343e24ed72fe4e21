package recovery

import (
	"context"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/session"
)

// texts publishes what OCR engines recognised. A text that is damaged does not keep the fax from its subscribers: verify names it.
func (r *rebuilder) texts(ctx context.Context, keys []string) error {
	for _, key := range keys {
		if !archive.IsWords(key) {
			continue
		}
		p, data, err := archive.LoadText(ctx, r.Archive, key)
		if archive.Broken(err) {
			r.broke(archive.SessionOfKey(key), err)
			continue
		}
		if err != nil {
			return err
		}
		if err := r.record(ctx, p.Fact(data)); err != nil {
			return err
		}
	}
	return nil
}

// made publishes the PDFs with text and the derived documents.
func (r *rebuilder) made(ctx context.Context, keys []string) error {
	for _, key := range keys {
		var f session.Fact
		var err error
		switch {
		case archive.IsSearchable(key):
			f, err = eventOf(ctx, r.Archive, key, archive.LoadSearchable, archive.Searchable.Event)
		case archive.IsDerived(key):
			f, err = eventOf(ctx, r.Archive, key, archive.LoadDerived, archive.Derived.Event)
		default:
			continue
		}
		if archive.Broken(err) || archive.Lost(err) {
			r.broke(archive.SessionOfKey(key), err)
			continue
		}
		if err == nil {
			err = r.record(ctx, f)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// eventOf is the event of the record under a key.
func eventOf[R any, F session.Fact](ctx context.Context, a archive.Reader, key string,
	load func(context.Context, archive.Reader, string) (R, session.Object, error), event func(R, session.Object) F,
) (session.Fact, error) {
	record, self, err := load(ctx, a, key)
	if err != nil {
		return nil, err
	}
	return event(record, self), nil
}
