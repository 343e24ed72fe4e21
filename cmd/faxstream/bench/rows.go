package main

import "context"

// row is a group of lines that one measurement gives.
type row struct {
	name    string // for --rows
	lines   []line
	measure func(ctx context.Context, b *bench, of build) (figures, error)
}

// rows are all rows, in the order of the table.
func rows() []row {
	return []row{
		{name: "embedded", measure: measureEmbedded, lines: []line{
			{"pages", "pages/s, webhook to page.archived, embedded", "4 x"},
			{"done", "pages/s, webhook to document and comparison, embedded", ""},
			{"cpu", "processor time of serve, ms/page, embedded", "0.3 x"},
			{"driver", "processor time of the driver beside it, ms/page, embedded", ""},
			{"peak", "largest memory of serve, MB, embedded", "at most 200"},
		}},
		{name: "s3", measure: measureS3, lines: []line{
			{"pages", "pages/s, webhook to page.archived, S3 and external NATS", "4 x"},
			{"done", "pages/s, webhook to document and comparison, S3 and external NATS", ""},
			{"cpu", "processor time of serve, ms/page, S3 and external NATS", "0.3 x"},
			{"servers", "processor time of versitygw and nats-server, ms/page", ""},
			{"driver", "processor time of the driver beside it, ms/page, S3 and external NATS", ""},
			{"peak", "largest memory of serve, MB, S3 and external NATS", "at most 200"},
		}},
		{name: "webhooks", measure: measureWebhooks, lines: []line{
			{"rate", "webhooks/s, 64 senders", ""},
			{"per-sync", "webhooks/s, 64 senders / syncs/s of the disk", "at least 4"},
			{"p50", "webhook, 64 senders, p50, ms", ""},
			{"p99", "webhook, 64 senders, p99, ms", "0.5 x"},
			{"alone", "webhook, one sender alone, p50 / p50 of one sync of the same bytes", "at most 1.2"},
			{"alone-http", "the HTTP part of it: a request to a wrong path, p50 / the same sync", ""},
			{"alone-straight", "the server's part of it: published straight, p50 / the same sync", ""},
			{"sync", "that sync, p50, ms", ""},
			{"straight", "messages/s straight to the server, in batches of 64 one after another, no HTTP", ""},
		}},
		{name: "assembly", measure: measureAssembly, lines: []line{
			{"10", "assembly of 10 pages / tiff2pdf", "at most 1.0"},
			{"1000", "assembly of 1,000 pages / tiff2pdf", "at most 1.2"},
		}},
		{name: "codec", measure: measureCodec, lines: codecLines()},
		{name: "sessions", measure: measureSessions, lines: []line{
			{"few", "processor time, ms/page, 100 sessions are there", ""},
			{"many", "processor time, ms/page, 10,000 sessions are there", ""},
			{"growth", "10,000 sessions / 100 sessions", "at most 1.1"},
			{"start", "start of serve with 100,000 pages of state, s", "at most 5"},
			{"start-memory", "memory of serve after that start, MB", "at most 200"},
		}},
		{name: "cluster", measure: measureCluster, lines: []line{
			{"pages", "pages/s, webhook to page.archived, three nats-servers and three copies", ""},
			{"share", "that / embedded in the same round", "at least 0.6"},
			{"rate", "webhooks/s, 64 senders, three nats-servers and three copies", "at least 2000"},
		}},
		{name: "workers", measure: measureWorkers, lines: []line{
			{"one", "pages/s, provider takes 300 ms a page, one worker process with --fetches=6 (20 is all that can be) and GOMAXPROCS=1", ""},
			{"two", "pages/s, the same, two of them", ""},
			{"gain", "two worker processes / one", "at least 1.9"},
		}},
		{name: "memory", measure: measureMemory, lines: []line{
			{"peak", "largest memory, 24 pages of 24 MB at once, MB", "at most 200"},
			{"took", "time until they are archived, s", ""},
		}},
		{name: "backlog", measure: measureBacklog, lines: []line{
			{"unloaded", "a fresh fax of 20 pages, nothing else to do: page.archived after, p50, ms", ""},
			{"announced", "a fresh fax behind 5,000 announced pages / unloaded", "at most 3"},
			{"retried", "a fresh fax behind 5,000 pages that are tried again / unloaded", "at most 3"},
		}},
		{name: "subscribers", measure: measureSubscribers, lines: []line{
			{"pages", "pages/s, webhook to page.archived, embedded, ten subscribers", ""},
			{"seen", "pages/s that the slowest of ten subscribers gets / archived in the same run", "at least 0.95"},
		}},
		{name: "tabs", measure: measureTabs, lines: []line{
			{"none", "processor time of serve, ms/page, embedded, no dashboard is open", ""},
			{"open", "processor time of serve, ms/page, embedded, 50 dashboards are open", ""},
			{"growth", "50 dashboards / none", "at most 1.1"},
		}},
		{name: "cores", measure: measureCores, lines: []line{
			{"one", "pages/s, embedded, GOMAXPROCS=1", ""},
			{"two", "pages/s, embedded, GOMAXPROCS=2", ""},
			{"gain", "GOMAXPROCS=2 / GOMAXPROCS=1", ""},
		}},
		{name: "slow-provider", measure: measureSlowProvider, lines: []line{
			{"8", "pages/s, provider takes 500 ms a page, --fetches=8 (16 is all that can be)", ""},
			{"24", "pages/s, provider takes 500 ms a page, --fetches=24 (48)", ""},
			{"48", "pages/s, provider takes 500 ms a page, --fetches=48 (96)", ""},
		}},
		{name: "slow-disk", measure: measureSlowDisk, lines: []line{
			{"1", "webhooks in 10 ms, each sync takes 10 ms longer, 1 sender", ""},
			{"8", "webhooks in 10 ms, each sync takes 10 ms longer, 8 senders", ""},
			{"64", "webhooks in 10 ms, each sync takes 10 ms longer, 64 senders", ""},
			{"pages", "pages/s, embedded, each sync takes 10 ms longer", ""},
		}},
		{name: "cost", measure: measureCost, lines: costLines()},
	}
}

func rowNames() (names []string) {
	for _, r := range rows() {
		names = append(names, r.name)
	}
	return names
}
