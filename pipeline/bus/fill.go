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
	Limit    uint64 // bytes; over it the stream takes nothing more
}

// nearlyFull is the share of its limit from which a stream is spoken of, in percent.
const nearlyFull = 80

// Fill reads how full the streams are that have a limit, in the order of their making.
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

// Warnings says which streams will soon be full; a stream that is full is an error of Ready.
func (b *Bus) Warnings(ctx context.Context) ([]string, error) {
	fills, err := b.Fill(ctx)
	if err != nil {
		return nil, err
	}
	var warnings []string
	for _, f := range fills {
		if f.Limit > 0 && f.Bytes >= f.Limit/100*nearlyFull {
			warnings = append(warnings, fmt.Sprintf("stream %s is %d %% full; when it is full, webhooks or work wait: give it more disk space by --max-store", f.Stream, f.Bytes*100/f.Limit))
		}
	}
	return warnings, nil
}
