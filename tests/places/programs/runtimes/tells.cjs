try {
  require('multiprocessing');
  console.log('loaded');
} catch (e) {
  console.log(e.code, e.message);
}
