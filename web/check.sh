#!/bin/sh
# Check the page's types, build it anew, and compare with what is committed.
set -eu
cd "$(dirname "$0")"
npx tsc --noEmit
built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT
node build.js "$built"
for name in explorer.js explorer.css; do
	cmp -s "$built/$name" "../src/attend/serve/static/$name" || {
		echo "page: $name is not what web/ gives: run \"make page\" and commit it" >&2
		exit 1
	}
done
echo 'page: as built'
