//go:build unix

package controlplane

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// storageClass is the default class of volumes, which this package provides.
const storageClass = "standard"

// claim is a PersistentVolumeClaim, as far as it matters here.
type claim struct {
	Metadata struct{ Name, Namespace, UID string }
	Spec     struct {
		StorageClassName string   `json:"storageClassName"`
		VolumeName       string   `json:"volumeName"`
		VolumeMode       string   `json:"volumeMode"`
		AccessModes      []string `json:"accessModes"`
		Resources        struct {
			Requests map[string]string
		}
	}
}

// provideVolumes makes the default StorageClass and, until Stop, a volume for every claim of it: an object alone, since
// nothing is ever mounted.
func (c *Cluster) provideVolumes(ctx context.Context) error {
	type object = map[string]any
	err := c.Create(ctx, "/apis/storage.k8s.io/v1/storageclasses", object{
		"apiVersion": "storage.k8s.io/v1",
		"kind":       "StorageClass",
		"metadata": object{
			"name":        storageClass,
			"annotations": object{"storageclass.kubernetes.io/is-default-class": "true"},
		},
		"provisioner": "e2e.kai/volumes",
		// The controller manager cannot delete volumes of this kind; provide does.
		"reclaimPolicy":        "Retain",
		"allowVolumeExpansion": true,
		"volumeBindingMode":    "Immediate",
	})
	if err != nil {
		return err
	}
	ctx, c.stopVolumes = context.WithCancel(context.Background())
	c.volumes.Go(func() {
		// A watch ends when the API server restarts, and begins with all claims there are: nothing is lost but deletions.
		for ctx.Err() == nil {
			_ = c.watchClaims(ctx)
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	return nil
}

func (c *Cluster) watchClaims(ctx context.Context) error {
	body, err := send(ctx, c.client, http.MethodGet, c.Server+"/api/v1/persistentvolumeclaims?watch=true", nil)
	if err != nil {
		return err
	}
	defer body.Close()
	for decoder := json.NewDecoder(body); ; {
		var event struct {
			Type   string
			Object claim
		}
		if err := decoder.Decode(&event); err != nil {
			return err
		}
		if event.Object.Spec.StorageClassName != storageClass {
			continue
		}
		if err := c.provide(ctx, event.Object, event.Type == "DELETED"); err != nil {
			return err
		}
	}
}

// provide makes the volume of a claim that has none, and deletes that of one that is gone.
func (c *Cluster) provide(ctx context.Context, claim claim, gone bool) error {
	type object = map[string]any
	name := "pvc-" + claim.Metadata.UID
	if gone {
		return c.Delete(ctx, "/api/v1/persistentvolumes/"+name)
	}
	if claim.Spec.VolumeName != "" {
		return nil
	}
	err := c.Create(ctx, "/api/v1/persistentvolumes", object{
		"apiVersion": "v1",
		"kind":       "PersistentVolume",
		"metadata":   object{"name": name},
		"spec": object{
			"capacity":                      claim.Spec.Resources.Requests,
			"accessModes":                   claim.Spec.AccessModes,
			"volumeMode":                    claim.Spec.VolumeMode,
			"storageClassName":              storageClass,
			"persistentVolumeReclaimPolicy": "Retain",
			"hostPath":                      object{"path": "/nonexistent/" + name},
			"claimRef": object{
				"apiVersion": "v1", "kind": "PersistentVolumeClaim",
				"namespace": claim.Metadata.Namespace, "name": claim.Metadata.Name, "uid": claim.Metadata.UID,
			},
		},
	})
	if err != nil && c.Get(ctx, "/api/v1/persistentvolumes/"+name, nil) == nil {
		return nil // it is there: the claim has changed before it was bound
	}
	if err != nil {
		return fmt.Errorf("volume of %s/%s: %w", claim.Metadata.Namespace, claim.Metadata.Name, err)
	}
	return nil
}
