package api

import (
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// HoldStatus is what keeps a fax from being purged: GET /faxes/{session}/keep.
type HoldStatus struct {
	Session  string              `json:"session"`
	Held     bool                `json:"held"`
	Purged   bool                `json:"purged"`
	Retained time.Time           `json:"retained_until,omitzero"` // before then it cannot be purged
	Log      []session.KeepEntry `json:"log"`                     // oldest first
}

// HoldList is the newest entry of every fax under legal hold: GET /holds.
type HoldList struct {
	Holds []session.KeepEntry `json:"holds"`
}

// HoldAnswer is the answer to an order to hold, release or purge a fax. The order is stored.
type HoldAnswer struct {
	Session string `json:"session"`
	Action  string `json:"action"`
	Asked   string `json:"asked"` // names the order in the log
	Done    bool   `json:"done"`  // it is carried out; false: it will be
}
