#!/usr/bin/env bash
# vitest 4.1.12 (with convert-source-map 2.0.0) on Node 20.20.2. A test that fails should be reported as failed, with its error. When
# the error passed through a file that *writes* source map comments, as loaders, bundlers and compilers do, the report is lost: vitest
# looks for the map of each file in a stack by a regular expression over its text, finds the template literal of the code, decodes what
# follows as base64, and fails in JSON.parse. It prints "Test Run Error: SyntaxError: ... is not valid JSON", no test at all, and not
# the error that the test has failed of. The comment must begin a line, and be the only one in the file or stand before the real one.
# A library can keep the text from standing in one piece (packages/core/src/closures/source_maps.ts).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true, "type": "module" }' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts vitest@4.1.12 >/dev/null
mkdir node_modules/library
echo '{ "name": "library", "type": "module", "main": "index.js" }' >node_modules/library/package.json
cat >node_modules/library/index.js <<'JS'
export const comment = (map) => `
//# sourceMappingURL=data:application/json;base64,${map}`;
export function fail() {
  throw new Error('what has happened');
}
JS
cat >library.test.js <<'JS'
import { fail } from 'library';
import { test } from 'vitest';
test('one that fails', () => fail());
JS
said=$(NO_COLOR=1 npx vitest run 2>&1 || true)
grep -E 'SyntaxError|Tests ' <<<"$said"
grep -q 'Test Run Error' <<<"$said"
grep -q 'SyntaxError: .* is not valid JSON' <<<"$said"
! grep -q 'what has happened' <<<"$said"
! grep -q '1 failed' <<<"$said"
