package events

import (
	"fmt"
	"net/url"
	"path"

	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Page is the payload of page.archived and page.amended: the fact, and what subscribers need besides.
type Page struct {
	session.PageArchived
	// How many pixels of the PNG one pixel of the upright page is, across and down: 1 or 2.
	PNGScaleX int   `json:"png_scale_x"`
	PNGScaleY int   `json:"png_scale_y"`
	URLs      *URLs `json:"urls,omitempty"` // nil: there is no public URL
}

// URLs serve exactly these objects for as long as the archive has them, to readers with a token for the fax.
type URLs struct {
	PNG      string `json:"png"`
	Original string `json:"original"`
}

// Outward returns what is published for a fact: pages get what subscribers need besides, other facts stay what they are. public is the URL
// under which subscribers reach API and dashboard (see CheckPublic), without a slash at its end; empty: there is none.
func Outward(public string) func(session.Fact) any {
	return func(f session.Fact) any {
		switch f := f.(type) {
		case session.PageArchived:
			return outwardPage(f, public)
		case session.PageAmended:
			return outwardPage(f.PageArchived, public)
		}
		return f
	}
}

func outwardPage(f session.PageArchived, public string) Page {
	p := Page{PageArchived: f}
	p.PNGScaleX, p.PNGScaleY = PNGScale(f)
	if public != "" {
		p.URLs = &URLs{PNG: objectURL(public, f.Session, f.PNG), Original: objectURL(public, f.Session, f.Original)}
	}
	return p
}

// PNGScale is how many pixels of the PNG of a page one pixel of the upright page is, across and down: 1 or 2.
func PNGScale(f session.PageArchived) (x, y int) {
	if f.Orientation >= 5 { // the upright page has its rows where the page as stored has its columns
		return raster.SquareFactors(f.YResolution, f.XResolution)
	}
	return raster.SquareFactors(f.XResolution, f.YResolution)
}

// objectURL is where the API serves an object of a page. Sessions and the names of objects need no escapes.
func objectURL(public, id string, o session.Object) string {
	return public + "/api/v1/faxes/" + id + "/pages/" + path.Base(o.Key)
}

// CheckPublic returns an error if nothing can be served under a public URL.
func CheckPublic(public string) error {
	u, err := url.Parse(public)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%q: want the URL under which subscribers reach the API, such as https://fax.example.org", public)
	}
	return nil
}
