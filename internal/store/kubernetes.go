package store

import (
	"context"
	"errors"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/kubernetes"
)

func openKubernetes(ctx context.Context, o Options) (secrets.Store, error) {
	s, err := o.KubernetesStore(ctx)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// KubernetesStore gives the store in a cluster, for what only that can do, such as
// references. Nothing is asked of the cluster yet, but for what o.Kubernetes does.
func (o Options) KubernetesStore(ctx context.Context) (*kubernetes.Store, error) {
	if o.Kubernetes == nil {
		return nil, Setting(errors.New("no cluster can be reached from here, and the store kubernetes is in one"))
	}
	client, base, namespace, err := o.Kubernetes(ctx)
	if err != nil {
		return nil, err
	}
	if o.Provider == Kubernetes && o.Namespace != "" {
		namespace = o.Namespace
	}
	return kubernetes.New(client, base, namespace, kubernetes.Options{}), nil
}
