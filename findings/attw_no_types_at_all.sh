#!/usr/bin/env bash
# @arethetypeswrong/cli 0.18.5, with publint 0.3.25 beside it. package.json names declarations for both its entry points, and
# "files" forgets them. The checker of published types is expected to fail. When one of two declarations is missing from the
# tarball it does, with exit code 1. When all of them are missing it says "This package does not contain types." and exits 0, for
# it then takes the package for one without types, whatever package.json says; with --quiet it says nothing and exits 0. publint
# finds the missing files in both cases and exits 1. So the worst fault passes where the lesser one fails: let something else in
# the build look for the declarations in the tarball.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true }' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts @arethetypeswrong/cli@0.18.5 publint@0.3.25 >/dev/null
mkdir library
echo 'export const value = 1;' | tee library/index.js >library/extra.js
echo 'export declare const value = 1;' | tee library/index.d.ts >library/extra.d.ts

look() {
  cat >library/package.json <<JSON
{
  "name": "library",
  "version": "1.0.0",
  "type": "module",
  "files": $1,
  "exports": {
    ".": { "types": "./index.d.ts", "default": "./index.js" },
    "./extra": { "types": "./extra.d.ts", "default": "./extra.js" }
  }
}
JSON
  local attw=0 quiet=0 publint=0
  npx attw --pack library --profile esm-only --no-definitely-typed --format ascii >out 2>&1 || attw=$?
  npx attw --pack library --profile esm-only --no-definitely-typed --quiet >out.quiet 2>&1 || quiet=$?
  npx publint library >out.publint 2>&1 || publint=$?
  echo "files $1: exit codes: attw $attw, attw --quiet $quiet, publint $publint"
  [ "$attw $quiet $publint" = "$2" ]
}

look '["*.js", "*.d.ts"]' '0 0 0'
look '["*.js", "index.d.ts"]' '1 1 1'
look '["*.js"]' '0 0 1'
cat out
grep -q 'This package does not contain types.' out
[ ! -s out.quiet ]
grep -q 'pkg.exports\["."\].types is ./index.d.ts but the file is not published' out.publint
echo 'as described'
