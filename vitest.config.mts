import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'
import { LongFirst } from './__test__/helpers/long-first.js'
import { scatterFolders } from './__test__/helpers/scattered.js'

// Of all processes that a spec starts, and of this one: where files are private by default, specs that work as another user could read nothing.
process.umask(0o022)

// With it Node reads all certificates of the system at each start, which takes longer than all else that it does then (80 ms of 110), and
// specs start some thousand processes. None of them talks to another machine.
delete process.env.NODE_EXTRA_CA_CERTS

scatterFolders()

export default defineConfig({
  test: {
    include: ['__test__/**/*.spec.ts'],
    // `npm run test:cloud` and `npm run consumer` have configurations of their own: those need servers.
    exclude: ['__test__/cloud-servers/**', '__test__/registry/**'],
    // Specs change the folder of their process, which threads cannot. Files share processes: to start one for each takes longer than the
    // tests of most. What a test changes in its process it puts back: spies and variables are put back for it.
    pool: 'forks',
    isolate: false,
    restoreMocks: true,
    unstubEnvs: true,
    // Two for each processor: most of a spec is waiting, for disks, processes and moments.
    maxWorkers: 2 * availableParallelism(),
    sequence: { sequencer: LongFirst },
    globalSetup: ['__test__/helpers/addon-copy.ts'],
    // For what hangs, however slow the machine is: no test takes a minute on two busy cores.
    testTimeout: 5 * 60_000,
    hookTimeout: 5 * 60_000,
  },
})
