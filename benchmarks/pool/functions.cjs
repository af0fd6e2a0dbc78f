/** The tasks without their classes, for libraries that take an object of functions. */
const { LimitError, Point, ...functions } = require('./tasks.cjs');

exports.functions = functions;
