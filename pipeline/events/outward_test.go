package events_test

import (
	"testing"

	"github.com/faxstream/faxstream/pipeline/events"
	"github.com/faxstream/faxstream/pipeline/session"
)

// The scale is that of the PNG, which is upright and has nearly square pixels.
func TestThePNGsScaleIsSaid(t *testing.T) {
	for _, row := range []struct {
		name                        string
		x, y                        float64
		orientation, across, asDown int
	}{
		{"fine", 204, 196, 0, 1, 1},
		{"standard", 204, 98, 0, 1, 2},
		{"superfine", 204, 391, 0, 2, 1},
		{"standard, upside down", 204, 98, 3, 1, 2},
		{"standard, on its side", 204, 98, 6, 2, 1},
		{"unknown", 0, 0, 0, 1, 1},
	} {
		f := session.PageArchived{Session: "s", XResolution: row.x, YResolution: row.y, Orientation: row.orientation}
		p, ok := events.Outward("")(session.PageAmended{PageArchived: f}).(events.Page)
		if !ok || p.PNGScaleX != row.across || p.PNGScaleY != row.asDown || p.URLs != nil {
			t.Errorf("%s: scale %d, %d, URLs %v", row.name, p.PNGScaleX, p.PNGScaleY, p.URLs)
		}
	}
}

func TestPublicURLs(t *testing.T) {
	for public, ok := range map[string]bool{
		"https://fax.example.org": true, "http://127.0.0.1:8081": true, "https://example.org/fax/": true,
		"": false, "fax.example.org": false, "ftp://fax.example.org": false, "https://": false, "https://ada@example.org": false,
		"https://example.org/?a=b": false, "https://example.org/#a": false,
	} {
		if err := events.CheckPublic(public); (err == nil) != ok {
			t.Errorf("%q: %v", public, err)
		}
	}
}
