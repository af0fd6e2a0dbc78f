// A child of child_process.fork() that waits: says so on argv[2], then reads the gate, argv[3].
const { appendFileSync, openSync, readSync } = require('node:fs');

appendFileSync(process.argv[2], 'x');
readSync(openSync(process.argv[3], 'r'), Buffer.alloc(1));
