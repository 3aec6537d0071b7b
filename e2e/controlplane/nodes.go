//go:build unix

package controlplane

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"gopkg.in/yaml.v3"
)

// stagesFile holds kwok's stages: as kwok brings them beside the binaries, with ours in a cluster's folder.
const stagesFile = "kwok-stages.yaml"

//go:embed stages.yaml
var ownStages []byte

// troubles are the annotations of pods that shall not become ready, each with a stage in stages.yaml.
var troubles = []string{"e2e.kai/never-ready", "e2e.kai/crash", "e2e.kai/image-pull", "e2e.kai/fails"}

// writeStages writes kwok's stages and ours, with kwok's own pod-ready made to mind the annotations.
func writeStages(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	for decoder := yaml.NewDecoder(bytes.NewReader(append(data, ownStages...))); ; {
		var stage struct {
			APIVersion string `yaml:"apiVersion"`
			Kind       string
			Metadata   struct{ Name string }
			Spec       map[string]any
		}
		if err := decoder.Decode(&stage); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("%s: %w", from, err)
		}
		if stage.Metadata.Name == "pod-ready" {
			if err := mindAnnotations(stage.Spec); err != nil {
				return fmt.Errorf("%s: %w", from, err)
			}
		}
		if stage.Kind == "" { // nothing between two separators
			continue
		}
		if err := encoder.Encode(stage); err != nil {
			return err
		}
	}
	return os.WriteFile(to, out.Bytes(), 0o644)
}

func mindAnnotations(spec map[string]any) error {
	selector, _ := spec["selector"].(map[string]any)
	expressions, ok := selector["matchExpressions"].([]any)
	if !ok {
		return errors.New("pod-ready has no list of expressions")
	}
	for _, name := range troubles {
		expressions = append(expressions, map[string]any{"key": fmt.Sprintf(".metadata.annotations[%q]", name), "operator": "DoesNotExist"})
	}
	selector["matchExpressions"] = expressions
	spec["delay"] = map[string]any{
		"durationMilliseconds": 0,
		"durationFrom":         map[string]any{"expressionFrom": `.metadata.annotations["e2e.kai/ready-after"]`},
	}
	return nil
}

const nodeAnnotation = "kwok.x-k8s.io/node"

// nodeNames: several, so that pods which keep away from one another find room.
var nodeNames = []string{"node-a", "node-b", "node-c"}

// addNodes makes the nodes that kwok plays.
func (c *Cluster) addNodes(ctx context.Context) error {
	type object = map[string]any
	// Pods that ask for ephemeral storage stay pending on a node that does not say that it has some.
	room := object{"cpu": "64", "memory": "256Gi", "ephemeral-storage": "500Gi", "pods": "200"}
	for _, name := range nodeNames {
		node := object{
			"apiVersion": "v1",
			"kind":       "Node",
			"metadata": object{
				"name":        name,
				"annotations": object{nodeAnnotation: "fake", "node.alpha.kubernetes.io/ttl": "0"},
				"labels": object{
					"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": name,
					"kubernetes.io/os": "linux", "kubernetes.io/arch": runtime.GOARCH,
				},
			},
			"status": object{"allocatable": room, "capacity": room},
		}
		if err := c.Create(ctx, "/api/v1/nodes", node); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) nodesReady(ctx context.Context) error {
	var list struct {
		Items []struct {
			Spec   struct{ Taints []struct{ Key string } }
			Status struct {
				Conditions []struct{ Type, Status string }
			}
		}
	}
	if err := c.Get(ctx, "/api/v1/nodes", &list); err != nil {
		return err
	}
	ready := 0
	for _, node := range list.Items {
		for _, condition := range node.Status.Conditions {
			if condition.Type == "Ready" && condition.Status == "True" && len(node.Spec.Taints) == 0 {
				ready++
			}
		}
	}
	if ready < len(nodeNames) {
		return fmt.Errorf("%d of %d nodes are ready", ready, len(nodeNames))
	}
	return nil
}
