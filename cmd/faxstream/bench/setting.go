package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/nats-io/nats.go"
)

// setting is one way to deploy.
type setting struct {
	args, env []string
	tracer    []string // command under which serve runs; empty: none
	natsURL   string   // of an external server; empty: serve has its own

	servers  []*process // what serve needs; their processor time is not serve's
	requests *requests  // to the S3 service; nil: there is none
	s3       *minio.Client
	archive  string // directory of the objects where there is no S3 service
	closers  []func() error
}

// embedded has everything in one process, in a directory of its own.
func (b *bench) embedded(of build) (setting, error) {
	dir, err := b.temp()
	s := embeddedIn(of, dir)
	s.closers = append(s.closers, func() error { return os.RemoveAll(dir) })
	return s, err
}

// embeddedIn is embedded with the state in dir, which stays. Builds with a login for subscribers are told to demand none.
func embeddedIn(of build, dir string) setting {
	s := setting{args: []string{"--dir=" + dir, "--nats-listen=127.0.0.1:0"}, archive: filepath.Join(dir, "archive")}
	if of.has("--nats-listen-insecure") {
		s.args = append(s.args, "--nats-listen-insecure")
	}
	return s
}

// bucket has Object Lock, as a bucket for faxes should.
const bucket = "faxstream-bench"

// external has a nats-server that syncs before it acknowledges, and versitygw with Object Lock.
// With counted, requests to the S3 service pass through the driver, which costs time.
func (b *bench) external(ctx context.Context, tracer func(name string) []string, counted bool) (s setting, err error) {
	dir, err := b.temp()
	if err != nil {
		return s, err
	}
	s.closers = append(s.closers, func() error { return os.RemoveAll(dir) })
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err := b.startNATS(&s, dir, tracer("nats")); err != nil {
		return s, err
	}
	const key = "faxstream-bench"
	addr, err := b.startS3(&s, dir, key)
	if err != nil {
		return s, err
	}
	if err := s.makeBucket(ctx, addr, key); err != nil {
		return s, err
	}
	s.tracer = tracer("serve")
	s.args = append(s.args, "--dir="+filepath.Join(dir, "serve"), "--nats-url="+s.natsURL)
	s.args = append(s.args, "--archive=s3://"+bucket+"/some/prefix", "--retention=6y")
	s.env = append(s.env, "FAXSTREAM_S3_ACCESS_KEY="+key, "FAXSTREAM_S3_SECRET_KEY="+key)
	endpoint := "http://" + addr
	if counted {
		if endpoint, err = s.countRequests(endpoint); err != nil {
			return s, err
		}
	}
	s.args = append(s.args, "--s3-endpoint="+endpoint)
	return s, nil
}

// makeBucket makes the bucket as soon as the service answers.
func (s *setting) makeBucket(ctx context.Context, addr, key string) (err error) {
	if s.s3, err = minio.New(addr, &minio.Options{Creds: credentials.NewStaticV4(key, key, ""), Region: "us-east-1"}); err != nil {
		return err
	}
	return poll(time.Minute, "versitygw answers", func() bool {
		return s.s3.MakeBucket(ctx, bucket, minio.MakeBucketOptions{ObjectLocking: true}) == nil
	})
}

// untraced is no tracer.
func untraced(string) []string { return nil }

func (b *bench) startNATS(s *setting, dir string, tracer []string) error {
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	s.natsURL = "nats://" + addr
	return b.startServer(s, dir, addr, "", tracer)
}

// startServer starts a nats-server that syncs before it acknowledges. more is what else its configuration says.
func (b *bench) startServer(s *setting, dir, addr, more string, tracer []string) error {
	bin, err := b.tool("nats-server")
	if err != nil {
		return err
	}
	conf := filepath.Join(dir, "nats.conf")
	text := fmt.Sprintf("listen: %q\njetstream {\n  store_dir: %q\n  sync_interval: always\n}\n%s", addr, filepath.Join(dir, "store"), more)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return err
	}
	if err := s.start(exec.Command(bin, "-c", conf), tracer); err != nil {
		return err
	}
	return poll(time.Minute, "nats-server answers", func() bool {
		nc, err := nats.Connect("nats://" + addr)
		if err == nil {
			nc.Close()
		}
		return err == nil
	})
}

func (b *bench) startS3(s *setting, dir, key string) (addr string, err error) {
	bin, err := b.tool("versitygw")
	if err != nil {
		return "", err
	}
	data, versions := filepath.Join(dir, "data"), filepath.Join(dir, "versions")
	if err := errors.Join(os.Mkdir(data, 0o700), os.Mkdir(versions, 0o700)); err != nil {
		return "", err
	}
	if addr, err = freeAddr(); err != nil {
		return "", err
	}
	cmd := exec.Command(bin, "--port", addr, "--quiet", "--keep-alive", "posix", "--versioning-dir", versions, data)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+key, "ROOT_SECRET_KEY="+key)
	return addr, s.start(cmd, nil)
}

// start starts a server that serve needs.
func (s *setting) start(cmd *exec.Cmd, tracer []string) error {
	p, out, err := launch(cmd, tracer)
	if err != nil {
		return err
	}
	go discard(out)
	s.servers = append(s.servers, p)
	return nil
}

// requests counts what passes to the S3 service.
type requests struct{ count atomic.Int64 }

// countRequests puts a proxy of the driver's before the S3 service. Requests keep the Host header that was signed.
func (s *setting) countRequests(endpoint string) (front string, err error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "", err
	}
	s.requests = &requests{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(u)
			r.Out.Host = r.In.Host
			s.requests.count.Add(1)
		},
		Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
	}
	front, closeFront, err := listen(proxy)
	s.closers = append(s.closers, closeFront)
	return front, err
}

// close stops the servers and removes what they wrote.
func (s *setting) close() error {
	var errs []error
	for _, p := range s.servers {
		errs = append(errs, p.kill())
	}
	for _, f := range s.closers {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

// listen serves h on a free port of loopback.
func listen(h http.Handler) (address string, closeIt func() error, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", func() error { return nil }, err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	go srv.Serve(l) // returns when it is closed
	return "http://" + l.Addr().String(), srv.Close, nil
}

// freeAddr is an address on which nobody listens now.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
