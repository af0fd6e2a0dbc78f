import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

// Node 20 reads the certificates that it names at each start, which takes longer than all else of a start. The tests start
// thousands of processes, and none needs them.
delete process.env.NODE_EXTRA_CA_CERTS;

/** Those that take longest: begun last, one of them would run alone in the end. */
const FIRST = [
  'synchronize/damage',
  'process/output',
  'closures/privates',
  'popen/addons',
  'pool/cannot_hang',
  'process/started_from',
  'popen/kernel',
  'pool/pool',
  'docs/examples',
  'process/lifecycle',
  'process/workers',
  'multiprocessing/vitest_coverage',
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const index = FIRST.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`));
      return index < 0 ? FIRST.length : index;
    };
    return (await super.sort(files)).sort((a, b) => place(a) - place(b));
  }
}

export default defineConfig({
  test: {
    include: ['tests/**/*.test.ts'],
    globalSetup: ['tests/support/bundle.ts'],
    setupFiles: ['tests/support/setup.ts'],
    // Real processes on a small, noisy machine: limits are generous, tests assert order and state.
    testTimeout: 180_000,
    expect: { poll: { timeout: 60_000 } },
    hookTimeout: 180_000,
    pool: 'forks',
    // Tests of `fork` run in this process: it must be able to.
    execArgv: process.platform === 'linux' ? ['--single-threaded', '--v8-pool-size=1'] : [],
    // More than there are cores: tests wait for processes as long as they compute.
    maxWorkers: 5,
    sequence: { sequencer: LongestFirst },
    server: {
      deps: {
        // Children load the same files natively: there must be one copy of each.
        external: [/\/packages\/[^/]+\/dist\//, /\/tests\/fixtures\/dist\//],
      },
    },
  },
});
