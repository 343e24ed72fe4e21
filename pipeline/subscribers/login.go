package subscribers

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/pipeline/bus"
)

// Admit lets all subscribers of KindNATS into the embedded server again, after a start. Where that does not listen, or is an external one,
// it does nothing.
func (v *Service) Admit(ctx context.Context) error {
	stream, err := v.Bus.JetStream().Stream(ctx, bus.StreamPages)
	if err != nil {
		return fmt.Errorf("admit subscribers: %w", err)
	}
	list := stream.ListConsumers(ctx)
	for info := range list.Info() {
		if !mine(info) {
			continue
		}
		if _, err := v.admitted(info); err != nil {
			return err
		}
	}
	if err := list.Err(); err != nil {
		return fmt.Errorf("admit subscribers: %w", err)
	}
	return nil
}

// admitted lets a subscriber of KindNATS in, and gives it with its login.
func (v *Service) admitted(info *jetstream.ConsumerInfo) (Status, error) {
	s := status(info)
	if s.Kind != KindNATS {
		return s, nil
	}
	key, err := v.Key()
	if err != nil {
		return s, fmt.Errorf("key of logins: %w", err)
	}
	s.Login = &Login{
		URL: v.Bus.ClientURL(), User: s.Name, Password: password(key, s.Name, info.Config.Metadata[metaTurn]), Stream: bus.StreamPages,
		Durable: info.Name,
	}
	err = v.Bus.Admit(s.Name, s.Login.Password, info.Name)
	if errors.Is(err, bus.ErrNoListener) {
		s.Login.URL = ""
		return s, nil
	}
	return s, err
}

// password is that of a subscriber's turn. It is made from the key, so that nobody needs to store it.
func password(key []byte, name, turn string) string {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "login of the NATS subscriber %s, turn %s", name, turn)
	return hex.EncodeToString(mac.Sum(nil))
}

// Rotate gives a subscriber of KindNATS a new password. Its connections with the old one end, and its claimed events stay its own.
func (v *Service) Rotate(ctx context.Context, name string) (Status, error) {
	cons, err := v.find(ctx, name)
	if err != nil {
		return Status{}, err
	}
	c := cons.CachedInfo().Config
	if c.Metadata[metaKind] != KindNATS {
		return Status{}, bad("%s claims over HTTP: its token is made with `faxstream token`, and is replaced in the file of tokens", name)
	}
	turn, err := strconv.Atoi(c.Metadata[metaTurn])
	if err != nil {
		return Status{}, fmt.Errorf("rotate the password of %s: its durable says turn %q", name, c.Metadata[metaTurn])
	}
	c.Metadata[metaTurn] = strconv.Itoa(turn + 1)
	cons, err = v.Bus.JetStream().UpdateConsumer(ctx, bus.StreamPages, c)
	if err != nil {
		return Status{}, fmt.Errorf("rotate the password of %s: %w", name, err)
	}
	return v.admitted(cons.CachedInfo())
}
