/** Runs app.mjs, and prints the code of the error if it cannot be loaded. */
import process from 'node:process';

try {
  await import('./app.mjs');
} catch (error) {
  console.log(`code: '${error.code}'`);
  process.exitCode = 1;
}
