/** Sets the main module, before the library looks: children import this file, not vitest's worker. */
import { fileURLToPath } from 'node:url';

process.argv[1] = fileURLToPath(new URL('../fixtures/dist/main.js', import.meta.url));
