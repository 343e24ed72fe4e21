package watch

import (
	"context"
	"errors"
	"iter"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/client"
)

// streams is a server of which each connection does what is written for it, and of which no later one works.
type streams struct {
	begun []time.Duration // since the first
	start time.Time
	do    []func(ready func(), give func([]byte) error)
	end   context.CancelFunc
}

func (*streams) Faxes(context.Context, client.FaxFilter) iter.Seq2[api.FaxList, error] { return nil }

func (*streams) Fax(context.Context, string) (d api.FaxDetail, err error) { return d, nil }

func (s *streams) Events(_ context.Context, ready func(), give func([]byte) error) error {
	n := len(s.begun)
	s.begun = append(s.begun, time.Since(s.start))
	if n == len(s.do) {
		s.end()
		return nil
	}
	if s.do[n] != nil {
		s.do[n](ready, give)
	}
	return errors.New("lost")
}

// A stream is opened again later and later, up to half a minute, and soon again after one that worked. An event that cannot be read ends
// nothing.
func TestTheStreamIsOpenedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		works := func(ready func(), give func([]byte) error) {
			ready()
			if err := errors.Join(give([]byte("{")), give([]byte(`{"type":"fax.v1.page.archived","data":{"session":"a"}}`))); err != nil {
				t.Error(err)
			}
		}
		s := &streams{start: time.Now(), end: end, do: []func(func(), func([]byte) error){nil, nil, nil, nil, nil, nil, nil, works, nil}}
		opened, closed, sessions := 0, 0, []string{}
		follow(ctx, s, func(msg tea.Msg) {
			switch msg := msg.(type) {
			case openMsg:
				opened++
			case closedMsg:
				closed++
			case eventMsg:
				sessions = append(sessions, msg.session)
			}
		})
		var want []time.Duration
		for _, seconds := range []int{0, 1, 3, 7, 15, 31, 61, 91, 92, 94} {
			want = append(want, time.Duration(seconds)*time.Second)
		}
		if !slices.Equal(s.begun, want) || opened != 1 || closed != 9 || !slices.Equal(sessions, []string{"", "a"}) {
			t.Errorf("tries at %v, want %v; %d opened, %d closed, events of %q", s.begun, want, opened, closed, sessions)
		}
	})
}
