package stage

import (
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

// Step is one thing that was done, for metrics and for people who watch.
type Step struct {
	Stage   string
	Session string
	Page    int           // 0: not of one page
	Took    time.Duration // 0: an instant
	Reason  session.Reason
}
