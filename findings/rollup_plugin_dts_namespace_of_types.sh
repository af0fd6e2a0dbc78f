#!/usr/bin/env bash
# rollup-plugin-dts 6.5.1 with rollup 4.68.8 and typescript 5.9.3. all.d.ts has `export * as tools from './tools.js'`, and
# tools.d.ts hands on an interface and a function of core.d.ts. The bundle is expected to hold both as what they are, and does
# when all.d.ts is the only entry ("type tools_d_Options = Options"). With a second entry that has core.d.ts in it the interface
# comes from there by an import, the plugin no longer knows that it is a type, and writes "declare const tools_d_Options: typeof
# Options", with no warning. A user who checks libraries gets TS2693; one with skipLibCheck gets TS2749 where he names
# tools.Options, that is, the type is not there. So build entries that share types one by one, or check the bundled declarations
# with skipLibCheck off and a user's program that names every type.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true, "type": "module" }' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts rollup@4.68.8 rollup-plugin-dts@6.5.1 typescript@5.9.3 >/dev/null
mkdir src
printf 'export interface Options {\n    deep: boolean;\n}\nexport declare function run(options: Options): void;\n' >src/core.d.ts
echo "export { type Options, run } from './core.js';" >src/tools.d.ts
echo "export * as tools from './tools.js';" >src/all.d.ts
echo "export * from './core.js';" >src/index.d.ts
cat >bundle.mjs <<'JS'
import { rollup } from 'rollup';
import { dts } from 'rollup-plugin-dts';
const [dir, ...names] = process.argv.slice(2);
const input = Object.fromEntries(names.map((name) => [name, `src/${name}.d.ts`]));
const bundle = await rollup({ input, plugins: [dts()], onLog: (level, log) => console.log(level, log.message) });
await bundle.write({ dir });
JS
cat >user.ts <<'TS'
import { tools } from './OUT/all.js';
export const options: tools.Options = { deep: true };
tools.run(options);
TS

look() {
  local out=$1
  shift
  node bundle.mjs "$out" "$@" >log 2>&1
  [ ! -s log ]
  sed "s/OUT/$out/" user.ts >"$out.ts"
  for skip in false true; do
    local code=0
    npx tsc --noEmit --strict --target es2022 --module nodenext --skipLibCheck $skip "$out.ts" >"$out.$skip" || code=$?
    echo "entries $*, skipLibCheck $skip: exit code $code $(cat "$out.$skip")"
  done
  grep Options "$out/all.d.ts"
}

look one all
grep -q 'type tools_d_Options = Options' one/all.d.ts
[ ! -s one.false ]
look two all index
grep -q 'declare const tools_d_Options: typeof Options' two/all.d.ts
grep -q TS2693 two.false
grep -q TS2749 two.true
echo 'as described'
