package deploy_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// rules are those of alerts.yaml.
type rules struct {
	Groups []struct {
		Rules []struct {
			Alert       string
			Expr        string
			Annotations map[string]string
		}
	}
}

func promtool(t *testing.T, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil && os.Getenv("CI") != "true" {
		t.Skip("promtool is not here: apt-get install prometheus")
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(path, args...).CombinedOutput(); err != nil {
		t.Fatalf("promtool %v: %v\n%s", args, err, out)
	}
}

func readRules(t *testing.T) (r rules) {
	t.Helper()
	text, err := os.ReadFile("alerts.yaml")
	if err == nil {
		err = yaml.Unmarshal(text, &r)
	}
	if err != nil || len(r.Groups) != 1 {
		t.Fatal(r, err)
	}
	return r
}

// Each alert fires for what it is about and not otherwise, as Prometheus itself evaluates it, and has an entry in the operations page.
func TestAlertsFire(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	anchors := map[string]bool{}
	for _, title := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(string(page), -1) {
		anchors[regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(title[1]), "")] = true
	}
	series := map[string][2]string{ // of each alert: a series that does not fire, and one that does
		"FaxstreamDown":                 {`up{job="faxstream"} 1+0x60`, `up{job="faxstream"} 0+0x60`},
		"FaxstreamDeadLetters":          {"faxstream_dead_letters 0+0x60", "faxstream_dead_letters 2+0x60"},
		"FaxstreamPagesDiffer":          {"faxstream_differing_pages 0+0x60", "faxstream_differing_pages 1+0x60"},
		"FaxstreamMorePagesThanCounted": counter(`faxstream_stage_failures_total{stage="whole",reason="more_pages_than_counted"}`),
		"FaxstreamReconcileLate":        {"faxstream_reconcile_lag_seconds 900+0x60", "faxstream_reconcile_lag_seconds 4000+0x60"},
		"FaxstreamFaxAmbiguous":         counter(`faxstream_reconciled_faxes_total{outcome="ambiguous"}`),
		"FaxstreamArchiveRefuses": {
			"faxstream_archive_last_write_timestamp_seconds 0+60x60", "faxstream_archive_last_write_timestamp_seconds 0+0x60",
		},
		"FaxstreamArchiveFailures": counter(`faxstream_archive_write_failures_total{reason="refused"}`),
		"FaxstreamDiskLow":         {`faxstream_disk_free_bytes{disk="state"} 2e9+0x60`, `faxstream_disk_free_bytes{disk="state"} 1e9+0x60`},
		"FaxstreamStreamFull": {
			`faxstream_stream_bytes{stream="FAX_IN"} 50+0x60`, `faxstream_stream_bytes{stream="FAX_IN"} 90+0x60`,
		},
		"FaxstreamWorkWaits": {
			`faxstream_consumer_oldest_seconds{consumer="page"} 5+0x60`,
			`faxstream_consumer_oldest_seconds{consumer="page"} 900+0x60`,
		},
		"FaxstreamSpoolHolds": {"faxstream_spool_oldest_seconds 20+0x60", "faxstream_spool_oldest_seconds 400+0x60"},
		"FaxstreamSpoolFull":  {"faxstream_spool_bytes 50+0x60", "faxstream_spool_bytes 90+0x60"},
	}
	file, err := filepath.Abs("alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	test := fmt.Sprintf("rule_files: [%q]\nevaluation_interval: 1m\ntests:\n", file)
	for _, r := range readRules(t).Groups[0].Rules {
		of, ok := series[r.Alert]
		if !ok {
			t.Errorf("no series is known for which %s fires", r.Alert)
		}
		_, anchor, _ := strings.Cut(r.Annotations["runbook"], "operations.md#")
		if !anchors[strings.ReplaceAll(anchor, "-", " ")] && !anchors[anchor] {
			t.Errorf("%s: operations.md has no part %q", r.Alert, anchor)
		}
		for fires, values := range of {
			name, points, _ := strings.Cut(values, " ")
			test += fmt.Sprintf("  - interval: 1m\n    input_series:\n      - {series: '%s', values: '%s'}\n", name, points)
			test += "      - {series: 'faxstream_stream_limit_bytes{stream=\"FAX_IN\"}', values: '100+0x60'}\n"
			test += "      - {series: 'faxstream_spool_limit_bytes', values: '100+0x60'}\n"
			test += fmt.Sprintf("    promql_expr_test:\n      - expr: 'count(ALERTS{alertname=\"%s\",alertstate=\"firing\"}) or vector(0)'\n"+
				"        eval_time: 50m\n        exp_samples: [{labels: '{}', value: %d}]\n", r.Alert, fires)
		}
	}
	tests := filepath.Join(t.TempDir(), "tests.yaml")
	if err := os.WriteFile(tests, []byte(test), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", "alerts.yaml")
	promtool(t, "test", "rules", tests)
}

// counter is a counter that stays, and one that rises.
func counter(name string) [2]string { return [2]string{name + " 5+0x60", name + " 0+1x60"} }

// Every expression of the Grafana dashboard and of the example for KEDA is one for Prometheus. Every metric in them and in the alerts is
// one of faxstream.
func TestTheGrafanaDashboard(t *testing.T) {
	t.Parallel()
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	text, err := os.ReadFile("grafana.json")
	if err == nil {
		err = json.Unmarshal(text, &board)
	}
	if err != nil || len(board.Panels) < 10 {
		t.Fatal(len(board.Panels), err)
	}
	source, err := exec.Command("grep", "-rhoE", `"faxstream_[a-z_]+"`, "--include=*.go", "../cmd", "../ingest", "../pipeline").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, r := range readRules(t).Groups[0].Rules {
		all = append(all, r.Expr)
	}
	recorded := "groups:\n- name: grafana\n  rules:\n"
	for i, query := range scalingQueries(t) {
		all = append(all, query)
		recorded += fmt.Sprintf("  - {record: 'scaling:%d', expr: %q}\n", i, query)
	}
	for i, p := range board.Panels {
		for k, target := range p.Targets {
			all = append(all, target.Expr)
			recorded += fmt.Sprintf("  - {record: 'panel:%d:%d', expr: %q}\n", i, k, target.Expr)
		}
	}
	for _, expr := range all {
		for _, name := range regexp.MustCompile(`faxstream_[a-z_]+`).FindAllString(expr, -1) {
			bare := regexp.MustCompile(`_(count|bucket|sum)$`).ReplaceAllString(name, "")
			if !strings.Contains(string(source), `"`+bare+`"`) && !strings.Contains(string(source), `"`+name+`"`) {
				t.Errorf("faxstream has no metric %s", name)
			}
		}
	}
	file := filepath.Join(t.TempDir(), "recorded.yaml")
	if err := os.WriteFile(file, []byte(recorded), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", file)
}

// scalingQueries are those of the ScaledObject of KEDA in operations.md.
func scalingQueries(t *testing.T) (queries []string) {
	t.Helper()
	page, err := os.ReadFile("docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```text\n(apiVersion: keda.*?)```").FindStringSubmatch(string(page))
	if block == nil {
		t.Fatal("operations.md has no ScaledObject")
	}
	var object struct {
		Spec struct {
			Triggers []struct {
				Type     string
				Metadata map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(block[1]), &object); err != nil || len(object.Spec.Triggers) == 0 {
		t.Fatalf("the ScaledObject has no triggers: %v", err)
	}
	for _, trigger := range object.Spec.Triggers {
		if trigger.Type != "prometheus" || trigger.Metadata["threshold"] == "" {
			t.Errorf("trigger %+v: want one of Prometheus with a threshold", trigger)
		}
		queries = append(queries, trigger.Metadata["query"])
	}
	return queries
}
