package manifest

import (
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		object  string // apiVersion/kind, then YAML
		state   State
		reason  string
		message string // a part of it
	}{
		{"nothing", "", Gone, "NotFound", ""},
		{"a map", "v1 ConfigMap\ndata: {a: b}", Ready, "Exists", ""},

		{"deployment, new", "apps/v1 Deployment\nmetadata: {generation: 1}\nspec: {replicas: 2}", Progressing, "NotObserved", ""},
		{"deployment, changed", "apps/v1 Deployment\nmetadata: {generation: 2}\nspec: {replicas: 1}\nstatus: {observedGeneration: 1, replicas: 1, updatedReplicas: 1, availableReplicas: 1}", Progressing, "NotObserved", "generation 2"},
		{"deployment, updating", "apps/v1 Deployment\nmetadata: {generation: 1}\nspec: {replicas: 3}\nstatus: {observedGeneration: 1, replicas: 3, updatedReplicas: 1, availableReplicas: 3}", Progressing, "Updating", "1 of 3"},
		{"deployment, old ones left", "apps/v1 Deployment\nmetadata: {generation: 1}\nspec: {replicas: 3}\nstatus: {observedGeneration: 1, replicas: 4, updatedReplicas: 3, availableReplicas: 4}", Progressing, "OldReplicas", "1 old"},
		{"deployment, not available", "apps/v1 Deployment\nmetadata: {generation: 1}\nspec: {replicas: 3}\nstatus: {observedGeneration: 1, replicas: 3, updatedReplicas: 3, availableReplicas: 2}", Progressing, "NotAvailable", "2 of 3"},
		{"deployment, ready", "apps/v1 Deployment\nmetadata: {generation: 1}\nspec: {replicas: 3}\nstatus: {observedGeneration: 1, replicas: 3, updatedReplicas: 3, availableReplicas: 3}", Ready, "Available", "3 of 3"},
		{"deployment, of none", "apps/v1 Deployment\nmetadata: {generation: 1}\nspec: {replicas: 0}\nstatus: {observedGeneration: 1}", Ready, "Available", ""},
		{"deployment, too late", "apps/v1 Deployment\nmetadata: {generation: 1}\nspec: {replicas: 1}\nstatus: {observedGeneration: 1, conditions: [{type: Progressing, status: 'False', reason: ProgressDeadlineExceeded, message: timed out}]}", Failed, "ProgressDeadlineExceeded", "timed out"},
		{"deployment, too late for what was before", "apps/v1 Deployment\nmetadata: {generation: 2}\nspec: {replicas: 1}\nstatus: {observedGeneration: 1, conditions: [{type: Progressing, status: 'False', reason: ProgressDeadlineExceeded}]}", Progressing, "NotObserved", ""},
		{"deployment, quota", "apps/v1 Deployment\nmetadata: {generation: 1}\nspec: {replicas: 1}\nstatus: {observedGeneration: 1, conditions: [{type: ReplicaFailure, status: 'True', reason: FailedCreate, message: exceeded quota}]}", Progressing, "ReplicaFailure", "quota"},
		{"deployment, paused", "apps/v1 Deployment\nmetadata: {generation: 1}\nspec: {paused: true}\nstatus: {observedGeneration: 1}", Progressing, "Paused", ""},

		{"stateful set, ready", "apps/v1 StatefulSet\nmetadata: {generation: 1}\nspec: {replicas: 2}\nstatus: {observedGeneration: 1, readyReplicas: 2, updatedReplicas: 2, currentRevision: a, updateRevision: a}", Ready, "Ready", ""},
		{"stateful set, not ready", "apps/v1 StatefulSet\nmetadata: {generation: 1}\nspec: {replicas: 2}\nstatus: {observedGeneration: 1, readyReplicas: 1}", Progressing, "NotReady", "1 of 2"},
		{"stateful set, updating", "apps/v1 StatefulSet\nmetadata: {generation: 1}\nspec: {replicas: 2}\nstatus: {observedGeneration: 1, readyReplicas: 2, updatedReplicas: 1, currentRevision: a, updateRevision: b}", Progressing, "Updating", "1 of 2"},
		{"stateful set, partition not reached", "apps/v1 StatefulSet\nmetadata: {generation: 1}\nspec: {replicas: 3, updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 1}}}\nstatus: {observedGeneration: 1, readyReplicas: 3, updatedReplicas: 1, currentRevision: a, updateRevision: b}", Progressing, "Updating", "partition 1"},
		{"stateful set, partition reached", "apps/v1 StatefulSet\nmetadata: {generation: 1}\nspec: {replicas: 3, updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 1}}}\nstatus: {observedGeneration: 1, readyReplicas: 3, updatedReplicas: 2, currentRevision: a, updateRevision: b}", Ready, "Partitioned", ""},
		{"stateful set, on delete", "apps/v1 StatefulSet\nmetadata: {generation: 1}\nspec: {replicas: 1, updateStrategy: {type: OnDelete}}\nstatus: {observedGeneration: 1, readyReplicas: 1, currentRevision: a, updateRevision: b}", Ready, "OnDelete", ""},

		{"daemon set, updating", "apps/v1 DaemonSet\nmetadata: {generation: 1}\nstatus: {observedGeneration: 1, desiredNumberScheduled: 3, updatedNumberScheduled: 1, numberAvailable: 3}", Progressing, "Updating", ""},
		{"daemon set, not available", "apps/v1 DaemonSet\nmetadata: {generation: 1}\nstatus: {observedGeneration: 1, desiredNumberScheduled: 3, updatedNumberScheduled: 3, numberAvailable: 1}", Progressing, "NotAvailable", ""},
		{"daemon set, ready", "apps/v1 DaemonSet\nmetadata: {generation: 1}\nstatus: {observedGeneration: 1, desiredNumberScheduled: 3, updatedNumberScheduled: 3, numberAvailable: 3}", Ready, "Available", ""},
		{"daemon set, on delete", "apps/v1 DaemonSet\nmetadata: {generation: 1}\nspec: {updateStrategy: {type: OnDelete}}\nstatus: {observedGeneration: 1, desiredNumberScheduled: 3, numberAvailable: 3}", Ready, "OnDelete", ""},

		{"replica set", "apps/v1 ReplicaSet\nmetadata: {generation: 1}\nspec: {replicas: 1}\nstatus: {observedGeneration: 1, replicas: 1, availableReplicas: 1}", Ready, "Available", ""},
		{"replica set, not available", "apps/v1 ReplicaSet\nmetadata: {generation: 1}\nspec: {replicas: 1}\nstatus: {observedGeneration: 1, replicas: 1}", Progressing, "NotAvailable", ""},
		{"replication controller", "v1 ReplicationController\nmetadata: {generation: 1}\nspec: {replicas: 1}\nstatus: {observedGeneration: 1, replicas: 2, availableReplicas: 1}", Progressing, "OldReplicas", ""},

		{"job, running", "batch/v1 Job\nspec: {completions: 2}\nstatus: {active: 1, succeeded: 1}", Progressing, "Running", "1 of 2"},
		{"job, trying again", "batch/v1 Job\nstatus: {active: 1, failed: 2}", Progressing, "Retrying", "2 have failed"},
		{"job, complete", "batch/v1 Job\nstatus: {succeeded: 1, conditions: [{type: SuccessCriteriaMet, status: 'True'}, {type: Complete, status: 'True'}]}", Ready, "Complete", ""},
		{"job, failed", "batch/v1 Job\nstatus: {conditions: [{type: Failed, status: 'True', reason: BackoffLimitExceeded, message: too often}]}", Failed, "BackoffLimitExceeded", "too often"},
		{"job, suspended", "batch/v1 Job\nspec: {suspend: true}", Progressing, "Suspended", ""},
		{"cron job", "batch/v1 CronJob\nspec: {schedule: '* * * * *'}", Ready, "Exists", ""},

		{"external secret, new", "external-secrets.io/v1 ExternalSecret\nmetadata: {generation: 1}\nspec: {refreshInterval: 1h}", Progressing, "NotReady", "no controller"},
		{"external secret, not readable", "external-secrets.io/v1 ExternalSecret\nmetadata: {generation: 1}\nstatus: {conditions: [{type: Ready, status: 'False', reason: SecretSyncedError, message: could not get secret data}]}", Progressing, "SecretSyncedError", "could not get"},
		{"external secret, ready", "external-secrets.io/v1 ExternalSecret\nmetadata: {generation: 2}\nstatus: {syncedResourceVersion: 2-ab12, conditions: [{type: Ready, status: 'True', reason: SecretSynced}]}", Ready, "SecretSynced", ""},
		{"external secret, changed", "external-secrets.io/v1 ExternalSecret\nmetadata: {generation: 2}\nspec: {refreshInterval: 1h}\nstatus: {syncedResourceVersion: 1-ab12, conditions: [{type: Ready, status: 'True', reason: SecretSynced}]}", Progressing, "NotObserved", "generation 2"},
		{"external secret, changed, read once", "external-secrets.io/v1 ExternalSecret\nmetadata: {generation: 2}\nspec: {refreshInterval: 0s}\nstatus: {syncedResourceVersion: 1-ab12, conditions: [{type: Ready, status: 'True', reason: SecretSynced}]}", Ready, "SecretSynced", ""},

		{"pod, new", "v1 Pod\nspec: {}", Unknown, "NoStatus", ""},
		{"pod, ready", "v1 Pod\nstatus: {phase: Running, conditions: [{type: Ready, status: 'True'}]}", Ready, "Ready", ""},
		{"pod, succeeded", "v1 Pod\nstatus: {phase: Succeeded, conditions: [{type: Ready, status: 'False', reason: PodCompleted}]}", Ready, "Succeeded", ""},
		{"pod, failed", "v1 Pod\nstatus: {phase: Failed, containerStatuses: [{name: a, state: {terminated: {exitCode: 3, reason: Error}}}]}", Failed, "Error", "exit code 3"},
		{"pod, evicted", "v1 Pod\nstatus: {phase: Failed, reason: Evicted, message: no memory}", Failed, "Evicted", "no memory"},
		{"pod, no node", "v1 Pod\nstatus: {phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable, message: 0/1 nodes}]}", Progressing, "Unschedulable", "0/1 nodes"},
		{"pod, no image", "v1 Pod\nstatus: {phase: Pending, containerStatuses: [{name: a, state: {waiting: {reason: ImagePullBackOff, message: back-off}}}]}", Progressing, "ImagePullBackOff", "container a: back-off"},
		{"pod, being made", "v1 Pod\nstatus: {phase: Pending, containerStatuses: [{name: a, state: {waiting: {reason: ContainerCreating}}}], conditions: [{type: Ready, status: 'False', reason: ContainersNotReady, message: 'unready: [a]'}]}", Progressing, "ContainersNotReady", "unready"},
		{"pod, not ready yet", "v1 Pod\nstatus: {phase: Running, containerStatuses: [{name: a, ready: false, state: {running: {}}}]}", Progressing, "ContainerNotReady", "container a"},

		{"claim, bound", "v1 PersistentVolumeClaim\nstatus: {phase: Bound}", Ready, "Bound", ""},
		{"claim, pending", "v1 PersistentVolumeClaim\nstatus: {phase: Pending}", Progressing, "Pending", "first consumer"},
		{"claim, lost", "v1 PersistentVolumeClaim\nspec: {volumeName: v}\nstatus: {phase: Lost}", Failed, "Lost", "volume v"},
		{"volume", "v1 PersistentVolume\nstatus: {phase: Available}", Ready, "Available", ""},

		{"service", "v1 Service\nspec: {clusterIP: 10.96.0.1}", Ready, "Exists", ""},
		{"service, headless", "v1 Service\nspec: {clusterIP: None}", Ready, "Exists", ""},
		{"service, elsewhere", "v1 Service\nspec: {type: ExternalName}", Ready, "ExternalName", ""},
		{"service, no balancer", "v1 Service\nspec: {type: LoadBalancer, clusterIP: 10.96.0.1}\nstatus: {loadBalancer: {}}", Progressing, "NoAddress", ""},
		{"service, balanced", "v1 Service\nspec: {type: LoadBalancer, clusterIP: 10.96.0.1}\nstatus: {loadBalancer: {ingress: [{ip: 192.0.2.1}]}}", Ready, "Exists", ""},
		{"service, addresses of its own", "v1 Service\nspec: {type: LoadBalancer, clusterIP: 10.96.0.1, externalIPs: [192.0.2.1]}", Ready, "Exists", ""},

		{"definition, new", "apiextensions.k8s.io/v1 CustomResourceDefinition\nspec: {}", Progressing, "NotEstablished", ""},
		{"definition, taken", "apiextensions.k8s.io/v1 CustomResourceDefinition\nstatus: {conditions: [{type: NamesAccepted, status: 'False', reason: ListKindConflict, message: in use}]}", Failed, "ListKindConflict", "in use"},
		{"definition, ready", "apiextensions.k8s.io/v1 CustomResourceDefinition\nstatus: {conditions: [{type: NamesAccepted, status: 'True'}, {type: Established, status: 'True'}]}", Ready, "Established", ""},
		{"API service", "apiregistration.k8s.io/v1 APIService\nstatus: {conditions: [{type: Available, status: 'False', reason: MissingEndpoints, message: none}]}", Progressing, "MissingEndpoints", "none"},
		{"API service, ready", "apiregistration.k8s.io/v1 APIService\nstatus: {conditions: [{type: Available, status: 'True', reason: Passed}]}", Ready, "Available", ""},

		{"ingress", "networking.k8s.io/v1 Ingress\nspec: {}", Ready, "Exists", ""},
		{"gateway, new", "gateway.networking.k8s.io/v1 Gateway\nmetadata: {generation: 1}", Progressing, "NotAccepted", ""},
		{"gateway, not programmed", "gateway.networking.k8s.io/v1 Gateway\nmetadata: {generation: 1}\nstatus: {conditions: [{type: Accepted, status: 'True', observedGeneration: 1}, {type: Programmed, status: 'False', reason: AddressNotAssigned, message: no address}]}", Progressing, "AddressNotAssigned", "no address"},
		{"gateway, programmed", "gateway.networking.k8s.io/v1 Gateway\nmetadata: {generation: 1}\nstatus: {conditions: [{type: Accepted, status: 'True', observedGeneration: 1}, {type: Programmed, status: 'True', observedGeneration: 1}]}", Ready, "Programmed", ""},
		{"gateway, programmed for what was before", "gateway.networking.k8s.io/v1 Gateway\nmetadata: {generation: 2}\nstatus: {conditions: [{type: Accepted, status: 'True', observedGeneration: 1}]}", Progressing, "NotAccepted", ""},
		{"route, nobody has answered", "gateway.networking.k8s.io/v1 HTTPRoute\nspec: {parentRefs: [{name: a}, {name: b}]}\nstatus: {parents: [{parentRef: {name: a}, conditions: [{type: Accepted, status: 'True'}, {type: ResolvedRefs, status: 'True'}]}]}", Progressing, "NotAccepted", "1 of 2"},
		{"route, no backend", "gateway.networking.k8s.io/v1 HTTPRoute\nspec: {parentRefs: [{name: a}]}\nstatus: {parents: [{parentRef: {name: a}, conditions: [{type: Accepted, status: 'True'}, {type: ResolvedRefs, status: 'False', reason: BackendNotFound, message: no service}]}]}", Progressing, "BackendNotFound", "gateway a: no service"},
		{"route, accepted", "gateway.networking.k8s.io/v1 HTTPRoute\nspec: {parentRefs: [{name: a}]}\nstatus: {parents: [{parentRef: {name: a}, conditions: [{type: Accepted, status: 'True'}, {type: ResolvedRefs, status: 'True'}]}]}", Ready, "Accepted", ""},

		{"budget", "policy/v1 PodDisruptionBudget\nmetadata: {generation: 1}\nstatus: {conditions: [{type: DisruptionAllowed, status: 'False'}]}", Ready, "Exists", ""},
		{"autoscaler", "autoscaling/v2 HorizontalPodAutoscaler\nstatus: {conditions: [{type: ScalingActive, status: 'False'}]}", Ready, "Exists", ""},
		{"namespace", "v1 Namespace\nstatus: {phase: Active}", Ready, "Active", ""},
		{"namespace, going", "v1 Namespace\nmetadata: {deletionTimestamp: '2026-01-01T00:00:00Z'}\nstatus: {phase: Terminating, conditions: [{type: NamespaceContentRemaining, status: 'True', message: 3 widgets are left}]}", Progressing, "Terminating", "3 widgets"},
		{"held by a finalizer", "v1 ConfigMap\nmetadata: {deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: [example.com/f]}", Progressing, "Terminating", "example.com/f"},

		{"custom, says nothing", "example.com/v1 Widget\nmetadata: {generation: 3}", Ready, "Exists", ""},
		{"custom, not seen", "example.com/v1 Widget\nmetadata: {generation: 3}\nstatus: {observedGeneration: 2, conditions: [{type: Ready, status: 'True'}]}", Progressing, "NotObserved", ""},
		{"custom, not ready", "example.com/v1 Widget\nmetadata: {generation: 3}\nstatus: {observedGeneration: 3, conditions: [{type: Ready, status: 'False', reason: Waiting, message: soon}]}", Progressing, "Waiting", "soon"},
		{"custom, ready", "example.com/v1 Widget\nmetadata: {generation: 3}\nstatus: {conditions: [{type: Ready, status: 'True', reason: Done}]}", Ready, "Done", ""},
		{"custom, available", "example.com/v1 Widget\nstatus: {conditions: [{type: Available, status: Unknown}]}", Progressing, "NotAvailable", ""},
		{"custom, stalled", "example.com/v1 Widget\nstatus: {conditions: [{type: Stalled, status: 'True', reason: Broken, message: it cannot}]}", Failed, "Broken", "it cannot"},
		{"custom, at work", "example.com/v1 Widget\nstatus: {conditions: [{type: Reconciling, status: 'True'}, {type: Ready, status: 'True'}]}", Progressing, "Reconciling", ""},
		{"odd", "example.com/v1 Widget\nmetadata: []\nstatus: {conditions: [1, {type: [a]}, {type: Ready, status: 1}]}", Progressing, "NotReady", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := Judge(liveObject(t, test.object))
			if got.State != test.state || got.Reason != test.reason || !strings.Contains(got.Message, test.message) {
				t.Errorf("%s %s %q, want %s %s %q", got.State, got.Reason, got.Message, test.state, test.reason, test.message)
			}
		})
	}
}

// liveObject reads an object whose first line is its apiVersion and kind.
func liveObject(t *testing.T, text string) map[string]any {
	if text == "" {
		return nil
	}
	head, body, _ := strings.Cut(text, "\n")
	apiVersion, kind, _ := strings.Cut(head, " ")
	data, err := yaml.YAMLToJSON([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	o := object(t, string(data))
	o["apiVersion"], o["kind"] = apiVersion, kind
	return o
}

func TestPodTrouble(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, pod       string
		reason, message string
		restarts        int
	}{
		{"none", "v1 Pod\nstatus: {phase: Running, containerStatuses: [{name: a, ready: true, restartCount: 1, state: {running: {}}}]}", "", "", 1},
		{"nothing known", "v1 Pod\n{}", "", "", 0},
		{
			"crashes, and says how it ended",
			"v1 Pod\nstatus: {phase: Running, containerStatuses: [{name: a, restartCount: 3, state: {waiting: {reason: CrashLoopBackOff, message: back-off}}, lastState: {terminated: {exitCode: 137, reason: OOMKilled}}}]}",
			"CrashLoopBackOff", "container a: it ended with exit code 137 (OOMKilled)", 3,
		},
		{
			"an init container that is done is right",
			"v1 Pod\nspec: {initContainers: [{name: i}]}\nstatus: {phase: Pending, initContainerStatuses: [{name: i, state: {terminated: {exitCode: 0, reason: Completed}}}], containerStatuses: [{name: a, state: {waiting: {reason: CreateContainerConfigError, message: 'secret \"s\" not found'}}}]}",
			"CreateContainerConfigError", `container a: secret "s" not found`, 0,
		},
		{
			"an init container that fails",
			"v1 Pod\nspec: {initContainers: [{name: i}]}\nstatus: {phase: Pending, initContainerStatuses: [{name: i, restartCount: 2, state: {terminated: {exitCode: 1, reason: Error, message: nothing there}}}], containerStatuses: [{name: a, state: {waiting: {reason: PodInitializing}}}]}",
			"Error", "container i: it ended with exit code 1: nothing there", 2,
		},
		{
			"a sidecar that is not ready",
			"v1 Pod\nspec: {initContainers: [{name: s, restartPolicy: Always}]}\nstatus: {phase: Running, initContainerStatuses: [{name: s, ready: false, restartCount: 1, state: {running: {}}}], containerStatuses: [{name: a, ready: true, restartCount: 1, state: {running: {}}}]}",
			"ContainerNotReady", "container s runs and is not ready", 2,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			reason, message, restarts := PodTrouble(liveObject(t, test.pod))
			if reason != test.reason || message != test.message || restarts != test.restarts {
				t.Errorf("%q %q %d", reason, message, restarts)
			}
		})
	}
}
