package sql

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// The modes of TLS.
const (
	VerifyFull = "verify-full" // the certificate is an authority's, and names the host
	VerifyCA   = "verify-ca"   // the certificate is an authority's; needs CA
	NoTLS      = "disable"
)

// TLS says how a connection to a server is secured. There is no mode that
// encrypts and believes whoever answers.
type TLS struct {
	// Mode is "" for VerifyFull, but for NoTLS where the server is on this machine
	// and nothing else of TLS is set.
	Mode string
	// CA is a PEM file of the authorities that are believed; "" is the system's.
	CA string
	// Cert and Key are PEM files that the client shows.
	Cert, Key string
	// Name is the one that the certificate must have, if it is not the host's.
	Name string
}

// tlsSettings are loaded ones; config is nil for none.
type tlsSettings struct{ config *tls.Config }

// load reads the files and decides the mode.
func (o TLS) load(host string) (tlsSettings, error) {
	mode := o.Mode
	if mode == "" {
		mode = VerifyFull
		if isLocal(host) && o == (TLS{}) {
			mode = NoTLS
		}
	}
	socket := strings.HasPrefix(host, "/")
	switch {
	case mode == NoTLS:
		if o.CA != "" || o.Cert != "" || o.Key != "" || o.Name != "" {
			return tlsSettings{}, errors.New("TLS is disabled, yet has settings\n  hint: remove them, or the mode")
		}
		return tlsSettings{}, nil
	case mode != VerifyFull && mode != VerifyCA:
		return tlsSettings{}, fmt.Errorf("there is no mode %q of TLS\n  hint: write %s, %s (with a CA) or %s", mode, VerifyFull, VerifyCA, NoTLS)
	case socket:
		return tlsSettings{}, errors.New("there is no TLS over a socket\n  hint: remove its settings")
	case mode == VerifyCA && o.CA == "":
		// With the system's authorities everybody who has any certificate would do.
		return tlsSettings{}, fmt.Errorf("the mode %s of TLS needs a CA", VerifyCA)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: o.Name}
	if c.ServerName == "" {
		c.ServerName = host
	}
	if o.CA != "" {
		pem, err := secrets.ReadFile(o.CA, maxCA)
		if err != nil {
			return tlsSettings{}, fmt.Errorf("the CA for TLS: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return tlsSettings{}, fmt.Errorf("the CA for TLS: %s holds no certificate in PEM", o.CA)
		}
	}
	if o.Cert != "" || o.Key != "" {
		pair, err := loadPair(o.Cert, o.Key)
		if err != nil {
			return tlsSettings{}, fmt.Errorf("the client's certificate for TLS: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	if mode == VerifyCA {
		onlyAuthority(c)
	}
	return tlsSettings{c}, nil
}

// maxCA bounds a file of certificates, or of a key.
const maxCA = 1 << 20

// loadPair reads a certificate and its key.
func loadPair(cert, key string) (tls.Certificate, error) {
	certPEM, err := secrets.ReadFile(cert, maxCA)
	if err != nil {
		return tls.Certificate{}, err
	}
	keyPEM, err := secrets.ReadFile(key, maxCA)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(certPEM, keyPEM)
}

// onlyAuthority leaves out the host's name of what is verified.
func onlyAuthority(c *tls.Config) {
	roots := c.RootCAs
	c.InsecureSkipVerify = true // VerifyConnection does it, for resumed sessions too.
	c.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errors.New("the server shows no certificate")
		}
		intermediates := x509.NewCertPool()
		for _, cert := range state.PeerCertificates[1:] {
			intermediates.AddCert(cert)
		}
		_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates})
		return err
	}
	// A name that is no address is sent as SNI, which some servers choose by.
	if net.ParseIP(c.ServerName) != nil {
		c.ServerName = ""
	}
}
