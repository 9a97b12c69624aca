import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'

// `npm run test:cloud`: the specs that need servers, which the ordinary run does not start.
export default defineConfig({
  test: {
    root: join(import.meta.dirname, '../..'),
    include: ['__test__/cloud-servers/*.spec.ts'],
    pool: 'forks',
    // Most of a spec is waiting, for servers and pauses.
    maxWorkers: 2 * availableParallelism(),
    globalSetup: ['__test__/cloud-servers/servers/start-all.ts'],
    // For what hangs, however slow the machine is.
    testTimeout: 5 * 60_000,
    hookTimeout: 5 * 60_000,
    // Installing and starting the servers, on a slow line and a busy machine.
    teardownTimeout: 60_000,
  },
})
