//go:build unix

package faultproxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/e2e/controlplane"
	"github.com/helm-kai/helm-kai/e2e/tools"
)

// TestProxy lets requests to a real API server go wrong in every way.
func TestProxy(t *testing.T) {
	t.Parallel()
	checkout, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	cluster := controlplane.ForTest(t, tools.CheckoutCache(checkout), checkout)
	config, err := cluster.KubeconfigFor("default")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]func(*testing.T, *Proxy, *http.Client){
		"passes":     passes,
		"status":     status,
		"times":      times,
		"time":       period,
		"method":     method,
		"delay":      delay,
		"cut before": cutBefore,
		"cut after":  cutAfter,
		"cut all":    cutAll,
		"token":      token,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy, err := Start(config)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := proxy.Stop(); err != nil {
					t.Error(err)
				}
			})
			test(t, proxy, client(t, proxy))
		})
	}
}

// client trusts a proxy and brings nothing.
func client(t *testing.T, proxy *Proxy) *http.Client {
	t.Helper()
	config, err := parse(proxy.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig.RootCAs = config.roots
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

const configMaps = "/api/v1/namespaces/default/configmaps"

// ask sends a request and gives the status with the body, or the error.
func ask(ctx context.Context, client *http.Client, method, url, body string) (*http.Response, string, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	return response, string(data), err
}

// want holds that a GET is answered with a status.
func want(t *testing.T, client *http.Client, url string, code int) (*http.Response, string) {
	t.Helper()
	response, body, err := ask(t.Context(), client, http.MethodGet, url, "")
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != code {
		t.Fatalf("GET %s: got status %d, want %d\n%s", url, response.StatusCode, code, body)
	}
	return response, body
}

func passes(t *testing.T, proxy *Proxy, client *http.Client) {
	response, body := want(t, client, proxy.URL+"/api/v1/namespaces/default", http.StatusOK)
	if !strings.Contains(body, `"name":"default"`) || response.ProtoMajor != 2 {
		t.Errorf("over HTTP %d got %s", response.ProtoMajor, body)
	}
	if got := fmt.Sprint(proxy.Requests()); got != "[{GET /api/v1/namespaces/default false}]" {
		t.Errorf("got requests %s", got)
	}
}

func status(t *testing.T, proxy *Proxy, client *http.Client) {
	for _, code := range []int{403, 409, 429, 500, 503, 504} {
		proxy.Clear()
		proxy.Add(Rule{Status: code, RetryAfter: 2 * time.Second})
		response, body := want(t, client, proxy.URL+configMaps, code)
		var status struct {
			Kind, Status, Reason string
			Code                 int
		}
		if err := json.NewDecoder(bytes.NewBufferString(body)).Decode(&status); err != nil {
			t.Fatal(err)
		}
		if status.Kind != "Status" || status.Status != "Failure" || status.Code != code || status.Reason == "" || response.Header.Get("Retry-After") != "2" {
			t.Errorf("got %+v and headers %v", status, response.Header)
		}
	}
}

func times(t *testing.T, proxy *Proxy, client *http.Client) {
	proxy.Add(Rule{Path: regexp.MustCompile(`^/api/v1/namespaces/[^/]+/configmaps`), Times: 2, Status: 500})
	want(t, client, proxy.URL+"/api/v1/namespaces", http.StatusOK)
	want(t, client, proxy.URL+configMaps, http.StatusInternalServerError)
	want(t, client, proxy.URL+configMaps, http.StatusInternalServerError)
	want(t, client, proxy.URL+configMaps, http.StatusOK)
}

func period(t *testing.T, proxy *Proxy, client *http.Client) {
	proxy.Add(Rule{For: time.Hour, Status: 500})
	want(t, client, proxy.URL+configMaps, http.StatusInternalServerError)
	proxy.Clear()
	proxy.Add(Rule{For: time.Millisecond, Status: 500})
	time.Sleep(10 * time.Millisecond)
	want(t, client, proxy.URL+configMaps, http.StatusOK)
}

func method(t *testing.T, proxy *Proxy, client *http.Client) {
	proxy.Add(Rule{Method: http.MethodDelete, Status: 403})
	want(t, client, proxy.URL+configMaps, http.StatusOK)
	response, body, err := ask(t.Context(), client, http.MethodDelete, proxy.URL+configMaps+"/none", "")
	if err != nil || response.StatusCode != http.StatusForbidden {
		t.Errorf("got %v, %s, %v", response, body, err)
	}
}

func delay(t *testing.T, proxy *Proxy, client *http.Client) {
	proxy.Add(Rule{Delay: 300 * time.Millisecond, Times: 1})
	begin := time.Now()
	want(t, client, proxy.URL+configMaps, http.StatusOK)
	if took := time.Since(begin); took < 300*time.Millisecond {
		t.Errorf("answered after %v", took)
	}
}

// create makes a ConfigMap on a connection that ends, and gives how often it was found afterwards.
func create(t *testing.T, proxy *Proxy, client *http.Client, name string, when Cut) bool {
	t.Helper()
	proxy.Add(Rule{Method: http.MethodPost, Cut: when, Times: 1})
	_, body, err := ask(t.Context(), client, http.MethodPost, proxy.URL+configMaps, `{"metadata": {"name": "`+name+`"}}`)
	// Which of the two a client sees depends on what it was about to do.
	if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the client got %q, %v", body, err)
	}
	response, _, err := ask(t.Context(), client, http.MethodGet, proxy.URL+configMaps+"/"+name, "")
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode == http.StatusOK
}

func cutBefore(t *testing.T, proxy *Proxy, client *http.Client) {
	if create(t, proxy, client, "cut-before", Before) {
		t.Error("the request was carried out")
	}
}

func cutAfter(t *testing.T, proxy *Proxy, client *http.Client) {
	if !create(t, proxy, client, "cut-after", After) {
		t.Error("the request was not carried out")
	}
}

func cutAll(t *testing.T, proxy *Proxy, client *http.Client) {
	watch, err := client.Get(proxy.URL + configMaps + "?watch=true")
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Body.Close()
	proxy.CutAll()
	if _, err := io.ReadAll(watch.Body); err == nil {
		t.Error("the watch has ended in order")
	}
	want(t, client, proxy.URL+configMaps, http.StatusOK)
}

// token holds that who brings a token is not taken for the administrator.
func token(t *testing.T, proxy *Proxy, client *http.Client) {
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, proxy.URL+configMaps, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer nobody")
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		t.Errorf("got status %d, want 401", response.StatusCode)
	}
}
