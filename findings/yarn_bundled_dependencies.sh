#!/usr/bin/env bash
# yarn 4.18.1 (@yarnpkg/cli-dist), against the npm of the machine (seen with 11.19.1). A package that names a dependency in
# bundleDependencies carries its copy in its own tarball, node_modules and all, and that copy is expected to be the one that its
# require() finds. npm does so. yarn takes no notice of the field and leaves the copy out, with the node-modules linker and with
# pnp: it asks the registry for the name and installs what is there, here a package that has nothing to do with the bundled one
# but name and version. It ends with exit code 0 and not a word about it. Seen: "npm: bundled", "yarn node-modules: [Function:
# isOdd]", "yarn pnp: [Function: isOdd]". So bundleDependencies can hold neither a changed copy nor a name that is not yours on
# the registry (whoever has the name has the users' code): put it into the files of the package under another folder than
# node_modules, or bundle it with a bundler.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export YARN_GLOBAL_FOLDER="$folder/global" YARN_ENABLE_TELEMETRY=0 YARN_ENABLE_IMMUTABLE_INSTALLS=false
YARN_NPM_REGISTRY_SERVER=$(npm config get registry)
export YARN_NPM_REGISTRY_SERVER

mkdir -p outer/node_modules/is-odd tool
echo '{ "name": "outer", "version": "1.0.0", "dependencies": { "is-odd": "3.0.1" }, "bundleDependencies": ["is-odd"] }' \
  >outer/package.json
echo 'module.exports = require("is-odd");' >outer/index.js
echo '{ "name": "is-odd", "version": "3.0.1" }' >outer/node_modules/is-odd/package.json
echo 'module.exports = "bundled";' >outer/node_modules/is-odd/index.js
(cd outer && npm pack --silent >/dev/null)
tar -tzf outer/outer-1.0.0.tgz | grep -q 'package/node_modules/is-odd/index.js'

echo '{ "private": true }' >tool/package.json
(cd tool && npm install --silent --no-audit --no-fund --ignore-scripts @yarnpkg/cli-dist@4.18.1 >/dev/null)
yarn=$folder/tool/node_modules/@yarnpkg/cli-dist/bin/yarn.js
user='{ "private": true, "dependencies": { "outer": "file:../outer/outer-1.0.0.tgz" } }'

mkdir npm
cd npm
echo "$user" >package.json
npm install --silent --no-audit --no-fund --ignore-scripts >/dev/null
seen=$(node -p 'require("outer")')
echo "npm: $seen"
[ "$seen" = bundled ]

for linker in node-modules pnp; do
  mkdir "../$linker"
  cd "../$linker"
  echo "$user" >package.json
  echo "nodeLinker: $linker" >.yarnrc.yml
  touch yarn.lock
  node "$yarn" install >out 2>&1
  if grep -qi bundle out; then exit 1; fi
  seen=$(node "$yarn" node -p 'require("outer")')
  echo "yarn $linker: $seen"
  [ "$seen" = '[Function: isOdd]' ]
done
echo 'as described'
