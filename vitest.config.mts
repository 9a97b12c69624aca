import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['__test__/**/*.spec.ts'],
    // A process for each file: the addon holds a process-wide queue, and specs change the umask, limits and user.
    pool: 'forks',
    // One for each processor, also where there are two: most of a spec is waiting for disks and processes.
    maxWorkers: '100%',
    globalSetup: ['__test__/helpers/addon-copy.ts'],
    // For what hangs, however slow the machine is: no test takes a minute on two busy cores.
    testTimeout: 5 * 60_000,
    hookTimeout: 5 * 60_000,
  },
})
