package verify

import (
	"context"
	"fmt"

	"github.com/faxstream/faxstream/pipeline/archive"
)

// texts checks that the texts of pages are as they were written, and notes the results that they name. A result without its words is what a
// crash leaves: it is an orphan.
func (k *checking) texts(ctx context.Context) error {
	for _, key := range k.listed {
		if !archive.IsWords(key) {
			continue
		}
		data, ok, err := k.read(ctx, key, archive.MaxJSON)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		k.served[key] = true
		p, err := archive.ParseText(data)
		switch {
		case err != nil:
			k.found.unreadable(FaultText, key, err)
		case p.Session != k.id || p.WordsKey() != key:
			k.found.fault(FaultText, key, 0, fmt.Sprintf("It is the text of session %s page %d, %s", p.Session, p.Page, p.WordsKey()))
		default:
			k.name(p.Result, key)
		}
	}
	return nil
}
