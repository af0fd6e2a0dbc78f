exports.mp = require('multiprocessing');
