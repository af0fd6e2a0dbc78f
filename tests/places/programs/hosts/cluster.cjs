/** `cluster FILE`: runs a program as a worker, and ends as it ends. */
const cluster = require('node:cluster');

cluster.setupPrimary({ exec: process.argv[2] });
cluster.fork().on('exit', (code, signal) => {
  if (signal !== null) console.log(`the worker ended by ${signal}`);
  process.exitCode = code;
});
