#!/usr/bin/env bash
# rollup-plugin-dts 6.5.1 with rollup 4.68.8 and typescript 5.9.3. tsc emits `[name: Key]: string` for an index signature whose
# key is a named type (Key a template literal type), and the bundle of that is expected to hold Key. The plugin does not look at
# the type of the key. Key is used nowhere else, so it is shaken out as dead, with no warning and exit code 0. A user who checks
# libraries gets TS2304; one with skipLibCheck has an interface without any index signature. The same type in `Record<Key,
# string>` stays. So write index signatures with Record or a mapped type, and check the bundle with skipLibCheck off.
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
cat >user.ts <<'TS'
import type { Attributes } from './lib.js';
export const read = (attributes: Attributes): string => attributes['data-x'];
TS
options='--strict --target es2022 --module nodenext'

look() {
  printf 'type Key = `data-${string}`;\nexport %s\n' "$1" >index.ts
  npx tsc $options --declaration --emitDeclarationOnly --outDir types index.ts
  node bundle.mjs >log 2>&1
  [ ! -s log ]
  for skip in false true; do
    local code=0
    npx tsc $options --noEmit --skipLibCheck $skip user.ts >"out.$skip" || code=$?
    echo "$1, skipLibCheck $skip: exit code $code $(cat "out.$skip")"
  done
}

look 'interface Attributes { [name: Key]: string }'
grep -q 'name: Key' lib.d.ts
if grep -q 'type Key' lib.d.ts; then exit 1; fi
grep -q "TS2304: Cannot find name 'Key'" out.false
grep -q "user.ts.*TS7053" out.true
look 'type Attributes = Record<Key, string>;'
grep -q 'type Key' lib.d.ts
[ ! -s out.false ]
echo 'as described'
