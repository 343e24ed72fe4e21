package intake

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Origin says to which page of which fax bytes belong, and where they come from.
type Origin struct {
	Session    string
	Page       int // from 1; 0: the whole file
	From, To   string
	ToToken    string
	EventTime  time.Time
	Source     string
	BodySHA256 string // hex SHA-256 of the webhook that announced the page; empty: none did
}

// Sidecar describes an object with these bytes; reason says why they were rejected, if they were.
func (o Origin) Sidecar(obj session.Object, reason session.Reason) archive.Sidecar {
	return archive.Sidecar{
		Session: o.Session, Page: o.Page, From: o.From, To: o.To, EventTime: o.EventTime, BodySHA256: o.BodySHA256,
		Source: o.Source, Reason: reason, Object: obj,
	}
}

// Fact describes a decoded page. The caller adds the objects: original and PNG.
func (o Origin) Fact(m Image) session.PageArchived {
	f := session.PageArchived{
		Session: o.Session, Page: o.Page, From: o.From, To: o.To, ToToken: o.ToToken, Source: o.Source, RasterSHA256: m.SHA256,
		Width: m.Raster.Width, Height: m.Raster.Height, XResolution: m.Raster.XRes, YResolution: m.Raster.YRes,
		Coding: m.Coding, BadRows: m.CountBadRows(), LongestBad: m.LongestBadRun, EventTime: o.EventTime, BodySHA256: o.BodySHA256,
	}
	f.ResolutionAssumed = m.Resolution.Assumed
	if m.Orientation != raster.Upright {
		f.Orientation = int(m.Orientation)
	}
	if r := m.Received; r.Told {
		f.Received = &session.Received{BadRows: r.BadRows, LongestBad: r.Consecutive}
		if r.CleanFaxData >= 0 {
			f.Received.CleanFaxData = &r.CleanFaxData
		}
	}
	if m.Tones != nil {
		f.Samples = m.Tones.Samples
	}
	if m.CleanG4 != nil {
		f.CleanStrip = &session.Strip{Size: len(m.CleanG4), SHA256: fmt.Sprintf("%x", sha256.Sum256(m.CleanG4))}
	}
	return f
}
