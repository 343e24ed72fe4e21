package subscribers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Failures are the events that a subscriber has settled as Fail since it was added. A NATS client that ends events itself is not counted.
type Failures struct {
	Count int       `json:"count"`
	Last  time.Time `json:"last,omitzero"` // UTC; zero: there was none
	Why   string    `json:"why,omitempty"` // what the worker said of the last one
}

const (
	maxWhy       = 300 // bytes
	countedTries = 20  // other processes may count at the same time
)

func failuresKey(name string) string { return "failed-" + name }

// failures reads them, and the revision of the note that has them.
func (v *Service) failures(ctx context.Context, name string) (f Failures, revision uint64, err error) {
	data, revision, err := v.Bus.Note(ctx, failuresKey(name))
	if err != nil || len(data) == 0 {
		return f, revision, err
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return f, revision, fmt.Errorf("failures of %s: %w", name, err)
	}
	return f, revision, nil
}

// countFailed adds events that failed just now. It is called after they are settled: a crash between the two leaves them uncounted.
func (v *Service) countFailed(ctx context.Context, name string, count int, why string) error {
	for range countedTries {
		f, revision, err := v.failures(ctx, name)
		if err != nil {
			return err
		}
		f.Count, f.Last, f.Why = f.Count+count, time.Now().UTC(), why[:min(len(why), maxWhy)]
		data, err := json.Marshal(f)
		if err != nil {
			return err
		}
		if _, ok, err := v.Bus.PutNote(ctx, failuresKey(name), data, revision); ok || err != nil {
			return err
		}
	}
	return errors.New("counting failed events: too many processes count at once; settle them again")
}

// forgetFailures begins to count anew.
func (v *Service) forgetFailures(ctx context.Context, name string) error {
	_, revision, err := v.failures(ctx, name)
	if err != nil || revision == 0 {
		return err
	}
	_, _, err = v.Bus.PutNote(ctx, failuresKey(name), []byte("{}"), revision)
	return err
}
