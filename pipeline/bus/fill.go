package bus

import (
	"context"
	"fmt"
)

// Fill is how full a stream is.
type Fill struct {
	Stream   string
	Messages uint64
	Bytes    uint64
	Limit    uint64 // bytes; above it the stream accepts nothing more
}

// nearlyFull is the share of its limit, in percent, from which Warnings names a stream.
const nearlyFull = 80

// Fill reads how full the streams with a limit are, in a fixed order.
func (b *Bus) Fill(ctx context.Context) ([]Fill, error) {
	var all []Fill
	for _, s := range streamShares {
		stream, err := b.js.Stream(ctx, s.name)
		if err != nil {
			return nil, fmt.Errorf("stream %s: %w", s.name, err)
		}
		info := stream.CachedInfo()
		all = append(all, Fill{s.name, info.State.Msgs, info.State.Bytes, uint64(max(info.Config.MaxBytes, 0))})
	}
	return all, nil
}

// Warnings returns one sentence for each stream that is nearly full. A full stream is an error of Ready.
func (b *Bus) Warnings(ctx context.Context) ([]string, error) {
	fills, err := b.Fill(ctx)
	if err != nil {
		return nil, err
	}
	var warnings []string
	for _, f := range fills {
		if f.Limit > 0 && f.Bytes >= f.Limit/100*nearlyFull {
			warnings = append(warnings, fmt.Sprintf("stream %s is %d %% full; when it is full, webhooks or work must wait: "+
				"give it more disk space with --max-store", f.Stream, f.Bytes*100/f.Limit))
		}
	}
	return warnings, nil
}
