package dashboard

import (
	"net/http"
	"strings"
	"testing"
)

// What a caller says of an order is bounded: it stays for years.
func TestAnOrderSaysLittle(t *testing.T) {
	d := newListener(t, nil)
	status, body := d.Ask("operator", "POST", "/api/v1/dlq/7/drop", `{"why":"`+strings.Repeat("x", maxWhy+1)+`"}`)
	if status != http.StatusBadRequest || !strings.Contains(body, "2000") {
		t.Errorf("%d %s", status, body)
	}
}
