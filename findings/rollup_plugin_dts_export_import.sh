#!/usr/bin/env bash
# rollup-plugin-dts 6.5.1 with rollup 4.68.8 and typescript 5.9.3. `export import Short = Long.Inner;` gives a namespace a second
# name, and tsc emits it as it stands. A bundler of declarations is expected to keep the name or to say that it cannot. The
# plugin turns the line into a declaration, forgets that it was exported, and drops it as dead: no warning, exit code 0, and the
# user gets TS2305 for a name that the JavaScript does export. Long.Inner is still there. Written as two statements, `import
# Short = Long.Inner; export { Short };`, it is kept. So compare the names that the bundle exports with those of the declarations
# that went in.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true, "type": "module" }' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts rollup@4.68.8 rollup-plugin-dts@6.5.1 typescript@5.9.3 >/dev/null
cat >bundle.mjs <<'JS'
import { rollup } from 'rollup';
import { dts } from 'rollup-plugin-dts';
const onLog = (level, log) => console.log(level, log.message);
const bundle = await rollup({ input: 'types/index.d.ts', plugins: [dts()], onLog });
await bundle.write({ file: 'lib.d.ts' });
JS
echo "import { Short } from './lib.js'; export const one: number = Short.one;" >user.ts
options='--strict --target es2022 --module nodenext'

look() {
  printf 'export namespace Long { export namespace Inner { export const one = 1; } }\n%s\n' "$1" >index.ts
  npx tsc $options --declaration --outDir types index.ts
  node -e 'import("./types/index.js").then(({ Short }) => process.exit(Short.one === 1 ? 0 : 1))'
  node bundle.mjs >log 2>&1
  [ ! -s log ]
  local code=0
  npx tsc $options --noEmit user.ts >out || code=$?
  echo "$1 becomes $(grep '^export' lib.d.ts) exit code of the user's tsc: $code $(cat out)"
}

look 'export import Short = Long.Inner;'
if grep -q Short lib.d.ts; then exit 1; fi
grep -q "TS2305: Module '\"./lib.js\"' has no exported member 'Short'" out
look 'import Short = Long.Inner; export { Short };'
[ ! -s out ]
echo 'as described'
