import { join } from 'node:path'
import { defineConfig } from 'vitest/config'

// `npm run consumer`: the specs that install from a registry, which the ordinary run does not start.
export default defineConfig({
  test: {
    root: join(import.meta.dirname, '../..'),
    include: ['__test__/registry/*.spec.ts'],
    pool: 'forks',
    // Package managers and bundlers keep all processors busy as it is.
    fileParallelism: false,
    globalSetup: ['__test__/registry/setup.ts'],
    // For what hangs, however slow the line and the machine are.
    testTimeout: 10 * 60_000,
    hookTimeout: 10 * 60_000,
  },
})
