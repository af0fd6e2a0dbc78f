const { ThreadWorker } = require('poolifier');
const { functions } = require('./functions.cjs');

module.exports = new ThreadWorker(functions);
