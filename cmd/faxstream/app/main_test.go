package app

import (
	"os"
	"testing"

	"github.com/nats-io/nats-server/v2/server/ats"
)

func TestMain(m *testing.M) {
	ats.Register() // one clock for the embedded servers of all tests, outside any bubble of synctest
	os.Exit(m.Run())
}
