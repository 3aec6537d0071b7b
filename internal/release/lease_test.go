package release

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	helm "helm.sh/helm/v3/pkg/release"
	helmtime "helm.sh/helm/v3/pkg/time"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// leaps is a clock whose time goes on with every wait, and with nothing else.
type leaps struct {
	mu     sync.Mutex
	now    time.Time
	waited time.Duration
	each   func() // called at each wait
}

func (c *leaps) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *leaps) After(d time.Duration) <-chan time.Time {
	if d == leaseRenewal {
		return nil // a hold that was taken is not renewed here
	}
	c.mu.Lock()
	c.now = c.now.Add(d)
	c.waited += d
	c.mu.Unlock()
	if c.each != nil {
		c.each()
	}
	out := make(chan time.Time, 1)
	out <- c.now
	return out
}

var shop = Target{Workspace: "shop", Context: "dev", Namespace: "shop"}

func heldBy(holder, version string) *coordinationv1.Lease {
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: LeaseName(shop), Namespace: "shop", ResourceVersion: version},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder},
	}
}

func TestLockAfterAnotherHolder(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		holder string
		gone   func(string) bool
		waits  time.Duration
	}{
		"nobody's":              {"", nil, 0},
		"dead, as far as known": {"b/1/x", nil, leaseDuration},
		"known to be dead":      {"a/1/x", func(name string) bool { return name == "a/1/x" }, 0},
		"another is dead":       {"b/1/x", func(name string) bool { return name == "a/1/x" }, leaseDuration},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := &leaps{now: noon}
			c := &Cluster{core: fake.NewClientset(heldBy(test.holder, "7")), clock: clock}
			hold, err := c.Lock(t.Context(), shop, Holder{Name: "a/2/y", Gone: test.gone}, 0)
			if err != nil {
				t.Fatal(err)
			}
			if clock.waited != test.waits {
				t.Errorf("it waited %v, want %v", clock.waited, test.waits)
			}
			lease, err := c.core.CoordinationV1().Leases("shop").Get(t.Context(), LeaseName(shop), metav1.GetOptions{})
			if err != nil || holderOf(lease) != "a/2/y" {
				t.Errorf("the holder is %q, %v", holderOf(lease), err)
			}
			if hold.Context.Err() != nil {
				t.Error("the hold is lost at once")
			}
		})
	}
}

func TestLockWhileAnotherRenews(t *testing.T) {
	t.Parallel()
	client := fake.NewClientset()
	version := 0
	client.PrependReactor("get", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
		version++
		return true, heldBy("b/1/x", strings.Repeat("1", version)), nil
	})
	for _, timeout := range []time.Duration{0, time.Minute} {
		clock := &leaps{now: noon}
		c := &Cluster{core: client, clock: clock}
		_, err := c.Lock(t.Context(), shop, Holder{Name: "a/2/y"}, timeout)
		var locked *LockedError
		if !errors.As(err, &locked) || locked.Holder != "b/1/x" {
			t.Errorf("%v: %v", timeout, err)
		}
		if clock.waited < timeout || clock.waited > timeout+2*leasePoll {
			t.Errorf("it waited %v, want %v", clock.waited, timeout)
		}
	}
	// Whoever waits can be told to stop.
	ctx, cancel := context.WithCancel(t.Context())
	c := &Cluster{core: client, clock: &leaps{now: noon, each: cancel}}
	if _, err := c.Lock(ctx, shop, Holder{Name: "a/2/y"}, time.Hour); !errors.Is(err, context.Canceled) {
		var locked *LockedError
		t.Errorf("%v, %v", err, errors.As(err, &locked))
	}
}

// renewals is a clock of holds: each renewal comes when the test says so.
type renewals struct{ due chan time.Time }

func (renewals) Now() time.Time                         { return noon }
func (c renewals) After(time.Duration) <-chan time.Time { return c.due }

var leases = coordinationv1.SchemeGroupVersion.WithResource("leases")

// TestHoldIsRenewed loses answers, which a hold survives, and then the Lease.
func TestHoldIsRenewed(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		lose func(clienttesting.ObjectTracker) error
		want string
	}{
		"taken over": {func(t clienttesting.ObjectTracker) error {
			return t.Update(leases, heldBy("b/1/x", "9"), "shop")
		}, "another run has taken the context dev over: b/1/x"},
		"deleted": {func(t clienttesting.ObjectTracker) error {
			return t.Delete(leases, "shop", LeaseName(shop))
		}, "somebody has deleted the Lease kai-shop-dev in shop"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := fake.NewClientset()
			clock := renewals{make(chan time.Time)}
			c := &Cluster{core: client, clock: clock}
			hold, err := c.Lock(t.Context(), shop, Holder{Name: "a/2/y"}, 0)
			if err != nil {
				t.Fatal(err)
			}
			client.PrependReactor("update", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
				return true, nil, apierrors.NewConflict(schema.GroupResource{Resource: "leases"}, "", errors.New("moved"))
			})
			// Its own Lease has a version that it does not know: the answer was lost.
			clock.due <- noon
			clock.due <- noon
			if err := context.Cause(hold.Context); err != nil {
				t.Fatalf("the hold is lost: %v", err)
			}
			lost := make(chan struct{})
			go func() { <-hold.Context.Done(); close(lost) }()
			if err := test.lose(client.Tracker()); err != nil {
				t.Fatal(err)
			}
			select {
			case clock.due <- noon:
			case <-lost:
			}
			<-lost
			if err := context.Cause(hold.Context); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the cause is %v, want %q", err, test.want)
			}
			hold.Release()
		})
	}
}

func TestBusy(t *testing.T) {
	t.Parallel()
	labels := map[string]string{LabelWorkspace: "shop", LabelContext: "dev", labelRun: runAlone + "1", labelRevision: "2"}
	with := func(key, value string) map[string]string {
		out := map[string]string{}
		for k, v := range labels {
			out[k] = v
		}
		out[key] = value
		return out
	}
	tests := map[string]struct {
		labels map[string]string
		status helm.Status
		age    time.Duration
		free   bool // for a run without the Lease
		busy   bool
	}{
		"Helm's, young":                     {nil, helm.StatusPendingUpgrade, time.Minute, false, true},
		"Helm's, young, a first install":    {nil, helm.StatusPendingInstall, time.Second, false, true},
		"Helm's, old":                       {nil, helm.StatusPendingRollback, pendingPatience, false, false},
		"Helm's, done":                      {nil, helm.StatusDeployed, 0, false, false},
		"Helm's, failed":                    {nil, helm.StatusFailed, 0, false, false},
		"of a run that had the Lease":       {labels, helm.StatusPendingUpgrade, 0, false, false},
		"of a run that had the Lease, free": {labels, helm.StatusPendingUpgrade, 0, true, true},
		"of a run without the Lease":        {with(labelRun, "1"), helm.StatusPendingUpgrade, 0, false, true},
		"of another context":                {with(LabelContext, "prod"), helm.StatusPendingUpgrade, 0, false, true},
		"labels that Helm has handed on":    {with(labelRevision, "1"), helm.StatusPendingUpgrade, 0, false, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &Record{Name: "carts", Revision: 2, Status: test.status, Labels: test.labels}
			r.Info.LastDeployed = helmtime.Time{Time: noon.Add(-test.age)}
			a := &apply{
				c:       &Cluster{clock: stopped{noon}},
				plan:    &Plan{Target: shop, Steps: []Step{{Release: "carts", Action: Upgrade}}, work: []work{{want: &Desired{}, state: &state{last: r}}}},
				options: ApplyOptions{Alone: !test.free},
			}
			if got := a.busy(); len(got) > 0 != test.busy {
				t.Errorf("busy: %v", got)
			}
			a.options.ForcePending = true
			if got := a.busy(); len(got) > 0 {
				t.Errorf("with --force-pending: %v", got)
			}
		})
	}
}
