package fetch

import (
	"context"

	"github.com/faxstream/faxstream/pipeline/intake"
)

// Lookup is how a worker with these pages looks for what an earlier run left.
func Lookup(ctx context.Context, p intake.Pages, o intake.Origin) (*intake.Found, error) {
	w := Worker{Pages: p}
	return w.lookup(ctx, o)
}
