package app

import (
	"context"
	"net/http"
	"net/http/pprof"
	labels "runtime/pprof"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
)

// startProfiles serves the profiles of this process where --pprof-addr says, on a listener of their own: whoever may read faxes may not
// slow down the process, and the other way round.
func (a *App) startProfiles(c Config) (err error) {
	if c.PprofAddr == "" {
		return nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	a.pprofURL, err = a.listen("pprof", c.PprofAddr, access.LoopbackOnly(mux), nil)
	return err
}

// PprofURL is where profiles are served; empty: nowhere.
func (a *App) PprofURL() string { return a.pprofURL }

// profiled runs f with the label part in profiles, for all that f starts too. The durables of the pipeline label their own work.
func profiled(ctx context.Context, part string, f func(context.Context)) {
	labels.Do(ctx, labels.Labels("part", part), f)
}
