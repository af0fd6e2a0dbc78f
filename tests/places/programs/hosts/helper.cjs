exports.help = function help() {
  console.log('helper');
};
