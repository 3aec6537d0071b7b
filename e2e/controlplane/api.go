//go:build unix

package controlplane

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
)

// StatusError is an answer of the API server that is no success.
type StatusError struct {
	Code    int
	Message string
}

func (e *StatusError) Error() string { return fmt.Sprintf("HTTP status %d: %s", e.Code, e.Message) }

// Get reads an object or a list as the administrator, into a pointer, or nowhere if that is nil.
func (c *Cluster) Get(ctx context.Context, path string, into any) error {
	return get(ctx, c.client, c.Server+path, into)
}

// Create makes an object as the administrator.
func (c *Cluster) Create(ctx context.Context, path string, object any) error {
	data, err := json.Marshal(object)
	if err != nil {
		return err
	}
	body, err := send(ctx, c.client, http.MethodPost, c.Server+path, data)
	if err != nil {
		return err
	}
	return body.Close()
}

// Delete deletes an object as the administrator. It does not wait until the object is gone.
func (c *Cluster) Delete(ctx context.Context, path string) error {
	body, err := send(ctx, c.client, http.MethodDelete, c.Server+path, nil)
	if err != nil {
		return err
	}
	return body.Close()
}

// KubeconfigFor is the text of a kubeconfig for an administrator who works in a namespace.
func (c *Cluster) KubeconfigFor(namespace string) ([]byte, error) {
	return c.pki.kubeconfig(c.Server, admin, namespace)
}

// CA is the path of the authority, in PEM, of the API server's certificate.
func (c *Cluster) CA() string { return filepath.Join(c.Dir, "pki", "ca.crt") }

func get(ctx context.Context, client *http.Client, url string, into any) error {
	body, err := send(ctx, client, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	defer body.Close()
	if into == nil {
		_, err = io.Copy(io.Discard, body)
		return err
	}
	return json.NewDecoder(body).Decode(into)
}

// send gives the body of a successful answer, which the caller closes.
func send(ctx context.Context, client *http.Client, method, url string, data []byte) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode < 300 {
		return response.Body, nil
	}
	defer response.Body.Close()
	message, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%s %s: %w", method, request.URL.Path, &StatusError{response.StatusCode, string(bytes.TrimSpace(message))})
}
