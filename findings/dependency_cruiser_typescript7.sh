#!/usr/bin/env bash
# dependency-cruiser 17.4.3 with typescript 7.0.2 beside it. A checker of imports that finds nothing to check is expected to
# say so and to fail. TypeScript 7 has no JavaScript API, so dependency-cruiser knows no way to read .ts files; it leaves them
# out, says "no dependency violations found (0 modules, 0 dependencies cruised)" and exits 0, two files that import
# each other notwithstanding. With typescript 5.9.3 it finds the circle and exits 1. So a project that moves to
# TypeScript 7 loses the check without a word: give it a TypeScript of its own, and test that it sees a fault.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
printf "import { b } from './b.ts';\nexport const a = (): unknown => b;\n" >src/a.ts
printf "import { a } from './a.ts';\nexport const b = (): unknown => a;\n" >src/b.ts
cat >rules.cjs <<'RULES'
module.exports = {
  forbidden: [{ name: 'no-circular', severity: 'error', from: {}, to: { circular: true } }],
  options: { enhancedResolveOptions: { extensions: ['.ts', '.js'] } },
};
RULES
echo '{ "private": true }' >package.json

look() {
  npm install --silent --no-audit --no-fund --ignore-scripts dependency-cruiser@17.4.3 "typescript@$1" >/dev/null
  local code=0
  npx depcruise -c rules.cjs src >out 2>&1 || code=$?
  echo "typescript $1: exit code $code: $(tr -s '\n ' ' ' <out)"
  [ "$code" = "$2" ] && grep -q "$3" out
}

look 7.0.2 0 'no dependency violations found (0 modules, 0 dependencies cruised)'
look 5.9.3 1 'no-circular: src/a.ts'
echo 'as described'
