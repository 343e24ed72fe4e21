package s3

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/s3utils"

	"github.com/faxstream/faxstream/storage"
)

// Addressing says where a request has the name of the bucket.
type Addressing string

// The ways to name the bucket.
const (
	Auto        Addressing = ""             // in the host name for Amazon, in the path for other services
	Path        Addressing = "path"         // https://host/bucket/key
	VirtualHost Addressing = "virtual-host" // https://bucket.host/key
)

// Config names the bucket, its service and the keys. Bucket, AccessKey and
// SecretKey have no default.
type Config struct {
	Bucket string // it must exist
	Prefix string // of all keys; "" or "a/b", without a slash at start or end; at most 100 bytes

	// Endpoint is the service's URL, http or https, without a path. Without a
	// scheme it is https. Default https://s3.amazonaws.com.
	Endpoint string
	// Region is part of each request's signature. Default us-east-1, which
	// services without regions accept.
	Region string

	AccessKey, SecretKey string

	Addressing Addressing
	CA         []byte // PEM certificates to trust in addition to the system's

	// Encryption is how the service encrypts new objects: "" as the bucket is
	// configured, "s3" with the service's own keys, "kms:KEYID" with that key
	// of its key management.
	Encryption string

	// Retention is how long no version of an object can be deleted after its
	// write, by Object Lock; 0: no retention. It does not change objects that
	// exist. The store tests once that the bucket really refuses to delete.
	Retention time.Duration
	// Mode says for whom the retention counts. Default Governance.
	Mode Mode
	// NoRetention decides what happens if the bucket has no Object Lock. If it
	// is set, it is called at most once with the reason, and the store works
	// without retention. If it is nil, Open fails, or Create if the service
	// did not answer at Open. In a bucket with Object Lock a retention that
	// does not work is always an error.
	NoRetention func(error)
	// Unretained are beginnings of keys whose objects get no Retention: a
	// caller must be able to delete them at any time. A rule of the bucket
	// itself counts for them too.
	Unretained []string

	// ReadOnly: Open writes nothing. The store is only for reading.
	ReadOnly bool
}

// Mode is a mode of Object Lock.
type Mode string

// The modes.
const (
	Governance Mode = "governance" // users with s3:BypassGovernanceRetention may still delete
	Compliance Mode = "compliance" // nobody may delete, also not the account's owner
)

// maxPrefix keeps prefix and key below the 1,024 bytes of S3.
const maxPrefix = 100

// ParseURL splits s3://bucket/prefix into its parts. The prefix may be
// missing. It fails for another form, and for a name that S3 does not allow.
func ParseURL(s string) (bucket, prefix string, err error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "s3" || u.User != nil || u.Port() != "" || u.RawQuery != "" || u.Fragment != "" {
		// The error does not show the address: people put keys into it.
		return "", "", errors.New("archive address is not of the form s3://bucket/prefix")
	}
	c := Config{Bucket: u.Host, Prefix: strings.Trim(u.Path, "/")}
	return c.Bucket, c.Prefix, c.checkNames()
}

func (c Config) checkNames() error {
	if err := s3utils.CheckValidBucketNameStrict(c.Bucket); err != nil {
		return fmt.Errorf("bucket name %q: %w", c.Bucket, err)
	}
	if c.Prefix == "" {
		return nil
	}
	if len(c.Prefix) > maxPrefix {
		return fmt.Errorf("prefix is %d bytes long, at most %d are allowed", len(c.Prefix), maxPrefix)
	}
	if err := storage.ValidKey(c.Prefix); err != nil {
		return fmt.Errorf("prefix: %w", err)
	}
	return nil
}

// core makes the client. The client does not retry: [Store] does.
func (c Config) core() (*minio.Core, error) {
	if err := c.checkNames(); err != nil {
		return nil, err
	}
	if c.AccessKey == "" || c.SecretKey == "" {
		return nil, errors.New("access key or secret key is missing: both are required")
	}
	u, err := c.endpoint()
	if err != nil {
		return nil, err
	}
	lookup, ok := map[Addressing]minio.BucketLookupType{
		Auto: minio.BucketLookupAuto, Path: minio.BucketLookupPath, VirtualHost: minio.BucketLookupDNS,
	}[c.Addressing]
	if !ok {
		return nil, fmt.Errorf("addressing %q is neither %q nor %q", c.Addressing, Path, VirtualHost)
	}
	transport, err := c.transport()
	if err != nil {
		return nil, err
	}
	region := c.Region
	if region == "" {
		region = s3utils.GetRegionFromURL(*u)
	}
	if region == "" {
		region = "us-east-1"
	}
	return minio.NewCore(u.Host, &minio.Options{
		Creds:        credentials.NewStaticV4(c.AccessKey, c.SecretKey, ""),
		Secure:       u.Scheme == "https",
		Region:       region,
		BucketLookup: lookup,
		Transport:    transport,
		MaxRetries:   1,
	})
}

// endpoint returns the URL of the service, with its default.
func (c Config) endpoint() (*url.URL, error) {
	endpoint := c.Endpoint
	if endpoint == "" {
		endpoint = "s3.amazonaws.com"
	}
	if !strings.Contains(endpoint, "://") {
		endpoint = "https://" + endpoint
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, fmt.Errorf("endpoint: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.User != nil || u.RawQuery != "" {
		return nil, fmt.Errorf("endpoint %q is not of the form https://host or http://host:port", u.Redacted())
	}
	return u, nil
}

func (c Config) transport() (*http.Transport, error) {
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(c.CA) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			return nil, fmt.Errorf("read the system's certificates: %w", err)
		}
		if !pool.AppendCertsFromPEM(c.CA) {
			return nil, errors.New("the CA file has no PEM certificate")
		}
		tlsConfig.RootCAs = pool
	}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:     tlsConfig,
		TLSHandshakeTimeout: 5 * time.Second,
		// All connections go to one host; page workers and readers together
		// stay below this, and a new connection costs three round trips.
		MaxIdleConns:        128,
		MaxIdleConnsPerHost: 128,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true, // objects must arrive as they are stored
		ForceAttemptHTTP2:   false,
	}, nil
}
