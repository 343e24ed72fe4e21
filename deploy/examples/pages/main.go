// Command pages prints every page as it comes, with nats.go. Killed and started again it misses none: its durable consumer knows where it
// was.
// NATS_URL is where JetStream is: `faxstream nats-credentials` prints it for the embedded server with --nats-listen.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func main() {
	ctx := context.Background()
	log.Fatal(follow(ctx, os.Getenv("NATS_URL")))
}

func follow(ctx context.Context, url string) error {
	nc, err := nats.Connect(url, nats.MaxReconnects(-1))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	pages, err := js.CreateOrUpdateConsumer(ctx, "FAX_PAGES", jetstream.ConsumerConfig{
		Durable: "example-go", FilterSubject: "fax.v1.page.archived.>", AckPolicy: jetstream.AckExplicitPolicy,
	})
	if err != nil {
		return err
	}
	messages, err := pages.Messages()
	if err != nil {
		return err
	}
	for {
		m, err := messages.Next()
		if err != nil {
			return err
		}
		var page struct {
			Session string
			Page    int
		}
		if err := json.Unmarshal(m.Data(), &page); err != nil {
			return err
		}
		fmt.Println(page.Session, page.Page) // your own work; acknowledge when its result is stored
		if err := m.DoubleAck(ctx); err != nil {
			log.Print("it comes again: ", err)
		}
	}
}
