#!/bin/sh
# Puts kai's binary where plugin.yaml expects it: bin/kai, and bin/kubectl-kai, a link to it.
#
#   sh scripts/install.sh       keeps a bin/kai of this version that works, else builds one
#   sh scripts/install.sh -u    builds it anew (Helm's update hook, make build)
#
# KAI_BIN=/path/to/kai     take this binary instead of building one
# KAI_BIN_SHA256=HEX       … and refuse it if its SHA-256 is another
# KAI_SKIP_BIN_INSTALL=1   do nothing: bin/kai comes from somewhere else
# GO=/path/to/go           the go command, if it is not on PATH
#
# Helm runs this as a hook, Helm 4 without HELM_BIN and its other variables: only the place of this file is relied on.
# On Windows it needs a POSIX shell, such as the one that comes with Git, and writes bin/kai.exe.
set -eu

say() { printf '%s\n' "kai: $*"; }

# fail REASON [LINE...] says what failed and, line by line, the way out.
fail() {
	printf '%s\n' "kai: $1" >&2
	shift
	for line in "$@"; do printf '  %s\n' "$line" >&2; done
	exit 1
}

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
again="sh '$root/scripts/install.sh'"
take="KAI_BIN=/path/to/kai $again"

rebuild=no
case "$#:${1-}" in
0:) ;;
1:-u) rebuild=yes ;;
*) fail "usage: install.sh [-u]" ;;
esac

if [ "${KAI_SKIP_BIN_INSTALL:-}" = 1 ]; then
	say "KAI_SKIP_BIN_INSTALL=1: nothing installed; put the binary at $root/bin/kai yourself"
	exit 0
fi

version=$(sed -n 's/^version:[ ]*\([^ #]*\).*/\1/p' "$root/plugin.yaml" | tr -d '\r')
[ -n "$version" ] || fail "$root/plugin.yaml states no version" "restore the file: git -C '$root' checkout plugin.yaml"

exe=
case $(uname -s) in
MINGW* | MSYS* | CYGWIN*) exe=.exe ;;
esac
kai=$root/bin/kai$exe
kubectl_kai=$root/bin/kubectl-kai$exe
new=$root/bin/.kai.$$$exe
new_link=$root/bin/.kubectl-kai.$$$exe
trap 'rm -f "$new" "$new_link"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# version_of BINARY prints its version without the v, or nothing if it is no kai that runs here.
version_of() { "$1" version 2>/dev/null </dev/null | sed -n '1s/^kai v\{0,1\}\([^ ]*\).*/\1/p' | tr -d '\r'; }

# link makes bin/kubectl-kai, by which kubectl finds kai if bin is on PATH.
link() {
	ln -s "kai$exe" "$new_link" && mv -f "$new_link" "$kubectl_kai"
}

# keep ends here with the binary that is there, which needs no right to write.
keep() {
	[ -e "$kubectl_kai" ] || link 2>/dev/null || true
	say "$kai is v$version already$1"
	exit 0
}

# need_write says early what a build would only say at its end.
need_write() {
	if mkdir -p "$root/bin" 2>/dev/null && [ -w "$root/bin" ]; then return; fi
	fail "cannot write to $root/bin: the binary belongs there, and $(id -un 2>/dev/null || echo 'this user') may not write to it" \
		"either install from a checkout of your own, or let its owner run once:" \
		"  $again"
}

# sha256_with prints the command that computes SHA-256 here, or nothing.
sha256_with() {
	if command -v sha256sum >/dev/null; then
		echo sha256sum
	elif command -v shasum >/dev/null; then
		echo 'shasum -a 256'
	fi
}

# given copies KAI_BIN to $new and checks the copy, so that nothing can change between check and use.
given() {
	[ -f "$KAI_BIN" ] || fail "KAI_BIN=$KAI_BIN: there is no such file" "give the path of a kai binary for this machine: $take"
	cp -- "$KAI_BIN" "$new" || fail "KAI_BIN=$KAI_BIN cannot be copied to $root/bin"
	chmod 755 "$new"
	if [ -n "${KAI_BIN_SHA256:-}" ]; then
		want=$(printf '%s' "$KAI_BIN_SHA256" | tr 'A-F' 'a-f')
		sha256=$(sha256_with)
		[ -n "$sha256" ] || fail "KAI_BIN_SHA256 is set, but neither sha256sum nor shasum is here to check it" \
			"install one of them, or check the file by other means and leave KAI_BIN_SHA256 out"
		sum=$($sha256 <"$new" | sed 's/ .*//')
		[ "$sum" = "$want" ] || fail "KAI_BIN=$KAI_BIN has another checksum than KAI_BIN_SHA256" "it has $sum" "expected $want" "fetch the binary again, or correct KAI_BIN_SHA256"
	fi
	got=$(version_of "$new")
	[ -n "$got" ] || fail "KAI_BIN=$KAI_BIN is not a kai that runs here ($(uname -s) $(uname -m)): \"kai version\" failed" "give a binary built for this machine: $take"
	[ "$got" = "$version" ] || say "note: the given binary is v$got, this plugin v$version" >&2
}

# build compiles $new. Settings that would make it a binary for another machine, or part of another workspace, are left out.
build() {
	say "building v$version with $("$go" env GOVERSION)"
	(
		unset GOOS GOARCH
		cd -- "$root" && GOWORK=off CGO_ENABLED=0 "$go" build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=v$version" -o "$new" ./cmd/kai
	) || fail "go build failed, see above; what was installed before is untouched" \
		"without network, Go needs kai's modules in its cache ($("$go" env GOMODCACHE)); either try again where they can be fetched, or give a binary:" \
		"  $take"
	got=$(version_of "$new")
	[ "$got" = "$version" ] || fail "the binary just built says it is \"$got\", not \"$version\"" "this is a bug in kai; please report it with the output of: $go env"
}

go=${GO:-go}
if [ -n "${KAI_BIN:-}" ]; then
	need_write
	given
else
	[ -z "${KAI_BIN_SHA256:-}" ] || fail "KAI_BIN_SHA256 is set, but KAI_BIN is not" "set KAI_BIN to the binary that has this checksum, or unset KAI_BIN_SHA256"
	same=no
	[ "$(version_of "$kai")" != "$version" ] || same=yes
	[ "$same$rebuild" != yesno ] || keep ''
	if ! command -v "$go" >/dev/null; then
		[ "$same" = no ] || keep '; it was not rebuilt, since Go is not installed'
		fail "cannot build kai: Go is not installed (no command \"$go\"), and no binary was given" \
			"either install Go $(sed -n 's/^go //p' "$root/go.mod") or newer and run: $again" \
			"or give a binary built elsewhere (make build there): $take"
	fi
	need_write
	build
fi

mv -f "$new" "$kai"
link || fail "cannot make the link $kubectl_kai" "kai itself is installed: $kai"
say "installed v$(version_of "$kai"): $kai"
