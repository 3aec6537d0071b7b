package faultproxy

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"

	"gopkg.in/yaml.v3"
)

// config is what a kubeconfig says about its only cluster and user.
type config struct {
	document     map[string]any
	server       *url.URL
	roots        *x509.CertPool
	certificates []tls.Certificate
}

// parse reads a kubeconfig with one cluster and one user, whose keys it holds.
func parse(kubeconfig []byte) (config, error) {
	var file struct {
		Clusters []struct {
			Cluster struct {
				Server    string
				Authority string `yaml:"certificate-authority-data"`
			}
		}
		Users []struct {
			User struct {
				Certificate string `yaml:"client-certificate-data"`
				Key         string `yaml:"client-key-data"`
			}
		}
	}
	var c config
	if err := errors.Join(yaml.Unmarshal(kubeconfig, &file), yaml.Unmarshal(kubeconfig, &c.document)); err != nil {
		return config{}, fmt.Errorf("kubeconfig: %w", err)
	}
	if len(file.Clusters) != 1 || len(file.Users) != 1 {
		return config{}, fmt.Errorf("kubeconfig: %d clusters and %d users, want one each", len(file.Clusters), len(file.Users))
	}
	cluster, user := file.Clusters[0].Cluster, file.Users[0].User
	var err error
	if c.server, err = url.Parse(cluster.Server); err != nil {
		return config{}, fmt.Errorf("kubeconfig: %w", err)
	}
	authority, err1 := base64.StdEncoding.DecodeString(cluster.Authority)
	certificate, err2 := base64.StdEncoding.DecodeString(user.Certificate)
	key, err3 := base64.StdEncoding.DecodeString(user.Key)
	if err := errors.Join(err1, err2, err3); err != nil {
		return config{}, fmt.Errorf("kubeconfig: %w", err)
	}
	c.roots = x509.NewCertPool()
	if !c.roots.AppendCertsFromPEM(authority) {
		return config{}, errors.New("kubeconfig: no certificate-authority-data")
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return config{}, fmt.Errorf("kubeconfig: %w", err)
	}
	c.certificates = []tls.Certificate{pair}
	return c, nil
}

// at gives the kubeconfig for another address of its cluster.
func (c config) at(server string, authority []byte) ([]byte, error) {
	entry := c.document["clusters"].([]any)[0].(map[string]any)
	entry["cluster"] = map[string]any{"server": server, "certificate-authority-data": base64.StdEncoding.EncodeToString(authority)}
	return yaml.Marshal(c.document)
}
