// A sweeper beside the first transaction of a root: the journal has a temp name then, and no lock yet.

import { join } from 'node:path'
import { sweep } from '@pipeline/atomic'
import { expect } from 'vitest'
import { makeDir, names } from '../helpers/files'
import { needs } from '../helpers/needs'
import type { Remote } from '../helpers/processes'
import { systemCalls } from '../helpers/system-calls'

const publish = async ({ atomicTransaction }: Remote, root: string) => {
  await atomicTransaction(root, (tx) => {
    tx.write('post', 'text')
  })
}

needs('strace that may attach')(
  'a sweeper that takes a journal before it is locked does not fail the transaction',
  async ({ dir }) => {
    // How much of a sweep a processor has time for while the journal waits for its lock depends on the machine.
    for (let round = 0, isTaken = false; !isTaken; round++) {
      expect(round, 'no sweep has come before the lock').toBeLessThan(50)
      const root = makeDir(dir, `root-${round}`)
      const journal = join(root, '.atomic', '.journal.')
      let isOver = false
      const published = systemCalls(publish, [root], {
        trace: ['flock'],
        inject: ['flock:delay_enter=100000:when=1..2'],
      }).finally(() => {
        isOver = true
      })
      while (!isOver) {
        const { removed } = await sweep(root, { recursive: true })
        isTaken ||= removed.some(({ path }) => path.startsWith(journal))
      }
      await published
      expect(names(root)).toEqual(['.atomic', 'post'])
      expect(names(join(root, '.atomic')).filter((name) => name.endsWith('.tmp'))).toEqual([])
    }
  },
)
