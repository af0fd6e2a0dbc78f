const { runAsWorker } = require('synckit');
const { functions } = require('./functions.cjs');

runAsWorker(async (name, argument) => functions[name](argument));
