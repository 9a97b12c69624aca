// How many threads of ours a process has.

import { expect } from 'vitest'
import { needs } from '../helpers/needs'
import { inProcess } from '../helpers/processes'

/** So many help to flush, at most. */
const MOST = 64

needs('strace that may attach')(
  'however many files a slow disk has to flush at once, there is a limit to the threads that help with it, and they end',
  async ({ dir }) => {
    const slow = 'set -- strace -f -qq -o /dev/null -e trace=fsync -e inject=fsync:delay_enter=50000 "$@"'
    const child = inProcess(
      async ({ atomicTransaction, until, require }, dir) => {
        const fs = require('node:fs') as typeof import('node:fs')
        const name = (task: string) => {
          try {
            return fs.readFileSync(`/proc/self/task/${task}/comm`, 'utf8')
          } catch {
            return 'has ended'
          }
        }
        const helpers = () =>
          fs.readdirSync('/proc/self/task').filter((task) => name(task) === 'atomic-batch\n')
        let most = 0
        const look = setInterval(() => {
          most = Math.max(most, helpers().length)
        }, 10)
        const files = Array.from({ length: 100 }, (_, at) => ({ write: `${at}`, data: '' }))
        const roots = Array.from({ length: 6 }, (_, at) => `${dir}/${at}`)
        await Promise.all(roots.map((root) => atomicTransaction(root, files)))
        clearInterval(look)
        await until(() => helpers().length === 0)
        return most
      },
      [dir],
      { before: slow, env: { UV_THREADPOOL_SIZE: '8' } },
    )
    const most = await child.returned
    expect(most).toBeGreaterThan(MOST / 2)
    // One that has just helped does not count any more, and is there until it waits.
    expect(most).toBeLessThan(2 * MOST)
  },
)
