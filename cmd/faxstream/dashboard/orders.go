package dashboard

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
)

// maxOrder bounds the body of an order, bytes.
const maxOrder = 16 << 10

// maxWhy bounds a reason, bytes: FAX_AUDIT and the archive keep it for years.
const maxWhy = 2000

func readOrder(w http.ResponseWriter, r *http.Request) (o api.Order, err error) {
	err = readOrderInto(w, r, &o, &o)
	return o, err
}

// readOrderInto is readOrder for an order with more fields: it reads into, and o is the api.Order in it.
func readOrderInto(w http.ResponseWriter, r *http.Request, into any, o *api.Order) error {
	if t, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); strings.TrimSpace(t) != "application/json" {
		return api.BadRequest("want a JSON object with Content-Type application/json")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxOrder))
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		return api.BadRequest("want a JSON object of at most %d bytes: %v", maxOrder, err)
	}
	return checkOrder(r, o)
}

// checkOrder says who gives an order, and bounds what is said.
func checkOrder(r *http.Request, o *api.Order) error {
	if t, ok := access.Caller(r); ok {
		o.By = t.Name
	}
	if o.By = stated(o.By); o.By == "" {
		return api.BadRequest("by: give the name of the person who asks")
	}
	if o.Why = strings.TrimSpace(o.Why); len(o.Why) > maxWhy {
		return api.BadRequest("why: %d bytes, want at most %d", len(o.Why), maxWhy)
	}
	return nil
}
