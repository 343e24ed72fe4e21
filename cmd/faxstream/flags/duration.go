package flags

import (
	"fmt"
	"reflect"
	"time"

	"github.com/alecthomas/kong"
)

// Durations makes kong read every time.Duration with a message that shows how one is written.
func Durations() kong.Option {
	return kong.TypeMapper(reflect.TypeFor[time.Duration](), kong.MapperFunc(func(ctx *kong.DecodeContext, target reflect.Value) error {
		var text string
		if err := ctx.Scan.PopValueInto("duration", &text); err != nil {
			return err
		}
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%q: want a duration with its unit, such as 10m, 30s or 1h30m", text)
		}
		target.SetInt(int64(d))
		return nil
	}))
}
