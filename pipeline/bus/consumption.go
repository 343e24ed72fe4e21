package bus

import (
	"context"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Consumption is a durable and what handles its messages, one at a time.
type Consumption struct {
	Consumer Consumer
	Handle   func(context.Context, Delivery) error // as in Bus.Consume
}

// BatchConsumption is a durable and what handles its messages, many at a time.
type BatchConsumption struct {
	Consumer Consumer
	Most     int                                              // messages in a batch
	Handle   func(context.Context, []Delivery) (errs []error) // as in Bus.ConsumeBatches
}

// TimerSubjects is the filter of a durable for the timers of these kinds, as they fire.
func TimerSubjects(kinds ...string) []string {
	var subjects []string
	for _, k := range kinds {
		subjects = append(subjects, session.TypeTimerDue+"."+k+".>")
	}
	return subjects
}
