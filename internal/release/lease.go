package release

import (
	"context"
	"fmt"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// How a run holds its context. A holder that has not renewed its Lease for
// leaseDuration is dead: it is measured by the clock of the one who waits, from
// when that saw the last renewal, so that no two clocks need agree. Who knows
// better, as on the holder's own machine, need not wait.
const (
	leaseDuration = 15 * time.Second
	leaseRenewal  = 5 * time.Second
	leasePoll     = time.Second
)

// LockedError says that another run has the context in its hands.
type LockedError struct {
	Context, Holder string
	Since           time.Time
}

func (e *LockedError) Error() string {
	return fmt.Sprintf("another run holds the context %s: %s, since %s\n  hint: wait for it, or give --lock-timeout time to wait here; where it was killed, its hold ends by itself after %s",
		e.Context, e.Holder, e.Since.UTC().Format(time.RFC3339), leaseDuration)
}

// Hold is a context that this run holds alone.
type Hold struct {
	// Context ends when the hold is lost, as when the cluster could not be reached
	// for so long that another run may have taken over.
	Context context.Context

	release func()
}

// Release lets others in. It may be called more than once.
func (h *Hold) Release() {
	if h != nil && h.release != nil {
		h.release()
	}
}

// Holder is who wants to hold a context.
type Holder struct {
	// Name tells it from all others.
	Name string
	// Gone says that another holder is known to be dead; nil knows of none. It has
	// to be sure: what is alive and called dead meets the run that follows it.
	Gone func(name string) bool
	// Wait is told whom it waits for; it may be nil.
	Wait func(name string)
}

// gone says whether a Lease is nobody's by now.
func (h Holder) gone(lease *coordinationv1.Lease) bool {
	other := holderOf(lease)
	return other == "" || h.Gone != nil && h.Gone(other)
}

// LeaseName is the name of a context's Lease.
func LeaseName(t Target) string {
	name := "kai-" + t.Context
	if t.Workspace != "" {
		name = "kai-" + t.Workspace + "-" + t.Context
	}
	return strings.ToLower(name)
}

// Holder gives who holds a target, "" for nobody.
func (c *Cluster) Holder(ctx context.Context, t Target) (string, error) {
	lease, err := c.core.CoordinationV1().Leases(t.Namespace).Get(ctx, LeaseName(t), metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err), apierrors.IsForbidden(err):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("who holds the context %s: %s", t.Context, short(err))
	}
	return holderOf(lease), nil
}

// Lock takes the target's Lease, so that no two runs of kai meet. It waits for
// another holder as long as timeout says, and at least until a dead one's time
// is over, unless the holder knows that it is dead.
func (c *Cluster) Lock(ctx context.Context, t Target, holder Holder, timeout time.Duration) (*Hold, error) {
	name := LeaseName(t)
	client := c.core.CoordinationV1().Leases(t.Namespace)
	start := c.clock.Now()
	var seen string      // the renewal of the other holder that was seen last
	var seenAt time.Time // and when
	alive := false       // it has renewed before our eyes
	said := ""           // the holder that was named to who waits
	for {
		lease, err := client.Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			lease, err = client.Create(ctx, c.lease(name, t, holder.Name), metav1.CreateOptions{})
			if err == nil {
				return c.hold(ctx, t, lease), nil
			}
			if !apierrors.IsAlreadyExists(err) {
				return nil, fmt.Errorf("hold the context %s: %s", t.Context, short(err))
			}
			continue
		case err != nil:
			return nil, fmt.Errorf("hold the context %s: %s", t.Context, short(err))
		}
		now := c.clock.Now()
		renewal := lease.ResourceVersion
		if renewal != seen {
			alive = seen != ""
			seen, seenAt = renewal, now
		}
		if holder.gone(lease) || now.Sub(seenAt) >= leaseDuration {
			next := c.lease(name, t, holder.Name)
			next.ResourceVersion = lease.ResourceVersion
			lease, err = client.Update(ctx, next, metav1.UpdateOptions{})
			if err == nil {
				return c.hold(ctx, t, lease), nil
			}
			if !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
				return nil, fmt.Errorf("hold the context %s: %s", t.Context, short(err))
			}
			continue
		}
		if waiting := holderOf(lease); waiting != said && holder.Wait != nil {
			said = waiting
			holder.Wait(waiting)
		}
		if alive && now.Sub(start) >= timeout {
			e := &LockedError{Context: t.Context, Holder: holderOf(lease)}
			if lease.Spec.AcquireTime != nil {
				e.Since = lease.Spec.AcquireTime.Time
			}
			return nil, e
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-c.clock.After(leasePoll):
		}
	}
}

func (c *Cluster) lease(name string, t Target, holder string) *coordinationv1.Lease {
	now := metav1.NewMicroTime(c.clock.Now())
	seconds := int32(leaseDuration / time.Second)
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: t.Namespace, Labels: map[string]string{LabelContext: t.Context}},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds, AcquireTime: &now, RenewTime: &now},
	}
}

// sameHold says whether a Lease is still the holder's that it was.
func sameHold(now, was *coordinationv1.Lease) bool {
	return now.UID == was.UID && holderOf(now) == holderOf(was)
}

func holderOf(lease *coordinationv1.Lease) string {
	if lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

// hold renews a Lease until it is released.
func (c *Cluster) hold(parent context.Context, t Target, lease *coordinationv1.Lease) *Hold {
	client := c.core.CoordinationV1().Leases(t.Namespace)
	ctx, lose := context.WithCancelCause(parent)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		last := c.clock.Now()
		for {
			select {
			case <-stop:
				return
			case <-c.clock.After(leaseRenewal):
			}
			next := lease.DeepCopy()
			now := metav1.NewMicroTime(c.clock.Now())
			next.Spec.RenewTime = &now
			request, cancel := context.WithTimeout(context.WithoutCancel(parent), leaseRenewal)
			renewed, err := client.Update(request, next, metav1.UpdateOptions{})
			if apierrors.IsConflict(err) {
				// The answer to the last renewal may have been lost, and not the Lease.
				renewed, err = client.Get(request, lease.Name, metav1.GetOptions{})
			}
			cancel()
			switch {
			case err == nil && sameHold(renewed, lease):
				lease, last = renewed, c.clock.Now()
			case err == nil:
				lose(fmt.Errorf("another run has taken the context %s over: %s", t.Context, holderOf(renewed)))
				return
			case apierrors.IsNotFound(err):
				lose(fmt.Errorf("the hold on the context %s is lost: somebody has deleted the Lease %s in %s", t.Context, lease.Name, t.Namespace))
				return
			case c.clock.Now().Sub(last) >= leaseDuration*2/3:
				lose(fmt.Errorf("the hold on the context %s could not be renewed: %s", t.Context, short(err)))
				return
			}
		}
	}()
	done := false
	return &Hold{Context: ctx, release: func() {
		if done {
			return
		}
		done = true
		close(stop)
		<-stopped
		last, cancel := context.WithTimeout(context.WithoutCancel(parent), leaseRenewal)
		defer cancel()
		// Where another run has it by now, it stays.
		if now, err := client.Get(last, lease.Name, metav1.GetOptions{}); err == nil && sameHold(now, lease) {
			_ = client.Delete(last, lease.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: &now.ResourceVersion}})
		}
		lose(nil)
	}}
}
