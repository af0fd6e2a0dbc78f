const { functions } = require('./functions.cjs');

require('workerpool').worker(functions);
