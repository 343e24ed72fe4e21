package stage

import (
	"context"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Stages as they are named in facts, metrics and Steps.
const (
	Announce = "announce"
	Fetch    = "fetch"
	Archive  = "archive"
	Decode   = "decode"
	Publish  = "publish"
	Collect  = "collect"
	Whole    = "whole"
	Verify   = "verify"
	Assemble = "assemble"
)

// Step reports one stage that is done, or that failed, for metrics and for the dashboard.
type Step struct {
	Stage   string
	Session string
	Page    int            // from 1; 0: the step is not about one page
	Took    time.Duration  // 0: not measured
	Reason  session.Reason // why it failed; empty: it did not fail
	Attempt int            // the number of the attempt, from 1; 0: attempts are not counted
}

// Observer is told each Step; ctx is that of the work. Many goroutines call it at once.
type Observer func(ctx context.Context, s Step)
