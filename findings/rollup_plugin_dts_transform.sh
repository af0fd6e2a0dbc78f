#!/usr/bin/env bash
# rollup-plugin-dts 6.5.1 with rollup 4.68.8 and typescript 5.9.3. A rollup plugin is expected to work on what the plugins before
# it returned from load and transform. With .d.ts files this one does. With .ts files it emits the declarations from its own
# TypeScript program, which read the files from the disk, and what the plugins before it made of them is lost without a word; and
# one .ts file among the entries is enough for that to hold for the .d.ts files that it imports. So what is to be changed before
# bundling (a path, a name, a text put in at build time) must be written to the disk first, and all of it as .d.ts.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true, "type": "module" }' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts rollup@4.68.8 rollup-plugin-dts@6.5.1 typescript@5.9.3 >/dev/null
mkdir declared written mixed
echo "export { from } from './from.js';" | tee declared/index.d.ts mixed/index.ts >written/index.ts
echo 'export declare const from: "disk";' | tee declared/from.d.ts >mixed/from.d.ts
echo 'export const from = "disk" as const;' >written/from.ts
cat >bundle.mjs <<'JS'
import { rollup } from 'rollup';
import { dts } from 'rollup-plugin-dts';
const [input, hook] = process.argv.slice(2);
const change = {
  load: { name: 'change', load: (id) => (id.includes('/from.') ? 'export declare const from: "plugin";' : null) },
  transform: { name: 'change', transform: (code) => ({ code: code.replace('"disk"', '"plugin"'), map: null }) },
};
const onLog = (level, log) => console.log(level, log.message);
const bundle = await rollup({ input, plugins: [change[hook], dts()], onLog });
console.log((await bundle.generate({})).output[0].code);
JS

look() {
  for hook in load transform; do
    node bundle.mjs "$1" $hook >out 2>&1
    echo "$1, $hook: $(tr -s '\n' ' ' <out)"
    grep -q "^declare const from: \"$2\";" out
    if grep -q warn out; then exit 1; fi
  done
}

look declared/index.d.ts plugin
look written/index.ts disk
look mixed/index.ts disk
echo 'as described'
