package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/vault"
)

func openVault(ctx context.Context, o Options) (secrets.Store, error) {
	client, err := o.VaultClient()
	if err != nil {
		return nil, Setting(err)
	}
	s, err := client.Store(ctx, vault.KV{Mount: o.Mount, Prefix: o.Prefix})
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return s, nil
}

// VaultClient gives a connection to Vault by the credentials, for stores, for
// transit and for references. Nothing is asked yet.
func (o Options) VaultClient() (*vault.Client, error) {
	address, err := o.vaultAddress()
	if err != nil {
		return nil, err
	}
	auth, err := o.vaultAuth()
	if err != nil {
		return nil, err
	}
	namespace := o.plain("VAULT_NAMESPACE")
	if o.Provider == Vault && o.Namespace != "" {
		namespace = o.Namespace
	}
	return vault.New(vault.Options{
		Address: address, Namespace: namespace, Auth: auth, Long: o.Long,
		TLS: vault.TLS{
			CAFile: o.plain("VAULT_CACERT"), ServerName: o.plain("VAULT_TLS_SERVER_NAME"),
			CertFile: o.plain("VAULT_CLIENT_CERT"), KeyFile: o.plain("VAULT_CLIENT_KEY"),
		},
	})
}

// vaultAddress gives the address. A token is of the server that it was made for:
// where the environment speaks of one, no other is sent what it holds.
func (o Options) vaultAddress() (string, error) {
	given := o.plain("VAULT_ADDR")
	switch {
	case o.Provider != Vault || o.Address == "":
		if given == "" {
			return "", errors.New("no address of Vault is given\n  hint: set VAULT_ADDR, or name it in the workspace's context: secrets: {provider: vault, address: …}")
		}
		return given, nil
	case given == "" && !secure(o.Address):
		return "", errors.New("the workspace's address of Vault is no https://, and a token sent there could be read on the way\n  hint: write it as https://; only where the network is trusted set VAULT_ADDR to the same address where kai runs")
	case given != "" && strings.TrimRight(given, "/") != strings.TrimRight(o.Address, "/"):
		return "", errors.New("the address of Vault is another in VAULT_ADDR than in the workspace, so the credentials here may be for another server\n  hint: unset VAULT_ADDR where they are for the workspace's, or set it to the same address")
	}
	return o.Address, nil
}

// secure says whether nobody on the way reads what is sent to an address: it is
// encrypted, or stays on this machine. What is no address is found later.
func secure(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" {
		return true
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// vaultAuth gives the way to log in.
func (o Options) vaultAuth() (vault.Auth, error) {
	method, err := o.oneOf("VAULT_AUTH", "token", "approle", "kubernetes", "jwt")
	if err != nil {
		return nil, err
	}
	wrapped := false
	if text := o.plain("VAULT_WRAPPED"); text != "" {
		if wrapped, err = strconv.ParseBool(text); err != nil {
			return nil, errors.New("KAI_VAULT_WRAPPED is neither true nor false")
		}
	}
	mount, role, roleID, jwt := o.plain("VAULT_AUTH_MOUNT"), o.plain("VAULT_ROLE"), o.plain("VAULT_ROLE_ID"), o.plain("VAULT_JWT_FILE")
	token, err := o.credential("VAULT_TOKEN", wrapped)
	if err != nil {
		return nil, err
	}
	if method == "" {
		// What was given on purpose comes before a token that some login has left.
		switch {
		case roleID != "":
			method = "approle"
		case role != "" && jwt != "" && jwt != vault.ServiceAccountToken:
			method = "jwt"
		case role != "":
			method = "kubernetes"
		default:
			method = "token"
		}
	}
	switch method {
	case "approle":
		if roleID == "" {
			return nil, errors.New("AppRole of Vault needs a role id\n  hint: set KAI_VAULT_ROLE_ID")
		}
		secret, err := o.credential("VAULT_SECRET_ID", wrapped)
		return vault.AppRole{Mount: mount, RoleID: roleID, SecretID: secret}, err
	case "kubernetes":
		if role == "" {
			return nil, errors.New("a login to Vault by Kubernetes needs a role\n  hint: set KAI_VAULT_ROLE")
		}
		return vault.Kubernetes{Mount: mount, Role: role, Token: vault.Credential{File: jwt, Wrapped: wrapped}}, nil
	case "jwt":
		if jwt == "" {
			return nil, errors.New("a login to Vault by JWT needs the file of one\n  hint: set KAI_VAULT_JWT_FILE")
		}
		return vault.JWT{Mount: mount, Role: role, Token: vault.Credential{File: jwt, Wrapped: wrapped}}, nil
	}
	if token.Value.IsZero() && token.File == "" {
		return nil, errors.New("no token for Vault is given\n  hint: log in with vault login, or set VAULT_TOKEN; KAI_VAULT_ROLE_ID and KAI_VAULT_ROLE are other ways")
	}
	return vault.Token{Token: token}, nil
}

// credential gives one as it is, or its file, which is read when it is needed:
// others write it anew.
func (o Options) credential(name string, wrapped bool) (vault.Credential, error) {
	value, given := o.get(name)
	path, in := o.get(name + "_FILE")
	if given && in {
		return vault.Credential{}, fmt.Errorf("KAI_%s and KAI_%s_FILE exclude one another", name, name)
	}
	return vault.Credential{Value: value, File: path.Reveal(), Wrapped: wrapped}, nil
}
