const { functions } = require('./functions.cjs');

module.exports = async ({ name, data }) => functions[name](data.argument);
