#!/bin/sh
# make demo: generates the charts of Sock Shop, a shop of eight services with their databases and queue, for two contexts, and renders them.
set -eu

cd "$(dirname -- "$0")/.."
shop=testdata/sock-shop
out=build/demo
rm -rf "$out"
mkdir -p "$out"

bin/kai generate -w "$shop" -c dev,prod -o "$out/charts" >/dev/null
for context in dev prod; do
	bin/kai template -w "$shop" -c "$context" >"$out/$context.yaml"
done

echo
for context in dev prod; do
	charts=$(find "$out/charts/$context" -mindepth 2 -maxdepth 2 -name Chart.yaml | wc -l)
	objects=$(grep -c '^kind: ' "$out/$context.yaml")
	printf '%-5s %3d charts in %s, %4d objects in %s\n' "$context" "$charts" "$out/charts/$context" "$objects" "$out/$context.yaml"
done
cat <<EOT

What they were made from:   $shop/services/*/kai.yaml
What to try next:           diff $out/dev.yaml $out/prod.yaml
                            bin/kai template -w $shop -c dev front-end
                            bin/kai diff -w $shop -c prod --against context:dev -o summary
                            mkdir /tmp/hello && cd /tmp/hello && $PWD/bin/kai init && $PWD/bin/kai generate -c dev
EOT
