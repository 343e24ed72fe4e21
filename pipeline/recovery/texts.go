package recovery

import (
	"context"

	"github.com/faxstream/faxstream/pipeline/archive"
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

// searchables publishes the PDFs with text.
func (r *rebuilder) searchables(ctx context.Context, keys []string) error {
	for _, key := range keys {
		if !archive.IsSearchable(key) {
			continue
		}
		s, self, err := archive.LoadSearchable(ctx, r.Archive, key)
		if archive.Broken(err) || archive.Lost(err) {
			r.broke(archive.SessionOfKey(key), err)
			continue
		}
		if err != nil {
			return err
		}
		if err := r.record(ctx, s.Event(self)); err != nil {
			return err
		}
	}
	return nil
}
