const { ClusterWorker } = require('poolifier');
const { functions } = require('./functions.cjs');

module.exports = new ClusterWorker(functions);
