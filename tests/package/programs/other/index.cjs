exports.mp = require('#multiprocessing');
