export default {
  test: {
    include: ['vitest_tests.mjs'],
    pool: 'forks',
    execArgv: (process.env.FLAGS ?? '').split(' ').filter(Boolean),
    coverage: {
      enabled: true,
      ...JSON.parse(process.env.SETTINGS),
      reporter: ['lcovonly'],
      include: ['helper.mjs'],
      reportsDirectory: 'report',
    },
  },
};
