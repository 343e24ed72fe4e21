package main

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
)

// Two processes of an older build, which have all roles, are replaced one after the other by this build, go back, and are replaced again,
// while faxes come. After each step everything is as after a fault of TestCluster. FAXSTREAM_OLDER is the older program.
func TestAnOlderBuildBesideThisOne(t *testing.T) {
	older := os.Getenv("FAXSTREAM_OLDER")
	if older == "" {
		t.Skip("FAXSTREAM_OLDER is empty: `make upgrade-test` builds an older program and runs this")
	}
	t.Parallel()
	c := newCluster(t, longForm)
	c.awaitJetStream()
	for _, name := range []string{"process 1", "process 2"} {
		m := c.join(name, strings.Join(rolesApart, ","))
		m.args, m.build = append(m.args, c.common...), older
		c.start(m) // one after the other: two first starts of that time prevent each other
	}
	replaced := func(number int, build string) func(*cluster) {
		return func(c *cluster) {
			m := c.members[number-1]
			if code := m.terminate(); code != 0 {
				t.Errorf("%s ends with code %d: %s", m.name, code, tail(m.log.String(), 20))
			}
			m.build = build
			c.start(m)
		}
	}
	for _, f := range []fault{
		{name: "both are of the older build", begin: func(*cluster) {}},
		{name: "the first one is upgraded", begin: replaced(1, "")},
		{name: "the second one is upgraded", begin: replaced(2, "")},
		{name: "the first one goes back", begin: replaced(1, older)},
		{name: "the second one goes back", begin: replaced(2, older)},
		{name: "the first one is upgraded again", begin: replaced(1, "")},
		{name: "the second one is upgraded again", begin: replaced(2, "")},
	} {
		c.endure(f)
		if t.Failed() {
			break
		}
	}
	c.report()
}

// awaitJetStream returns once JetStream has a leader: the older build asks once, and an answer would not come.
func (c *cluster) awaitJetStream() {
	c.t.Helper()
	s := c.streams()
	defer s.close()
	await(c.t, "JetStream has a leader", func() bool {
		ctx, cancel := context.WithTimeout(apptest.Context(c.t), time.Second)
		defer cancel()
		_, err := s.js.AccountInfo(ctx)
		return err == nil
	})
}
