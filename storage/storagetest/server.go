package storagetest

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// The buckets that [VersityGW] and [MinIO] make.
const (
	Bucket       = "faxstream-test"
	LockedBucket = "faxstream-locked" // with Object Lock
)

// Key is the id of the only encryption key that [MinIO] has in its key management.
const Key = "faxstream-key"

// Keys of the test server's only user.
const (
	accessKey = "faxstream-test"
	secretKey = "faxstream-test-secret"
)

// VersityGW starts a real versitygw, an S3 server over a temporary directory,
// with an empty [Bucket] and [LockedBucket]. It returns the URL of the
// endpoint and the keys of its user. The test's cleanup stops the server. The
// binary is searched in the folder $FAXSTREAM_TOOLS, on PATH and in .tools/bin
// of the project; without it the test is skipped, or with CI=true fails.
func VersityGW(t testing.TB) (endpoint, access, secret string) {
	t.Helper()
	bin := tool(t, "versitygw")
	dir := t.TempDir()
	data, versions := filepath.Join(dir, "data"), filepath.Join(dir, "versions")
	if err := errors.Join(os.Mkdir(data, 0o700), os.Mkdir(versions, 0o700)); err != nil {
		t.Fatal(err)
	}
	endpoint = startS3(t, func(addr string) *exec.Cmd {
		cmd := exec.Command(bin, "--port", addr, "--quiet", "--keep-alive", "posix", "--versioning-dir", versions, data)
		cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+accessKey, "ROOT_SECRET_KEY="+secretKey)
		return cmd
	})
	return endpoint, accessKey, secretKey
}

// MinIO does the same as [VersityGW] with a minio server, which can also encrypt. With -short the test is skipped.
func MinIO(t testing.TB) (endpoint, access, secret string) {
	t.Helper()
	if testing.Short() {
		t.Skip("minio runs without -short only: versitygw is enough for the race detector")
	}
	bin := tool(t, "minio")
	data := t.TempDir()
	endpoint = startS3(t, func(addr string) *exec.Cmd {
		cmd := exec.Command(bin, "server", "--quiet", "--address", addr, data)
		cmd.Env = append(os.Environ(), "MINIO_ROOT_USER="+accessKey, "MINIO_ROOT_PASSWORD="+secretKey,
			"MINIO_BROWSER=off", "MINIO_UPDATE=off",
			"MINIO_KMS_SECRET_KEY="+Key+":"+base64.StdEncoding.EncodeToString(make([]byte, 32)))
		return cmd
	})
	return endpoint, accessKey, secretKey
}

// startS3 starts the command on free ports until one answers: between the
// choice of a port and its use another process can take it.
func startS3(t testing.TB, command func(addr string) *exec.Cmd) (endpoint string) {
	t.Helper()
	const tries = 3
	var err error
	for range tries {
		addr := freeAddr(t)
		if err = startServer(t, command(addr), addr); err == nil {
			return "http://" + addr
		}
	}
	t.Fatal(err)
	return ""
}

func startServer(t testing.TB, cmd *exec.Cmd, addr string) error {
	var out output
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := Start(cmd); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop := func() {
		// Its files are not needed any more, so a kill is enough.
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
		<-ended
	}

	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		if err := makeBuckets(ctx, addr); err == nil {
			t.Cleanup(stop)
			return nil
		} else if ctx.Err() != nil {
			stop()
			return fmt.Errorf("%s does not answer on %s: %w\n%s", cmd.Path, addr, err, out.String())
		}
		select {
		case err := <-ended:
			return fmt.Errorf("%s ended: %v\n%s", cmd.Path, err, out.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Start starts a process that ends with the test binary, also where no cleanup runs: at a panic, a time limit or a kill. It gets SIGKILL
// then, or the signal that cmd.SysProcAttr has.
func Start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	if cmd.SysProcAttr.Pdeathsig == 0 {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	result := make(chan error)
	starter() <- func() { result <- cmd.Start() }
	return <-result
}

// starter takes functions for a thread that lives as long as the program: Linux sends the signal of [Start] when the thread ends that
// started the process, and any other thread may end before.
var starter = sync.OnceValue(func() chan<- func() {
	calls := make(chan func())
	go func() {
		runtime.LockOSThread()
		for call := range calls {
			call()
		}
	}()
	return calls
})

// makeBuckets fails until the server answers.
func makeBuckets(ctx context.Context, addr string) error {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	c, err := minio.New(addr, &minio.Options{
		Creds:     credentials.NewStaticV4(accessKey, secretKey, ""),
		Region:    "us-east-1",
		Transport: transport, MaxRetries: 1,
	})
	if err != nil {
		return err
	}
	for name, locked := range map[string]bool{Bucket: false, LockedBucket: true} {
		err := c.MakeBucket(ctx, name, minio.MakeBucketOptions{ObjectLocking: locked})
		if err != nil && minio.ToErrorResponse(err).Code != minio.BucketAlreadyOwnedByYou {
			return err
		}
	}
	return nil
}

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// tool returns the path of a server's binary. Without it the test is skipped,
// or with CI=true fails.
func tool(t testing.TB, name string) string {
	t.Helper()
	if path := filepath.Join(os.Getenv("FAXSTREAM_TOOLS"), name); filepath.IsAbs(path) && executable(path) {
		return path
	}
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if path := filepath.Join(dir, ".tools", "bin", name); executable(path) {
			return path
		}
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil || dir == filepath.Dir(dir) {
			break
		}
	}
	const format = "%s is not in $FAXSTREAM_TOOLS, on PATH or in .tools/bin: run `make tools`"
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, name)
	}
	t.Skipf(format, name)
	return ""
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// output collects what a server prints, for the message if it fails.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
