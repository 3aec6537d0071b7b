package generator

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"

	"github.com/helm-kai/helm-kai/internal/descriptor"
)

// Shorten gives a name of at most limit characters. One that is too long keeps
// its beginning and ends in a hash of the whole, so that two long names never
// become one.
func Shorten(name string, limit int) string {
	if len(name) <= limit {
		return name
	}
	return strings.TrimRight(name[:limit-digits-1], "-.") + "-" + digest(name)
}

// maxName is the longest name that every object and label takes: RFC 1123.
const maxName = 63

// ObjectName joins parts to the name of an object.
func ObjectName(parts ...string) string { return Shorten(strings.Join(parts, "-"), maxName) }

// AppName joins parts to the name of a release, its chart and its workload.
func AppName(parts ...string) string { return Shorten(strings.Join(parts, "-"), descriptor.MaxApp) }

// serviceName gives the name of a Service of its own for a route.
func serviceName(app, route string) string {
	if portName.MatchString(route) {
		return ObjectName(app, route)
	}
	return ObjectName(app, strings.TrimLeft(Shorten(dnsName(route), 20)+"-"+digest(route), "-"))
}

// digest gives the hash that makes a shortened name its own.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])[:digits]
}

// digits is how much of a hash stands in a name.
const digits = 8

var (
	portName   = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	hasLetter  = regexp.MustCompile(`[a-z]`)
	notDNS     = regexp.MustCompile(`[^a-z0-9]+`)
	secretKey  = regexp.MustCompile(`^[-._a-zA-Z0-9]+$`)
	notVarName = regexp.MustCompile(`[^A-Z0-9]+`)
)

// isReference says whether a text is meant as a reference into another store.
func isReference(text string) bool {
	return strings.HasPrefix(text, "ref+") || strings.HasPrefix(text, "secretref+")
}

// shortPortName gives a port's name: at most 15 characters, with a letter in it
// (IANA service names, RFC 6335).
func shortPortName(route string) string {
	if len(route) <= 15 && portName.MatchString(route) && hasLetter.MatchString(route) {
		return route
	}
	sum := sha256.Sum256([]byte(route))
	name := strings.Trim(notDNS.ReplaceAllString(strings.ToLower(route), "-"), "-")
	if len(name) > 9 {
		name = strings.TrimRight(name[:9], "-")
	}
	return strings.TrimLeft(name+"-p"+hex.EncodeToString(sum[:])[:4], "-")
}

// dnsName makes a DNS label of text.
func dnsName(text string) string {
	return strings.Trim(notDNS.ReplaceAllString(strings.ToLower(text), "-"), "-")
}
