// Mount points where statx(2) says nothing of them: Linux before 5.8, and sandboxes that refuse it. Each is known before anything gets its
// name, or a transaction would be committed that nobody can complete.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { makeDir, names } from '../helpers/files'
import { bound, needs } from '../helpers/needs'
import type { Remote } from '../helpers/processes'
import { systemCalls } from '../helpers/system-calls'

const hidden = needs('linux', 'root that may mount', 'strace that may attach')

for (const reason of ['ENOSYS', 'EPERM']) {
  hidden(
    `of files and directories are known before anything is renamed: statx(2) says ${reason}`,
    async ({ dir }) => {
      const host = makeDir(dir, 'host')
      const root = makeDir(dir, 'root')
      for (const name of ['file', 'tree']) mkdirSync(join(host, name))
      writeFileSync(join(host, 'file', 'm'), '{"n":7}')
      for (const [name, text] of Object.entries({ a: 'old', i: '{"n":1}', m: '', 'm.backup': '{"n":0}' })) {
        writeFileSync(join(root, name), text)
      }
      mkdirSync(join(root, 'tree'))
      mkdirSync(join(root, 'pub'))
      writeFileSync(join(root, 'pub', 'x'), 'old')
      const attempts = async (there: Remote, root: string) => {
        const { readdirSync, readFileSync, statSync, writeFileSync } = there.require(
          'node:fs',
        ) as typeof import('node:fs')
        const { join } = there.require('node:path') as typeof import('node:path')
        const { atomicDirectory, atomicIndexUpdate, atomicTransaction, atomicWriteAll, recover } = there
        const at = (name: string) => join(root, name)
        const add = ({ n }: any) => ({ n: n + 1 })
        const fill = async (staging: string) => writeFileSync(join(staging, 'new'), 'new')
        const state = () =>
          readdirSync(root, { recursive: true, encoding: 'utf8' })
            .filter((name) => !name.includes('.atomic'))
            .map((name) => [name, statSync(at(name)).isFile() ? readFileSync(at(name), 'utf8') : undefined])
        const calls: Record<string, () => Promise<unknown>> = {
          write: () =>
            atomicTransaction(root, (tx) => {
              tx.write('a', 'new')
              tx.write('m', 'new')
            }),
          remove: () =>
            atomicTransaction(root, (tx) => {
              tx.write('a', 'new')
              tx.remove('m')
            }),
          'rename from': () => atomicTransaction(root, (tx) => void tx.rename('m', 'b')),
          'rename to': () => atomicTransaction(root, (tx) => void tx.rename('a', 'm')),
          update: () =>
            atomicTransaction(root, (tx) => {
              tx.write('a', 'new')
              tx.update('m', add)
            }),
          'backup of a transaction': () =>
            atomicTransaction(root, (tx) => void tx.update('i', add, { backup: at('m') })),
          batch: () => atomicWriteAll(['a', 'm'].map((name) => ({ path: at(name), data: 'new' }))),
          backup: () => atomicIndexUpdate(at('i'), add, { backup: { path: at('m'), generations: 3 } }),
          'backup before': () => atomicIndexUpdate(at('m'), add, { backup: { generations: 3 } }),
          directory: () => atomicDirectory(at('tree'), fill),
          'previous directory': () => atomicDirectory(at('pub'), fill, { keepPrevious: at('tree') }),
        }
        const before = JSON.stringify(state())
        const told: Record<string, unknown> = {}
        for (const [name, call] of Object.entries(calls)) {
          const { code, message, committed } = (await call().catch((error) => error)) as Record<
            string,
            unknown
          >
          const { outcome } = await recover(root).catch((error) => ({ outcome: error.code }))
          told[name] = { code, message, committed, outcome, isAsBefore: JSON.stringify(state()) === before }
        }
        return told
      }
      await bound(join(host, 'file', 'm'), join(root, 'm'), () =>
        bound(join(host, 'tree'), join(root, 'tree'), async () => {
          const inject = [`statx:error=${reason}`]
          const { returned } = await systemCalls(attempts, [root], { trace: ['statx'], inject })
          const refused = {
            code: 'EBUSY',
            message: expect.stringContaining('it is a mount point'),
            committed: undefined,
            outcome: 'nothing',
            isAsBefore: true,
          }
          expect(Object.keys(returned)).toHaveLength(11)
          for (const [name, told] of Object.entries(returned)) expect([name, told]).toEqual([name, refused])
        }),
      )
      expect(names(root).filter((name) => name !== '.atomic')).toEqual([
        'a',
        'i',
        'm',
        'm.backup',
        'pub',
        'tree',
      ])
    },
  )
}
