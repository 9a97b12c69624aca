import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['__test__/**/*.spec.ts'],
    // A process for each file: the addon holds a process-wide queue, and specs change the umask, limits and user.
    pool: 'forks',
    // A spec starts processes and waits for disks: on two busy cores seconds are normal, a minute is a hang.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
