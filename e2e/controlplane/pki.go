//go:build unix

package controlplane

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"gopkg.in/yaml.v3"
)

const admin = "admin"

// users are who may talk to the API server, as certificates name them.
var users = map[string]pkix.Name{
	admin:             {CommonName: admin, Organization: []string{"system:masters"}},
	Kwok:              {CommonName: Kwok, Organization: []string{"system:masters"}},
	ControllerManager: {CommonName: "system:kube-controller-manager"},
	Scheduler:         {CommonName: "system:kube-scheduler"},
}

// pair is a certificate with its key, in PEM.
type pair struct{ certificate, key []byte }

// pki is a cluster's authority and what it has signed for each user.
type pki struct {
	authority   *x509.Certificate
	key         *ecdsa.PrivateKey
	certificate []byte // of the authority, in PEM
	users       map[string]pair
}

// newPKI makes all keys of a cluster, good for a day, and writes those that its processes read into dir.
func newPKI(dir string) (pki, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return pki{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pki{}, err
	}
	p := pki{key: key, users: map[string]pair{}}
	p.authority = &x509.Certificate{
		Subject:               pkix.Name{CommonName: "e2e-ca"},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	ca, err := p.sign(p.authority, key)
	if err != nil {
		return pki{}, err
	}
	p.certificate = ca.certificate
	server, err := p.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: APIServer},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 96, 0, 1)},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
	})
	if err != nil {
		return pki{}, err
	}
	for user, subject := range users {
		p.users[user], err = p.issue(&x509.Certificate{
			Subject:     subject,
			KeyUsage:    x509.KeyUsageDigitalSignature,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		})
		if err != nil {
			return pki{}, err
		}
	}
	// The key of the tokens of ServiceAccounts needs no certificate; an issued one is at hand.
	tokens, err := p.issue(&x509.Certificate{})
	if err != nil {
		return pki{}, err
	}
	for name, data := range map[string][]byte{
		"ca.crt": ca.certificate, "ca.key": ca.key,
		"apiserver.crt": server.certificate, "apiserver.key": server.key,
		"tokens.key": tokens.key,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return pki{}, err
		}
	}
	return p, nil
}

// issue gives a new key and the authority's certificate for it.
func (p pki) issue(template *x509.Certificate) (pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, err
	}
	return p.sign(template, key)
}

func (p pki) sign(template *x509.Certificate, key *ecdsa.PrivateKey) (pair, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return pair{}, err
	}
	template.SerialNumber = serial
	// An hour back, for clocks that are set while a cluster runs.
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = template.NotBefore.Add(25 * time.Hour)
	certificate, err := x509.CreateCertificate(rand.Reader, template, p.authority, &key.PublicKey, p.key)
	if err != nil {
		return pair{}, err
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return pair{}, err
	}
	return pair{
		certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}),
		key:         pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}),
	}, nil
}

// client talks to the API server as a user.
func (p pki) client(user string) (*http.Client, error) {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(p.certificate)
	certificate, err := tls.X509KeyPair(p.users[user].certificate, p.users[user].key)
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true,
	}}, nil
}

// kubeconfig is that of a user, with the keys in it; without a namespace it is that of Kubernetes' own default.
func (p pki) kubeconfig(server, user, namespace string) ([]byte, error) {
	type object = map[string]any
	encode := base64.StdEncoding.EncodeToString
	context := object{"cluster": "e2e", "user": user}
	if namespace != "" {
		context["namespace"] = namespace
	}
	return yaml.Marshal(object{
		"apiVersion": "v1",
		"kind":       "Config",
		"clusters": []object{{"name": "e2e", "cluster": object{
			"server": server, "certificate-authority-data": encode(p.certificate)}}},
		"users": []object{{"name": user, "user": object{
			"client-certificate-data": encode(p.users[user].certificate), "client-key-data": encode(p.users[user].key)}}},
		"contexts":        []object{{"name": "e2e", "context": context}},
		"current-context": "e2e",
	})
}
