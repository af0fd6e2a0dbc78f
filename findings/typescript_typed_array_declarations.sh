#!/usr/bin/env bash
# typescript 7.0.2 and 5.9.3 as the library's compiler, 5.6.3 as the user's. Source that names no type parameter of Uint8Array,
# and compiles with all three, is expected to give declarations that all three read. But the newer compilers (since 5.7) write
# the inferred type of `() => new Uint8Array(3)` as Uint8Array<ArrayBuffer>. With 5.6.3 that is TS2315 for the user who checks
# libraries. With skipLibCheck there is no error at all and the type is any: `const text: string = make()` passes. A class is
# emitted as it was written, `extends Uint8Array`, but its methods' inferred types are not: tail() is Uint8Array<ArrayBuffer>. A
# written `: Uint8Array` stays and is read by all. So a library that says it works with 5.6 must write out every typed array it
# returns, and test the declarations with that compiler, skipLibCheck off.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true, "type": "module" }' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts \
  new@npm:typescript@7.0.2 middle@npm:typescript@5.9.3 old@npm:typescript@5.6.3 >/dev/null
mkdir source
cat >source/index.ts <<'TS'
export const make = () => new Uint8Array(3);
export const written = (): Uint8Array => new Uint8Array(3);
export class Bytes extends Uint8Array {
  tail() {
    return this.slice(1);
  }
}
TS
cat >user.ts <<'TS'
import { make } from './types/index.js';
export const text: string = make();
TS
tsc() {
  local compiler=$1
  shift
  node "node_modules/$compiler/bin/tsc" --strict --target es2022 --module nodenext "$@"
}

for compiler in new middle; do
  tsc old --noEmit source/index.ts
  tsc $compiler --declaration --emitDeclarationOnly --outDir types source/index.ts
  echo "$(tsc $compiler --version) writes:"
  cat types/index.d.ts
  grep -q 'make: () => Uint8Array<ArrayBuffer>;' types/index.d.ts
  grep -q 'written: () => Uint8Array;' types/index.d.ts
  grep -q 'class Bytes extends Uint8Array {' types/index.d.ts
  grep -q 'tail(): Uint8Array<ArrayBuffer>;' types/index.d.ts
  for user in old $compiler; do
    for skip in false true; do
      code=0
      tsc $user --noEmit --skipLibCheck $skip user.ts >"$user.$skip" || code=$?
      echo "$(tsc $user --version), skipLibCheck $skip: exit code $code $(cat "$user.$skip")"
    done
  done
  [ "$(grep -c 'types/index.d.ts.*TS2315' old.false)" = 2 ]
  [ ! -s old.true ]
  grep -q 'user.ts.*TS2322' "$compiler.true"
done
echo 'as described'
