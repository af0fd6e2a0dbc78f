export default {
  test: {
    include: ['vitest_tests.mjs'],
    pool: 'forks',
    execArgv: (process.env.FLAGS ?? '').split(' ').filter(Boolean),
    coverage: {
      enabled: true,
      provider: 'v8',
      reporter: ['lcovonly'],
      include: ['helper.mjs'],
      reportsDirectory: 'report',
    },
  },
};
