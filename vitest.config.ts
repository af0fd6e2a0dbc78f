import { defineConfig } from 'vitest/config';

// Node 20 reads the certificates that it names at each start, which takes longer than all else of a start. The tests start
// thousands of processes, and none needs them.
delete process.env.NODE_EXTRA_CA_CERTS;

export default defineConfig({
  test: {
    include: ['tests/**/*.test.ts'],
    globalSetup: ['tests/support/bundle.ts'],
    setupFiles: ['tests/support/setup.ts'],
    // Real processes on a small, noisy machine: limits are generous, tests assert order and state.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    // Tests of `fork` run in this process: it must be able to.
    execArgv: process.platform === 'linux' ? ['--single-threaded', '--v8-pool-size=1'] : [],
    maxWorkers: 2,
    server: {
      deps: {
        // Children load the same files natively: there must be one copy of each.
        external: [/\/packages\/[^/]+\/dist\//, /\/tests\/fixtures\/dist\//],
      },
    },
  },
});
