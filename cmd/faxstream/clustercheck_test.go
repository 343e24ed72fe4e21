package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// check wants what was promised to be there, every fax right, one event for each revision, and the archive proven.
func (c *cluster) check() {
	t := c.t
	t.Helper()
	c.checkKept()
	c.awaitRight(c.faxes[c.sent:])
	code, faxes, found := c.archive.verify(t)
	if code != 0 || len(found) > 0 || faxes < len(c.faxes) {
		t.Errorf("verify --all ends with %d; of %d faxes, of %d that were sent: %v", code, faxes, len(c.faxes), found)
	}
	c.checkEvents()
}

// checkKept wants one fact of each webhook that was answered 200.
func (c *cluster) checkKept() {
	c.t.Helper()
	s := c.streams()
	defer s.close()
	facts := s.subjects(bus.StreamIn, "fax.v1.in.>")
	subjects, hashes := c.door.promises()
	for _, subject := range subjects {
		if facts[subject] != 1 {
			c.t.Errorf("%s was answered 200 and is there %d times", subject, facts[subject])
		}
	}
	subjects = slices.DeleteFunc(subjects, func(subject string) bool { return c.read[subject] })
	for _, subject := range subjects {
		c.read[subject] = true
	}
	for subject, hash := range s.bodies(subjects) {
		// A close may be there before its webhook, as the provider's record of a fax that was silent for long.
		if page := strings.HasPrefix(subject, session.TypePageAnnounced+"."); page && !hashes[subject][hash] {
			c.t.Errorf("the fact %s is of a webhook %s that was not answered 200", subject, hash)
		}
	}
}

// awaitRight waits until each of the faxes is as it must be, and is patient as long as there are more that are.
func (c *cluster) awaitRight(faxes []faxplustest.Fax) {
	c.t.Helper()
	wrong := map[string]string{}
	for _, f := range faxes {
		wrong[f.Session] = "it was not looked at"
	}
	for len(wrong) > 0 {
		before, first := len(wrong), ""
		over := time.Now().Add(apptest.Patience)
		for len(wrong) == before {
			for _, f := range faxes {
				if _, open := wrong[f.Session]; !open {
					continue
				}
				if wrong[f.Session] = c.wrong(f); wrong[f.Session] == "" {
					delete(wrong, f.Session)
				} else {
					first = fmt.Sprintf("fax %s with %v: %s", f.Session, f.Faults, wrong[f.Session])
				}
			}
			if time.Now().After(over) {
				c.t.Fatalf("of %d faxes %d do not become right, such as %s", len(faxes), len(wrong), first)
			}
			pass(200 * time.Millisecond)
		}
	}
}

// wrong says how a fax differs from what the provider has; "": it does not.
func (c *cluster) wrong(f faxplustest.Fax) string {
	p := c.admin()
	status, text := p.ask(p.api("/faxes/" + f.Session))
	if status != http.StatusOK {
		return fmt.Sprintf("it is answered %d", status)
	}
	var d api.FaxDetail
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		c.t.Fatal(err)
	}
	truth := c.sim.Truth(f)
	if len(f.Faults) == 0 { // faults of a cluster may be longer than the grace after the close
		truth.Statuses = append(truth.Statuses, session.StatusRecovered)
	}
	if d.Revision == 0 || !slices.Contains(truth.Statuses, d.Status) {
		return fmt.Sprintf("it is %s (%s) in revision %d, want one of %v", d.Status, d.Reason, d.Revision, truth.Statuses)
	}
	pages := map[int]api.Page{}
	for _, page := range d.Pages {
		pages[page.Page] = page
	}
	for _, page := range slices.Sorted(maps.Keys(truth.Pages)) {
		if pages[page].Status != session.PageStatusArchived {
			return fmt.Sprintf("page %d is %+v, want it archived", page, pages[page])
		}
	}
	for _, page := range truth.Missing {
		if pages[page].Status != session.PageStatusMissing {
			return fmt.Sprintf("page %d is %+v, want it missing", page, pages[page])
		}
	}
	return c.wrongImages(f, d, truth)
}

// wrongImages compares the pages of the document with the images that they may have.
func (c *cluster) wrongImages(f faxplustest.Fax, d api.FaxDetail, truth faxplustest.Truth) string {
	p, at := c.admin(), 0
	status, text := p.ask(p.api("/faxes/" + f.Session + "/document.tiff"))
	if status != http.StatusOK {
		if len(truth.Pages) == 0 {
			return ""
		}
		return fmt.Sprintf("its document is answered %d", status)
	}
	document := apptest.Parse(c.t, []byte(text))
	for _, page := range d.Pages {
		if page.Status != session.PageStatusArchived {
			continue
		}
		images := truth.Pages[page.Page]
		if at >= document.NumPages() {
			return fmt.Sprintf("the document has only %d pages", at)
		}
		got := apptest.PixelsOfPage(c.t, document, at)
		if at++; len(images) > 0 && !slices.ContainsFunc(images, func(image []byte) bool { return apptest.PixelsOf(c.t, image) == got }) {
			return fmt.Sprintf("page %d has another image than the one that was sent", page.Page)
		}
	}
	return ""
}

// checkEvents wants one event for each revision of each fax.
func (c *cluster) checkEvents() {
	c.t.Helper()
	s := c.streams()
	defer s.close()
	all := s.assembled()
	for _, f := range c.faxes {
		revisions := all[f.Session]
		slices.SortFunc(revisions, func(a, b string) int { return len(a) - len(b) + strings.Compare(a, b) })
		for i, revision := range revisions {
			if revision != strconv.Itoa(i+1) {
				c.t.Errorf("fax %s was assembled as revisions %v, want each once", f.Session, revisions)
				break
			}
		}
		if len(revisions) == 0 {
			c.t.Errorf("fax %s has no event of a document", f.Session)
		}
	}
}
