import('multiprocessing').then(
  () => console.log('loaded'),
  (e) => console.log(e.code, e.message),
);
